"""Writes the parts of an envelope as text, exactly as `whence.line` would encode them.

What many events share is written once and kept: a primitive, type, agent and target together.
"""

from collections.abc import Iterable

import msgspec

from whence.event import OWN, Status, check_status, check_text
from whence.line import NUMBER_MAX
from whence.query import clean_target

_KEPT_MAX = 20_000
_KEPT_CHARACTERS_MAX = 500

_encode = msgspec.json.Encoder().encode


def quote(text: str) -> str:
    """Write text as JSON, with the escapes of a line."""
    return _encode(text).decode()


class Names:
    """Writes and keeps `"primitive":…,"type":…,"agent":…,"target":…`."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str, str | None, str | None], str] = {}
        self.get = self._kept.get
        self._kept_spans: dict[tuple[str, str | None, str | None], str] = {}
        self.get_span = self._kept_spans.get

    def write(self, primitive: str, type: str, agent: str | None, target: str | None) -> str:
        """Check the four and write them; TypeError or ValueError for what cannot stand there."""
        text = write_kind(primitive, type)
        if primitive == OWN:
            raise ValueError(f"primitive is {OWN!r}, which Whence keeps for itself")
        if agent is not None:
            text += f',"agent":{quote(check_text("agent", agent))}'
        if target is not None:
            text += f',"target":{quote(clean_target(check_text("target", target)))}'
        if len(text) <= _KEPT_CHARACTERS_MAX:
            if len(self._kept) >= _KEPT_MAX:
                self._kept.clear()
            self._kept[primitive, type, agent, target] = text
        return text

    def write_span(self, name: str, agent: str | None, target: str | None) -> str:
        """As `write`, for the name of a span; kept by that name, so that it is not split again."""
        text = self.write(*split_name(name), agent, target)
        if len(text) <= _KEPT_CHARACTERS_MAX:
            if len(self._kept_spans) >= _KEPT_MAX:
                self._kept_spans.clear()
            self._kept_spans[name, agent, target] = text
        return text


def split_name(name: str) -> tuple[str, str]:
    """The primitive and the type that a span's name stands for."""
    primitive, dot, type = check_text("name", name).partition(".")
    return (primitive, type) if dot else ("span", primitive)


def write_kind(primitive: str, type: str) -> str:
    """Check a primitive and a type and write them; also Whence's own, which `Names` refuses."""
    return (
        f'"primitive":{quote(check_text("primitive", primitive))}'
        f',"type":{quote(check_text("type", type))}'
    )


def write_extras(
    status: Status | None, duration: int | None, links: Iterable[str], private: bool | None
) -> str:
    """Write what only some events have: status, duration, links and the mark of a private one."""
    text = ""
    if status is not None:
        text += f',"status":"{check_status(status)}"'
    if duration is not None:
        text += f',"duration":{check_duration(duration)}'
    text += write_links(links)
    return text + ',"private":true' if private else text


def check_duration(duration: object) -> int:
    """Return a number of nanoseconds that an envelope can hold; TypeError or ValueError if none."""
    if not isinstance(duration, int):
        raise TypeError(f"duration is {duration.__class__.__name__}, want int nanoseconds")
    if not 0 <= duration <= NUMBER_MAX:
        raise ValueError("duration is outside 0 to 2**63 - 1 nanoseconds")
    return int(duration)


def write_links(links: Iterable[str]) -> str:
    """Write further causes, "" for none; TypeError or ValueError for what is no list of ids."""
    if isinstance(links, str):
        # Its characters would be taken for ids.
        raise TypeError("links is str, want a list of ids")
    causes = [quote(check_text("link", link)) for link in links]
    return f',"links":[{",".join(causes)}]' if causes else ""

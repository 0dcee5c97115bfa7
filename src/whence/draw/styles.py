"""Colours as a value: text and its role in, text with or without SGR codes out. Pure.

Colour is never the only sign: whatever a role says is also in the words or signs of the text, and
with colours off the text is the same. Codes are the sixteen that every terminal has (ECMA-48,
section 8.3.117), so that users' own palettes apply. Text is styled after it was measured and cut.
"""

from collections.abc import Mapping
from typing import Literal

import msgspec

Role = Literal[
    "title", "faint", "time", "primitive", "agent", "target", "match", "good", "warning", "bad"
]

Color = str
"""One of `auto`, `always`, `never`."""

_CODES: dict[Role, str] = {
    "title": "1",
    "faint": "2",
    "time": "2",
    "primitive": "36",
    "agent": "35",
    "target": "33",
    "match": "1;31",
    "good": "32",
    "warning": "33",
    "bad": "31",
}
_STATUS_ROLES: dict[str, Role] = {"success": "good", "error": "bad", "blocked": "warning"}


class Style(msgspec.Struct, frozen=True, kw_only=True):
    """Whether output is coloured, and how."""

    on: bool = False

    def paint(self, text: str, role: Role | None) -> str:
        """Colour text for its role; as it is when colours are off or there is no role."""
        if not self.on or role is None or not text:
            return text
        return f"\x1b[{_CODES[role]}m{text}\x1b[0m"


def status_role(status: str | None) -> Role | None:
    """Tell how an event's status is coloured; the status itself belongs into the text."""
    return _STATUS_ROLES.get(status or "")


def wants_color(color: Color, environment: Mapping[str, str], is_terminal: bool) -> bool:
    """Decide on colours: by flag, then FORCE_COLOR, NO_COLOR, CLICOLOR, then the terminal."""
    if color != "auto":
        return color == "always"
    if environment.get("FORCE_COLOR", "0") not in ("", "0"):
        return True
    if environment.get("NO_COLOR"):
        return False
    if environment.get("CLICOLOR") == "0" or environment.get("TERM") == "dumb":
        return False
    return is_terminal

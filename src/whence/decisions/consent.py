"""Where data may go: five scopes, and what is withheld from a destination beyond them.

Data may go to a destination whose level is not above its own. No scope, or one that is unknown, means
`edge_only`. What data says of itself widens nothing: consent is given beside it, and what one call says only
narrows what was given for its topic. Every refusal is an event.
"""

from collections.abc import Collection, Mapping
from enum import IntEnum
from fnmatch import fnmatchcase
from typing import Any

from whence.errors import WhenceError
from whence.event import check_text, decode_json
from whence.log import Log, default
from whence.recorder.payload import MARKS, Payloads

PRIMITIVE, REFUSE = "consent", "refuse"
WITHHELD = "[withheld]"

_OPAQUE = "(no fields)"
_OPAQUE_MARKS = frozenset({"repr", "deep", "unreadable"})

# What leaves is redacted where it is recorded; here fields are told apart.
_payloads = Payloads(redactor=None)


class Scope(IntEnum):
    """How far data may travel."""

    EDGE_ONLY = 0
    USER_DEVICES = 1
    TRUSTED_PEER = 2
    FEDERATED = 3
    PUBLIC = 4

    @property
    def text(self) -> str:
        """The name as the seed writes it."""
        return self.name.lower()


class ConsentRefused(WhenceError):  # noqa: N818 it is an outcome, and nothing has left
    """There is no consent for this destination; `event_id` is the event that says so."""

    def __init__(self, message: str, event_id: str | None = None) -> None:
        super().__init__(message)
        self.event_id = event_id


def parse_scope(value: object) -> Scope:
    """A scope by its name, or `edge_only` for whatever is none."""
    if isinstance(value, Scope):
        return value
    name = value.strip().upper() if isinstance(value, str) else ""
    return Scope[name] if name in Scope.__members__ else Scope.EDGE_ONLY


def parse_destination(value: object) -> Scope:
    """A destination by its name; ValueError for an unknown one: where data goes is never guessed."""
    if isinstance(value, Scope):
        return value
    name = value.strip().upper() if isinstance(value, str) else ""
    if name not in Scope.__members__:
        known = ", ".join(scope.text for scope in Scope)
        raise ValueError(f"destination is {value!r}, want one of {known}")
    return Scope[name]


def may_leave(scope: object, destination: object) -> bool:
    """Whether data of a scope may go to a destination."""
    return parse_destination(destination) <= parse_scope(scope)


def withhold(
    data: Any, destination: Scope, fields: Mapping[str, object]
) -> tuple[Any, list[str], int]:
    """A copy of data without the fields that may not go there, the rules by which, and how many fields.

    A rule names a field by its path, as `subject.user_id` or `votes.*.reason`; items of lists are numbered, and a path
    that leaves the numbers out means each item. A name without a dot means the key wherever it stands, in
    whatever is nested. Objects are laid out as they would be recorded, so that their fields are found; what has no fields
    that could be told apart is withheld as a whole.
    """
    forbidden = [name for name, scope in fields.items() if parse_scope(scope) < destination]
    if not forbidden:
        return data, [], 0
    plain, opaque = _lay_out(data)
    broken: dict[str, None] = {}
    size = 0

    def copy(value: Any, path: tuple[str, ...]) -> Any:
        if isinstance(value, dict):
            return {key: check(each, (*path, key)) for key, each in value.items()}
        if isinstance(value, list):
            return [check(each, (*path, str(number))) for number, each in enumerate(value)]
        return value

    def check(value: Any, path: tuple[str, ...]) -> Any:
        nonlocal size
        rule = _OPAQUE if path in opaque else _find_rule(path, forbidden)
        if rule is None:
            return copy(value, path)
        broken[rule] = None
        size += 1
        return WITHHELD

    return check(plain, ()), list(broken), size


def _find_rule(path: tuple[str, ...], forbidden: Collection[str]) -> str | None:
    """The rule that a field's path breaks, if it breaks one: in whatever case, and where the name itself has what a pattern has."""
    if not path:
        return None
    whole, unnumbered = ".".join(path), ".".join(part for part in path if not part.isdecimal())
    last, *others = (text.casefold() for text in (path[-1], whole, unnumbered))
    for rule in forbidden:
        folded = rule.casefold()
        names = (last, *others) if "." in rule else (last,)
        if any(name == folded or fnmatchcase(name, folded) for name in names):
            return rule
    return None


def _lay_out(data: Any) -> tuple[Any, frozenset[tuple[str, ...]]]:
    """Data as plain values, and the paths of what became a text that may hold anything."""
    document = decode_json(_payloads.encode({"data": data}))
    opaque = frozenset(
        tuple(part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[2:])
        for pointer, words in document.get(MARKS, {}).items()
        if _OPAQUE_MARKS.intersection(words.split())
    )
    return document["data"], opaque


class ConsentGuard:
    """Stands before everything that leaves. `log` is where refusals are told, by default the process's log."""

    def __init__(self, log: Log | None = None) -> None:
        self._log = log
        self._scopes: dict[str, tuple[Scope, dict[str, object]]] = {}

    def allow(self, topic: str, scope: object, fields: Mapping[str, object] | None = None) -> None:
        """Give consent for a topic: how far it may go, and which fields of it not as far.

        Raises:
            ValueError: the scope is unknown: consent is given in so many words, or not at all.
        """
        given = {name: parse_destination(each) for name, each in (fields or {}).items()}
        self._scopes[check_text("topic", topic)] = (parse_destination(scope), dict(given))

    def release(
        self,
        topic: str,
        data: Any,
        destination: object,
        *,
        scope: object = None,
        fields: Mapping[str, object] | None = None,
    ) -> Any:
        """What of the data may go to the destination.

        `scope` is what whose data it is consented to for this once. Where consent was given for the topic, `scope` and
        `fields` only narrow it.

        Raises:
            ConsentRefused: nothing of it may.
            ValueError: the destination is unknown.
        """
        where = parse_destination(destination)
        given = self._scopes.get(topic)
        known, known_fields = given if given is not None else (Scope.EDGE_ONLY, {})
        said = known
        if scope is not None:
            said = parse_scope(scope) if given is None else min(known, parse_scope(scope))
        if said < where:
            event_id = self._refuse(topic, where, said, None)
            raise ConsentRefused(
                f"{topic} may not go to {where.text}: its scope is {said.text}", event_id
            )
        narrowed = dict(known_fields)
        for name, each in (fields or {}).items():
            asked = parse_scope(each)
            narrowed[name] = min(asked, parse_scope(narrowed[name])) if name in narrowed else asked
        released, rules, size = withhold(data, where, narrowed)
        if rules:
            self._refuse(topic, where, said, (rules, size))
        return released

    def _refuse(
        self, topic: str, destination: Scope, scope: Scope, withheld: tuple[list[str], int] | None
    ) -> str:
        # Rules only, no paths: the keys of data can be names of people.
        told: dict[str, Any] = {
            "topic": topic, "destination": destination.text, "scope": scope.text
        }  # fmt: skip
        if withheld is not None:
            told |= {"withheld": withheld[0], "count": withheld[1]}
        log = self._log if self._log is not None else default()
        return log.emit(PRIMITIVE, REFUSE, target=topic, data=told, status="blocked")


guard = ConsentGuard()
"""The process's consent: nothing leaves the edge until `guard.allow` says so."""

"""Where data may go: five scopes, and what is withheld from a destination beyond them.

Data may go to a destination whose level is not above its own. No scope, or one that is unknown, means
`edge_only`. What data says of itself widens nothing: consent is given beside it. Every refusal is an event.
"""

from collections.abc import Mapping
from enum import IntEnum
from fnmatch import fnmatchcase
from typing import Any

from whence.errors import WhenceError
from whence.event import check_text
from whence.log import Log, default

PRIMITIVE, REFUSE = "consent", "refuse"
WITHHELD = "[withheld]"

_PATHS_MAX = 1_000


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


def withhold(data: Any, destination: Scope, fields: Mapping[str, object]) -> tuple[Any, list[str]]:
    """A copy of data without the fields that may not go there, and the paths of those.

    A field is named by its path, as `subject.user_id` or `votes.*.reason`; items of lists are numbered. A name without
    a dot means the key wherever it stands, in whatever is nested.
    """
    forbidden = [name for name, scope in fields.items() if parse_scope(scope) < destination]
    withheld: list[str] = []

    def copy(value: Any, path: str) -> Any:
        if isinstance(value, Mapping):
            return {key: check(each, f"{path}.{key}" if path else str(key), key)
                    for key, each in value.items()}  # fmt: skip
        if isinstance(value, list | tuple):
            return [
                check(each, f"{path}.{number}" if path else str(number), number)
                for number, each in enumerate(value)
            ]
        return value

    def check(value: Any, path: str, name: object) -> Any:
        for pattern in forbidden:
            subject = path if "." in pattern else str(name)
            if fnmatchcase(subject, pattern):
                withheld.append(path)
                return WITHHELD
        return copy(value, path)

    return copy(data, ""), withheld


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
        """What of the data may go to the destination. `scope` and `fields`, where given, count for this once.

        Raises:
            ConsentRefused: nothing of it may.
            ValueError: the destination is unknown.
            RecursionError: the data contains itself; then nothing leaves.
        """
        where = parse_destination(destination)
        known, known_fields = self._scopes.get(topic, (Scope.EDGE_ONLY, {}))
        said = known if scope is None else parse_scope(scope)
        if said < where:
            event_id = self._refuse(topic, where, said, None)
            raise ConsentRefused(
                f"{topic} may not go to {where.text}: its scope is {said.text}", event_id
            )
        released, withheld = withhold(data, where, {**known_fields, **(fields or {})})
        if withheld:
            self._refuse(topic, where, said, withheld)
        return released

    def _refuse(
        self, topic: str, destination: Scope, scope: Scope, withheld: list[str] | None
    ) -> str:
        # Paths only: what was withheld must not leave by way of the record.
        told: dict[str, Any] = {
            "topic": topic, "destination": destination.text, "scope": scope.text
        }  # fmt: skip
        if withheld is not None:
            told |= {"withheld": withheld[:_PATHS_MAX], "count": len(withheld)}
        log = self._log if self._log is not None else default()
        return log.emit(PRIMITIVE, REFUSE, target=topic, data=told, status="blocked")


guard = ConsentGuard()
"""The process's consent: nothing leaves the edge until `guard.allow` says so."""

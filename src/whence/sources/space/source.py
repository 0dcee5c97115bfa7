"""The source over a swarm's own databases, from its first days on: `kind = "space-os"`."""

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from whence.errors import CorruptError, StoreError, WhenceError
from whence.query import Query
from whence.sources.bounds import OPTION, VIEW_TIMEOUT_S, take_timeout
from whence.sources.database import Database, Patience, open_database
from whence.sources.source import Health, NameKind, RawRow, SourceEvent, Spellings, Tie
from whence.sources.space.eras import NAMES, ONE, find_tables
from whence.sources.space.names import find_spellings
from whence.sources.space.reading import Clock, Reading, Unread
from whence.sources.space.statements import FUNCTION
from whence.sources.space.tell import Told

_CONTENT_MAX = 2_000


def open_source(path: Path, name: str, options: Mapping[str, Any]) -> "SpaceSource":
    """Read the store at `path`: a `.space` folder, one of its databases, or one `space.db`."""
    view_timeout_s, others = take_timeout(options, f"[[source]] {path.name}")
    for key in others:
        raise ValueError(f"{key} is no option of a space-os source, want {OPTION} or none")
    return SpaceSource(path, name, view_timeout_s=view_timeout_s)


class SpaceSource:
    """Spawns, messages, tasks, memories and discoveries, as their tables tell them.

    Only what a column of its own dates is an event. What a row tells of the present, such as that its task
    is blocked, stands in the event of its creation (`status_now`, `assigned_to`). A part of the store that
    cannot be read raises after the events of the rest were given.
    """

    kind = "space-os"

    def __init__(self, path: Path, name: str, *, view_timeout_s: float = VIEW_TIMEOUT_S) -> None:
        self.name = name
        self._path = path
        self._view_timeout_s = view_timeout_s
        self._clock = Clock()
        self._patience = Patience()
        self._databases: dict[Path, Database] = {}
        self._bare: tuple[tuple[int, int], bool] | None = None
        self._reading: Reading | None = None
        self._versions: dict[str, tuple[int, int]] | None = None

    def events(
        self, query: Query = Query(), *, newest_first: bool = False
    ) -> Iterator[SourceEvent]:
        """As `Source.events`."""
        reading = self._read()
        yield from reading.events(query, newest_first=newest_first)
        reading.check()

    def event(self, event_id: str) -> SourceEvent | None:
        """As `Source.event`."""
        reading = self._read()
        found = reading.event(event_id)
        if found is None:
            reading.check()
        return found

    def matching(self, part: str, limit: int) -> list[SourceEvent]:
        """As `Source.matching`."""
        found: dict[str, SourceEvent] = {}
        reading = self._read()
        for event in reading.ending(part):
            if len(found) >= limit:
                break
            found[event.id] = event
        if not found:
            reading.check()
        return list(found.values())

    def names(self, kind: NameKind) -> Iterator[str]:
        """As `Source.names`."""
        reading = self._read()
        if kind == "agent":
            yield from reading.agents()
        else:
            for each in reading.everything():
                if isinstance(each, Told) and each.event.target is not None:
                    yield each.event.target

    def has_name(self, kind: NameKind, name: str) -> bool:
        """As `Source.has_name`."""
        query = Query(agent=name) if kind == "agent" else Query(target=name)
        reading = self._read()
        found = reading.has(query)
        if not found:
            reading.check()
        return found

    def spellings(self, kind: NameKind, text: str) -> Spellings:
        """As `Spelling.spellings`: the ids of its agents and channels."""
        reading = self._read()
        return find_spellings(reading.ask, reading.tables, kind, text)

    def below(self, target: str) -> list[str]:
        """As `Source.below`."""
        reading = self._read()
        return reading.below(target)

    def causes(self, event: SourceEvent) -> list[Tie]:
        """As `Source.causes`."""
        reading = self._read()
        return [
            Tie(relation.reason, cause)
            for relation in event.relations
            if (cause := reading.event(relation.id)) is not None
        ]

    def effects(self, event: SourceEvent) -> list[Tie]:
        """As `Source.effects`."""
        found: dict[tuple[str, str], Tie] = {}
        reading = self._read()
        for effect in reading.effects(event):
            for relation in effect.relations:
                if relation.id == event.id:
                    found[relation.reason, effect.id] = Tie(relation.reason, effect)
        return list(found.values())

    def health(self) -> Health:
        """As `Source.health`."""
        events, unread, newest = 0, 0, None
        try:
            reading = self._read()
            for each in reading.everything():
                if isinstance(each, Unread):
                    unread += 1
                else:
                    events += 1
                    newest = max(newest or each.ns, each.ns)
        except (StoreError, CorruptError) as error:
            return Health(
                events=events, newest_ns=newest, not_understood=unread, problem=str(error)
            )
        return Health(
            events=events,
            newest_ns=newest,
            not_understood=unread,
            problem="; ".join(dict.fromkeys(map(str, reading.failures))),
            note=reading.era + self._left_out(reading),
        )

    def raw(self) -> Iterator[RawRow]:
        """As `Source.raw`."""
        reading = self._read()
        for each in reading.everything():
            if isinstance(each, Unread):
                place = f"{each.feed.database} {each.feed.table.name} {each.values['id']!r}"
                yield RawRow(place, each.problem, repr(each.values)[:_CONTENT_MAX])

    def close(self) -> None:
        """As `Source.close`."""
        for database in self._databases.values():
            database.close()
        self._databases.clear()
        self._reading = self._versions = self._bare = None

    def _read(self) -> Reading:
        """The store as it is now. What was learnt of it holds until somebody writes to it."""
        databases = self._open()
        versions: dict[str, tuple[int, int]] = {}
        refused: dict[str, WhenceError] = {}
        for label, database in databases.items():
            try:
                versions[label] = database.version()
            except (StoreError, CorruptError) as error:
                refused[label] = error
        if self._reading is None or refused or versions != self._versions:
            self._reading = Reading(self.name, databases, self._clock, refused)
            # Looked at before reading: what is written meanwhile makes the next question read anew.
            self._versions = None if refused else versions
        reading = self._reading.at(time.time_ns())
        if not reading.tables:
            reading.check()
        return reading

    def _open(self) -> dict[str, Database]:
        """The databases that are there now, by their file names."""
        try:
            paths = self._find()
        except OSError as error:
            raise StoreError(f"look at {self._path}: {error.strerror}") from error
        return {path.name: self._database(path) for path in paths}

    def _find(self) -> list[Path]:
        if not self._path.is_dir():
            return [self._path]
        one, *several = (self._path / f"{name}.db" for name in (ONE, *NAMES))
        several = [path for path in several if path.exists()]
        # Later all moved to the one database; what was left behind would be told twice.
        if one.exists() and not (several and self._is_bare(one)):
            return [one]
        if several:
            return several
        raise StoreError(f"{self._path} holds none of {', '.join(f'{name}.db' for name in NAMES)}")

    def _is_bare(self, path: Path) -> bool:
        """Whether a database was made and nothing moved to it; one that cannot be read may hold all."""
        if path.stat().st_size == 0:
            return True
        database = self._database(path)
        try:
            version = database.version()
            if self._bare is None or self._bare[0] != version:
                self._bare = version, find_tables(database.tables()) == ([], [])
        except (StoreError, CorruptError):
            return False
        return self._bare[1]

    def _left_out(self, reading: Reading) -> str:
        """Say that the one database is there and holds nothing of the store, if so."""
        one = f"{ONE}.db"
        is_left = one not in {label for label, _ in reading.tables} and (self._path / one).exists()
        return f"; {one} has none of the store's tables: older ones are read" if is_left else ""

    def _database(self, path: Path) -> Database:
        if path not in self._databases:
            functions = {FUNCTION: (5, self._clock.find_ns)}
            self._databases[path] = open_database(
                path,
                functions=functions,
                patience=self._patience,
                view_timeout_s=self._view_timeout_s,
            )
        return self._databases[path]

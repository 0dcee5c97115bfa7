"""The handle behind `whence.open()`: a recorder, and the questions.

Thin and lazy: the recorder is made when something is recorded, the index is opened when
something is asked. Asking writes no journal and makes no folder; the index it keeps in an
existing one is derived and can be deleted.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from whence import settings
from whence.calls import Emit, EmitAsync, MakeSpan
from whence.errors import NotFoundError, StoreError
from whence.event import Event
from whence.journal.folder import journal_folder
from whence.journal.forks import loading, watch_forks
from whence.journal.reader import Reader
from whence.query import Query, clean_query, matches

if TYPE_CHECKING:
    from collections.abc import Mapping

    from whence.ask.asked import Sources
    from whence.ask.causality import Causality
    from whence.ask.health import Health
    from whence.ask.references import Subject
    from whence.ask.spans import Spans
    from whence.ask.stores import Stores
    from whence.ask.timeline import Timeline
    from whence.index import Index, Place, Problem, Statistic
    from whence.proof.report import Report
    from whence.proof.sealer import Sealing
    from whence.recorder.recorder import Recorder
    from whence.recorder.span import Span
    from whence.runs.recording import Run
    from whence.sources.source import Source

Progress = Callable[[int, int], None]

_inherited: list[object] = []
_RECORDING = ("emit", "emit_async", "span", "cause", "current_cause", "cause_around")


class Log:
    """One log: record to it, and ask it. Safe for threads and forks. Close it, or use `with`.

    `warnings` says what stood in the way of the answers so far: lines that are no events, an
    index that could not be kept, a source that could not be read. `failed_sources` names those.
    """

    def __init__(
        self,
        folder: Path,
        *,
        durability: settings.Durability | None = None,
        read_only: bool = False,
        sources: Sequence[str] = (),
    ) -> None:
        if not read_only:
            # Not at the first event: a handler that interrupts an import could not record.
            with loading:
                from whence.recorder import making  # noqa: F401
        self.folder = folder
        self.read_only = read_only
        self.settings = settings.load(folder)
        self._given_sources = tuple(sources)
        self.warnings: list[str] = []
        self._warned: set[str] = set()
        self._durability = durability or self.settings.journal.durability
        # The lock guards the making and closing of the recorder and the index.
        self._lock = threading.RLock()
        self._recorder: Recorder | None = None
        self._sealing: Sealing | None = None
        self._index: Index | None = None
        self._has_said_problems = False
        self._reader = Reader(folder)
        self._asked: Sources | None = None
        watch_forks(self)

    def after_fork(self) -> None:
        """Begin anew in a forked child: whoever recorded or asked in the parent does not exist here."""
        self._lock = threading.RLock()
        if self._asked is not None:
            # Databases that are open here belong to the parent: kept, so that they are never closed.
            _inherited.append(self._asked)
            self._asked = None

    # -- recording: the recorder's own methods, so that a call costs no hop more -----------------

    emit: Emit
    """Record one event and return its id. See `Recorder.emit`."""
    emit_async: EmitAsync
    """Record one event durably from an event loop. See `Recorder.emit_async`."""
    span: MakeSpan
    """Record a step with its duration. See `Recorder.span`."""
    cause: Callable[[str], AbstractContextManager[None]]
    """Name the cause of what is recorded inside a block. See `Recorder.cause`."""
    current_cause: Callable[[], str | None]
    """The cause that an event recorded here and now would name. See `Recorder.current_cause`."""
    cause_around: Callable[[], str | None]
    """The same without what this process was started for. See `Recorder.cause_around`."""

    def __getattr__(self, name: str) -> Any:
        # Asked once for each: from then on they are attributes. A cached property would take a lock
        # that all logs share, and that a forked child cannot renew.
        if name not in _RECORDING:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        recorder = self.recorder
        for each in _RECORDING:
            setattr(self, each, getattr(recorder, each))
        return getattr(self, name)

    def run(
        self,
        name: str,
        input: Any = None,
        *,
        seed: Any = None,
        seeds: "Mapping[str, Any] | None" = None,
        runner: Callable[..., Any] | str | None = None,
        keep: bool = False,
        trace_id: str | None = None,
        agent: str | None = None,
    ) -> "Run":
        """Record a simulation so that somebody else can execute it again. Use it with `with`; see `Run`.

        Raises:
            ValueError, TypeError: the input contains itself, or the id or name cannot be one.
        """
        from whence.runs.recording import Run

        return Run(
            self, name, input,
            seed=seed, seeds=seeds, runner=runner, keep=keep, trace_id=trace_id, agent=agent,
        )  # fmt: skip

    @property
    def lost(self) -> int:
        """How many events this process could not record so far."""
        return self._recorder.lost if self._recorder is not None else 0

    @property
    def recorder(self) -> "Recorder":
        """What this log records with, for those who add a vocabulary of their own."""
        if self.read_only:
            raise ValueError(f"log {self.folder} was opened for reading only")
        with self._lock:
            if self._recorder is None:
                from whence.recorder.making import make_recorder

                self._recorder = make_recorder(self.folder, self.settings, self._durability)
                if self.settings.others.get("proof") or os.path.exists(self.folder / "checkpoint"):
                    from whence.proof.sealer import begin_sealing

                    self._sealing = begin_sealing(self._recorder, self.settings, self._prune)
            return self._recorder

    def _prune(self) -> None:
        from whence.retention import prune_by_settings

        prune_by_settings(self.folder, lambda: self.recorder)

    # -- asking ----------------------------------------------------------------------------------

    def exists(self) -> bool:
        """Whether anything was ever recorded here, also if all that is left of it is an index or blobs."""
        if self._reader.segments():
            return True
        from whence.ask.reading import has_remains

        return has_remains(self.folder)

    @property
    def sources(self) -> "list[Source]":
        """The stores of other programs that questions are put to besides."""
        return list(self._sources or ())

    @property
    def failed_sources(self) -> frozenset[str]:
        """The sources that could not answer something so far."""
        return frozenset(self._sources.failed if self._sources is not None else ())

    @property
    def _sources(self) -> "Sources | None":
        """The sources asked together; None where there are none."""
        tables = self.settings.others.get("source", [])
        if not (tables or self._given_sources):
            return None
        with self._lock:
            if self._asked is None:
                from whence.ask.asked import Sources
                from whence.sources.registry import open_all, parse_source, parse_tables

                file = self.settings.file
                declared = parse_tables(tables, file.parent) if tables and file is not None else []
                given = [parse_source(text, Path.cwd()) for text in self._given_sources]
                self._asked = Sources(open_all([*declared, *given]), self._warn)
            return self._asked

    def _stores(self) -> "Stores":
        """Where a question is asked: the index, caught up, and the sources."""
        from whence.ask.stores import Stores

        return Stores(
            index=self._ready(), reader=self._reader, note=self._warn, sources=self._sources
        )

    def catch_up(self, progress: Progress | None = None) -> None:
        """Bring the index up to date; `progress` hears of bytes done and bytes in all.

        Every question does this by itself. Does nothing where nothing was recorded yet.

        Raises:
            NotFoundError: the folder is something else than a log.
            FormatError: a newer Whence wrote the journal.
        """
        self._ready(progress)

    def resolve(self, reference: str, *, query: Query = Query()) -> "Subject":
        """Find out what a reference means; `query` narrows what `@last` may be.

        Raises:
            NotFoundError: nothing, or more than one thing; `candidates` are near or matching.
        """
        from whence.ask.questions import find_subject

        return find_subject(self._stores(), reference, query)

    def events(
        self, query: Query = Query(), *, newest_first: bool = False, limit: int | None = None
    ) -> Iterator[Event]:
        """Give the events that match, by time."""
        index = self._ready()
        if index is None:
            return
        from whence.ask.reading import read_events

        places = index.places(clean_query(query), newest_first=newest_first, limit=limit)
        yield from map(itemgetter(1), read_events(self._reader, places, self._warn))

    def read(self, segment: str, offset: int) -> Event:
        """Read the event whose line starts there."""
        return self._reader.read(segment, offset)

    def places(self, query: Query = Query()) -> "Iterator[Place]":
        """Where the events that match stand in the journal, by time."""
        index = self._ready()
        if index is not None:
            yield from index.places(clean_query(query))

    def timeline(
        self,
        reference: str | None = None,
        *,
        target: str | None = None,
        agent: str | None = None,
        query: Query = Query(),
        limit: int | None = None,
        newest: bool = True,
    ) -> "Timeline":
        """Tell what happened to a task, an agent, a channel, an event, or to all that `query` lets through.

        With both `target` and `agent` it is what the agent did in the target's story. Of more than
        `limit` events the newest are told, or the oldest if `newest` is False.

        Raises:
            NotFoundError: the reference, target or agent means nothing, or several things.
        """
        from whence.ask.questions import tell_timeline

        return tell_timeline(
            self._stores(), reference,
            target=target, agent=agent, query=query, limit=limit, newest=newest,
        )  # fmt: skip

    def causality(
        self,
        reference: str,
        *,
        depth: int | None = None,
        width: int | None = None,
        is_wide: bool = False,
    ) -> "Causality":
        """Tell what led to something and what came of it, as a tree from the first causes down.

        With `is_wide` also what else came of the causes on the way.

        Raises:
            NotFoundError: the reference means nothing, or several things.
        """
        from whence.ask.questions import tell_causality

        return tell_causality(self._stores(), reference, depth=depth, width=width, is_wide=is_wide)

    def find(
        self,
        text: str | None = None,
        *,
        pattern: str | None = None,
        ignore_case: bool = False,
        query: Query = Query(),
        limit: int | None = None,
    ) -> Iterator[Event]:
        """Search payloads for a text or a regular expression, newest lines first.

        Raises:
            ValueError: neither or both are given, or the pattern is not a regular expression.
        """
        from whence.ask.find import find, make_needle

        needle = make_needle(text, pattern, ignore_case=ignore_case)
        self._check_folder()
        self._reader.check_format()
        kept = self._kept_index()
        return find(self._reader, needle, clean_query(query), limit, self._warn, kept)

    def moment(self, phrase: str, *, agent: str | None = None, target: str | None = None) -> int:
        """Read a time phrase, with the look-ups that some need, as nanoseconds since 1970.

        `last wake` means the agent's if one is given, and that on the target if there is one on it.

        Raises:
            PhraseError: it is not understood; the message shows phrases that are.
            NotFoundError: nothing of the kind is recorded.
        """
        from whence.ask.questions import find_moment
        from whence.ask.zones import local_zone

        return find_moment(
            self._stores, phrase, agent=agent, target=target, now=time.time_ns(), zone=local_zone()
        )

    def sql(
        self, statement: str, params: "Sequence[Any]" = ()
    ) -> tuple[list[str], Iterator[tuple[Any, ...]]]:
        """Run one reading statement over `events` and the index; return column names and rows.

        Raises:
            ValueError: it does not parse, or does more than read.
        """
        return self._need(statement).sql(statement, params, self._warn)

    def spans(self) -> "Spans":
        """The questions about steps: the newest, the tree of one, how long layers took. See `Spans`."""
        from whence.ask.spans import Spans

        return Spans(self._stores(), time.time_ns)

    def statistics(self, query: Query = Query()) -> "list[Statistic]":
        """Count events and add up durations, per primitive and type."""
        index = self._ready()
        return [] if index is None else index.statistics(clean_query(query))

    def follow(
        self, query: Query = Query(), *, from_end: bool = True, poll_s: float = 0.1
    ) -> "Iterator[Event | Problem | None]":
        """Give events as they are recorded, from now on or from the beginning; never ends.

        None means that there is no news just now; the next step then waits `poll_s` seconds.
        """
        from whence.ask.reading import check_newest_formats, fill
        from whence.index import Problem
        from whence.journal.reader import Cursor, check_event_format

        self._check_folder()
        check_newest_formats(self._reader)
        query = clean_query(query)
        first = next(iter(self._reader.segments()), None)
        start = Cursor(first.name, 0) if first is not None and not from_end else None
        for entry in self._reader.follow(start, poll_s=poll_s):
            if entry is None:
                yield None
            elif entry.event is None:
                yield Problem(entry.segment, entry.offset, entry.length, entry.problem)
            else:
                check_event_format(entry.event)
                if matches(query, entry.event):
                    yield fill(self.folder, entry.event, self._warn)

    def examine(self, progress: Progress = lambda _done, _in_all: None) -> "Health":
        """Read the whole log: what is there, what is missing, what is not as it should be.

        `progress` hears of bytes done and bytes in all. An index that cannot be used costs no answer.
        """
        from whence.ask.health import examine

        return examine(
            self.folder,
            self.settings,
            self._reader,
            self._ready,
            note=self._warn,
            progress=progress,
        )

    def verify(self, **options: Any) -> "Report":
        """Verify what is sealed; see `whence.proof.verifying.verify` for the options. `report.is_verified` alone is no verdict."""
        from whence.proof.verifying import verify

        return verify(self.folder, **options)

    def close(self) -> None:
        """Write what is left and give everything back. Closing twice is fine."""
        with self._lock:
            if self._sealing is not None:
                self._sealing.stop()
            if self._recorder is not None:
                self._recorder.close()
            if self._sealing is not None:
                # What closing has written, too.
                self._sealing.finish()
                self._sealing = None
            if self._index is not None:
                self._index.close()
                self._index = None
            self._reader.close()
            if self._asked is not None:
                self._asked.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Log({str(self.folder)!r})"

    def _need(self, wanted: str | None) -> "Index":
        """The index, caught up; NotFoundError where there is nothing that could hold `wanted`."""
        index = self._ready()
        if index is None:
            raise NotFoundError(
                f"cannot look for {(wanted or '')[:80]!r}: nothing is recorded in {self.folder} yet"
            )
        return index

    def _ready(self, progress: Progress | None = None) -> "Index | None":
        """The index, caught up; None where nothing was recorded yet."""
        if not self.exists():
            self._check_folder()
            return None
        index = self._open_index()
        caught_up = index.catch_up(progress)
        if caught_up.behind:
            self._warn(f"the index is {caught_up.behind:,} bytes behind; another process holds it")
        if index.is_private:
            self._warn(
                f"{self.folder} does not take an index, so each command makes its own: {index.refusal}"
            )
        if not self._has_said_problems or caught_up.fragments or caught_up.losses:
            from whence.ask.reading import say_problems

            self._has_said_problems = True
            for text in say_problems(index):
                self._warn(text)
        return index

    def _open_index(self) -> "Index":
        """The index as it is, an empty one if there is none yet."""
        with self._lock:
            if self._index is None:
                from whence.index import Index

                self._index = Index.open(self.folder, self._reader)
            return self._index

    def _kept_index(self) -> "Index | None":
        """The index as it is, if somebody has made one."""
        from whence.index.schema import FILE_NAME

        is_there = self._index is not None or os.path.exists(self.folder / FILE_NAME)
        return self._open_index() if is_there else None

    def _warn(self, text: str) -> None:
        if text not in self._warned:
            self._warned.add(text)
            self.warnings.append(text)

    def _check_folder(self) -> None:
        """Refuse a path that is something else than a log; one that is not there yet may become one."""
        folder = self.folder
        if not os.path.lexists(folder):
            return
        if not os.path.isdir(folder):
            raise StoreError(f"{folder} is not a log but a file; a log is a folder")
        if os.path.isdir(journal_folder(folder)) or os.path.isfile(folder / settings.FILE_NAME):
            return
        try:
            names = os.listdir(folder)
        except OSError as error:
            raise StoreError(f"cannot look into {folder}: {error.strerror}") from error
        inner = folder / settings.FOLDER_NAME
        if os.path.isdir(journal_folder(inner)):
            raise NotFoundError(f"{folder} is not a log, but holds one", [str(inner)])
        # Looked at again in the listing: a writer may have made the journal's folder just now.
        if names and journal_folder(folder).name not in names:
            raise NotFoundError(
                f"{folder} is not a log: it has no folder named journal; recording to it, as with"
                f" whence.open({str(folder)!r}).emit(…), makes one"
            )


def open(  # noqa: A001 the public face calls it `whence.open`
    path: str | os.PathLike[str] | None = None,
    *,
    durability: settings.Durability | None = None,
    read_only: bool = False,
    sources: Sequence[str] = (),
) -> Log:
    """Open the log at `path`, or the one that WHENCE_DIR, `whence.toml` or `./.whence` means.

    Nothing is made before the first event is recorded. `durability` is that of `emit` where it
    says none: `os` survives a crash of the process, `disk` a power cut too. `sources` are stores of
    other programs to ask besides those that `whence.toml` declares, as `kind:path`.

    Raises:
        ValueError: `whence.toml` is wrong, or `durability` is neither.
        StoreError: the path is a file.
    """
    if durability not in (None, "os", "disk"):
        raise ValueError(f"durability is {durability!r}, want 'os' or 'disk'")
    log = Log(
        settings.find_folder(path), durability=durability, read_only=read_only, sources=sources
    )
    if os.path.exists(log.folder) and not os.path.isdir(log.folder):
        raise StoreError(f"{log.folder} is not a log but a file; a log is a folder")
    return log


# -- the process's default log ---------------------------------------------------------------------

# Re-entrant, for a handler that records while the very first event is recorded.
_default_lock = threading.RLock()
_default: Log | None = None


def _renew_default_lock() -> None:
    global _default_lock
    _default_lock = threading.RLock()


os.register_at_fork(after_in_child=_renew_default_lock)


def default() -> Log:
    """The log that `whence.emit` and its like use: opened at first use, kept until `close`."""
    global _default
    log = _default
    if log is None:
        with _default_lock:
            log = _default
            if log is None:
                log = _default = Log(settings.find_folder())
    return log


def _emit(primitive: str, type: str, **fields: Any) -> str:
    """Record one event to the process's default log and return its id. See `Recorder.emit`."""
    return default().emit(primitive, type, **fields)


def _span(name: str, **fields: Any) -> "Span":
    """Record a step with its duration to the process's default log. See `Recorder.span`."""
    return default().span(name, **fields)


emit: Emit = _emit
span: MakeSpan = _span


def run(name: str, input: Any = None, **options: Any) -> "Run":
    """Record a simulation to the process's default log. See `Log.run`."""
    return default().run(name, input, **options)


def cause(event_id: str) -> AbstractContextManager[None]:
    """Have what is recorded to the default log inside the block name `event_id` as its cause."""
    return default().cause(event_id)


def close() -> None:
    """Close the process's default log; the next use opens it again."""
    global _default
    with _default_lock:
        log, _default = _default, None
    if log is not None:
        log.close()

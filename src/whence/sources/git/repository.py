"""The source of kind `git`: a repository, asked through the `git` program.

A first walk, kept while the refs stay as they are, tells which commits there are, by whom, when and
on which branch; a question picks from it, and git is asked about the picked commits alone, some at a
time. So events are in order whatever the clocks of their authors said, and the first is there before
the last is read.
"""

import heapq
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, suppress
from itertools import groupby, islice
from pathlib import Path
from typing import Any, NamedTuple

from whence.draw.amounts import format_count
from whence.errors import CorruptError, WhenceError
from whence.query import Query, matches
from whence.sources.git.commits import ARGUMENTS, Commit, parse_commits, parse_path
from whence.sources.git.events import FILES_MAX, PRIMITIVE, TAG, Stories, commit_of
from whence.sources.git.history import (
    TIME_MAX_S,
    History,
    Row,
    Tag,
    read_folders,
    read_history,
    read_refs,
    read_touching,
)
from whence.sources.git.program import PATIENCE_S, Program, Talk
from whence.sources.git.watch import State, look
from whence.sources.source import Health, NameKind, RawRow, SourceEvent, Tie, by_time

# As many names as fit in a pipe of 4 KiB, also those of SHA-256.
_ASKED_AT_ONCE = 60
_SINGLE_MAX = 3
"""After so many commits that were asked for alone, those around them are read with them."""

_RECENT_MAX = 2_000
_NS_PER_S = 10**9
_PATIENCE_MAX_S = 86_400
_TAG_PREFIX = "refs/tags/"
_CHANGE_PART = re.compile(r"(?:path/)?([0-9a-f]+)/[0-9]{0,7}").fullmatch


class _Wanted(NamedTuple):
    """A commit of which events are wanted: the one of itself, those of its files, or both."""

    row: Row
    itself: bool
    changes: bool


def open_source(path: Path, name: str, options: Mapping[str, Any]) -> "GitSource":
    """Make the source; `files = false` leaves out the events of single files.

    `patience_s` is how long git may be silent without working.
    """
    for key in options:
        if key not in ("files", "patience_s"):
            raise ValueError(
                f"{name}: `{key}` is no option of a git source, want `files` or `patience_s`"
            )
    has_files = options.get("files", True)
    if not isinstance(has_files, bool):
        raise ValueError(f"{name}: `files` is {has_files!r}, want true or false")
    patience_s = options.get("patience_s", PATIENCE_S)
    is_number = isinstance(patience_s, int | float) and not isinstance(patience_s, bool)
    if not is_number or not 0 < patience_s <= _PATIENCE_MAX_S:
        raise ValueError(f"{name}: `patience_s` is {patience_s!r}, want seconds, at most a day")
    return GitSource(path, name, has_files=has_files, patience_s=patience_s)


class GitSource:
    """The history of the repository that `path` is in. See `Source`."""

    kind = "git"

    def __init__(
        self, path: Path, name: str, *, has_files: bool = True, patience_s: float = PATIENCE_S
    ) -> None:
        self.name = name
        self._has_files = has_files
        self._program = Program(path, patience_s=patience_s)
        self._stories = Stories(name)
        self._known: History | None = None
        self._touched: tuple[History, bytes, set[bytes]] | None = None
        self._state: State | None = None
        """What the files of the refs were before `_known` was read."""
        self._recent: dict[str, Commit] = {}
        self._single = 0

    def events(
        self, query: Query = Query(), *, newest_first: bool = False
    ) -> Iterator[SourceEvent]:
        """See `Source`. A question about a file has git look for the commits that touched it.

        Where refs lead to nothing, that is told last.
        """
        history = self._history()
        if query.primitive not in (None, PRIMITIVE) or query.status is not None:
            return
        rows = self._pick(history, query, newest_first)
        found = self._tell(rows, newest_first, only=query.target)
        tags = sorted(self._tags(history), key=by_time, reverse=newest_first)
        for event in heapq.merge(found, tags, key=by_time, reverse=newest_first):
            if matches(query, event):
                yield event
        for ref, oid in history.lost.items():
            raise CorruptError(
                f"git in {self._program.path}: {ref} names {oid}, which is not there"
            )

    def event(self, event_id: str) -> SourceEvent | None:
        """See `Source`."""
        history = self._history()
        if event_id.startswith(_TAG_PREFIX):
            return next((tag for tag in self._tags(history) if tag.id == event_id), None)
        row = history.find(commit_of(event_id))
        if row is None:
            return None
        self._read_ahead(history, row)
        return next((event for event in self._tell([row]) if event.id == event_id), None)

    def matching(self, part: str, limit: int) -> list[SourceEvent]:
        """See `Source`. The event of a file is only found by a part that tells its commit, too.

        Else a few digits would be a part of nearly every commit's.
        """
        history = self._history()
        found = [tag for tag in self._tags(history) if _has_part(tag.id, part)]
        if re.fullmatch("[0-9a-f]+", part):
            hits = (name for name in history.hashes() if _has_part(name, part))
            found += filter(None, map(self.event, islice(hits, limit)))
        elif within := _CHANGE_PART(part) or re.fullmatch("path/([0-9a-f]+)", part):
            hits = (name for name in history.hashes() if within.group(1) in name)
            rows = filter(None, map(history.find, hits))
            told = (event for row in rows for event in self._tell([row]))
            fits = (event for event in told if _has_part(event.id, part))
            found += islice(fits, limit)
        return found[:limit]

    def names(self, kind: NameKind) -> Iterator[str]:
        """See `Source`. Targets are branches, tags and the paths of all files there ever were."""
        if kind == "agent":
            yield from self._people()
            return
        seen: set[str] = set()
        for event in self.events():
            if event.target is not None and event.target not in seen:
                seen.add(event.target)
                yield event.target

    def has_name(self, kind: NameKind, name: str) -> bool:
        """See `Source`. That no file is called so takes git a walk through all trees on its way."""
        if kind == "agent":
            return name in self._people()
        query = Query(target=name)
        return next(self.events(query), None) is not None

    def below(self, _target: str) -> list[str]:
        """See `Source`. Branches and files have no parts."""
        return []

    def causes(self, _event: SourceEvent) -> list[Tie]:
        """See `Source`. What git knows of causes are parents, which are no mere relations."""
        return []

    def effects(self, _event: SourceEvent) -> list[Tie]:
        """See `Source`."""
        return []

    def health(self) -> Health:
        """See `Source`."""
        events, newest, problem, note, unread = 0, None, "", "", 0
        try:
            history = self._history()
            note = _describe(history)
            unread = len(self._undated(history)) + len(history.lost)
            for event in self.events():
                events, newest = events + 1, event.time_ns
        except WhenceError as error:
            problem = str(error)
        return Health(
            events=events, newest_ns=newest, not_understood=unread, problem=problem, note=note
        )

    def raw(self) -> Iterator[RawRow]:
        """See `Source`. These are tags without a date that name no commit, and refs that name nothing."""
        history = self._history()
        for tag in self._undated(history):
            yield RawRow(tag.ref, "it has no date and names no commit", tag.hash)
        for ref, oid in history.lost.items():
            yield RawRow(ref, "what it names is not there", oid)

    def close(self) -> None:
        """See `Source`. No process outlives the question it was started for."""
        self._known = self._touched = None
        self._recent.clear()

    # -- the walk, and what is picked from it ------------------------------------------------------

    def _history(self) -> History:
        if self._known is not None:
            state = look(self._known.refs.folders)
            if state is not None and state == self._state:
                return self._known
        # What changes while the refs are read is seen the next time.
        folders = read_folders(self._program)
        self._state = look(folders)
        refs = read_refs(self._program, folders)
        if self._known is None or self._known.refs != refs:
            # Where a clone was cut, even a commit is not what it was once the rest is fetched.
            self._recent.clear()
            self._known = read_history(self._program, refs)
        return self._known

    def _pick(self, history: History, query: Query, newest_first: bool) -> Iterator[Row]:
        """The commits that may have events for `query`: all that do, and few more."""
        if query.type == TAG:
            return
        path = parse_path(query.target) if query.target is not None else None
        touching = set() if path is None else self._touching(history, path)
        for row in self._candidates(history, query, newest_first):
            if query.agent is not None and query.agent != row.agent:
                continue
            if query.target in (None, row.branch) or row.hash in touching:
                yield row

    def _candidates(self, history: History, query: Query, newest_first: bool) -> Iterable[Row]:
        """The commits that its narrowest condition leaves."""
        if query.parent is not None:
            # The parent's own files have it as their parent, and so have the commits after it.
            parent = history.find(query.parent)
            rows = [] if parent is None else [parent, *history.children(query.parent)]
            if parent is not None:
                self._read_ahead(history, parent)
            rows.sort(key=lambda row: (row.second, row.hash), reverse=newest_first)
            return rows
        if query.trace is not None:
            row = history.find(commit_of(query.trace))
            return [] if row is None else [row]
        since_s = 0 if query.since is None else query.since // _NS_PER_S
        until_s = TIME_MAX_S if query.until is None else query.until // _NS_PER_S
        return history.rows(since_s, until_s + 1, newest_first=newest_first)

    def _touching(self, history: History, path: bytes) -> set[bytes]:
        """Kept for the file that was asked about last: who asks of a name asks more than once."""
        if self._touched is None or self._touched[:2] != (history, path):
            self._touched = (history, path, read_touching(self._program, history, path))
        return self._touched[2]

    def _tell(
        self, rows: Iterable[Row], newest_first: bool = False, *, only: str | None = None
    ) -> Iterator[SourceEvent]:
        """The events of these commits, in their order; `only` is the one file that is asked about."""
        for each, commit in self._look_up(_plan(rows, newest_first)):
            told = [self._stories.tell_commit(each.row, commit)] if each.itself else []
            if each.changes and self._has_files:
                told += self._stories.tell_changes(each.row, commit, only)
            yield from reversed(told) if newest_first else told

    def _look_up(self, wanted: Iterator[_Wanted]) -> Iterator[tuple[_Wanted, Commit]]:
        """Ask git about these commits. The first are asked for alone, so that they come at once."""
        size = 1
        with ExitStack() as stack:
            talk: Talk | None = None
            while batch := list(islice(wanted, size)):
                size = min(2 * size, _ASKED_AT_ONCE)
                if all(each.row.id in self._recent for each in batch):
                    yield from ((each, self._recent[each.row.id]) for each in batch)
                    continue
                talk = talk or stack.enter_context(self._program.talk(*ARGUMENTS))
                answers = parse_commits(talk.ask(each.row.id.encode() for each in batch))
                for each in batch:
                    commit = next(answers, None)
                    if commit is None or commit.hash != each.row.id:
                        raise CorruptError(f"git in {self._program.path} cannot read {each.row.id}")
                    yield each, commit
                # What is left to read is the mark of the end.
                with suppress(StopIteration):
                    next(answers)

    def _read_ahead(self, history: History, row: Row) -> None:
        """Read the commits around this one too, if one after the other is asked for, as causes are."""
        if row.id in self._recent:
            return
        self._single += 1
        if self._single < _SINGLE_MAX:
            return
        wanted = [
            _Wanted(each, True, False) for each in history.around(row.id, _ASKED_AT_ONCE // 2)
        ]
        if len(self._recent) > _RECENT_MAX:
            self._recent.clear()
        # One that is damaged is told of when it is asked for itself.
        with suppress(CorruptError):
            self._recent.update(
                (each.row.id, commit)
                for each, commit in self._look_up(iter(wanted))
                if len(commit.changes) <= FILES_MAX
            )

    def _people(self) -> set[str]:
        """Who made commits, or tags that are told."""
        history = self._history()
        tagged = {tag.agent for tag in self._tags(history) if tag.agent is not None}
        return tagged.union(history.agents) - {""}

    def _tags(self, history: History) -> Iterator[SourceEvent]:
        told = (
            self._stories.tell_tag(tag, history.seconds.get(tag.commit)) for tag in history.tags
        )
        return (event for event in told if event is not None)

    def _undated(self, history: History) -> list[Tag]:
        return [
            tag
            for tag in history.tags
            if self._stories.tell_tag(tag, history.seconds.get(tag.commit)) is None
        ]


def _plan(rows: Iterable[Row], newest_first: bool) -> Iterator[_Wanted]:
    """Which events to tell after which: those of one second as their ids are ordered.

    Commits of the same second are asked for twice, once for themselves and once for their files,
    so that nothing has to be held back.
    """
    for _, same in groupby(rows, key=lambda row: row.second):
        group = list(same)
        if len(group) == 1:
            yield _Wanted(group[0], True, True)
            continue
        for is_itself in (False, True) if newest_first else (True, False):
            for row in group:
                yield _Wanted(row, is_itself, not is_itself)


def _has_part(event_id: str, part: str) -> bool:
    return event_id.startswith(part) or event_id.endswith(part)


def _describe(history: History) -> str:
    """What kind of repository it is, in a few words."""
    words = ["bare"] if history.refs.folders.is_bare else []
    if history.refs.cut:
        words.append("shallow")
    words.append(format_count(len(history), "commit"))
    return ", ".join(words)

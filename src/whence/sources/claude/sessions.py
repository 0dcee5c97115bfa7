"""The source of kind `claude-code`: transcripts, merged by time.

A file is read when the answer reaches the time of its lines: from the newest backward, old files are
left alone. Its rows are kept while it stays as it is; texts are read again for the events that are
shown. A line that was copied into another transcript, as resuming or branching a session does, is
shown once: of the session that did not mark it as a copy, or else of the first by path.
"""

import heapq
import re
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from whence.draw.amounts import format_count
from whence.errors import StoreError, WhenceError
from whence.event import format_time
from whence.query import Query, matches
from whence.sources.claude.files import File, Folder, main_of
from whence.sources.claude.payloads import (
    describe_call,
    describe_message,
    describe_note,
    describe_result,
    describe_start,
    describe_text,
)
from whence.sources.claude.records import blocks_of
from whence.sources.claude.transcript import (
    CLAUDE,
    USER,
    Calls,
    Place,
    Row,
    Transcript,
    read_transcript,
)
from whence.sources.source import (
    Health,
    NameKind,
    RawRow,
    Relation,
    SourceEvent,
    Tie,
    check_clock,
)

PRIMITIVE = "claude"
SAME_PROMPT = "prompt"
"""The reason of a relation: a subagent's prompt is that of the call, and nothing else ties them."""

_ROWS_KEPT = 300_000
_RAW_MAX = 10_000
_UUID_PART = re.compile(r"[0-9a-f-]+(?:\.[0-9]+)?").fullmatch
_OWN_PARTS = re.compile(r"(.*)([.:].*)", re.DOTALL).fullmatch


Files = dict[Path, File]


class _Found(NamedTuple):
    """A row, and the file that it is of."""

    file: File
    row: Row


def open_source(path: Path, name: str, options: Mapping[str, Any]) -> "ClaudeSource":
    """Make the source of a transcript, of a project's folder, or of the folder of all projects."""
    for key in options:
        raise ValueError(f"{name}: `{key}` is no option of a claude-code source, it has none")
    return ClaudeSource(path, name)


class ClaudeSource:
    """The transcripts at or below `path`. See `Source`."""

    kind = "claude-code"

    def __init__(self, path: Path, name: str) -> None:
        self.name = name
        self._folder = Folder(path)
        # What was read of each file, the least lately used first, and how many rows that is.
        self._read: OrderedDict[Path, tuple[File, File | None, Transcript]] = OrderedDict()
        self._rows = 0

    def events(
        self, query: Query = Query(), *, newest_first: bool = False
    ) -> Iterator[SourceEvent]:
        """See `Source`. Where some files cannot be read, StoreError comes after all others' events."""
        files, problems = self._folder.look()
        if query.primitive in (None, PRIMITIVE):
            if query.trace is not None:
                found = iter(self._with_id(files, query.trace))
            else:
                found = self._merge(files, query, newest_first, problems)
            for each in found:
                event = self._tell(each, query)
                if event is not None:
                    yield event
        if problems:
            raise StoreError(problems[0])

    def event(self, event_id: str) -> SourceEvent | None:
        """See `Source`."""
        files, _ = self._folder.look()
        found = next(iter(self._with_id(files, event_id)), None)
        return self._tell(found, Query()) if found is not None else None

    def matching(self, part: str, limit: int) -> list[SourceEvent]:
        """See `Source`. Only files that hold the part are read."""
        files, _ = self._folder.look()
        found: dict[str, SourceEvent] = {}
        for file in self._holding(files, part):
            for row in self._transcript(file, files).rows:
                if len(found) >= limit:
                    return list(found.values())
                if (row.id.startswith(part) or row.id.endswith(part)) and row.id not in found:
                    event = self.event(row.id)
                    if event is not None:
                        found[row.id] = event
        return list(found.values())

    def names(self, kind: NameKind) -> Iterator[str]:
        """See `Source`."""
        files, problems = self._folder.look()
        seen: set[str] = set()
        for file, row in self._merge(files, Query(), False, problems):
            name = row.agent if kind == "agent" else file.session
            if name is not None and name not in seen:
                seen.add(name)
                yield name

    def has_name(self, kind: NameKind, name: str) -> bool:
        """See `Source`. Sessions are known by their files; agents only by reading."""
        files, problems = self._folder.look()
        query = Query(target=name) if kind == "target" else Query(agent=name)
        found = self._merge(files, query, True, problems)
        return any(_fits(each, query) for each in found)

    def below(self, _target: str) -> list[str]:
        """See `Source`. A session's subagents are told under its own name."""
        return []

    def causes(self, event: SourceEvent) -> list[Tie]:
        """See `Source`."""
        named = ((each.reason, self.event(each.id)) for each in event.relations)
        return [Tie(reason, cause) for reason, cause in named if cause is not None]

    def effects(self, event: SourceEvent) -> list[Tie]:
        """See `Source`. Only calls of tools have any: the subagents with the same prompt."""
        if event.type != "tool":
            return []
        begun = self.events(Query(target=event.target, type="subagent"))
        return [
            Tie(each.reason, other)
            for other in begun
            for each in other.relations
            if each.id == event.id
        ]

    def health(self) -> Health:
        """See `Source`."""
        events, newest, unread, problems, note = 0, None, 0, list[str](), ""
        try:
            files, problems = self._folder.look()
            note = format_count(len(files), "transcript")
            for _, row in self._merge(files, Query(), False, problems):
                events, newest = events + 1, row.time_ns
            unread = sum(len(each.problems) for _, each in self._all(files, []))
        except WhenceError as error:
            problems = [str(error)]
        return Health(
            events=events,
            newest_ns=newest,
            not_understood=unread,
            problem=problems[0] if problems else "",
            note=note,
        )

    def raw(self) -> Iterator[RawRow]:
        """See `Source`."""
        files, problems = self._folder.look()
        for file, transcript in self._all(files, problems):
            for place, text in transcript.problems:
                content = self._folder.read_bytes(file, place.offset, min(place.length, _RAW_MAX))
                where = f"{file.label} at byte {place.offset}"
                left = place.length - len(content)
                mark = f"… ({place.length:,} bytes)" if left else ""
                yield RawRow(where, text, content.decode(errors="replace") + mark)
        if problems:
            raise StoreError(problems[0])

    def close(self) -> None:
        """See `Source`."""
        self._folder.close()
        self._read.clear()
        self._rows = 0

    # -- files, read when they are needed ------------------------------------------------------------

    def _transcript(self, file: File, files: Files) -> Transcript:
        """What the file holds; that of a subagent together with its session's calls."""
        main = main_of(file, files)
        known = self._read.get(file.path)
        if known is not None and known[:2] == (file, main):
            self._read.move_to_end(file.path)
            return known[2]
        calls = self._transcript(main, files).calls if main is not None else None
        if file.agent_id and calls is None:
            calls = Calls()
        found = read_transcript(file, self._folder.lines(file), calls)
        if known is not None:
            self._rows -= len(known[2].rows)
        self._read[file.path] = (file, main, found)
        self._read.move_to_end(file.path)
        self._rows += len(found.rows)
        while self._rows > _ROWS_KEPT and len(self._read) > 1:
            self._rows -= len(self._read.popitem(last=False)[1][2].rows)
        return found

    def _all(self, files: Files, problems: list[str]) -> Iterator[tuple[File, Transcript]]:
        for file in files.values():
            try:
                yield file, self._transcript(file, files)
            except StoreError as error:
                problems.append(str(error))

    def _merge(
        self, files: Files, query: Query, newest_first: bool, problems: list[str]
    ) -> Iterator[_Found]:
        """The rows of all files that may matter to `query`, in order, each event once.

        A session's own rows cannot be told from copies without the files of the same time.
        """
        sign = -1 if newest_first else 1
        waiting = [file for file in self._choose(files, query) if _is_within(file, query)]
        waiting.sort(key=lambda file: -sign * _edge(file, newest_first))
        heap: list[tuple[int, int, Iterator[Row], Row, File]] = []
        count = 0
        while waiting or heap:
            while waiting and (not heap or sign * _edge(waiting[-1], newest_first) <= heap[0][0]):
                file = waiting.pop()
                try:
                    rows = self._transcript(file, files).between(query.since, query.until)
                except StoreError as error:
                    problems.append(str(error))
                    continue
                count += 1
                _push(heap, sign, count, iter(rows[::sign]), file)
            same: list[_Found] = []
            time_ns = heap[0][0] if heap else 0
            while heap and heap[0][0] == time_ns:
                _, number, rest, row, file = heapq.heappop(heap)
                same.append(_Found(file, row))
                _push(heap, sign, number, rest, file)
            yield from _settle(same)[::sign]

    def _choose(self, files: Files, query: Query) -> list[File]:
        """The files that may hold what is asked for, and those of the same time."""
        if query.agent not in (None, USER, CLAUDE) and not query.agent.startswith(f"{CLAUDE}:"):
            return []
        mine = [file for file in files.values() if query.target in (None, file.session)]
        if query.parent is not None:
            holding = {file.path for file in self._holding(files, query.parent)}
            mains = {file.path: main_of(file, files) for file in mine}
            mine = [
                file
                for file in mine
                if file.path in holding or ((main := mains[file.path]) and main.path in holding)
            ]
        if len(mine) == len(files):
            return mine
        return [file for file in files.values() if _is_near(file, mine)]

    def _with_id(self, files: Files, event_id: str) -> list[_Found]:
        """The event of that id, if there is one, as the merge of all tells it."""
        for file in self._holding(files, event_id):
            for row in self._transcript(file, files).rows:
                if row.id == event_id:
                    moment = Query(since=row.time_ns, until=row.time_ns + 1)
                    same = self._merge(files, moment, False, [])
                    return [each for each in same if each.row.id == event_id]
        return []

    def _holding(self, files: Files, part: str) -> Iterator[File]:
        """The files that may tell an event whose id begins or ends with `part`, or is it."""
        uuid = part.partition(".")[0].encode() if _UUID_PART(part) else b""
        own = _OWN_PARTS(part)
        tail = own.group(1) if own else ""
        for file in files.values():
            label = file.label
            is_own = label.startswith(part) or part.startswith(label)
            is_own = is_own or bool(tail and label.endswith(tail))
            if is_own or (uuid and self._folder.holds(file, uuid)):
                yield file

    # -- from rows to events -----------------------------------------------------------------------

    def _tell(self, found: _Found, query: Query) -> SourceEvent | None:
        """The event of a row, its texts read only if `query` lets it through."""
        file, row = found
        event = SourceEvent(
            source=self.name,
            primitive=PRIMITIVE,
            id=row.id,
            type=row.type,
            time=format_time(row.time_ns),
            agent=row.agent,
            target=file.session,
            parent=row.parent,
            status=row.status,
            duration=row.duration,
            inferred=("time",) if row.is_inferred else (),
            remark=row.remark or check_clock(row.time_ns, time.time_ns()),
            relations=(Relation(SAME_PROMPT, row.relation),) if row.relation else (),
        )
        if not matches(query, event):
            return None
        payload = msgspec.Raw(msgspec.json.encode(self._describe(file, row)))
        return msgspec.structs.replace(event, payload=payload)

    def _describe(self, file: File, row: Row) -> dict[str, Any]:
        # Each line may be long, so they are held one after the other.
        data = {} if row.place is None else self._describe_line(file, row, row.place)
        if row.result is not None:
            answer = self._folder.read(file, row.result.offset, row.result.length)
            data |= describe_result(answer, row.result.block, is_success=row.status == "success")
        return data

    def _describe_line(self, file: File, row: Row, place: Place) -> dict[str, Any]:
        record = self._folder.read(file, place.offset, place.length)
        if row.type == "start":
            data = describe_start(record)
        elif row.type == "note":
            data = describe_note(record)
        elif row.type == "tool":
            data = describe_call(blocks_of(record)[place.block])
        else:
            data = describe_text(record)
        if row.type in ("say", "think", "tool"):
            data |= describe_message(record, row.tokens)
        return data


def _push(
    heap: list[tuple[int, int, Iterator[Row], Row, File]],
    sign: int,
    number: int,
    rows: Iterator[Row],
    file: File,
) -> None:
    row = next(rows, None)
    if row is not None:
        heapq.heappush(heap, (sign * row.time_ns, number, rows, row, file))


def _settle(same: list[_Found]) -> list[_Found]:
    """Rows of one moment by their ids, copies left out, and no message's tokens counted twice."""
    if len(same) == 1:
        return same
    best: dict[str, _Found] = {}
    for each in sorted(same, key=lambda each: (each.row.is_copy, str(each.file.path))):
        best.setdefault(each.row.id, each)
    settled: list[_Found] = []
    counted: set[str] = set()
    for each in (best[id] for id in sorted(best)):
        if each.row.message and each.row.message in counted:
            each = _Found(each.file, replace(each.row, tokens=None))
        counted.add(each.row.message)
        settled.append(each)
    return settled


def _fits(found: _Found, query: Query) -> bool:
    return query.target in (None, found.file.session) and query.agent in (None, found.row.agent)


def _edge(file: File, newest_first: bool) -> int:
    """From where on the file has to be read; one whose times are not known, from the start."""
    edge = file.high if newest_first else file.low
    return edge if edge is not None else (2**80 if newest_first else -(2**80))


def _is_within(file: File, query: Query) -> bool:
    is_too_old = query.since is not None and file.high is not None and file.high < query.since
    is_too_new = query.until is not None and file.low is not None and file.low >= query.until
    return not is_too_old and not is_too_new


def _is_near(file: File, mine: list[File]) -> bool:
    """Whether the file may hold copies of what these hold: its times overlap theirs."""
    return any(
        (file.high is None or other.low is None or other.low <= file.high)
        and (file.low is None or other.high is None or file.low <= other.high)
        for other in mine
    )

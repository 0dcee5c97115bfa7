"""What one transcript holds, without its texts: a row for each event, in order of time.

One pass over the file. What later lines add to earlier ones is filled in on the way: the result of a
call, the final count of a message's tokens. A parent is the event of the line that `parentUuid` names;
where that line is silent, the nearest event above it.
"""

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from whence.errors import CorruptError
from whence.event import Status
from whence.sources.claude.files import File, Line
from whence.sources.claude.records import (
    TIME_END_NS,
    WHOLE,
    Piece,
    Record,
    Result,
    Usage,
    blocks_of,
    decode_record,
    plain_text,
    split_record,
    task_of,
    text_of,
    time_of,
    told_agent_of,
    usage_of,
    uuid_of,
)

USER = "user"
CLAUDE = "claude"
_NAME_MAX = 100
_PROMPT_MAX = 2_000


class Place(NamedTuple):
    """Where something stands in the file: a line, and a block of its message."""

    offset: int
    length: int
    block: int = WHOLE


@dataclass(slots=True)
class Row:
    """One event, all but its payload. Complete when its file is read."""

    time_ns: int
    id: str
    type: str
    agent: str | None
    place: Place | None
    parent: str | None = None
    status: Status | None = None
    duration: int | None = None
    result: Place | None = None
    tokens: Usage | None = None
    message: str = ""
    """Which message the tokens are of."""
    relation: str = ""
    """The call whose prompt is that of this subagent, where nothing says that it started it."""
    is_inferred: bool = False
    is_copy: bool = False
    remark: str | None = None


@dataclass(slots=True)
class Calls:
    """The calls of one transcript that start subagents: by the agent they say, and by their prompt."""

    names: dict[str, str] = field(default_factory=dict)
    by_agent: dict[str, str] = field(default_factory=dict)
    by_prompt: dict[str, str] = field(default_factory=dict)

    def add(self, event_id: str, name: str, prompt: str) -> None:
        """Remember a call. A prompt that two calls share tells nothing."""
        self.names[event_id] = name[:_NAME_MAX]
        key = prompt[:_PROMPT_MAX]
        if key:
            self.by_prompt[key] = "" if key in self.by_prompt else event_id

    def find(self, agent_id: str, prompt: str) -> tuple[str, str]:
        """The call that says it started that agent, or else the one with that prompt; else empty."""
        told = self.by_agent.get(agent_id, "")
        return told, "" if told else self.by_prompt.get(prompt[:_PROMPT_MAX], "")


class Problem(NamedTuple):
    """A line that is not understood."""

    place: Place
    text: str


@dataclass(slots=True)
class Transcript:
    """What a file holds. `lines` are all but empty ones: each is counted in one of the others."""

    rows: list[Row] = field(default_factory=list)
    calls: Calls = field(default_factory=Calls)
    problems: list[Problem] = field(default_factory=list)
    lines: int = 0
    told: int = 0
    """Lines with events of their own."""
    added: int = 0
    """Lines that only added to others: results."""
    silent: int = 0
    repeated: int = 0

    def between(self, since_ns: int | None, until_ns: int | None) -> list[Row]:
        """The rows of [since, until)."""
        start = 0 if since_ns is None else bisect_left(self.rows, since_ns, key=_by_time)
        end = None if until_ns is None else bisect_left(self.rows, until_ns, key=_by_time)
        return self.rows[start:end]


def read_transcript(file: File, lines: Iterable[Line], calls: Calls | None = None) -> Transcript:
    """Read a transcript; `calls` are those of the session that a subagent's belongs to."""
    return _Reading(file, calls).read(lines)


class _Reading:
    """One pass over one file, and what it remembers on the way."""

    def __init__(self, file: File, calls: Calls | None) -> None:
        self._file = file
        self._found = Transcript()
        self._calls = calls if calls is not None else self._found.calls
        self._label = file.label
        self._last_ns: int | None = None
        self._early: list[Row] = []
        self._ids: dict[str, int] = {}
        # The event that stands for each line, and the rows whose parent was not seen yet.
        self._events: dict[str, str] = {}
        self._waiting: list[tuple[Row, str]] = []
        self._tools: dict[str, Row] = {}
        self._messages: dict[str, Row] = {}
        # The subagent that each line of a side chain belongs to.
        self._sides: dict[str, str] = {}
        self._own_side = ""

    def read(self, lines: Iterable[Line]) -> Transcript:
        for line in lines:
            self._read_line(line)
        for row, uuid in self._waiting:
            row.parent = self._events.get(uuid) or None
        for row in self._found.rows:
            row.parent = None if row.parent == row.id else row.parent
            self._clamp(row)
        self._found.rows.sort(key=lambda row: (row.time_ns, row.id))
        return self._found

    def _read_line(self, line: Line) -> None:
        if line.raw is not None and not line.raw.strip():
            return
        try:
            if line.raw is None:
                raise CorruptError(f"is {line.length:,} bytes long")
            record = decode_record(line.raw)
        except CorruptError as error:
            # What has no end is being written.
            if line.has_end:
                self._refuse(line, error)
            return
        try:
            pieces, results = split_record(record)
        except CorruptError as error:
            self._refuse(line, error)
            return
        self._found.lines += 1
        self._take(line, record, pieces, results)

    def _refuse(self, line: Line, error: CorruptError) -> None:
        self._found.lines += 1
        place = Place(line.offset, line.length)
        self._found.problems.append(Problem(place, str(error)))

    def _take(self, line: Line, record: Record, pieces: list[Piece], results: list[Result]) -> None:
        uuid, time_ns = uuid_of(record, "uuid"), time_of(record)
        if uuid in self._ids and time_ns in (None, self._ids[uuid]):
            self._found.repeated += 1
            return
        if time_ns is not None:
            self._last_ns = time_ns
            # Lines before the first that has a time happened no later than it.
            while self._early:
                self._early.pop().time_ns = time_ns
            self._begin(line, pieces or results)
        parent = uuid_of(record, "parentUuid") or uuid_of(record, "logicalParentUuid")
        parent = parent or uuid_of(record, "leafUuid")
        agent_id, call = told_agent_of(record)
        if agent_id:
            started = self._tools.get(call) or (
                self._tools.get(results[0].call) if results else None
            )
            if started is not None:
                self._found.calls.by_agent.setdefault(agent_id, started.id)
        rows = [*self._tell(line, record, pieces, uuid, parent)]
        rows += self._answer(line, record, results, uuid, len(rows))
        self._count(record, rows)
        if uuid:
            self._ids.setdefault(uuid, time_ns if time_ns is not None else self._last_ns or 0)
            answered = self._tools.get(results[0].call) if results else None
            stands = rows[0].id if rows else answered.id if answered else self._events.get(parent)
            self._events.setdefault(uuid, stands or "")
        if rows:
            self._found.told += 1
        elif results:
            self._found.added += 1
        else:
            self._found.silent += 1

    def _begin(self, line: Line, is_told: object) -> None:
        """The session begins with the first line that has a time and is told."""
        if self._file.agent_id or not is_told or f"{self._label}.start" in self._ids:
            return
        assert self._last_ns is not None
        row = Row(
            self._last_ns,
            f"{self._label}.start",
            "start",
            None,
            Place(line.offset, line.length),
            is_inferred=True,
        )
        self._ids[row.id] = row.time_ns
        self._found.rows.append(row)

    def _tell(
        self, line: Line, record: Record, pieces: list[Piece], uuid: str, parent: str
    ) -> Iterable[Row]:
        """The events of a line: the first bears its id, the others that and a number."""
        side = self._side(record, uuid, parent)
        for number, piece in enumerate(pieces):
            row = self._new(line, record, uuid, number)
            row.type, row.agent = piece.type, self._speaker(piece, side)
            row.place = Place(line.offset, line.length, piece.block)
            if piece.type == "tool":
                self._tools.setdefault(piece.call, row)
                task = task_of(blocks_of(record)[piece.block])
                if task is not None:
                    self._found.calls.add(row.id, *task)
            elif piece.type == "prompt" and side and not parent:
                self._tie(row, record)
            if record.get("isApiErrorMessage") is True or text_of(record, "level") == "error":
                row.status = "error"
            if parent and parent in self._events:
                row.parent = self._events[parent] or None
            elif parent:
                self._waiting.append((row, parent))
            yield row

    def _tie(self, row: Row, record: Record) -> None:
        """A prompt of a side chain that answers nothing is a subagent's beginning."""
        row.type = "subagent"
        told, alike = self._find_call(record)
        row.agent = f"{CLAUDE}:{self._name(told or alike)}"
        row.parent, row.relation = told or None, alike

    def _answer(
        self, line: Line, record: Record, results: list[Result], uuid: str, number: int
    ) -> list[Row]:
        """Add results to their calls; one whose call is not here is an event of its own."""
        orphans: list[Row] = []
        for result in results:
            place = Place(line.offset, line.length, result.block)
            row = self._tools.get(result.call)
            if row is None:
                row = self._new(line, record, uuid, number + len(orphans))
                row.type, row.agent = "tool", CLAUDE
                orphans.append(row)
                self._tools[result.call] = row
            if row.result is not None:
                continue
            row.result, row.status = place, result.status
            time_ns = time_of(record)
            if row.place and time_ns is not None and not row.is_inferred:
                row.duration = time_ns - row.time_ns if time_ns >= row.time_ns else None
        return orphans

    def _new(self, line: Line, record: Record, uuid: str, number: int) -> Row:
        row_id = (f"{uuid}.{number}" if number else uuid) if uuid else ""
        if not row_id or row_id in self._ids:
            row_id = f"{self._label}:{line.offset}" + (f".{number}" if number else "")
        time_ns = time_of(record)
        row = Row(time_ns or self._last_ns or 0, row_id, "", None, None)
        row.is_inferred = time_ns is None
        row.is_copy = isinstance(record.get("forkedFrom"), dict) or (
            text_of(record, "sessionKind") == "bg"
        )
        if self._last_ns is None:
            self._early.append(row)
        self._ids[row_id] = row.time_ns
        self._found.rows.append(row)
        return row

    def _side(self, record: Record, uuid: str, parent: str) -> str:
        """The name of the subagent that says this line; empty in the session itself."""
        if not self._file.agent_id and record.get("isSidechain") is not True:
            return ""
        side = self._own_side or self._sides.get(parent, "")
        if not side:
            told, alike = self._find_call(record)
            side = self._name(told or alike)
        if self._file.agent_id:
            self._own_side = side
        if uuid:
            self._sides.setdefault(uuid, side)
        return side

    def _find_call(self, record: Record) -> tuple[str, str]:
        message = record.get("message")
        prompt = plain_text(message.get("content")) if isinstance(message, dict) else ""
        return self._calls.find(self._file.agent_id or text_of(record, "agentId"), prompt)

    def _name(self, call: str) -> str:
        found = self._file.agent_name or self._calls.names.get(call, "")
        return found or self._file.agent_id or "sidechain"

    def _speaker(self, piece: Piece, side: str) -> str | None:
        if piece.type == "note":
            return None
        if piece.type == "prompt":
            return CLAUDE if side else USER
        return f"{CLAUDE}:{side}" if side else CLAUDE

    def _count(self, record: Record, rows: list[Row]) -> None:
        """Count a message's tokens once, on its first event: each line repeats them, the last is right."""
        used = usage_of(record) if rows and text_of(record, "type") == "assistant" else None
        if used is None:
            return
        # Some lines of a message do not name its request, so its own id has to do.
        key, tokens = used
        row = self._messages.setdefault(key, rows[0]) if key else rows[0]
        row.tokens = Usage(*map(max, row.tokens, tokens)) if row.tokens else tokens
        row.message = key

    def _clamp(self, row: Row) -> None:
        """Keep a time within what is said of the file, so that files can be left unread."""
        if self._last_ns is None:
            row.time_ns, row.is_inferred = min(max(self._file.mtime_ns, 0), TIME_END_NS - 1), True
        low, high = self._file.low, self._file.high
        kept = row.time_ns if low is None else max(row.time_ns, low)
        kept = kept if high is None else min(kept, high)
        if kept != row.time_ns:
            row.remark = "its clock is far from that of its file"
            row.time_ns, row.is_inferred = kept, True


def _by_time(row: Row) -> int:
    return row.time_ns

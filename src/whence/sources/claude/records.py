"""What one line of a transcript is. Pure.

The format is not public and changes with every release: whatever is looked at here may be missing, of
another type or somewhere else. A line of which nothing is known raises CorruptError and is kept as not
understood; a line that is known and only keeps the program's own books is silent.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple

import msgspec

from whence.errors import CorruptError
from whence.event import parse_time
from whence.sources.lines import VALUES_MAX, has_too_many_values

Record = dict[str, Any]

PieceType = Literal["prompt", "say", "think", "tool", "summary", "note"]

WHOLE = -1
"""Stands for a block's number where the event is the whole line."""

_SILENT = {
    *("agent-color", "agent-name", "agent-setting", "ai-title", "attribution-snapshot"),
    *("checkpoint", "content-replacement", "custom-title", "file-history-snapshot", "last-prompt"),
    *("mode", "permission-mode", "pr-link", "queue-operation", "session-metadata", "tag"),
    "worktree-state",
}

_TOOL_USES = ("tool_use", "server_tool_use", "mcp_tool_use")
_THOUGHTS = ("thinking", "redacted_thinking")
_TASK_TOOLS = ("Task", "Agent")
_REJECTED = "The user doesn't want to proceed with this tool use"
_TIME_FIRST_NS = parse_time("0001-01-01T00:00:00.000000000Z")
TIME_END_NS = parse_time("9999-12-31T23:59:59.999999999Z")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}").fullmatch


class Piece(NamedTuple):
    """One event of a line: its type, and the block of the message that it is."""

    type: PieceType
    block: int = WHOLE
    call: str = ""


class Result(NamedTuple):
    """What a tool answered: to which call, in which block, and how it went."""

    call: str
    block: int
    status: Literal["success", "error", "blocked"]


class Usage(NamedTuple):
    """The tokens of one message."""

    input: int
    output: int
    cache_read: int
    cache_write: int


def decode_record(raw: bytes) -> Record:
    """Read a line as JSON; CorruptError if it is not an object, or has too many values to be held."""
    if has_too_many_values(raw):
        raise CorruptError(f"has more than {VALUES_MAX:,} values")
    try:
        record = msgspec.json.decode(raw)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise CorruptError(f"is no JSON: {error}") from error
    if not isinstance(record, dict):
        raise CorruptError("is no JSON object")
    return record


def split_record(record: Record) -> tuple[list[Piece], list[Result]]:
    """Which events a line holds, and which calls of tools it answers; neither for a silent one.

    Raises:
        CorruptError: it is of no known kind.
    """
    kind = text_of(record, "type")
    if kind == "assistant":
        return _split_answer(blocks_of(record)), []
    if kind == "user":
        return _split_input(record, blocks_of(record))
    if kind == "system":
        return [Piece("note")], []
    if kind == "summary" and text_of(record, "summary"):
        return [Piece("summary")], []
    if kind in ("progress", "attachment"):
        inner = text_of(dict_of(record, "data" if kind == "progress" else kind), "type")
        return ([Piece("note")], []) if inner.startswith("hook") else ([], [])
    if kind in _SILENT:
        return [], []
    raise CorruptError(f"is of type {kind[:40]!r}, which is not known" if kind else "has no type")


def _split_answer(blocks: list[Record]) -> list[Piece]:
    kinds = [text_of(block, "type") for block in blocks]
    calls = [
        Piece("tool", number, text_of(blocks[number], "id"))
        for number, kind in enumerate(kinds)
        if kind in _TOOL_USES
    ]
    if any(kind in _THOUGHTS for kind in kinds) and "text" not in kinds:
        return [Piece("think"), *calls]
    return calls if calls and "text" not in kinds else [Piece("say"), *calls]


def _split_input(record: Record, blocks: list[Record]) -> tuple[list[Piece], list[Result]]:
    results = [
        Result(text_of(block, "tool_use_id"), number, _status_of(block))
        for number, block in enumerate(blocks)
        if text_of(block, "type") == "tool_result"
    ]
    if len(results) == len(blocks) and blocks:
        return [], results
    if record.get("isCompactSummary") is True:
        return [Piece("summary")], results
    return [Piece("note" if record.get("isMeta") is True else "prompt")], results


def _status_of(block: Record) -> Literal["success", "error", "blocked"]:
    if block.get("is_error") is not True:
        return "success"
    return "blocked" if plain_text(block.get("content")).startswith(_REJECTED) else "error"


def blocks_of(record: Record) -> list[Record]:
    """The blocks of a message; a text alone is one. CorruptError if it has no message."""
    message = record.get("message")
    content = message.get("content") if isinstance(message, dict) else None
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    if not isinstance(content, list):
        raise CorruptError(f"is of type {text_of(record, 'type')!r} and has no message")
    return [block for block in content if isinstance(block, dict)]


def plain_text(content: Any) -> str:
    """The text of a message, of a block or of a list of blocks; empty if there is none."""
    if isinstance(content, str):
        return content
    if isinstance(content, dict):
        return text_of(content, "text") or text_of(content, "thinking")
    if isinstance(content, list):
        texts = (plain_text(each) for each in content if isinstance(each, (str, dict)))
        return "\n".join(filter(None, texts))
    return ""


def usage_of(record: Record) -> tuple[str, Usage] | None:
    """What the message is called, or else its request, and its tokens, if the line tells any."""
    message = dict_of(record, "message")
    usage = message.get("usage")
    if not isinstance(usage, dict):
        return None
    counted = Usage(
        _count(usage, "input_tokens"),
        _count(usage, "output_tokens"),
        _count(usage, "cache_read_input_tokens"),
        _count(usage, "cache_creation_input_tokens"),
    )
    return text_of(message, "id") or text_of(record, "requestId"), counted


def task_of(block: Record) -> tuple[str, str] | None:
    """The name and the prompt of the subagent that a tool call starts."""
    given = dict_of(block, "input")
    kind, prompt = text_of(given, "subagent_type"), text_of(given, "prompt")
    if text_of(block, "name") not in _TASK_TOOLS and not kind:
        return None
    return kind or text_of(given, "name") or "subagent", prompt


def told_agent_of(record: Record) -> tuple[str, str]:
    """The id of a subagent that the line ties to a call, and that call, if it says it; else empty."""
    progress = dict_of(record, "data")
    if text_of(progress, "agentId"):
        return text_of(progress, "agentId"), text_of(record, "parentToolUseID")
    return text_of(dict_of(record, "toolUseResult"), "agentId"), ""


def time_of(record: Record) -> int | None:
    """The time of a line in nanoseconds since 1970; a time without a zone is UTC."""
    text = text_of(record, "timestamp")
    if not text[:4].isdigit() or len(text) > 40:
        return None
    try:
        moment = datetime.fromisoformat(text)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        time_ns = (moment - _EPOCH) // _MICROSECOND * 1000
    except (ValueError, OverflowError):
        return None
    return time_ns if _TIME_FIRST_NS <= time_ns < TIME_END_NS else None


def uuid_of(record: Record, key: str) -> str:
    """A UUID as the program writes it; empty for anything else."""
    text = text_of(record, key)
    return text if _UUID(text) else ""


def text_of(record: Record, key: str) -> str:
    """A text, or empty."""
    value = record.get(key)
    return value if isinstance(value, str) else ""


def dict_of(record: Record, key: str) -> Record:
    """An object, or an empty one."""
    value = record.get(key)
    return value if isinstance(value, dict) else {}


def _count(usage: Record, key: str) -> int:
    value = usage.get(key)
    if not isinstance(value, int) or isinstance(value, bool):
        return 0
    return min(max(value, 0), 2**53)

"""What the payload of an event says: the texts of a line, cut, with their whole length beside them. Pure."""

import json
from typing import Any

from whence.sources.claude.records import (
    WHOLE,
    Record,
    Usage,
    blocks_of,
    dict_of,
    plain_text,
    text_of,
)

TEXT_MAX = 4_000
"""Characters of a prompt, an answer or a result that are kept."""

_VALUE_MAX = 1_000
_BUDGET = 8_000
_DEPTH_MAX = 6
_ITEMS_MAX = 50
_LINE_MAX = 300
_CUT = "…"

# Of what a tool is given, that which says most.
_TELLING = (
    *("command", "file_path", "notebook_path", "path", "pattern", "query", "url"),
    *("description", "subject", "prompt", "skill"),
)
_START_KEYS = ("cwd", "version", "gitBranch", "entrypoint")
_NOTE_KEYS = ("subtype", "level", "hookName", "hookEvent", "command", "stdout", "stderr")


def describe_text(record: Record) -> dict[str, Any]:
    """A prompt, an answer, a thought or a summary."""
    if text := text_of(record, "summary"):
        return _cut("text", text)
    blocks = blocks_of(record)
    texts = [block for block in blocks if text_of(block, "type") != "tool_result"]
    data = _cut("text", plain_text(texts))
    images = sum(text_of(block, "type") == "image" for block in blocks)
    if images:
        data["images"] = images
    return data


def describe_note(record: Record) -> dict[str, Any]:
    """What the program or a hook noted."""
    inner = dict_of(record, "data") or dict_of(record, "attachment")
    text = text_of(record, "content") or text_of(inner, "content")
    if not text and isinstance(record.get("message"), dict):
        text = plain_text(record["message"].get("content"))
    data = _cut("text", text) if text else {}
    for key in _NOTE_KEYS:
        if value := text_of(record, key) or text_of(inner, key):
            data |= _cut(key, value)
    return data


def describe_start(record: Record) -> dict[str, Any]:
    """Where and with what a session began."""
    return {key: text_of(record, key)[:TEXT_MAX] for key in _START_KEYS if text_of(record, key)}


def describe_message(record: Record, tokens: Usage | None) -> dict[str, Any]:
    """Which model answered, and what the message cost, for the event that carries its tokens."""
    message = dict_of(record, "message")
    data: dict[str, Any] = {}
    if model := text_of(message, "model"):
        data["model"] = model[:_VALUE_MAX]
    if tokens is not None:
        data["tokens"] = tokens._asdict()
    return data


def describe_call(block: Record) -> dict[str, Any]:
    """A tool, what it was given on one line, and all of it."""
    name = text_of(block, "name")[:_VALUE_MAX] or "tool"
    given = block.get("input")
    line = _one_line(given)
    data: dict[str, Any] = {"name": name, "input": f"{name} {line}" if line else name}
    if given:
        data["arguments"] = _Cutter().cut(given)
    return data


def describe_result(record: Record, block: int, *, is_success: bool) -> dict[str, Any]:
    """What a tool answered."""
    blocks = blocks_of(record)
    if not WHOLE < block < len(blocks):
        return {}
    text = plain_text(blocks[block].get("content"))
    return _cut("result" if is_success else "error", text) if text else {}


def _cut(key: str, text: str) -> dict[str, Any]:
    if len(text) <= TEXT_MAX:
        return {key: text}
    return {key: text[:TEXT_MAX] + _CUT, f"{key}_length": len(text)}


def _one_line(given: Any) -> str:
    if isinstance(given, dict):
        for key in _TELLING:
            if text := text_of(given, key):
                return " ".join(text[:_LINE_MAX].split())
        given = {key: value for key, value in given.items() if not isinstance(value, (dict, list))}
        given = {
            key: value[:_LINE_MAX] if isinstance(value, str) else value
            for key, value in given.items()
        }
    if not given or isinstance(given, list):
        return ""
    return json.dumps(given, ensure_ascii=False)[:_LINE_MAX]


class _Cutter:
    """Makes a value of bounded size of one that may be of any; what is cut says how long it was."""

    def __init__(self) -> None:
        self._left = _BUDGET

    def cut(self, value: Any, depth: int = 0) -> Any:
        if isinstance(value, str):
            kept = value[: max(min(_VALUE_MAX, self._left), 0)]
            self._left -= len(kept)
            return kept if len(kept) == len(value) else f"{kept}{_CUT} ({len(value):,} characters)"
        self._left -= 8
        if isinstance(value, (dict, list)) and (depth == _DEPTH_MAX or self._left <= 0):
            return f"{_CUT} ({len(value):,} values)"
        if isinstance(value, list):
            kept_values = [self.cut(each, depth + 1) for each in value[:_ITEMS_MAX]]
            more = len(value) - len(kept_values)
            return [*kept_values, f"{_CUT} ({more:,} more)"] if more else kept_values
        if isinstance(value, dict):
            pairs = list(value.items())
            kept_pairs = {
                self.cut(key): self.cut(each, depth + 1) for key, each in pairs[:_ITEMS_MAX]
            }
            more = len(pairs) - _ITEMS_MAX
            return kept_pairs | {_CUT: f"{more:,} more"} if more > 0 else kept_pairs
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 2**63:
            return str(value)[:_VALUE_MAX]
        return value

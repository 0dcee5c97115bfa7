"""What an event says in words, seen from where the reader stands. Pure.

One event reads differently in the story of a task and in that of an agent: `created by zealot-1`
on the task's own timeline, `task-abc123 created by zealot-1` on another's, `created task-abc123`
on the agent's. The words are those of seed 004's examples; any other vocabulary gets the
generic form. What comes out is plain text of somebody else's making: drawing makes it printable.

**Templates.** `{name}` is a word of the event. A stretch in brackets appears only if its words are
there, and `|` separates alternatives, of which the first that has all its words is taken:
`added[ "{text}"| {target}]`. A name that the reader knows already, since it is the timeline's
subject, counts as not there.
"""

import json
import re
from collections.abc import Callable, Mapping
from math import inf, nextafter
from typing import Any, Literal, NamedTuple

from whence.draw.amounts import format_count, format_duration
from whence.event import OWN, Event
from whence.query import LAYERS, clean_target

TEXT_MAX = 200
"""Longer text is cut here, with a mark; drawing cuts further, to the width there is."""

_VALUE_MAX = 40
_VALUES_SHOWN = 3
_CUT = "…"

Data = Mapping[str, Any]


def _as_written(_: Literal["target", "agent"], text: str) -> str:
    return text


class View(NamedTuple):
    """Where the reader stands: on the timeline of a target or of an agent; nowhere if empty.

    `name_of` says what an agent or a target is called that the event names by an id.
    """

    target: str | None = None
    agent: str | None = None
    name_of: Callable[[Literal["target", "agent"], str], str] = _as_written


class _Words(NamedTuple):
    """How a type is told: to anyone, on its agent's own timeline, and as a node of a tree."""

    told: str
    done: str
    node: str


_ADDED = _Words(
    '[{agent} ]added[ "{text}"| entry {target}| entry]',
    'added[ "{text}"| entry {target}| entry]',
    'entry[ {target}][ ("{text}")]',
)

_WORDS: dict[tuple[str, str], _Words] = {
    ("spawn", "wake"): _Words(
        "[{agent} ]woke[ (session {session})]", "woke[ (session {session})]",
        "{who} woke[ (session {session})]",
    ),
    ("spawn", "sleep"): _Words("[{agent} ]sleep", "sleep", "{who} sleep"),
    ("spawn", "spawn"): _Words(
        "[{agent} ]spawned[ {spawned}| {target}]", "spawned[ {spawned}| {target}]",
        "[{agent} ]spawned[ {spawned}| {target}]",
    ),
    ("bridge", "send"): _Words(
        '[{agent} ]posted[ to #{channel}][: "{text}"]', "sent message[ to #{channel}]",
        'message[ #{room}][:{message}][ ("{text}")]',
    ),
    ("bridge", "recv"): _Words(
        "[{agent} ]read[ #{channel}][ ({unreads})]", "read[ #{channel}][ ({unreads})]",
        "read[ #{room}][ by {agent}]",
    ),
    ("bridge", "note"): _Words(
        '[{agent} ]noted[ in #{channel}][: "{text}"]', 'noted[ in #{channel}][: "{text}"]',
        'note[ #{room}][ ("{text}")]',
    ),
    ("ops", "create_task"): _Words(
        "[{target} ]created[ by {agent}]", "created[ {target}]", "[{subject} ]created"
    ),
    ("ops", "claim_task"): _Words(
        "[{target} ]claimed[ by {agent}][ ({retry})]", "claimed[ {target}][ ({retry})]",
        "[{subject} ]claimed[ by {agent}]",
    ),
    ("ops", "complete_task"): _Words(
        "[{target} ]completed", "completed[ {target}]", "[{subject} ]completed"
    ),
    ("ops", "block_task"): _Words(
        "[{target} ]blocked[ (reason: {reason})]", "blocked[ {target}][ (reason: {reason})]",
        "[{subject} ]blocked",
    ),
    ("ops", "reduce_task"): _Words(
        '[{target} ]reduced[ by {agent}][: "{text}"]', 'reduced[ {target}][: "{text}"]',
        "[{subject} ]reduced",
    ),
    ("ops", "decompose_task"): _Words(
        "[{target} ]decomposed[ into {subtasks}]", "decomposed[ {target}][ into {subtasks}]",
        "[{subject} ]decomposed[ into {subtasks}]",
    ),
    ("memory", "add_entry"): _ADDED,
    ("memory", "archive_entry"): _Words(
        "[{agent} ]archived[ {target}| entry]", "archived[ {target}| entry]",
        "archived[ {subject}| entry]",
    ),
    ("memory", "load"): _Words(
        "[{agent} ]loaded[ {entries}| entries][ (topic: {topic})]",
        "loaded[ {entries}| entries][ (topic: {topic})]",
        "loaded[ {entries}| entries][ (topic: {topic})]",
    ),
    ("knowledge", "add_discovery"): _Words(
        '[{agent} ]added[ domain={domain}| discovery][: "{text}"]',
        'added[ domain={domain}| "{text}"| discovery {target}| discovery]',
        'discovery[ {subject}| domain={domain}][ ("{text}")]',
    ),
    ("knowledge", "archive_discovery"): _Words(
        "[{agent} ]archived[ {target}| domain={domain}| discovery]",
        "archived[ {target}| domain={domain}| discovery]",
        "archived[ {subject}| domain={domain}| discovery]",
    ),
    ("git", "commit"): _Words(
        '[{agent} ]committed[ to {target}][: "{headline}"]',
        'committed[ to {target}][: "{headline}"]', 'commit[ ("{headline}")]',
    ),
    ("git", "merge"): _Words(
        '[{agent} ]merged[ into {target}][: "{headline}"]',
        'merged[ into {target}][: "{headline}"]', 'merge[ ("{headline}")]',
    ),
    ("git", "change"): _Words(
        "[{target} ][{change}|changed][ by {agent}]", "[{change}|changed][ {target}]",
        "[{change}|changed][ {subject}]",
    ),
    ("git", "tag"): _Words(
        "tagged[ {target}][ by {agent}]", "tagged[ {target}]", "tag[ {subject}]"
    ),
    ("claude", "prompt"): _Words(
        '[{agent} ]asked[: "{text}"]', 'asked[: "{text}"]', 'prompt[ ("{text}")]'
    ),
    ("claude", "say"): _Words(
        '[{agent} ]said[: "{text}"]', 'said[: "{text}"]', 'said[ "{text}"]'
    ),
    ("claude", "think"): _Words(
        '[{agent} ]thought[: "{text}"]', 'thought[: "{text}"]', 'thought[ "{text}"]'
    ),
    ("claude", "tool"): _Words("[{agent} ]ran[ {input}]", "ran[ {input}]", "ran[ {input}]"),
    ("claude", "start"): _Words(*("session began[ in {folder}]",) * 3),
    ("claude", "summary"): _Words(*('summary[: "{text}"]',) * 3),
    ("run", "begin"): _Words(*("[{agent} ]began[ {run}][ {target}]",) * 2, "{run}[ {subject}] began"),
    ("run", "step"): _Words(*("step[ {number}][ of {target}][: {does}]",) * 3),
    ("run", "fork"): _Words(*("forked[ {target}][ into {fork}][ from {origin}]",) * 3),
    ("run", "save"): _Words(*("saved[ {target}][ with trust {trust}] ({duration})",) * 3),
    ("run", "fail"): _Words(*("[{target} ]failed[: {error}] ({duration})",) * 3),
    ("run", "replay"): _Words(*("replayed[ {target}][: {verdict}][ ({reason})]",) * 3),
    ("learning", "variable_weight_update"): _Words(*("[{target} ]weighs[ {shifted}]",) * 3),
    ("learning", "overlay_shift"): _Words(*("[{target} ][{shift}|moved][ {shifted}]",) * 3),
    ("learning", "capital_shift"): _Words(*("[{target} ]moved[ {shifted}]",) * 3),
    ("trust", "update"): _Words(*("[{target} ][{learnt}|tried][ (task {task})]",) * 3),
    ("trust", "decay"): _Words(*("[{target}|all trust] decays[ by {factor}]",) * 3),
    ("trust", "import"): _Words(*("trust imported[ from {file}]",) * 3),
    ("gate", "execute"): _Words(*("[{phase}|did][ what was approved: {action}]",) * 3),
    ("gate", "rollback"): _Words(*("took back[ {action}][: {reason}]",) * 3),
    ("consent", "refuse"): _Words(
        *("withheld[ {target}][ from {destination}][ (scope {scope})]",) * 3
    ),
    ("span", "open"): _Words(*("[{name}|a step] is still open[ after {age}]",) * 3),
    (OWN, "writer.open"): _Words(
        *("[{program} |a program ]began to record[ (pid {pid} on {host})]",) * 3
    ),
    (OWN, "segment.open"): _Words(
        *("[{program} |a program ]went on in another segment[ (pid {pid} on {host})]",) * 3
    ),
    (OWN, "writer.close"): _Words(*("a program stopped recording",) * 3),
    (OWN, "writer.gap"): _Words(*("lost[ {lost}][ ({reason})]",) * 3),
    (OWN, "segment.left"): _Words(*("left segment[ {segment}][ because {why}]",) * 3),
}  # fmt: skip

_ENDS = frozenset([("run", "save"), ("run", "fail"), ("run", "replay")])
"""What has a duration and is no step: its words say how it ended."""

_GENERIC = _Words(
    "{words}[ {target}][ by {agent}][ ({values})]", "{words}[ {target}][ ({values})]",
    "{words}[ {subject}][ ({values})]",
)  # fmt: skip

_SPAN = "{step}[: {input}] → {outcome} ({duration})"

_MOMENT = "{step}[: {input}] → {outcome}"
_MOMENT_KEYS = frozenset(["component", "input", "output"])

_CODES = {name: code for code, name in LAYERS.items()}
_NOTES = (
    ("tokens_saved", "saved {} tokens"),
    ("tokens_used", "used {} tokens"),
    ("retries", "{} retries"),
    ("not_sampled", "{} more not sampled"),
)

_IN_WORDS, _SPAN_IN_WORDS = _Words(*("{in_words}",) * 3), "{step}: {in_words} ({duration})"
"""What a source itself puts in words, such as the `text` of a mapping."""


def phrase(event: Event, view: View = View(), *, is_retry: bool = False) -> str:
    """Say in one line what happened, without the time and without what `view` makes plain.

    `is_retry` marks a claim of a task that was claimed before.
    """
    if event.duration is not None and not _is_end(event):
        return _span(event, view)
    if _is_moment(event):
        return _fill(_MOMENT, event, view) + _missing(event)
    words = _words_for(event)
    is_own = view.agent is not None and view.agent == event.agent
    given = {"retry": "retry"} if is_retry else {}
    told = _fill(words.done if is_own else words.told, event, view, given)
    return told + _missing(event) + _status(event)


def node_label(event: Event, view: View = View()) -> str:
    """Name an event as a node of a tree: its primitive first, complete without surroundings."""
    if event.duration is not None and not _is_end(event):
        return _span(event, view)
    if _is_moment(event):
        return _fill(_MOMENT, event, view) + _missing(event)
    words = _words_for(event)
    told = _fill("{primitive} " + words.node, event, view)
    return told + _missing(event) + _status(event)


def step_label(event: Event) -> str:
    """Say a step as seed 001 does: `[mem] write: a.b → written (3ms) [saved 45 tokens]`."""
    data = _values_of(event)
    took = "" if event.duration is None else f" ({format_duration(event.duration)})"
    name = name_step(event.primitive, event.type, data)
    outcome = _outcome(event, data, View())
    said = _text(data, ("output",))
    if said and said != outcome:
        # Of what failed or was blocked both count: what came out, and what became of it.
        outcome = f"{said}, {outcome}"
    return f"{name} → {outcome}{took}{describe_notes(data)}{_missing(event)}"


def name_step(primitive: str, type: str, data: Data) -> str:
    """Say which step it is and what went in: `[alt] transition: L3→L2`."""
    given = _text(data, ("input",))
    code = shorten(_CODES.get(primitive, primitive))
    return f"[{code}] {shorten(type)}{f': {given}' if given else ''}"


def describe_notes(data: Data) -> str:
    """Say what is worth a note of what was kept with a step."""
    notes = ""
    for key, form in _NOTES:
        value = data.get(key)
        if isinstance(value, int | float) and not isinstance(value, bool):
            notes += f" [{form.format(_plain(value))}]"
    return notes


def claimed_label(create: Event, claim: Event, view: View = View()) -> str:
    """Name a task that was created and then claimed as one node: `ops task-sub1 (claimed by …)`."""
    given = {"by": _agent(claim, view)}
    return _fill("{primitive}[ {subject}] (claimed[ by {by}])", create, view, given)


def title_of(event: Event) -> str:
    """What an event calls the thing that it makes; empty if it does not say."""
    return _text(_values_of(event), ("title", "description", "name", "summary"))


def _words_for(event: Event) -> _Words:
    words = _WORDS.get((event.primitive, event.type))
    return words or (_IN_WORDS if _in_words(event, _values_of(event), View()) else _GENERIC)


def _is_end(event: Event) -> bool:
    return (event.primitive, event.type) in _ENDS


def _is_moment(event: Event) -> bool:
    """Whether it is a tracer's event: a step that says how it ended, but took no time."""
    if event.status is None or (event.primitive, event.type) in _WORDS:
        return False
    return not _MOMENT_KEYS.isdisjoint(_values_of(event)) and not hasattr(event, "source")


def _span(event: Event, view: View) -> str:
    if (event.primitive, event.type) in _WORDS or not _in_words(event, _values_of(event), view):
        return _fill(_SPAN, event, view) + _missing(event)
    return _fill(_SPAN_IN_WORDS, event, view) + _missing(event) + _status(event)


# -- words: what `{name}` in a template stands for -----------------------------------------------


def _agent(event: Event, view: View) -> str:
    return shorten(view.name_of("agent", event.agent)) if event.agent else ""


def _target(event: Event, view: View) -> str:
    return shorten(view.name_of("target", event.target)) if event.target else ""


def _room(event: Event, data: Data, view: View) -> str:
    channel = _text(data, ("channel",)) or event.target or ""
    return shorten(clean_target(view.name_of("target", channel)))


def _channel(event: Event, data: Data, view: View) -> str:
    known = view.name_of("target", view.target) if view.target is not None else None
    name = _room(event, data, view)
    return "" if known is not None and name == clean_target(known) else name


def _session(event: Event, data: Data, _: View) -> str:
    named = _text(data, ("session", "session_id"))
    if not named and event.target not in (None, event.agent):
        named = shorten(event.target or "")
    return re.sub(r"^session[-_: ]", "", named)


def _subtasks(_: Event, data: Data, __: View) -> str:
    return _amount(data, ("subtasks", "subtask_ids", "count"), "subtask")


def _entries(_: Event, data: Data, __: View) -> str:
    return _amount(data, ("count", "entries"), "entry", "entries")


def _outcome(event: Event, data: Data, _: View) -> str:
    error = data.get("error")
    if event.status == "error" and error:
        parts = (
            (_text(error, ("type",)), _text(error, ("message",)))
            if isinstance(error, dict)
            else (_plain(error),)
        )
        return ": ".join(["error", *filter(None, parts)])
    if event.status == "blocked":
        reason = _text(data, ("reason_blocked", "reason"))
        return f"blocked ({reason})" if reason else "blocked"
    return _text(data, ("output",)) or event.status or "done"


def _step(event: Event, _: Data, __: View) -> str:
    return shorten(event.type if event.primitive == "span" else f"{event.primitive}.{event.type}")


def _values(_: Event, data: Data, __: View) -> str:
    """The first few values that are short enough to be read in passing; what is no object is cut."""
    if isinstance(data, _Whole):
        return shorten(_plain(next(iter(data.values()))), _VALUE_MAX)
    shown = []
    for key, value in data.items():
        if isinstance(value, (dict, list)) or value is None or key.startswith("$"):
            continue
        text = _plain(value)
        if text and len(text) <= _VALUE_MAX:
            shown.append(f"{shorten(key, _VALUE_MAX)}={text}")
        if len(shown) == _VALUES_SHOWN:
            break
    return ", ".join(shown)


def _in_words(event: Event, data: Data, _: View) -> str:
    """How a source says what happened; nothing recorded live does."""
    return _text(data, ("text",)) if hasattr(event, "source") else ""


def _words(type: str) -> str:
    return re.sub(r"[_.\s]+", " ", shorten(type)).strip() or shorten(type) or "something"


def _lost(_: Event, data: Data, __: View) -> str:
    return _amount(data, ("lost",), "event")


def _error(_: Event, data: Data, __: View) -> str:
    error = data.get("error")
    parts = (_text(error, ("type",)), _text(error, ("message",))) if isinstance(error, dict) else ()
    return ": ".join(filter(None, parts))


def _learnt(_: Event, data: Data, __: View) -> str:
    success, weight = data.get("success"), data.get("weight", 1)
    if not isinstance(success, bool):
        return ""
    return ("did well" if success else "failed") + ("" if weight == 1 else f", weight {weight}")


def _shifted(_: Event, data: Data, __: View) -> str:
    """From what to what a value went."""
    ends = [
        data.get(one, data.get(other))
        for one, other in (("from", "old_value"), ("to", "new_value"))
    ]
    if not all(isinstance(end, int | float) and abs(end) <= nextafter(inf, 0) for end in ends):
        return ""
    return f"{ends[0]:g} → {ends[1]:g}"


def _age(_: Event, data: Data, __: View) -> str:
    age = data.get("age")
    return format_duration(age) if isinstance(age, int) else ""


def _reader_of(*keys: str) -> Callable[[Event, Data, View], str]:
    return lambda _, data, __: _text(data, keys)


_FIELDS: dict[str, Callable[[Event, Data, View], str]] = {
    "primitive": lambda event, _, __: shorten(event.primitive),
    "words": lambda event, _, __: _words(event.type),
    "agent": lambda event, _, view: "" if event.agent == view.agent else _agent(event, view),
    "who": lambda event, _, view: _agent(event, view) or _target(event, view) or "somebody",
    "target": lambda event, _, view: "" if event.target == view.target else _target(event, view),
    "subject": lambda event, _, view: _target(event, view),
    "channel": _channel,
    "room": _room,
    "session": _session,
    "subtasks": _subtasks,
    "entries": _entries,
    "outcome": _outcome,
    "step": _step,
    "values": _values,
    "lost": _lost,
    "duration": lambda event, _, __: format_duration(event.duration or 0),
    "unreads": lambda _, data, __: _amount(data, ("unreads", "unread"), "unread", "unreads"),
    "text": _reader_of(
        "content", "message", "text", "summary", "title", "description", "result"
    ),
    "in_words": _in_words,
    "name": _reader_of("name"),
    "age": _age,
    "message": _reader_of("message_id"),
    "headline": _reader_of("subject"),
    "change": _reader_of("status"),
    "folder": _reader_of("cwd"),
    "reason": _reader_of("reason", "why"),
    "topic": _reader_of("topic"),
    "domain": _reader_of("domain"),
    "input": _reader_of("input"),
    "spawned": _reader_of("spawned"),
    "program": _reader_of("program"),
    "pid": _reader_of("pid"),
    "host": _reader_of("host"),
    "segment": _reader_of("segment"),
    "why": _reader_of("why"),
    "run": _reader_of("run"),
    "number": _reader_of("number"),
    "does": _reader_of("step"),
    "fork": _reader_of("fork"),
    "origin": _reader_of("of"),
    "trust": _reader_of("trust"),
    "verdict": _reader_of("verdict"),
    "error": _error,
    "learnt": _learnt,
    "shift": _reader_of("shift_type"),
    "shifted": _shifted,
    "task": _reader_of("task"),
    "factor": _reader_of("factor"),
    "file": _reader_of("file"),
    "action": _reader_of("action"),
    "phase": _reader_of("phase"),
    "destination": _reader_of("destination"),
    "scope": _reader_of("scope"),
}  # fmt: skip


def shorten(text: str, most: int = TEXT_MAX) -> str:
    """Put text on one line and cut it, with a mark, to at most `most` characters."""
    if len(text) <= most and text.isprintable() and "  " not in text:
        return text.strip()
    # White space can only shrink, so what is cut away first could not have been shown.
    one_line = " ".join(text[: 4 * most].split())
    return one_line if len(one_line) <= most else one_line[: most - 1].rstrip() + _CUT


def _text(data: Data, keys: tuple[str, ...]) -> str:
    """The first of these values that is there, as text."""
    for key in keys:
        value = data.get(key)
        if value is not None and value != "":
            return _plain(value)
    return ""


def _plain(value: Any) -> str:
    if isinstance(value, str):
        return shorten(value)
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return shorten(str(value))
    try:
        return shorten(json.dumps(value, ensure_ascii=False))
    except (ValueError, RecursionError):
        return _CUT


def _amount(data: Data, keys: tuple[str, ...], one: str, many: str = "") -> str:
    """The first of these values that is a number, or a list to be counted, with its noun."""
    for key in keys:
        value = data.get(key)
        if isinstance(value, list):
            value = len(value)
        if isinstance(value, int) and not isinstance(value, bool):
            return format_count(value, one, many)
    return ""


class _Whole(dict[str, Any]):
    """A payload that is no object, under the name by which templates ask for it."""


def _values_of(event: Event) -> Data:
    try:
        data = event.data
    except (ValueError, RecursionError):
        return {}
    if isinstance(data, dict):
        learnt = data.get("data") if event.primitive == "learning" else None
        # A learning event has what was learnt inside, beside its context.
        return learnt if isinstance(learnt, dict) else data
    return {} if data is None else _Whole({"text" if isinstance(data, str) else "value": data})


def _missing(event: Event) -> str:
    if event.private:
        return " (private)"
    if event.payload or event.commit is None:
        return ""
    return " (payload missing)" if event.blob is not None else " (erased)"


def _status(event: Event) -> str:
    return "" if event.status in (None, "success") or _is_end(event) else f" → {event.status}"


# -- templates -----------------------------------------------------------------------------------

_Alternative = tuple[tuple[str, str], ...]
"""Text and the name that follows it, again and again; the last name is empty."""

_Part = tuple[bool, tuple[_Alternative, ...]]
"""A stretch of a template: whether it may be left out, and its alternatives."""


def _compile(template: str) -> tuple[_Part, ...]:
    pieces = re.split(r"(\[[^\]]*\])", template)
    return tuple(
        (True, tuple(map(_split, piece[1:-1].split("|"))))
        if piece.startswith("[")
        else (False, (_split(piece),))
        for piece in pieces
        if piece
    )


def _split(text: str) -> _Alternative:
    pieces = [*re.split(r"\{(\w+)\}", text), ""]
    return tuple(zip(pieces[::2], pieces[1::2], strict=True))


_compiled: dict[str, tuple[_Part, ...]] = {}


def _fill(
    template: str,
    event: Event,
    view: View,
    given: Mapping[str, str] = {},
) -> str:
    """Write a template out; `given` are words that the event itself does not know."""
    parts = _compiled.get(template)
    if parts is None:
        parts = _compiled[template] = _compile(template)
    data = _values_of(event)
    written: list[str] = []
    for is_optional, alternatives in parts:
        for alternative in alternatives:
            words = []
            for text, name in alternative:
                words.append(text)
                if name:
                    field = _FIELDS.get(name)
                    word = field(event, data, view) if field else given.get(name, "")
                    if not word and is_optional:
                        break
                    words.append(word)
            else:
                written += words
                break
    return "".join(written)

"""Hypothesis strategies shared by all tests: events, payloads, hostile values, lines, journals."""

import json
from typing import Any

import msgspec
from hypothesis import strategies as st

from tests import reference
from whence.event import STATUSES, Event, format_time

YEAR_1_NS = -62_135_596_800 * 10**9
YEAR_9999_NS = 253_402_300_800 * 10**9 - 1

BASE64URL = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

LOOK_ALIKES = (
    ',"salt":"',
    ',"commit":"',
    '","data":',
    '{"id":"',
    '"}',
    "}",
    "\\",
    '"',
    "\r",
    "\n",
    "\t",
    "\x00",
    "\x1f",
    "\x7f",
    "\u2028",
    "\ufeff",
    "\U0001f600",
    "é",
)
"""Text that would confuse a reader who does not tell a string from what is around it."""

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.lists(
    st.sampled_from(LOOK_ALIKES), max_size=6
).map("".join)
"""Any text that can be encoded."""

names = texts.filter(bool)
"""Text that can stand in an envelope."""

broken_texts = st.text(min_size=1).flatmap(
    lambda text: st.sampled_from([f"\ud800{text}", f"{text}\udfff", "\udc00\ud800"])
)
"""Text that no file can hold."""

times_ns = st.integers(YEAR_1_NS, YEAR_9999_NS)
times = times_ns.map(format_time)
ids = names.filter(lambda text: len(text.encode()) <= reference.ID_BYTES_MAX)
writers = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=12, max_size=12)
salts = st.text(BASE64URL, min_size=24, max_size=24)
commits = st.text(BASE64URL, min_size=43, max_size=43)
counts = st.integers(0, 20) | st.integers(0, reference.NUMBER_MAX)

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(10**300), 10**300)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)
payloads: st.SearchStrategy[Any] = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
"""Any value that JSON can carry."""


class Stubborn:
    """An object that refuses everything that is asked of it."""

    def __repr__(self) -> str:
        raise RuntimeError("no repr")

    def __str__(self) -> str:
        raise RuntimeError("no str")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no comparison")

    def __hash__(self) -> int:
        raise RuntimeError("no hash")

    def __bool__(self) -> bool:
        raise RuntimeError("no truth")

    def __len__(self) -> int:
        raise RuntimeError("no length")


def _cycle() -> list[Any]:
    loop: list[Any] = []
    loop.append(loop)
    return loop


def _deep() -> list[Any]:
    deep: list[Any] = []
    for _ in range(5_000):
        deep = [deep]
    return deep


hostile_leaves: st.SearchStrategy[Any] = (
    st.sampled_from([float("nan"), float("inf"), float("-inf")])
    | st.binary(max_size=10)
    | st.complex_numbers()
    | broken_texts
    | st.sampled_from([object, len])
    | st.builds(pow, st.just(10), st.just(5_000))
    | st.builds(Stubborn)
    | st.builds(object)
    | st.builds(_cycle)
    | st.builds(_deep)
)
hostile_values: st.SearchStrategy[Any] = st.recursive(
    scalars | hostile_leaves,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(texts | broken_texts | st.integers() | st.none(), inner, max_size=3)
        | st.tuples(inner, inner)
    ),
    max_leaves=8,
)
"""Values of which JSON can carry some parts at best."""

_space = st.sampled_from(["", "", "", " ", "  ", "\t"])


@st.composite
def _json_text(draw: st.DrawFn, value: Any) -> str:
    """Write a value as JSON in one of the many ways that another program might."""
    if isinstance(value, dict):
        separator = f"{draw(_space)},{draw(_space)}"
        parts = [
            f"{draw(_json_text(key))}{draw(_space)}:{draw(_space)}{draw(_json_text(part))}"
            for key, part in value.items()
        ]
        # The same key twice is JSON too.
        if parts and draw(st.integers(0, 9)) == 0:
            parts.append(parts[0])
        return f"{{{draw(_space)}{separator.join(parts)}{draw(_space)}}}"
    if isinstance(value, list):
        separator = f"{draw(_space)},{draw(_space)}"
        parts = [draw(_json_text(part)) for part in value]
        return f"[{draw(_space)}{separator.join(parts)}{draw(_space)}]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=draw(st.booleans()))
    return json.dumps(value)


@st.composite
def payload_bytes(draw: st.DrawFn) -> bytes:
    """JSON as a line may hold it: any value, written in any way."""
    return draw(_json_text(draw(payloads))).encode()


@st.composite
def envelopes(draw: st.DrawFn) -> dict[str, Any]:
    """The fields of an envelope, those that are absent left out."""
    fields: dict[str, Any] = {
        "id": draw(ids),
        "time": draw(times),
        "primitive": draw(names),
        "type": draw(names),
        "w": draw(writers),
        "n": draw(counts),
    }
    optional: dict[str, st.SearchStrategy[Any]] = {
        "agent": names,
        "target": names,
        "parent": ids,
        "trace": ids,
        "status": st.sampled_from(STATUSES),
        "duration": counts,
        "links": st.lists(ids, min_size=1, max_size=3),
        "private": st.just(True),
    }
    for key in draw(st.sets(st.sampled_from(sorted(optional)))):
        fields[key] = draw(optional[key])
    return fields


blob_sizes = st.none() | st.integers(reference.BLOB_BYTES_MIN, reference.NUMBER_MAX)


@st.composite
def lines(draw: st.DrawFn) -> bytes:
    """A valid line, written by the reference."""
    fields = draw(envelopes())
    spaces = b" " * draw(st.integers(0, 3))
    if draw(st.integers(0, 3)):
        return reference.encode_line(fields, draw(salts), draw(payload_bytes())) + spaces
    return reference.encode_committed_line(fields, draw(commits), draw(blob_sizes)) + spaces


@st.composite
def events(draw: st.DrawFn) -> Event:
    """An event as a valid line holds it."""
    fields = draw(envelopes())
    fields["links"] = tuple(fields.get("links", ()))
    if draw(st.integers(0, 3)):
        salt, payload = draw(salts), msgspec.Raw(draw(payload_bytes()))
        return Event(**fields, salt=salt, payload=payload)
    return Event(**fields, commit=draw(commits), blob=draw(blob_sizes))


# What a mutation puts in: single bytes and the words that mean something in a line.
_insertions = st.binary(min_size=1, max_size=3) | st.sampled_from(
    [text.encode() for text in LOOK_ALIKES]
    + [b",", b":", b" ", b"null", b"\\u0041", b"\\/", b"\xff", b"\xef\xbb\xbf", b"[", b"]", b"0"]
    + [b',"agent":null', b',"private":false', b',"links":[]', b',"x":1', b"NaN", b"\\ud800"]
)


@st.composite
def mutations(draw: st.DrawFn, originals: st.SearchStrategy[bytes] | None = None) -> bytes:
    """A valid line with something done to it, once to three times."""
    raw = draw(originals if originals is not None else lines())
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(raw)))
        end = draw(st.integers(start, min(len(raw), start + 40)))
        match draw(st.sampled_from("flip insert delete replace double truncate splice".split())):
            case "flip" if start < len(raw):
                flipped = raw[start] ^ (1 << draw(st.integers(0, 7)))
                raw = raw[:start] + bytes([flipped]) + raw[start + 1 :]
            case "insert":
                raw = raw[:start] + draw(_insertions) + raw[start:]
            case "delete":
                raw = raw[:start] + raw[end:]
            case "replace":
                raw = raw[:start] + draw(_insertions) + raw[end:]
            case "double":
                raw = raw[:end] + raw[start:]
            case "truncate":
                raw = raw[:start]
            case "splice":
                other = draw(lines())
                raw = raw[:start] + other[draw(st.integers(0, len(other))) :]
    return raw


@st.composite
def journals(draw: st.DrawFn) -> list[Event]:
    """The events of some writers in the order of a segment: each writer counts from 0."""
    order = draw(st.lists(st.sampled_from(["a" * 12, "b" * 12, "c" * 12]), max_size=12))
    found: list[Event] = []
    for at, w in enumerate(order):
        n = sum(event.w == w for event in found)
        salt, payload = draw(salts), draw(payload_bytes())
        found.append(
            msgspec.structs.replace(
                draw(events()),
                id=f"id-{at}",
                w=w,
                n=n,
                salt=salt,
                payload=msgspec.Raw(payload),
                commit=None,
                blob=None,
            )
        )
    return found

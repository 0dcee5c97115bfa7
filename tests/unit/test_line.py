"""A line is an event or it is not: one answer, whatever the bytes, the same as the reference's."""

import copy
import itertools
import json
import os
import pickle
import random
import sys
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import reference
from tests.strategies import (
    BASE64URL,
    events,
    lines,
    mutations,
    payload_bytes,
    payloads,
    salts,
)
from whence.errors import CorruptError
from whence.event import Event
from whence.line import (
    DEPTH_MAX,
    ENVELOPE_BYTES_MAX,
    INLINE_BYTES_MAX,
    NUMBER_MAX,
    Columns,
    commitment,
    decode_line,
    decode_lines,
    encode_event,
    encode_head,
    payload_problem,
    seal_event,
    sealed_entry,
    split_line,
)

FULL = bool(os.environ.get("WHENCE_TEST_FULL"))

# In the long form, a test that draws several lines takes too long with as many examples as others.
some_fewer = settings(max_examples=max(settings().max_examples // 4, 100))

SALT = "abcdefghijklmnopqrstuvw-"
COMMIT = "A" * 43
FIELDS: dict[str, Any] = {
    "id": "0199aa00-0000-7000-8000-000000000001",
    "time": "2026-11-20T19:27:35.104233123Z",
    "primitive": "ops",
    "type": "claim_task",
    "w": "k3f9a2c81qzm",
    "n": 17,
}
FULL_FIELDS = FIELDS | {
    "agent": "haiku-1",
    "target": "task-sub1",
    "parent": "parent-1",
    "trace": "root-1",
    "status": "error",
    "duration": 12,
    "links": ["cause-2", "cause-3"],
    "private": True,
}
PLAIN = reference.encode_line(FIELDS, SALT, b'{"key":"some value"}')
WHOLE = reference.encode_line(FULL_FIELDS, SALT, b'{"key":"some value"}')
SEALED = reference.encode_committed_line(FIELDS, COMMIT, None)
IN_BLOB = reference.encode_committed_line(FIELDS, COMMIT, 70_000)


def is_event(raw: bytes) -> bool:
    """Whether `decode_line` takes it. Any error but CorruptError fails the test.

    And so does another answer when it is read together with others.
    """
    try:
        decode_line(raw)
        answer = True
    except CorruptError:
        answer = False
    if b"\n" not in raw:
        assert (decode_lines([raw]) is not None) == answer
        assert (decode_lines([PLAIN, raw, SEALED]) is not None) == answer
    return answer


def with_data(data: bytes) -> bytes:
    """A line with these bytes where the payload belongs."""
    return reference.encode_line(FIELDS, SALT, data)


def pieces(raw: bytes) -> list[tuple[int, int, bool]]:
    return [(piece.offset, piece.length, piece.event is not None) for piece in split_line(raw)]


# --- what goes in comes out -----------------------------------------------------------------


@given(events())
def test_an_event_comes_back_from_its_line(event: Event) -> None:
    raw = encode_event(event)

    assert reference.is_valid(raw)
    assert decode_line(raw) == event


@given(lines())
def test_a_line_comes_back_from_its_event(raw: bytes) -> None:
    """All but spaces at the end beyond those that the sealed entry needs."""
    event = decode_line(raw)

    assert encode_event(event).rstrip(b" ") == raw.rstrip(b" ")


@given(lines())
def test_an_event_holds_the_fields_of_its_line(raw: bytes) -> None:
    expected = reference.read_line(raw)
    assert expected is not None

    event = decode_line(raw)

    for key in reference.ENVELOPE_KEYS:
        absent: Any = {"links": (), "private": False}.get(key)
        value = expected.fields.get(key, absent)
        assert getattr(event, key) == (tuple(value) if key == "links" else value)
    assert (event.salt, event.commit, event.blob) == (
        expected.salt,
        expected.commit,
        expected.blob,
    )
    assert bytes(event.payload) == (expected.data or b"")


@given(payloads)
def test_any_payload_comes_back_as_it_was(payload: Any) -> None:
    """Text of every kind, huge integers, nesting, and keys that look like parts of a line."""
    event = decode_line(with_data(json.dumps(payload, ensure_ascii=False).encode()))

    assert event.data == payload


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"null", None),
        (b"0", 0),
        (b"-0", 0),
        (b"-1.5e-3", -0.0015),
        (b'""', ""),
        (b'"text"', "text"),
        (b"true", True),
        (b"[]", []),
        (b"{}", {}),
        (b'{"":""}', {"": ""}),
        (b'{"a":1,"a":2}', {"a": 2}),
        (b'{",\\"salt\\":\\"":1}', {',"salt":"': 1}),
        (b'{"salt":"x","data":{"salt":"y"},"commit":"z"}', None),
        (b'{ "a" :\t[ 1 , 2 ] }', {"a": [1, 2]}),
        (b'"\\u0041\\/\\ud83d\\ude00"', "A/\U0001f600"),
        ('"\ufeff\u2028\x7f"'.encode(), "\ufeff\u2028\x7f"),
        (b"1" * 4_000, int("1" * 4_000)),
        (b"1" * 10_000, "1" * 10_000),
        (b"1e999", "1e999"),
    ],
)
def test_every_kind_of_payload_is_read(data: bytes, value: object) -> None:
    event = decode_line(with_data(data))

    assert bytes(event.payload) == data
    assert event.data == (value if value is not None else json.loads(data))


def test_a_head_is_the_envelope_up_to_the_writers_part() -> None:
    event = decode_line(WHOLE)
    fields = {name: getattr(event, name) for name in reference.ENVELOPE_KEYS[:-2]}

    head = encode_head(msgspec.convert(fields, type(event).__mro__[1]))

    assert head + b',"w":"k3f9a2c81qzm","n":17' == reference.encode_envelope(FULL_FIELDS)


@some_fewer
@given(st.lists(lines() | mutations(), min_size=1, max_size=4))
def test_lines_read_together_are_what_each_is_alone(raws: list[bytes]) -> None:
    together = [part for raw in raws for part in raw.split(b"\n")]

    block = decode_lines(together)

    assert (block is not None) == all(map(is_event, together))
    if block is not None:
        assert block.events == [decode_line(raw) for raw in together]
        assert block.times_ns == [event.time_ns for event in block.events]
        assert [*zip(*block.columns, strict=True)] == [
            tuple(getattr(event, name) for name in Columns._fields) for event in block.events
        ]


def test_no_lines_are_no_block() -> None:
    assert decode_lines([]) is None


def test_a_block_has_a_column_for_each_field() -> None:
    assert Columns._fields == Event.__struct_fields__


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))]
)
@pytest.mark.parametrize("raw", [PLAIN, SEALED, IN_BLOB])
def test_a_copied_event_has_the_same_line(copied: Callable[[Event], Event], raw: bytes) -> None:
    event = copied(decode_line(raw))

    assert encode_event(event) == raw
    assert sealed_entry(event) == reference.sealed_entry(raw)


# --- what is refused ------------------------------------------------------------------------


def test_what_the_refusals_start_from_is_valid() -> None:
    assert all(map(is_event, [PLAIN, WHOLE, SEALED, IN_BLOB]))


@pytest.mark.parametrize("count", [1, 2, 100])
def test_any_number_of_spaces_may_follow(count: int) -> None:
    assert is_event(PLAIN + b" " * count)
    assert is_event(SEALED + b" " * count)


@pytest.mark.parametrize("key", reference.REQUIRED_KEYS)
def test_a_missing_key_is_refused(key: str) -> None:
    fields = {name: value for name, value in FIELDS.items() if name != key}

    assert not is_event(reference.encode_line(fields, SALT, b"{}"))


@pytest.mark.parametrize("key", reference.ENVELOPE_KEYS)
@pytest.mark.parametrize("value", [b"null", b"1.0", b"[1]", b"{}", b"[null]", b'"\xff"', b"NaN"])
def test_a_value_of_another_type_is_refused(key: str, value: bytes) -> None:
    written = json.dumps(FULL_FIELDS[key], separators=(",", ":")).encode()
    raw = WHOLE.replace(b'"%b":%b' % (key.encode(), written), b'"%b":%b' % (key.encode(), value))

    assert raw != WHOLE
    assert not is_event(raw)


@pytest.mark.parametrize("key", reference.ENVELOPE_KEYS)
def test_a_second_key_is_refused(key: str) -> None:
    written = json.dumps({key: FULL_FIELDS[key]}, separators=(",", ":")).encode()[1:-1]

    assert WHOLE.count(written) == 1
    assert not is_event(WHOLE.replace(written, written + b"," + written))
    assert not is_event(WHOLE.replace(b',"salt":', b"," + written + b',"salt":'))


@given(st.permutations(reference.ENVELOPE_KEYS))
def test_another_order_is_refused(order: list[str]) -> None:
    envelope = json.dumps({key: FULL_FIELDS[key] for key in order}, separators=(",", ":"))
    raw = envelope[:-1].encode() + WHOLE[WHOLE.index(b',"salt":') :]

    assert is_event(raw) == (order == reference.ENVELOPE_KEYS)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        # keys that are not ours, absent values that are written, values that cannot be
        (b',"w":', b',"other":1,"w":'),
        (b',"salt":', b',"other":1,"salt":'),
        (b',"w":', b',"agent":null,"w":'),
        (b',"w":', b',"private":false,"w":'),
        (b',"w":', b',"private":1,"w":'),
        (b',"w":', b',"links":[],"w":'),
        (b',"w":', b',"links":[""'),
        (b',"w":', b',"links":["a",null],"w":'),
        (b',"w":', b',"status":"fine","w":'),
        (b',"w":', b',"status":"Error","w":'),
        (b',"w":', b',"duration":-1,"w":'),
        (b',"w":', b',"duration":1.0,"w":'),
        (b',"w":', b',"duration":9223372036854775808,"w":'),
        # the same value written in another way
        (b'"ops"', b'"o\\u0070s"'),
        (b'"ops"', b'"ops\\/"'),
        (b'"ops"', b'"ops\\u000A"'),
        (b'"ops"', b'"ops\\u000a"'),
        (b'"ops"', b'"ops\\u007f"'),
        (b'"ops"', b'"\\ud83d\\ude00"'),
        (b'"id":', b'"\\u0069d":'),
        (b'"id":', b'"id" :'),
        (b'"id":', b'"id": '),
        (b',"type"', b', "type"'),
        (b',"type"', b'\t,"type"'),
        (b'{"id"', b'{ "id"'),
        # what JSON does not allow
        (b'"ops"', b'"\\ud800"'),
        (b'"ops"', b'"\\udc00\\ud800"'),
        (b'"ops"', b'"o\tps"'),
        (b'"ops"', b'"o\x00ps"'),
        (b'"ops"', b'"o\x1fps"'),
        (b'"ops"', b'"o\\ps"'),
        (b'"ops"', b"ops"),
        (b'"ops"', b"'ops'"),
        # not UTF-8: a lone byte, an overlong form, a surrogate, beyond the last character
        (b'"ops"', b'"\xff"'),
        (b'"ops"', b'"\xc0\xaf"'),
        (b'"ops"', b'"\xed\xa0\x80"'),
        (b'"ops"', b'"\xf4\x90\x80\x80"'),
        (b"some value", b"some \xff value"),
        (b"some value", b"some \xed\xa0\x80 value"),
        (b'"key"', b'"\xc0\xaf"'),
        # the writer and its count
        (b"k3f9a2c81qzm", b"k3f9a2c81qz"),
        (b"k3f9a2c81qzm", b"k3f9a2c81qzmm"),
        (b"k3f9a2c81qzm", b"K3f9a2c81qzm"),
        (b"k3f9a2c81qzm", b"k3f9a2c81qz-"),
        (b"k3f9a2c81qzm", "k3f9a2c81qz²".encode()),
        (b'"n":17', b'"n":-17'),
        (b'"n":17', b'"n":-0'),
        (b'"n":17', b'"n":017'),
        (b'"n":17', b'"n":+17'),
        (b'"n":17', b'"n":17.0'),
        (b'"n":17', b'"n":1e2'),
        (b'"n":17', b'"n":"17"'),
        (b'"n":17', b'"n":true'),
        (b'"n":17', b'"n":9223372036854775808'),
        (b'"n":17', b'"n":' + b"1" * 10_000),
        # salt, payload, commitment
        (b'"abcdefghijklmnopqrstuvw-"', b'"abcdefghijklmnopqrstuvw"'),
        (b'"abcdefghijklmnopqrstuvw-"', b'"abcdefghijklmnopqrstuvw--"'),
        (b'"abcdefghijklmnopqrstuvw-"', b'"abcdefghijklmnopqrstuvw+"'),
        (b'"abcdefghijklmnopqrstuvw-"', b'"abcdefghijklmnopqrstuvw="'),
        (b'"abcdefghijklmnopqrstuvw-"', '"abcdefghijklmnopqrstuvwé"'.encode()),
        (b'"abcdefghijklmnopqrstuvw-"', b"null"),
        (b'"salt":"abcdefghijklmnopqrstuvw-",', b""),
        (b'"salt":"abcdefghijklmnopqrstuvw-",', b'"salt":null,'),
        (b',"data":', b', "data":'),
        (b',"data":', b',"other":1,"data":'),
        (b'"data":', b'"data": '),
        (b'"data":', b'"data":1,"data":'),
        (b'"data":{"key":"some value"}', b'"data":'),
        (b',"data":{"key":"some value"}', b""),
        (b'{"key":"some value"}}', b'{"key":"some value"} }'),
        (b'{"key":"some value"}}', b'{"key":"some value"},"other":1}'),
        (b'{"key":"some value"}}', b'{"key":"some value"},"commit":"' + COMMIT.encode() + b'"}'),
        (b'{"key":"some value"}}', b'{"key":"some value"},"blob":70000}'),
        # what stands before and after
        (b'{"id"', b'\xef\xbb\xbf{"id"'),
        (b'{"id"', b' {"id"'),
        (b'{"id"', b'#{"id"'),
        (b'value"}}', b'value"}}}'),
        (b'value"}}', b'value"}} x'),
        (b'value"}}', b'value"}}\t'),
        (b'value"}}', b'value"}}\r'),
        (b'value"}}', b'value"}}\n'),
        (b'value"}}', b'value"}} \n '),
        (b'value"}}', b'value"}}\x00'),
        (b'value"}}', b'value"}'),
        (b'{"key":"', b'{"key":\r"'),
        (b'{"key":"', b'{"key":\n"'),
        (b'{"key":"', b'{"key":\x00"'),
    ],
)
def test_a_line_that_differs_from_its_one_form_is_refused(old: bytes, new: bytes) -> None:
    raw = PLAIN.replace(old, new)

    assert PLAIN.count(old) == 1
    assert not is_event(raw)
    assert not reference.is_valid(raw)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (COMMIT, COMMIT[:-1]),
        (COMMIT, COMMIT + "A"),
        (COMMIT, COMMIT[:-1] + "="),
        (COMMIT, COMMIT[:-1] + "+"),
        (COMMIT, COMMIT[:-1] + "é"),
        ('"blob":70000', '"blob":65536'),
        ('"blob":70000', '"blob":0'),
        ('"blob":70000', '"blob":-70000'),
        ('"blob":70000', '"blob":070000'),
        ('"blob":70000', '"blob":70000.0'),
        ('"blob":70000', '"blob":null'),
        ('"blob":70000', '"blob":9223372036854775808'),
        ('"commit":', f'"salt":"{SALT}","commit":'),
        (f'"commit":"{COMMIT}",', ""),
        ("}", ',"data":{}}'),
        ("}", ',"other":1}'),
        ("}", "} }"),
    ],
)
def test_a_commitment_that_differs_from_its_one_form_is_refused(old: str, new: str) -> None:
    raw = IN_BLOB.replace(old.encode(), new.encode())

    assert IN_BLOB.count(old.encode()) == 1
    assert not is_event(raw)
    assert not reference.is_valid(raw)


def test_the_smallest_blob_is_one_byte_more_than_a_line_holds() -> None:
    assert is_event(IN_BLOB.replace(b"70000", b"%d" % (INLINE_BYTES_MAX + 1)))


@pytest.mark.parametrize(
    "data", ["NaN", "Infinity", "-Infinity", "nan", "-", "1.", ".5", "+1", "01"]
)
@pytest.mark.parametrize("place", ["{}", "[{}]", '{{"key":{}}}', '[1,{{"key":[{}]}}]'])
def test_a_number_that_json_lacks_is_refused(data: str, place: str) -> None:
    assert not is_event(with_data(place.format(data).encode()))


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b" ", b" {}", b"{} ", b"{", b"}", b"{}{}", b"{},", b"[1,]", b"[1 2]", b'{"a"}'),
        *(
            b'{"a":1,}',
            b"{1:2}",
            b"{a:1}",
            b"'a'",
            b'"',
            b'"\\',
            b'"\\"',
            b"tru",
            b"truex",
            b"None",
        ),
        *(b'"\\x41"', b'"\\u12"', b'"\\u12G4"', b'"\\ud800"', b'"\\ud800\\u0041"', b'"\\udc00"'),
        *(
            b'{"\\udfff":1}',
            b'["\\ud800"]',
            b'"\x00"',
            b'"\n"',
            b'"\x1f"',
            b"[\x0c1]",
            b"[\xc2\xa01]",
        ),
        *(b"// comment", b"/**/1", b"\xef\xbb\xbf1", b'"\xff"', b'["\xc0\x80"]'),
    ],
)
def test_a_payload_that_is_not_one_json_value_is_refused(data: bytes) -> None:
    assert not is_event(with_data(data))


@pytest.mark.parametrize("raw", [b"", b" ", b"{}", b"[]", b"null", b"#", b"\x00", b"\x00" * 4096])
def test_what_is_no_line_at_all_is_refused(raw: bytes) -> None:
    assert not is_event(raw)
    assert pieces(raw) == [(0, len(raw), False)]


@pytest.mark.parametrize(
    ("event_id", "accepted"),
    [
        ("", False),
        ("a", True),
        ("a" * 128, True),
        ("a" * 129, False),
        ("é" * 64, True),
        ("é" * 64 + "a", False),
        ("\U0001f600" * 32, True),
        ("\U0001f600" * 33, False),
        ("\x00" * 128, True),
    ],
)
def test_an_id_has_at_most_128_bytes(event_id: str, accepted: bool) -> None:
    assert is_event(reference.encode_line(FIELDS | {"id": event_id}, SALT, b"{}")) == accepted


@pytest.mark.parametrize("spare", [0, 1])
def test_an_envelope_has_at_most_65000_bytes_in_either_form(spare: int) -> None:
    """An event that may be written may also be erased: its sealed entry has the same envelope."""
    bare = len(reference.encode_envelope(FIELDS | {"agent": ""}))
    fields = FIELDS | {"agent": "a" * (ENVELOPE_BYTES_MAX - bare + spare)}

    assert is_event(reference.encode_line(fields, SALT, b"{}")) == (spare == 0)
    assert is_event(reference.encode_committed_line(fields, COMMIT, None)) == (spare == 0)
    assert is_event(reference.encode_committed_line(fields, COMMIT, 70_000)) == (spare == 0)


@pytest.mark.parametrize("key", ["n", "duration"])
def test_a_number_of_an_envelope_fits_into_63_bits(key: str) -> None:
    assert is_event(reference.encode_line(FIELDS | {key: NUMBER_MAX}, SALT, b"{}"))
    assert not is_event(reference.encode_line(FIELDS | {key: NUMBER_MAX + 1}, SALT, b"{}"))


@pytest.mark.parametrize(
    "time",
    [
        "2026-11-20T19:27:35.104233123",
        "2026-11-20T19:27:35.10423312Z",
        "2026-11-20T19:27:35.1042331234Z",
        "2026-11-20T19:27:35.104233123+00:00",
        "2026-11-20T19:27:35.104233+00:00",
        "2026-11-20T19:27:60.000000000Z",
        "2026-11-20T24:00:00.000000000Z",
        "2026-02-29T00:00:00.000000000Z",
        "0000-01-01T00:00:00.000000000Z",
        "10000-01-01T00:00:00.00000000Z",
        "10000-01-01T00:00:00.000000000Z",
    ],
)
def test_a_time_of_another_form_is_refused(time: str) -> None:
    assert not is_event(reference.encode_line(FIELDS | {"time": time}, SALT, b"{}"))


# --- deep, long and any bytes ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("opening", "closing"), [("[", "]"), ('{"a":', "}"), ('[{"a":[', "]}]"), ('["]",[', "]]")]
)
def test_a_payload_nests_at_most_200_deep(opening: str, closing: str) -> None:
    levels = sum(closing.count(bracket) for bracket in "]}")
    most = DEPTH_MAX // levels

    def nested(times: int) -> bytes:
        return with_data(f"{opening * times}0{closing * times}".encode())

    assert is_event(nested(most))
    assert not is_event(nested(most + 1))
    assert reference.is_valid(nested(most))
    assert not reference.is_valid(nested(most + 1))


@pytest.mark.parametrize("depth", [999, 100_000])
@pytest.mark.parametrize("brackets", ["[]", '{"a":0}'])
def test_however_deep_a_line_is_it_is_corrupt_and_no_more(depth: int, brackets: str) -> None:
    opening, closing = brackets[:-1].removesuffix("0"), brackets[-1]
    raw = with_data((opening * depth + "0" + closing * depth).encode())

    assert not is_event(raw)
    assert pieces(raw) == [(0, len(raw), False)]
    assert pieces(raw[: len(raw) // 2] + PLAIN) == [
        (0, len(raw) // 2, False),
        (len(raw) // 2, len(PLAIN), True),
    ]


@given(st.lists(st.tuples(st.sampled_from("[]{}"), st.integers(1, 220)), max_size=12))
def test_depth_is_that_of_the_brackets_one_by_one(runs: list[tuple[str, int]]) -> None:
    text = "".join(bracket * times for bracket, times in runs)
    depths = [*itertools.accumulate(1 if bracket in "[{" else -1 for bracket in text)]
    is_even = not depths or (min(depths) >= 0 and depths[-1] == 0)

    # Few brackets are left to the decoder, whatever they look like.
    if sum(map(text.count, "[{")) > DEPTH_MAX:
        is_deep = "deeper" in payload_problem(text.encode())
        assert is_deep == (not is_even or max(depths) > DEPTH_MAX)


def test_brackets_in_text_are_not_depth() -> None:
    assert is_event(with_data(json.dumps(["[" * 5_000, '"[{\\' * 5_000]).encode()))
    assert is_event(with_data(b"[" + b"[]," * 5_000 + b"0]"))


def test_a_full_stack_does_not_make_a_line_corrupt() -> None:
    """What is a valid line must not depend on who reads it."""
    raw = with_data(b"[" * DEPTH_MAX + b"]" * DEPTH_MAX)

    def read_below(calls: int) -> Event:
        return read_below(calls - 1) if calls else decode_line(raw)

    # Newer Pythons count the calls of C apart, and then this is simply read.
    try:
        event = read_below(sys.getrecursionlimit() - 200)
    except RecursionError:
        return
    assert encode_event(event) == raw


@given(payload_bytes(), st.integers(0, 3))
def test_a_long_line_is_as_good_as_a_short_one(data: bytes, gap: int) -> None:
    raw = with_data(b'["' + b"x" * 100_000 + b'",' + b" " * gap + data + b"]")

    assert bytes(decode_line(raw).payload).endswith(data + b"]")


def test_a_very_long_line_is_read_split_and_sealed() -> None:
    size = (100 if FULL else 10) * 1_000_000
    data = b'{"key":"' + b"x" * size + b'","more":[' + b'{"id":"y"},' * (size // 100) + b"0]}"
    raw = with_data(data)

    event = decode_line(raw)

    assert len(event.payload) == len(data)
    assert sealed_entry(event) == sealed_entry(decode_line(reference.sealed_entry(PLAIN))).replace(
        commitment(SALT, b'{"key":"some value"}').encode(), commitment(SALT, data).encode()
    )
    assert pieces(raw[:-5] + raw) == [(0, len(raw) - 5, False), (len(raw) - 5, len(raw), True)]
    assert pieces(raw[:-1] + b"]") == [(0, len(raw), False)]


@given(st.binary(max_size=200) | st.binary(max_size=50).map(lambda part: PLAIN[:60] + part))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    assert is_event(raw) == reference.is_valid(raw)
    assert pieces(raw) == reference.split_line(raw)


@given(mutations())
def test_a_changed_line_is_what_the_reference_says(raw: bytes) -> None:
    assert is_event(raw) == reference.is_valid(raw)
    assert pieces(raw) == reference.split_line(raw)


@given(st.data())
def test_no_single_changed_byte_goes_unseen(data: st.DataObject) -> None:
    """A line with one byte changed is refused, or it is another event."""
    raw = WHOLE
    at = data.draw(st.integers(0, len(raw) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda byte: byte != raw[at]))
    changed = raw[:at] + bytes([byte]) + raw[at + 1 :]

    assert not is_event(changed) or decode_line(changed) != decode_line(raw)


# --- glued lines ----------------------------------------------------------------------------


@some_fewer
@given(lines(), lines(), st.data())
def test_a_fragment_and_the_line_glued_to_it_are_told_apart(
    first: bytes, second: bytes, data: st.DataObject
) -> None:
    """Also when the fragment is the whole line but for its newline."""
    first = first.rstrip(b" ")
    cut = data.draw(st.integers(1, len(first)))

    assert pieces(first[:cut] + second) == [
        (0, cut, cut == len(first)),
        (cut, len(second), True),
    ]


@some_fewer
@given(lines(), lines(), lines())
def test_of_three_glued_lines_the_last_is_an_event(a: bytes, b: bytes, c: bytes) -> None:
    """The first two were torn by writers that died, so neither call returned."""
    raw = a + b + c

    assert pieces(raw) == [(0, len(a + b), False), (len(a + b), len(c), True)]


@some_fewer
@given(lines(), lines(), st.data())
def test_any_two_parts_glued_are_split_as_the_reference_does(
    first: bytes, second: bytes, data: st.DataObject
) -> None:
    end = data.draw(st.integers(0, len(first)))
    start = data.draw(st.integers(0, len(second)))
    raw = first[:end] + second[start:]

    assert pieces(raw) == reference.split_line(raw)


@given(lines(), st.binary(max_size=300))
def test_a_line_after_anything_that_is_no_line_is_found(line: bytes, before: bytes) -> None:
    """Such as zeros after a power cut, or the mark after a failed write."""
    assert pieces(b"#" + before + line)[-1] == (1 + len(before), len(line), True)


def test_thousands_of_random_glued_lines_are_split_as_the_reference_does() -> None:
    """Plain `random`: Hypothesis would take hours for as many."""
    dice = random.Random(20261120)
    stock = [_random_line(dice) for _ in range(300)]
    for _ in range(100_000 if FULL else 4_000):
        first, second = dice.choices(stock, k=2)
        cut, start = dice.randint(0, len(first)), dice.choice([0, 0, 0, dice.randint(0, 9)])
        raw = first[:cut] + second[start:]

        assert pieces(raw) == reference.split_line(raw), raw


def _random_line(dice: random.Random) -> bytes:
    fields = FIELDS | {"id": f"{dice.getrandbits(64):x}", "n": dice.randint(0, 10**6)}
    for key in ("agent", "target", "parent"):
        if dice.random() < 0.5:
            fields[key] = dice.choice(["haiku-1", 'a"b\\', '{"id":"', "}", "é\n"])
    if dice.random() < 0.2:
        return reference.encode_committed_line(fields, COMMIT, dice.choice([None, 70_000]))
    salt = "".join(dice.choices(BASE64URL, k=24))
    nested = {"id": "0199", "data": {"id": dice.random(), "time": FIELDS["time"]}}
    data = dice.choice([{}, 1, "}", [], nested, [nested] * 3, {"text": '{"id":"x"}' * 3, "a": []}])
    return reference.encode_line(fields, salt, json.dumps(data).encode())


_OPEN = PLAIN[: PLAIN.index(b'{"key"')]


@pytest.mark.parametrize(
    "raw",
    [
        b'{"id":"' * 700_000,
        b'{"id":"' * 700_000 + b"}",
        (b'{"id":"0199","time":"' + FIELDS["time"].encode() + b'","primitive":"') * 80_000 + b'"}',
        _OPEN * 30_000 + b"}",
        _OPEN * 30_000 + b"1" + b"}" * 30_000,
        (_OPEN + b"[") * 30_000 + b"]}" * 30_000,
        PLAIN * 25_000 + b"}",
        SEALED * 25_000 + b"}",
        b'{"id":"{"id":"' + b'\\"' * 2_500_000 + b"}",
        b'{"id":"{"id":"' + b'"\\' * 2_500_000 + b"}",
        b'{"id":"{"id":"' + b'"' * 5_000_001 + b"}",
        b'{"id":"{"id":"' + b"[]" * 2_500_000 + b"}",
        b'{"id":"{"id":"}' + b" " * 5_000_000,
        _OPEN + b"[" * 5_000_000 + b"}",
        _OPEN + b"[" * 5_000_000 + b"[]" + b"}",
        _OPEN + b"[" * 2_500_000 + b"]" * 2_500_000 + b"}",
        _OPEN + (b"[" * 150 + b"]" * 100) * 20_000 + b"}",
    ],
    ids=range(17),
)
def test_hostile_megabytes_are_one_fragment(raw: bytes) -> None:
    """Each would take hours if every place that looks like a start were tried to the end."""
    assert pieces(raw) == [(0, len(raw), False)]


def test_a_line_after_hostile_megabytes_is_found() -> None:
    for hostile in (
        b'{"id":"' * 700_000,
        (_OPEN + b"[") * 30_000,
        PLAIN * 20_000,
        PLAIN[:-1] * 20_000,
    ):
        assert pieces(hostile + PLAIN) == [
            (0, len(hostile), False),
            (len(hostile), len(PLAIN), True),
        ]


# --- sealing --------------------------------------------------------------------------------


@given(lines())
def test_the_sealed_entry_is_what_the_reference_says(raw: bytes) -> None:
    assert sealed_entry(decode_line(raw)) == reference.sealed_entry(raw)


@given(lines())
def test_an_erased_line_has_the_same_sealed_entry(raw: bytes) -> None:
    """Erasing writes the sealed entry over the line and fills up with spaces."""
    sealed = sealed_entry(decode_line(raw))
    erased = decode_line(sealed + b" " * 9)

    assert sealed_entry(erased) == sealed
    assert seal_event(erased) == erased
    assert erased.salt is None
    assert erased.data is None


@given(salts, payload_bytes())
def test_a_commitment_is_what_the_reference_says(salt: str, data: bytes) -> None:
    assert commitment(salt, data) == reference.commitment(salt, data)


@pytest.mark.parametrize("size", range(1, 201))
def test_the_sealed_entry_fits_over_the_line_for_every_size_of_payload(size: int) -> None:
    data = b"1" if size == 1 else b'"' + b"x" * (size - 2) + b'"'
    event = msgspec.structs.replace(decode_line(PLAIN), payload=msgspec.Raw(data))

    raw = encode_event(event)

    assert len(sealed_entry(event)) <= len(raw)
    assert raw.endswith(b" ") == (size < 13)
    assert raw == with_data(data)

"""Lines decoded many at once are what each is by itself."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import reference
from tests.strategies import lines, mutations
from whence.errors import CorruptError
from whence.event import Event
from whence.journal.batch import decode_batch
from whence.line import decode_line


def decoded(raw: bytes) -> Event | None:
    try:
        return decode_line(raw)
    except CorruptError:
        return None


def make_line(data: bytes = b'{"a":1,"b":[2,3]}', salt: str = "s" * 24, **fields: object) -> bytes:
    envelope = {
        "id": "id-1",
        "time": "2026-11-20T19:27:35.104233123Z",
        "primitive": "ops",
        "type": "step",
        "w": "w" * 12,
        "n": 1,
        **fields,
    }
    return reference.encode_line(envelope, salt, data)


PLAIN = make_line()


@given(st.lists(lines() | mutations().filter(lambda raw: b"\n" not in raw), max_size=5))
def test_no_line_is_vouched_for_that_is_no_event(raws: list[bytes]) -> None:
    for raw, event in zip(raws, decode_batch(raws), strict=True):
        assert event is None or event == decoded(raw)


@given(st.lists(lines(), min_size=1, max_size=5))
def test_usual_lines_are_vouched_for_whatever_stands_beside_them(raws: list[bytes]) -> None:
    usual = [PLAIN, make_line(b"[" + b"1," * 300 + b"1]"), make_line(b"1") + b" " * 12]

    assert decode_batch([*usual, *raws])[:3] == [decode_line(raw) for raw in usual]


@pytest.mark.parametrize(
    "odd",
    [
        b"",
        PLAIN[:-1],
        PLAIN + PLAIN,
        PLAIN.replace(b"[2,3]", b"[2,3"),
        PLAIN.replace(b'"n":1', b'"n": 1'),
        make_line(b'{"a":\r1}'),
        make_line(b'{"a":"\xff"}'),
        make_line(b"[" * 201 + b"1" + b"]" * 201),
        make_line(time="2026-02-30T19:27:35.104233123Z"),
        make_line(time="0000-01-01T19:27:35.104233123Z"),
        make_line(time="2026-11-20T24:27:35.104233123Z"),
        make_line(time="2026-11-20T19:27:35.10423312３Z"),
        make_line(time="2026-11-20T19:27:35.104233123Z\n"),
        make_line(w="w" * 11),
        make_line(w="W" * 12),
        make_line(salt="s" * 23),
        make_line(salt="s" * 23 + "="),
        make_line(id=""),
        make_line(id="x" * 129),
        make_line(n=-1),
        make_line(n=2**63),
        make_line(duration=-1),
        make_line(agent="x" * 65_000),
        PLAIN[:-1] + b',"blob":70000}',
        PLAIN[:-1] + b',"commit":"' + b"c" * 43 + b'"}',
    ],
)
def test_what_is_no_event_is_left_to_the_judge(odd: bytes) -> None:
    assert decoded(odd) is None

    first, found, last = decode_batch([PLAIN, odd, make_line(n=2)])

    assert found is None
    assert (first, last) in [(None, None), (decoded(PLAIN), decoded(make_line(n=2)))]


def test_lines_without_their_payload_hold_up_no_others() -> None:
    erased = reference.encode_committed_line(
        msgspec.json.decode(PLAIN.partition(b',"salt"')[0] + b"}"), "c" * 43, None
    )

    assert decode_batch([PLAIN, erased + b" " * 9]) == [decode_line(PLAIN), None]


def test_a_line_break_within_a_payload_makes_no_event_of_two_lines() -> None:
    raw = make_line(b"[1,2]")
    cut = raw.index(b"1,") + 2

    assert decode_batch([raw[:cut], raw[cut:]]) == [None, None]
    assert decode_batch([raw[:cut], raw[cut:], PLAIN]) == [None, None, None]

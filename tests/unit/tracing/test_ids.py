import hashlib
import os
import uuid

from hypothesis import given
from hypothesis import strategies as st

from whence.recorder.ids import IdMaker
from whence.tracing.ids import is_span_id, is_trace_id, join, span_id_of, split, trace_id_of

_HEX = "0123456789abcdef"
_TRACES = st.text(_HEX, min_size=32, max_size=32).filter(is_trace_id)
_SPANS = st.text(_HEX, min_size=16, max_size=16).filter(is_span_id)
_IDS = st.one_of(
    st.text(min_size=1, max_size=128),
    st.uuids(allow_nil=True).map(str),
    st.text(_HEX + "-", min_size=1, max_size=50),
    _TRACES,
    _SPANS,
    st.sampled_from(["0" * 32, "0" * 16, "0" * 32 + "-" + "0" * 16, "\ud800", "A" * 32]),
)


@given(event_id=_IDS)
def test_every_id_has_valid_digits_always_the_same(event_id: str) -> None:
    assert is_trace_id(trace_id_of(event_id))
    assert is_span_id(span_id_of(event_id))
    assert trace_id_of(event_id) == trace_id_of(event_id)


@given(event_id=_IDS)
def test_digits_stand_for_themselves(event_id: str) -> None:
    """What comes back from others as their id is the id we gave."""
    trace_id, span_id = trace_id_of(event_id), span_id_of(event_id)

    assert trace_id_of(trace_id) == trace_id
    assert span_id_of(span_id) == span_id
    assert trace_id_of(join(trace_id, span_id)) == trace_id
    assert span_id_of(join(trace_id, span_id)) == span_id


@given(trace_id=_TRACES, span_id=_SPANS)
def test_joined_ids_split_again(trace_id: str, span_id: str) -> None:
    assert split(join(trace_id, span_id)) == (trace_id, span_id)


@given(time_ns=st.integers(0, 2**62))
def test_our_own_ids_keep_their_digits(time_ns: int) -> None:
    event_id = IdMaker(os.urandom).make(time_ns)

    assert trace_id_of(event_id) == uuid.UUID(event_id).hex
    assert span_id_of(event_id) == uuid.UUID(event_id).hex[16:]


def test_no_two_events_of_a_process_share_digits() -> None:
    make = IdMaker(os.urandom).make
    ids = [make(1_700_000_000_000_000_000) for _ in range(20_000)]

    assert len({span_id_of(event_id) for event_id in ids}) == len(ids)


def test_ids_that_name_a_machine_are_not_cut() -> None:
    """The last digits of a UUIDv1 are the same for all of a machine."""
    first, second = uuid.uuid1(node=7, clock_seq=1), uuid.uuid1(node=7, clock_seq=1)

    assert span_id_of(str(first)) != span_id_of(str(second))


def test_other_ids_give_their_sha_256() -> None:
    digest = hashlib.sha256(b"alt_1705180800_a3f2").hexdigest()

    assert trace_id_of("alt_1705180800_a3f2") == digest[:32]
    assert span_id_of("alt_1705180800_a3f2") == digest[:16]


def test_what_is_only_alike_is_not_split() -> None:
    for text in ("", "-", "a" * 32, f"{'a' * 32}-{'0' * 16}", f"{'A' * 32}-{'b' * 16}", "ab-cd"):
        assert split(text) is None

"""Headers are read and written as W3C's specifications have it, and nothing in one raises."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import ids, texts
from whence.recorder.headers import (
    Entry,
    TraceParent,
    format_baggage,
    format_traceparent,
    format_tracestate,
    is_key,
    ours_in,
    parse_baggage,
    parse_traceparent,
    parse_tracestate,
    with_ours,
)

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"

pieces = st.lists(
    st.sampled_from(
        [TRACE, PARENT, "00", "01", "cc", "ff", "-", "--", "=", ",", ";", "%", "%2", "%ff", "whence", "a",
         "B", " ", "\t", "\n", "0" * 32, "0" * 16, "x" * 256, "é", "\ud800", '"', "\\", "@", "\x00"]
    ),
    max_size=12,
).map("".join)  # fmt: skip
headers = pieces | st.text(max_size=60)


# --- traceparent ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "is_sampled"),
    [
        (f"00-{TRACE}-{PARENT}-01", True),
        (f"00-{TRACE}-{PARENT}-00", False),
        (f"00-{TRACE}-{PARENT}-09", True),
        (f"00-{TRACE}-{PARENT}-08", False),
        (f" 00-{TRACE}-{PARENT}-01\t", True),
        # Later versions: the known fields, and whatever follows a dash.
        (f"cc-{TRACE}-{PARENT}-01", True),
        (f"cc-{TRACE}-{PARENT}-01-what-the-future-will-be-like", True),
        (f"cc-{TRACE}-{PARENT}-01-", True),
    ],
)
def test_a_traceparent_says_where_the_sender_was(text: str, is_sampled: bool) -> None:
    assert parse_traceparent(text) == TraceParent(TRACE, PARENT, is_sampled)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "00",
        f"00-{TRACE}-{PARENT}",
        f"00-{TRACE}-{PARENT}-",
        f"00-{TRACE}-{PARENT}-1",
        f"00-{TRACE}-{PARENT}-0x",
        f"00-{TRACE}-{PARENT}-01-",
        f"00-{TRACE}-{PARENT}-01-more",
        f"cc-{TRACE}-{PARENT}-01.more",
        f"cc-{TRACE}-{PARENT}-011",
        f"ff-{TRACE}-{PARENT}-01",
        f"0-{TRACE}-{PARENT}-01",
        f"000-{TRACE}-{PARENT}-01",
        f"0.-{TRACE}-{PARENT}-01",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{PARENT}-01",
        f"00-{TRACE}-{PARENT.upper()}-01",
        f"00-{TRACE[:-1]}-{PARENT}-01",
        f"00-{TRACE}0-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-01\n",
        f"00-{TRACE}-{PARENT}-٠١",
    ],
)
def test_what_is_no_traceparent_was_not_sent(text: str) -> None:
    assert parse_traceparent(text) is None


@given(headers)
def test_a_traceparent_that_is_read_is_written_as_version_00(text: str) -> None:
    found = parse_traceparent(text)
    if found is not None:
        assert parse_traceparent(format_traceparent(found)) == found
        assert len(format_traceparent(found)) == 55


# --- tracestate -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "members"),
    [
        ("", ()),
        (" , ,\t,", ()),
        ("foo=1", (("foo", "1"),)),
        ("foo=1,bar=2,", (("foo", "1"), ("bar", "2"))),
        ("foo=1, \t bar=2 ", (("foo", "1"), ("bar", "2"))),
        ("foo=  1", (("foo", "  1"),)),
        ("1@a-b_c*d/e=~ !", (("1@a-b_c*d/e", "~ !"),)),
        (f"{'z' * 256}={'x' * 256}", (("z" * 256, "x" * 256),)),
    ],
)
def test_a_tracestate_holds_members_in_their_order(
    text: str, members: tuple[tuple[str, str], ...]
) -> None:
    assert parse_tracestate(text) == members


@pytest.mark.parametrize(
    "broken",
    [
        "foobarbaz", "foo=", "=1", "FOO=1", "@foo=1", "foo =1", "foo=bar=baz", "foo.bar=1", "foo=1;bar=2\x7f",
        "foo=é", f"{'z' * 257}=1", f"foo={'x' * 257}", "foo=1,foo=2", "foo=1\n",
    ],
)  # fmt: skip
def test_a_tracestate_with_a_broken_member_was_not_sent(broken: str) -> None:
    assert parse_tracestate(f"good=1,{broken}") == ()


def test_a_tracestate_has_at_most_32_members() -> None:
    text = ",".join(f"bar{number:02d}={number:02d}" for number in range(1, 33))

    assert len(parse_tracestate(text)) == 32
    assert parse_tracestate(f"{text},bar33=33") == ()
    full = with_ours(parse_tracestate(text), "id")
    written = parse_tracestate(format_tracestate(full))
    assert written == (("whence", "id"), *parse_tracestate(text)[:-1])


def test_our_member_moves_to_the_front_and_the_others_keep_their_order() -> None:
    members = parse_tracestate("rojo=1,whence=old,congo=2")

    assert format_tracestate(with_ours(members, "new")) == "whence=new,rojo=1,congo=2"


@given(ids, headers)
def test_a_whole_id_goes_through_a_tracestate(event_id: str, others: str) -> None:
    members = with_ours(parse_tracestate(others), event_id)
    sent = parse_tracestate(format_tracestate(members))

    assert sent == members[:32]
    # Three characters for each byte that cannot stand there.
    assert ours_in(sent) == event_id or (ours_in(sent) is None and len(event_id.encode()) > 85)


@given(headers)
def test_nothing_in_a_tracestate_raises(text: str) -> None:
    members = parse_tracestate(text)
    assert parse_tracestate(format_tracestate(members)) == members
    found = ours_in(members)
    assert found is None or 0 < len(found.encode()) <= 128


@pytest.mark.parametrize("value", ["%ff", "%c3", "x" * 129])
def test_what_is_no_id_is_not_taken_for_one(value: str) -> None:
    assert ours_in((("whence", value),)) is None


# --- baggage ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "entries"),
    [
        ("", []),
        ("SomeKey=SomeValue", [("SomeKey", "SomeValue", "")]),
        ("userId=alice,serverNode=DF%2028", [("userId", "alice", ""), ("serverNode", "DF 28", "")]),
        ("k=v=equals", [("k", "v=equals", "")]),
        ("k=", [("k", "", "")]),
        ("k \t = \t v \t ; \t p \t , \t k2=v2;p = q", [("k", "v", ";p"), ("k2", "v2", ";p = q")]),
        ("k=1,k=2", [("k", "1", ""), ("k", "2", "")]),
        ("k=%09%20%22%27%3B%3D%c3%a9", [("k", "\t \"';=é", "")]),
        ("k=%ff%2", [("k", "\ufffd%2", "")]),
        # What is broken is left out alone.
        ("good=1,bad,=2,b ad=3,bad=\x00,bad=é,bad=1;;,bad=1;=,good=2", [("good", "1", ""), ("good", "2", "")]),
    ],
)  # fmt: skip
def test_a_baggage_holds_values_with_properties(
    text: str, entries: list[tuple[str, str, str]]
) -> None:
    assert [*parse_baggage(text)] == entries


keys = st.from_regex(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,12}", fullmatch=True)
entries = st.builds(Entry, keys, texts, st.sampled_from(["", ";p", ";p=1;q"]))


@given(st.lists(entries, max_size=8))
def test_a_baggage_comes_back_as_it_was(entries: list[Entry]) -> None:
    assert [*parse_baggage(format_baggage(entries))] == entries


@given(headers)
def test_nothing_in_a_baggage_raises(text: str) -> None:
    found = parse_baggage(text)
    assert parse_baggage(format_baggage(found)) == found
    assert all(is_key(entry.key) for entry in found)


def test_of_a_baggage_64_members_and_8192_bytes_are_passed_on_and_no_more() -> None:
    many = [Entry(f"key{number}", "value") for number in range(64)]
    assert len(parse_baggage(format_baggage(many))) == 64
    assert len(format_baggage([Entry("a", "0123456789" * 819)])) == 8192
    assert format_baggage([Entry("a", "0123456789" * 819 + "0")]) == ""
    assert len(format_baggage([Entry(f"{n:03d}", "0123456789a") for n in range(1_000)])) <= 8192
    assert len(parse_baggage(format_baggage([Entry("a", "")] * 1_000))) == 180


def test_a_baggage_without_end_is_read_as_far_as_whole_members_go() -> None:
    text = f"a={'1' * 40_000},b={'2' * 40_000}"
    assert [entry.key for entry in parse_baggage(text)] == ["a"]


def test_a_value_that_no_header_can_hold_is_sent_as_far_as_it_goes() -> None:
    assert format_baggage([Entry("k", "a\ud800b")]) == "k=a?b"

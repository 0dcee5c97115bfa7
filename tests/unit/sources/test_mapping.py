"""What a mapping says, and rows read by it."""

from operator import methodcaller
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whence.errors import CorruptError
from whence.query import event_as_json
from whence.sources.mapping import MappingError, decode_maps, split_template
from whence.sources.rows import Key, Reader, join_id, render_id, split_id, stored_forms
from whence.sources.source import Relation, SourceEvent

_WHERE = "[[source]] shop.db"
_TEXTS = st.text(min_size=1, max_size=8)


def tell(row: dict[str, Any], **options: Any) -> SourceEvent:
    [mapping] = decode_maps({"time": "at", "unit": "s", **options}, _WHERE)
    reader = Reader(
        mapping,
        source="shop",
        primitive="orders",
        getter=lambda column: methodcaller("get", column),
        now_ns=0,
    )
    key = reader.key({"at": 0, **row}, "shop:1")
    assert isinstance(key, Key), key
    return reader.event({"at": 0, **row}, key)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tabel": "orders", "time": "at"}, "key `tabel` is unknown; did you mean `table`?"),
        ({"table": "orders"}, "table orders has no `time`, want the column that says when"),
        ({"table": "orders", "time": 3}, "table orders: `time`: expected `str`, got `int`"),
        ({"time": "at", "unit": "sec"}, "`unit`: 'sec' is unknown, want one of iso, s, ms, us, ns, julian"),
        ({"time": "at", "agent": {"if": "x"}}, "unknown field"),
        ({"time": "at", "zone": "Mars"}, "zone 'Mars' is unknown"),
        ({"time": "at", "text": "{who"}, "text '{who': expected '}'"),
        ({"time": "at", "text": "{who!r}"}, "with nothing after it"),
        ({"time": "at", "statuses": {"done": "fine"}}, "want one of success, error, blocked"),
        ({"time": "at", "id": ""}, "`id` is empty, want a column"),
        ({"map": {}}, "`map` is no list of tables"),
        ({"map": [{"time": "at"}], "time": "at"}, "`time` stands beside [[source.map]]"),
    ],
)  # fmt: skip
def test_a_wrong_mapping_is_refused_with_its_key(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as caught:
        decode_maps(options, _WHERE)

    assert str(caught.value).startswith(_WHERE)
    assert message in str(caught.value)


def test_a_mapping_that_does_not_fit_is_wrong_use_and_a_store_that_is_not_as_said() -> None:
    assert issubclass(MappingError, ValueError)
    assert issubclass(MappingError, CorruptError)


def test_every_part_of_an_event_can_be_mapped() -> None:
    row = {"n": 7, "who": "zealot-1", "on": "#payments", "up": 6, "what": "s", "took": 1.5,
           "end": "done", "old": 3, "more": [1]}  # fmt: skip

    event = tell(
        row, id="n", agent="who", target="on", parent="up", type="what", types={"s": "sold"},
        primitive={"is": "shop"}, duration="took", duration_unit="s", status="end",
        statuses={"done": "success"}, relations={"old": "supersedes"},
        text="{who} {type} {on} for {price}: {{{more}}}",
    )  # fmt: skip

    assert (event.id, event.agent, event.target, event.parent) == ("7", "zealot-1", "payments", "6")
    assert (event.primitive, event.type, event.status) == ("shop", "sold", "success")
    assert event.duration == 1_500_000_000
    assert event.relations == (Relation("supersedes", "3"),)
    assert event.inferred == ()
    text = "zealot-1 s #payments for ?: {[1]}"
    assert event.data == {"old": 3, "more": [1], "text": text.replace(" s ", " sold ")}


def test_what_is_not_told_elsewhere_is_in_the_payload() -> None:
    event = tell({"who": 1.5, "state": "odd", "text": "own", "gone": None, "pic": b"\0" * 65},
                 agent="who", status="state", text="ours")  # fmt: skip

    assert event.agent is None
    assert event.status is None
    assert event.inferred == ("type",)
    assert event.data == {
        "who": 1.5,
        "state": "odd",
        "text_": "own",
        "text": "ours",
        "pic": "00" * 64 + "…",
    }


def test_a_text_without_a_zone_is_inferred_unless_somebody_vouches_for_it() -> None:
    keys: dict[str, Any] = {"unit": "iso", "type": {"is": "x"}}

    assert tell({"at": "2026-01-01 00:00"}, **keys).inferred == ("time",)
    assert tell({"at": "2026-01-01 00:00"}, zone="local", **keys).inferred == ("time",)
    assert tell({"at": "2026-01-01 00:00"}, zone="UTC", **keys).inferred == ()
    assert tell({"at": "2026-01-01 00:00Z"}, **keys).inferred == ()


@given(st.lists(_TEXTS, min_size=1, max_size=3), st.none() | _TEXTS)
def test_an_id_says_which_parts_it_is_made_of(parts: list[str], prefix: str | None) -> None:
    assert split_id(join_id(prefix, parts), prefix, len(parts)) == parts


@given(st.text() | st.integers(-(2**63), 2**63 - 1) | st.binary())
def test_a_store_can_be_asked_for_every_id(value: Any) -> None:
    text = render_id(value)

    assert text is None or value in stored_forms(text)


_VALUES = st.none() | st.text() | st.integers() | st.floats() | st.binary() | st.booleans()


@given(st.dictionaries(st.sampled_from(["a", "b", "c", "d", "text"]), _VALUES))
def test_whatever_a_row_holds_its_event_can_be_written(row: dict[str, Any]) -> None:
    event = tell(row, agent="a", target="b", type="c", status="d", duration="a", text="{a}{b}")

    assert msgspec.json.decode(msgspec.json.encode(event_as_json(event)))


@given(st.text())
def test_a_template_is_split_or_refused(text: str) -> None:
    try:
        parts = split_template(text)
    except ValueError:
        return
    names = [name for _, name in parts if name]
    assert all(name in text for name in names)

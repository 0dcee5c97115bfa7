"""How ids and times are packed."""

import sqlite3

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.index.lines import make_id
from whence.index.schema import ID, INT_MAX, INT_MIN, TICK, join_id, split_id, tick


@given(ms=st.integers(0, 2**48 - 1), rest=st.binary(min_size=10, max_size=10))
def test_an_id_of_our_form_comes_back(ms: int, rest: bytes) -> None:
    event_id = join_id(ms * 1_000_000, rest)

    assert split_id(event_id) == (ms, rest)


@given(text=st.text())
def test_any_other_id_is_kept_as_it_is(text: str) -> None:
    split = split_id(text)

    assert split is None or join_id(split[0] * 1_000_000, split[1]) == text
    assert join_id(0, text) == text


def test_an_id_in_capitals_is_not_of_our_form() -> None:
    assert split_id(make_id(10**18, 0xABC).upper()) is None


@given(time=st.integers(INT_MIN, INT_MAX), rest=st.binary(min_size=10, max_size=10) | st.text())
def test_sql_computes_ids_and_ticks_as_python_does(time: int, rest: bytes | str) -> None:
    if isinstance(rest, bytes):
        time = abs(time) // 2
    elif "\0" in rest:
        return
    db = sqlite3.connect(":memory:")
    statement = f"SELECT {ID.format(e='e')}, {TICK} FROM (SELECT ? AS time, ? AS rest) e"

    found = db.execute(statement, (time, rest)).fetchone()

    db.close()
    assert found == (join_id(time, rest), tick(time))

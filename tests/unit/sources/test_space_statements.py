"""Windows of time, from which the statements of a swarm's store are made."""

import sqlite3
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tests.contract.sources.space_case import DOCUMENT
from whence.sources.space.clocks import NS_PER_DAY, looks_like_uuid7
from whence.sources.space.eras import find_tables
from whence.sources.space.feeds import make_feeds
from whence.sources.space.statements import Window, select_plain, split

TIMES = st.integers(-(2**62), 2**62) | st.integers(0, 1000).map(lambda days: days * NS_PER_DAY)
NEVER = 2**70


@given(
    since=st.none() | TIMES, until=st.none() | TIMES, ends=st.tuples(TIMES, TIMES),
    newest=st.booleans(),
)  # fmt: skip
def test_windows_are_the_whole_in_order_without_gap_or_overlap(
    since: int | None, until: int | None, ends: tuple[int, int], newest: bool
) -> None:
    windows = split(Window(since, until), min(ends), max(ends), newest=newest)
    if newest:
        windows.reverse()

    assert (windows[0].since, windows[-1].until) == (since, until)
    for one, other in pairwise(windows):
        assert one.until == other.since is not None
    inner = [window.until for window in windows[:-1] if window.until is not None]
    assert inner == sorted(set(inner))
    for cut in inner:
        assert (-NEVER if since is None else since) < cut < (NEVER if until is None else until)


@given(text=st.text(alphabet="07-a\U0001f600", max_size=40) | st.just("0" * 14 + "7" + "0" * 21))
def test_sqlite_and_we_agree_on_what_looks_like_a_uuid7(text: str) -> None:
    """Otherwise a row would come twice, or never."""
    with sqlite3.connect(":memory:") as database:
        database.executescript(DOCUMENT["ops"])
        database.execute("INSERT INTO tasks (id) VALUES (?)", (text,))
        tables, _ = find_tables(
            {"tasks": tuple(row[1] for row in database.execute("PRAGMA table_info(tasks)"))}
        )
        statement = select_plain(make_feeds("ops.db", tables)[0])
        found = database.execute(statement.sql, statement.parameters).fetchone()
    database.close()

    assert (found is None) == looks_like_uuid7(text)

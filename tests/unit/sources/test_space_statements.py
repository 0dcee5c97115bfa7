"""Windows of time, from which the statements of a swarm's store are made."""

import sqlite3
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.contract.sources.space_case import DOCUMENT
from whence.sources.space.clocks import NS_PER_DAY, looks_like_uuid7
from whence.sources.space.eras import find_tables
from whence.sources.space.feeds import make_feeds
from whence.sources.space.reading import Clock
from whence.sources.space.statements import (
    FUNCTION,
    Window,
    select_plain,
    split,
    true_time,
    zones_key,
)

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


STORED = (
    st.integers(-(2**63), 2**63 - 1)
    | st.integers(0, 10**10)
    | st.floats()
    | st.none()
    | st.binary(max_size=20)
    | st.datetimes().map(lambda moment: moment.isoformat(" ", "seconds"))
    | st.datetimes().map(lambda moment: moment.isoformat())
    | st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-9]{2}", fullmatch=True)
    | st.from_regex(r"(19|20)[0-9]{2}-02-(28|29|30) (23|24):(59|60):(59|60)", fullmatch=True)
    | st.text(alphabet="0123456789-: T.Z+", max_size=30)
)
TASKS = "id parent_id description assigned_to status created_at completed_at".split()
LATE_TASKS = ["creator_id", *TASKS]


@pytest.mark.parametrize("columns", [TASKS, LATE_TASKS], ids=["utc", "local"])
@pytest.mark.parametrize("affinity", ["", "TEXT", "INTEGER"])
@example(created="2000-02-30 00:00:00", completed="2001-02-29 23:59:59")
@given(created=STORED, completed=STORED)
def test_sqlite_tells_a_time_as_we_do(
    columns: list[str], affinity: str, created: object, completed: object
) -> None:
    """Where it can tell one at all: what it leaves to us is the same by itself."""
    tables, _ = find_tables({"tasks": tuple(columns)})
    with sqlite3.connect(":memory:") as database:
        database.create_function(FUNCTION, 5, Clock().find_ns)
        database.create_function("never", 5, lambda *_: None)
        database.execute(f"CREATE TABLE tasks ({f' {affinity}, '.join(columns)} {affinity})")
        database.execute(
            "INSERT INTO tasks (id, created_at, completed_at) VALUES ('task-1', ?, ?)",
            (created, completed),
        )
        for feed in make_feeds("ops.db", tables):
            told = true_time(feed)
            function = told[told.index(FUNCTION) : -1]
            theirs, alone, ours = (
                database.execute(f"SELECT {sql} FROM tasks AS r", (zones_key(feed),)).fetchone()
                for sql in (told, told.replace(FUNCTION, "never"), function)
            )

            assert theirs == ours
            assert alone in ((None,), ours)
    database.close()

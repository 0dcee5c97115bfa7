"""SQL over the index: the seed's schema, payloads read through, and nothing but reading."""

import json
import signal
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.index.lines import BASE_NS, append, make_id, make_line, open_index
from whence.errors import StoreError
from whence.index import Index

SEED_COLUMNS = (
    "id timestamp primitive event_type agent_id target_id parent_event_id metadata".split()
)
FIRST, SECOND, GONE = (make_id(BASE_NS, n) for n in (0, 1, 99))


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    append(
        tmp_path,
        [
            make_line(0, type="wake", agent="zealot-1", parent=GONE, data={"keys": [1, "ü"]}),
            make_line(1, type="send", target="payments", parent=FIRST, data=None),
            make_line(2, id="imported/7", time=-1),
        ],
    )
    with open_index(tmp_path) as opened:
        yield opened


def test_events_is_the_seeds_schema_with_its_payloads(index: Index) -> None:
    columns, rows = index.sql("SELECT * FROM events ORDER BY timestamp DESC, id")
    found = list(rows)

    seconds = BASE_NS // 10**9
    assert columns == SEED_COLUMNS
    assert found == [
        (FIRST, seconds, "ops", "wake", "zealot-1", None, GONE, '{"keys":[1,"ü"]}'),
        (SECOND, seconds, "ops", "send", None, "payments", FIRST, "null"),
        ("imported/7", -1, "ops", "note", None, None, None, "null"),
    ]


def test_payloads_can_be_searched_as_json(index: Index) -> None:
    _, rows = index.sql("SELECT id FROM events WHERE json_extract(metadata, '$.keys[0]') = ?", (1,))

    assert list(rows) == [(FIRST,)]


def test_any_sqlite_tool_can_browse_the_file_without_payloads(index: Index, tmp_path: Path) -> None:
    index.close()
    db = sqlite3.connect(tmp_path / "index.sqlite")
    cursor = db.execute("SELECT * FROM events ORDER BY timestamp DESC, id")
    columns, rows = [column[0] for column in cursor.description], cursor.fetchall()
    db.close()

    assert columns == SEED_COLUMNS
    assert [row[0] for row in rows] == [FIRST, SECOND, "imported/7"]
    assert {row[7] for row in rows} == {None}


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM entries",
        "INSERT INTO agents (name) VALUES ('x') RETURNING number",
        "CREATE TABLE mine (x)",
        "CREATE TEMP TABLE mine (x)",
        "DROP VIEW events",
        "ATTACH '/etc/passwd' AS other",
        "ATTACH ':memory:' AS other",
        "VACUUM INTO '/tmp/copy.sqlite'",
        "PRAGMA query_only = off",
        "PRAGMA journal_mode = delete",
        "PRAGMA writable_schema = on",
        "SELECT load_extension('x')",
        "BEGIN IMMEDIATE",
        "SELECT 1; DELETE FROM entries",
        "SELEC 1",
        "",
    ],
)
def test_a_statement_that_does_more_than_read_is_refused(index: Index, statement: str) -> None:
    with pytest.raises(ValueError):
        list(index.sql(statement)[1])

    assert list(index.sql("SELECT count(*) FROM events")[1]) == [(3,)]


def test_an_error_while_rows_are_read_is_a_value_error(index: Index) -> None:
    text = "CASE event_type WHEN 'note' THEN 'x' ELSE '1' END"
    many = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 1000)"
    _, rows = index.sql(f"{many} SELECT json_extract(iif(x < 900, '1', 'x'), '$') FROM n")

    assert next(rows) == (1,)
    with pytest.raises(ValueError, match="malformed"):
        list(rows)
    with pytest.raises(ValueError, match="malformed"):
        list(index.sql(f"SELECT json_extract({text}, '$') FROM events")[1])


def test_the_tables_can_be_looked_at(index: Index) -> None:
    assert list(index.sql("SELECT name FROM agents")[1]) == [("zealot-1",)]
    assert "entries" in {row[1] for row in index.sql("PRAGMA table_list")[1]}


def test_a_payload_that_is_gone_is_null(index: Index, tmp_path: Path) -> None:
    segment = tmp_path / "journal/2026-09-21.0000.jsonl"
    raw = segment.read_bytes()
    first = raw.index(b"\n")
    segment.write_bytes(b"x" * first + raw[first:])

    _, rows = index.sql("SELECT metadata FROM events WHERE id = ?", (FIRST,))

    assert list(rows) == [(None,)]


def test_a_long_statement_can_be_interrupted(index: Index) -> None:
    timer = threading.Timer(0.2, signal.raise_signal, [signal.SIGINT])
    timer.start()
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x) FROM n"

    with pytest.raises(KeyboardInterrupt):
        list(index.sql(endless)[1])
    timer.join()


def break_entries(index: Index, end: int) -> None:
    """Overwrite the end of the file while it is open, as a failing disk does."""
    index._connection().execute("PRAGMA wal_checkpoint(TRUNCATE)")
    raw = index.path.read_bytes()
    index.path.write_bytes(raw[:end] + bytes(len(raw) - end))


def test_a_broken_index_costs_no_answer(index: Index) -> None:
    break_entries(index, 4096)

    assert list(index.sql("SELECT id FROM events ORDER BY id")[1]) == [
        (FIRST,), (SECOND,), ("imported/7",),
    ]  # fmt: skip


def test_an_index_that_breaks_as_rows_are_read_is_made_anew(tmp_path: Path) -> None:
    append(tmp_path, [make_line(n) for n in range(3000)])
    with open_index(tmp_path) as index:
        statement = "SELECT seq, rest FROM entries NOT INDEXED"
        break_entries(index, 120_000)
        _, rows = index.sql(statement)
        assert next(rows)[0] == 1
        with pytest.raises(StoreError, match="ask again"):
            list(rows)

        index.catch_up()
        assert len(list(index.sql(statement)[1])) == 3000


def test_metadata_is_the_payload_as_the_line_holds_it(index: Index) -> None:
    _, rows = index.sql("SELECT metadata FROM events WHERE id = ?", (FIRST,))

    assert json.loads(next(rows)[0]) == {"keys": [1, "ü"]}

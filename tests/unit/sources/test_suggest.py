"""Mappings proposed by looking at a store: they load as they are, and say why."""

import json
import sqlite3
import tomllib
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from whence.errors import CorruptError, StoreError
from whence.sources.registry import open_all, parse_tables
from whence.sources.source import Source
from whence.sources.suggest import suggest


def write(path: Path, *statements: str) -> Path:
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)
    return path


def load(text: str) -> dict[str, Any]:
    [table] = tomllib.loads(text)["source"]
    return dict(table)


def open_suggested(text: str) -> Source:
    [source] = open_all(parse_tables(tomllib.loads(text)["source"], Path()))
    return source


def test_tables_are_mapped_by_names_values_and_keys(tmp_path: Path) -> None:
    path = write(
        tmp_path / "shop.db",
        "CREATE TABLE shop (id TEXT PRIMARY KEY, place TEXT)",
        "CREATE TABLE task (id TEXT PRIMARY KEY, parent_id TEXT REFERENCES task, assigned_to TEXT,"
        " created_at INTEGER, status TEXT, durationMs INTEGER)",
        "CREATE TABLE message (channel_id TEXT, number INTEGER, task TEXT REFERENCES task(id),"
        " author TEXT, at TEXT, PRIMARY KEY (channel_id, number))",
        "INSERT INTO task VALUES ('t1', NULL, 'a', 1795000000123, 'done', 5)",
        "INSERT INTO message VALUES ('c', 1, 't1', 'a', '2026-11-20 10:00:00')",
    )

    text = suggest(path)

    message, task = load(text)["map"]
    assert task == {
        "table": "task", "id": "id", "time": "created_at", "unit": "ms", "parent": "parent_id",
        "agent": "assigned_to", "target": "id", "status": "status",
        "statuses": {"done": "success"}, "duration": "durationMs", "duration_unit": "ms",
    }  # fmt: skip
    assert message == {
        "table": "message", "id": ["channel_id", "number"], "time": "at", "zone": "UTC",
        "agent": "author", "target": "task",
        "relations": {"task": {"reason": "task", "table": "task"}},
    }  # fmt: skip
    assert "# Left out, since no column says when: shop" in text
    assert "# in this unit its numbers are times of our days" in text
    source = open_suggested(text)
    assert [event.id for event in source.events()] == ["task:t1", "message:c:1"]
    assert [tie.event.id for tie in source.effects(next(source.events()))] == ["message:c:1"]


@pytest.mark.parametrize(
    ("value", "unit"),
    [("1795000000", "s"), ("1795000000.5", "s"), ("1795000000000", "ms"), ("1795000000000000", "us"),
     ("1795000000000000000", "ns"), ("2461365.5", "julian"), ("'2026-11-20T10:00:00Z'", "iso")],
)  # fmt: skip
def test_the_unit_is_that_in_which_the_values_are_times_of_our_days(
    tmp_path: Path, value: str, unit: str
) -> None:
    path = write(tmp_path / "t.db", "CREATE TABLE t (ts, n)", f"INSERT INTO t VALUES ({value}, 1)")

    [table] = load(suggest(path))["map"]

    assert table.get("unit", "iso") == unit
    assert "zone" not in table


def test_lines_are_mapped_by_their_keys(tmp_path: Path) -> None:
    path = tmp_path / "steps.jsonl"
    rows = [
        {"id": n, "meta": {"createdAt": 1795000000 + n, "user": {"name": "a"}}} for n in range(3)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))

    text = suggest(path)

    table = load(text)
    assert (table["id"], table["time"], table["unit"]) == ("id", "meta.createdAt", "s")
    assert open_suggested(text).health().events == 3


def test_lines_of_a_built_in_format_are_recognised(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    row = {"event_id": "x", "timestamp": "2026-01-01T00:00:00Z", "event_type": "t", "data": {}}
    path.write_text(json.dumps(row) + "\n")

    assert load(suggest(path))["format"] == "learning"


def test_what_says_no_time_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"a": 1}\n')
    write(tmp_path / "a.db", "CREATE TABLE t (a)", "INSERT INTO t VALUES (5)")

    for name in ("a.jsonl", "a.db"):
        with pytest.raises(CorruptError, match="when"):
            suggest(tmp_path / name)
    with pytest.raises(StoreError, match="is not there"):
        suggest(tmp_path / "none.db")


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (bytes(range(256)) * 20, "neither a SQLite database nor JSON lines"),
        (b"root:x:0:0:root:/root:/bin/bash\n" * 3, "neither a SQLite database nor JSON lines"),
        (b"[1, 2]\n3\n", "neither a SQLite database nor JSON lines"),
        (b"", "is empty"),
    ],
)
def test_what_is_no_store_is_called_that(data: bytes, problem: str, tmp_path: Path) -> None:
    (tmp_path / "what").write_bytes(data)

    with pytest.raises(CorruptError, match=problem):
        suggest(tmp_path / "what")


def test_a_folder_is_called_a_folder(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is a folder: name a database or a file of JSON lines"):
        suggest(tmp_path)


_NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12)
_SPOKEN = st.sampled_from(
    ["id", "created_at", "parent_id", "agent", "status", "type", "duration_ms"]
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(_NAMES, st.lists(_NAMES | _SPOKEN, min_size=1, unique_by=str.casefold), st.booleans())
def test_whatever_things_are_called_what_is_proposed_loads(
    tmp_path: Path, table: str, columns: list[str], has_key: bool
) -> None:
    def quote(name: str) -> str:
        return '"' + name.replace('"', '""') + '"'

    path = tmp_path / "odd.db"
    path.unlink(missing_ok=True)
    shown = ", ".join(map(quote, columns))
    key = f", PRIMARY KEY ({quote(columns[0])})" if has_key else ""
    values = ", ".join(["'2026-11-20 10:00:00'"] * len(columns))
    try:
        write(path, f"CREATE TABLE {quote(table)} ({shown}{key})",
              f"INSERT INTO {quote(table)} VALUES ({values})")  # fmt: skip
    except sqlite3.Error:
        return

    source = open_suggested(suggest(path))

    assert source.health().events == 1, source.health()
    source.close()

"""Foreign databases: read as they are, and left as they are. Every file is written by another process."""

import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from whence.errors import CorruptError, StoreError
from whence.sources.database import Database, Patience, is_database, open_database
from whence.sources.suggest import suggest

_OWNER = """
import os, sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
def run(*statements):
    for statement in statements:
        db.execute(statement)
{}
"""
_MAKE = "run('PRAGMA journal_mode=WAL', 'CREATE TABLE t (a)', 'INSERT INTO t VALUES (1)')\n"
_DIE = "os._exit(0)\n"


def insert(count: int, value: str = "1") -> str:
    """A statement, quoted, that adds so many rows at once."""
    return repr(
        "INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
        f" WHERE i < {count}) SELECT {value} FROM n"
    )


def run_owner(path: Path, script: str) -> None:
    subprocess.run([sys.executable, "-c", _OWNER.format(script), path], check=True)


@pytest.fixture
def start_owner() -> Iterator[Callable[[Path, str], Callable[[str], None]]]:
    """Starts an owner that stays; what comes back runs one more line of Python in it."""
    running: list[subprocess.Popen[str]] = []

    def start(path: Path, script: str) -> Callable[[str], None]:
        loop = "for line in sys.stdin:\n    exec(line)\n    print(flush=True)\n"
        owner = subprocess.Popen(
            [sys.executable, "-c", _OWNER.format(script + loop), path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        running.append(owner)
        assert owner.stdin is not None
        assert owner.stdout is not None
        into, out = owner.stdin, owner.stdout

        def tell(line: str) -> None:
            into.write(line + "\n")
            into.flush()
            assert out.readline() == "\n"

        tell("pass")
        return tell

    yield start
    for owner in running:
        owner.kill()
        owner.communicate()


def read(path: Path) -> list[int]:
    with open_database(path) as opened:
        return [a for (a,) in opened.rows("SELECT a FROM t ORDER BY a")]


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.name: path.read_bytes()
        for path in sorted(folder.iterdir())
        if not path.name.endswith("-shm")
    }


def test_a_database_at_rest_gets_no_file_beside_it(tmp_path: Path) -> None:
    run_owner(tmp_path / "db", _MAKE)
    before = files(tmp_path)

    assert read(tmp_path / "db") == [1]
    assert files(tmp_path) == before
    assert [*before] == ["db"]


@pytest.mark.parametrize("name", ["odd ?#%20'\".db", "ümläut.db", "file:x?mode=rw", "a;b&c=d.db"])
def test_any_name_will_do(tmp_path: Path, name: str) -> None:
    run_owner(tmp_path / name, _MAKE)

    assert read(tmp_path / name) == [1]
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_what_a_running_owner_commits_is_seen_and_its_files_are_left(
    tmp_path: Path, start_owner: Callable[[Path, str], Callable[[str], None]]
) -> None:
    path = tmp_path / "db"
    tell = start_owner(path, _MAKE)
    with open_database(path) as opened:
        for more in range(2, 5):
            tell(f"run('INSERT INTO t VALUES ({more})')")
            before = files(tmp_path)

            assert len(list(opened.rows("SELECT a FROM t"))) == more
            assert files(tmp_path) == before
    assert sorted(files(tmp_path)) == ["db", "db-wal"]


def test_one_answer_is_one_moment(
    tmp_path: Path, start_owner: Callable[[Path, str], Callable[[str], None]]
) -> None:
    path = tmp_path / "db"
    tell = start_owner(path, _MAKE)
    tell(f"run({insert(1500)})")
    with open_database(path) as opened:
        rows = opened.rows("SELECT a FROM t")
        next(rows)
        tell("run('UPDATE t SET a = 2', 'PRAGMA wal_checkpoint')")

        assert {a for (a,) in rows} == {1}
        assert {a for (a,) in opened.rows("SELECT a FROM t")} == {2}


def test_an_owner_that_comes_and_goes_is_noticed(
    tmp_path: Path, start_owner: Callable[[Path, str], Callable[[str], None]]
) -> None:
    path = tmp_path / "db"
    run_owner(path, _MAKE)
    with open_database(path) as opened:
        assert len(list(opened.rows("SELECT a FROM t"))) == 1
        run_owner(path, "run('INSERT INTO t VALUES (2)')")
        assert len(list(opened.rows("SELECT a FROM t"))) == 2
        start_owner(path, "run('INSERT INTO t VALUES (3)')\n")
        assert len(list(opened.rows("SELECT a FROM t"))) == 3


def test_a_file_changed_while_it_was_taken_to_be_at_rest_is_not_half_believed(
    tmp_path: Path,
) -> None:
    path = tmp_path / "db"
    run_owner(path, _MAKE + f"run({insert(2000)})")
    with open_database(path) as opened:
        rows = opened.rows("SELECT a FROM t")
        next(rows)
        run_owner(path, "run('UPDATE t SET a = 2')")

        with pytest.raises(StoreError, match="changed while it was read"):
            list(rows)
        assert {a for (a,) in opened.rows("SELECT a FROM t")} == {2}


def test_an_owner_that_died_leaves_a_wal_which_is_read_and_kept(tmp_path: Path) -> None:
    run_owner(tmp_path / "db", _MAKE + _DIE)
    (tmp_path / "db-shm").unlink()
    before = files(tmp_path)

    assert sorted(before) == ["db", "db-wal"]
    assert read(tmp_path / "db") == [1]
    assert files(tmp_path) == before


def test_a_transaction_that_a_dead_owner_left_is_undone_in_a_copy_only(tmp_path: Path) -> None:
    long = "printf('%999d', 2)"
    run_owner(
        tmp_path / "db",
        "run('CREATE TABLE t (a)', 'INSERT INTO t VALUES (1)', 'PRAGMA cache_size=1', 'BEGIN')\n"
        f"run({insert(100, long)})\n" + _DIE,
    )
    before = files(tmp_path)

    assert sorted(before) == ["db", "db-journal"]
    assert read(tmp_path / "db") == [1]
    assert files(tmp_path) == before


def test_a_folder_that_is_not_ours_to_write_is_read_through_a_copy() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "db"
        run_owner(path, _MAKE + _DIE)
        (folder / "db-shm").unlink()
        for file in folder.iterdir():
            file.chmod(0o444)
        folder.chmod(0o555)
        is_root = os.geteuid() == 0
        if is_root:
            os.seteuid(65534)
        try:
            with open_database(path) as opened:
                assert list(opened.rows("SELECT a FROM t")) == [(1,)]
                assert opened._opened is not None
                assert opened._opened.copy is not None
                copy = Path(opened._opened.copy.name)
                assert copy.exists()
            assert not copy.exists()
        finally:
            if is_root:
                os.seteuid(0)
            folder.chmod(0o755)
        assert sorted(path.name for path in folder.iterdir()) == ["db", "db-wal"]


_HOLD = "run('PRAGMA journal_mode={}', 'CREATE TABLE t (a)', 'INSERT INTO t VALUES (1)')\n"


@pytest.mark.parametrize(
    "settings",
    [
        ["PRAGMA journal_mode=WAL"],
        ["PRAGMA journal_mode=DELETE"],
        # Without a `-shm` it is read through a copy.
        ["PRAGMA locking_mode=EXCLUSIVE", "PRAGMA journal_mode=WAL"],
    ],
)
def test_an_owner_in_this_process_keeps_its_locks(tmp_path: Path, settings: list[str]) -> None:
    """Closing any descriptor of a file drops all locks that the process holds on it."""
    path = tmp_path / "db"
    owner = sqlite3.connect(path, isolation_level=None)
    for statement in (*settings, "CREATE TABLE t (a)", "BEGIN IMMEDIATE"):
        owner.execute(statement)
    other = "db.execute('PRAGMA busy_timeout=0')\nrun('INSERT INTO t VALUES (2)')"

    for look in (read, is_database, suggest_nothing):
        look(path)
        with pytest.raises(subprocess.CalledProcessError):
            run_owner(path, other)

    owner.execute("INSERT INTO t VALUES (1)")
    owner.execute("COMMIT")
    assert read(path) == [1]
    owner.close()


def suggest_nothing(path: Path) -> None:
    with pytest.raises(CorruptError, match="says when"):
        suggest(path)


def test_a_wal_that_an_owner_in_this_process_shares_is_not_taken_from_it(tmp_path: Path) -> None:
    """Who closes the database last takes its `-wal` away."""
    path = tmp_path / "db"
    owner = sqlite3.connect(path, isolation_level=None)
    for statement in ("PRAGMA journal_mode=WAL", "CREATE TABLE t (a)", "INSERT INTO t VALUES (1)"):
        owner.execute(statement)

    assert read(path) == [1]
    run_owner(path, "run('INSERT INTO t VALUES (2)')\ndb.close()")
    owner.execute("INSERT INTO t VALUES (3)")
    run_owner(path, "run('INSERT INTO t VALUES (4)')\ndb.close()")
    owner.close()

    assert read(path) == [1, 2, 3, 4]


@pytest.mark.parametrize("mode", ["MEMORY", "OFF"])
def test_what_an_owner_without_a_journal_has_not_committed_is_not_seen(
    tmp_path: Path, start_owner: Callable[[Path, str], Callable[[str], None]], mode: str
) -> None:
    path = tmp_path / "db"
    tell = start_owner(path, _HOLD.format(mode))
    tell("run('PRAGMA cache_size=1', 'BEGIN')")
    long = "printf('%999d', 2)"
    tell(f"run({insert(100, long)})")

    with (
        open_database(path, patience=Patience(0.05)) as opened,
        pytest.raises(StoreError, match="locked by another program"),
    ):
        opened.row("SELECT COUNT(*) FROM t")
    tell("run('COMMIT')")
    assert len(read(path)) == 101


@pytest.mark.parametrize("mode", ["DELETE", "TRUNCATE", "MEMORY", "OFF"])
def test_an_owner_without_a_wal_can_commit_while_rows_are_given(
    tmp_path: Path, start_owner: Callable[[Path, str], Callable[[str], None]], mode: str
) -> None:
    path = tmp_path / "db"
    tell = start_owner(path, _HOLD.format(mode) + "run('PRAGMA busy_timeout=0')\n")
    tell(f"run({insert(1500)})")
    with open_database(path) as opened:
        rows = opened.rows("SELECT a FROM t")
        next(rows)
        tell("run('UPDATE t SET a = 2')")

        with pytest.raises(StoreError, match="changed while it was read"):
            list(rows)
        assert {a for (a,) in opened.rows("SELECT a FROM t")} == {2}
        tell("run('BEGIN IMMEDIATE')")
        assert {a for (a,) in opened.rows("SELECT a FROM t")} == {2}


@pytest.mark.parametrize(
    ("script", "wal"),
    [(_MAKE + _DIE, None), (_MAKE, b""), (_MAKE, b"stray"), (_HOLD.format("DELETE"), b"stray")],
)
def test_where_no_owner_runs_nothing_is_left_behind(
    tmp_path: Path, script: str, wal: bytes | None
) -> None:
    """A `-shm` that is ours would keep an owner out who may not write it."""
    run_owner(tmp_path / "db", script)
    (tmp_path / "db-shm").unlink(missing_ok=True)
    if wal is not None:
        (tmp_path / "db-wal").write_bytes(wal)
    before = files(tmp_path)

    with open_database(tmp_path / "db") as opened:
        assert opened.tables() == {"t": ("a",)}
        assert not (tmp_path / "db-shm").exists()
        assert list(opened.rows("SELECT a FROM t")) == [(1,)]
    assert files(tmp_path) == before
    assert not (tmp_path / "db-shm").exists()


def test_a_database_that_came_to_want_a_wal_gets_none_from_us(tmp_path: Path) -> None:
    run_owner(tmp_path / "db", _HOLD.format("DELETE"))
    with open_database(tmp_path / "db") as opened:
        assert opened.row("SELECT COUNT(*) FROM t") == (1,)
        run_owner(tmp_path / "db", "run('PRAGMA journal_mode=WAL', 'INSERT INTO t VALUES (2)')")
        assert opened.row("SELECT COUNT(*) FROM t") == (2,)
        assert [*files(tmp_path)] == ["db"]
        assert not (tmp_path / "db-shm").exists()


def test_a_copy_is_made_anew_when_what_it_was_made_of_changed(tmp_path: Path) -> None:
    run_owner(tmp_path / "db", _MAKE + _DIE)
    (tmp_path / "db-shm").unlink()
    with open_database(tmp_path / "db") as opened:
        assert opened.row("SELECT COUNT(*) FROM t") == (1,)
        run_owner(tmp_path / "db", "run('INSERT INTO t VALUES (2)')\n" + _DIE)
        (tmp_path / "db-shm").unlink()
        assert opened.row("SELECT COUNT(*) FROM t") == (2,)


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm", "-journal"])
def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path, suffix: str) -> None:
    if suffix:
        run_owner(tmp_path / "db", _MAKE)
    os.mkfifo(tmp_path / f"db{suffix}")

    with pytest.raises(CorruptError, match=f"db{suffix} is no file"):
        read(tmp_path / "db")


def test_a_name_that_no_file_can_have_is_refused() -> None:
    for name in ("a\0b", "a" * 300):
        with pytest.raises(StoreError):
            read(Path(name))


def test_owners_that_let_nobody_in_are_waited_for_once(
    tmp_path: Path,
    start_owner: Callable[[Path, str], Callable[[str], None]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hold = "run('PRAGMA locking_mode=EXCLUSIVE', 'DELETE FROM t')\n"
    waits: list[object] = []
    connect = sqlite3.connect

    def connect_and_note(*args: object, **options: object) -> sqlite3.Connection:
        waits.append(options["timeout"])
        return connect(*args, **options)  # type: ignore[call-overload, no-any-return]

    monkeypatch.setattr(sqlite3, "connect", connect_and_note)
    patience = Patience(0.05)
    for name in ("a", "b"):
        start_owner(tmp_path / name, _MAKE + hold)
        opened = open_database(tmp_path / name, patience=patience)
        for _ in range(2):
            with pytest.raises(StoreError, match=f"{name} is locked"):
                opened.tables()

    assert waits == [0.05, 0.0, 0.0, 0.0]


def test_nothing_can_be_written(tmp_path: Path) -> None:
    run_owner(tmp_path / "db", _MAKE)

    with open_database(tmp_path / "db") as opened, pytest.raises((StoreError, CorruptError)):
        list(opened.rows("INSERT INTO t VALUES (2)"))
    assert read(tmp_path / "db") == [1]


def test_a_file_that_was_replaced_is_read_anew(tmp_path: Path) -> None:
    run_owner(tmp_path / "db", _MAKE)
    run_owner(tmp_path / "new", _MAKE + "run('INSERT INTO t VALUES (2)')")
    with open_database(tmp_path / "db") as opened:
        assert len(list(opened.rows("SELECT a FROM t"))) == 1
        (tmp_path / "new").replace(tmp_path / "db")
        assert len(list(opened.rows("SELECT a FROM t"))) == 2
        (tmp_path / "db").unlink()
        with pytest.raises(StoreError, match="is not there"):
            list(opened.rows("SELECT a FROM t"))


def test_a_question_begun_before_the_file_was_replaced_is_answered(tmp_path: Path) -> None:
    """The old connection lives until its last reader is done."""
    run_owner(tmp_path / "db", _MAKE + f"run({insert(999)})\n" + _DIE)
    run_owner(tmp_path / "new", _MAKE + _DIE)
    with open_database(tmp_path / "db") as opened:
        rows = opened.rows("SELECT a FROM t")
        next(rows)
        for suffix in ("-wal", "-shm", ""):
            (tmp_path / f"new{suffix}").replace(tmp_path / f"db{suffix}")
        assert len(list(opened.rows("SELECT a FROM t"))) == 1
        assert len(list(rows)) == 999


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"PK\3\4 not a database at all", "damaged or no SQLite database"),
        (bytes(range(256)) * 64, "damaged or no SQLite database"),
        (b"SQLite format 3\0" + b"\xff" * 8000, "damaged or no SQLite database"),
        (b"SQLite format 3\0", "is damaged|damaged or no"),
    ],
)
def test_what_is_no_database_is_said_to_be_none(
    tmp_path: Path, content: bytes, message: str
) -> None:
    (tmp_path / "db").write_bytes(content)

    with pytest.raises(CorruptError, match=message):
        read(tmp_path / "db")


def test_a_page_that_is_damaged_is_named(tmp_path: Path) -> None:
    path = tmp_path / "db"
    long = "printf('%99d', 1)"
    run_owner(path, _MAKE + f"run({insert(3000, long)})")
    content = bytearray(path.read_bytes())
    content[8192:-4096] = b"\xa5" * (len(content) - 8192 - 4096)
    path.write_bytes(content)

    with pytest.raises(CorruptError, match="is damaged"):
        read(path)


def test_what_is_missing_or_a_folder_is_said_to_be(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is not there"):
        read(tmp_path / "nothing")
    with pytest.raises(CorruptError, match="is a folder"):
        read(tmp_path)


def test_a_table_that_is_missing_is_named(tmp_path: Path) -> None:
    run_owner(tmp_path / "db", "run('CREATE TABLE other (a)')")

    with pytest.raises(CorruptError, match="not laid out as it should be: no such table: t"):
        read(tmp_path / "db")


def test_an_owner_that_lets_nobody_in_is_named(
    tmp_path: Path, start_owner: Callable[[Path, str], Callable[[str], None]]
) -> None:
    start_owner(tmp_path / "db", _MAKE + "run('PRAGMA locking_mode=EXCLUSIVE', 'DELETE FROM t')\n")

    with (
        open_database(tmp_path / "db", patience=Patience(0.05)) as opened,
        pytest.raises(StoreError, match="locked by another program"),
    ):
        opened.tables()


def test_tables_are_told_with_their_columns_and_what_an_index_begins_with(tmp_path: Path) -> None:
    run_owner(
        tmp_path / "db",
        "run('CREATE TABLE a (id INTEGER PRIMARY KEY, x TEXT, \"odd name\")',"
        "'CREATE TABLE b (id TEXT PRIMARY KEY, y, z)', 'CREATE INDEX i ON b (y, z)',"
        "'CREATE INDEX some ON b (z) WHERE y', 'CREATE VIEW v AS SELECT x FROM a',"
        "'CREATE VIEW broken AS SELECT * FROM gone')",
    )

    with open_database(tmp_path / "db") as opened:
        assert opened.tables() == {
            "a": ("id", "x", "odd name"),
            "b": ("id", "y", "z"),
            "v": ("x",),
        }
        assert opened.indexed() == {("a", "id"), ("b", "id"), ("b", "y")}


def test_odd_values_pass_both_ways(tmp_path: Path) -> None:
    run_owner(tmp_path / "db", _MAKE + "run(\"INSERT INTO t VALUES (CAST(x'61ff' AS TEXT))\")")

    with open_database(tmp_path / "db") as opened:
        assert list(opened.rows("SELECT a FROM t WHERE typeof(a) = 'text'")) == [("a\ufffd",)]
        assert list(opened.rows("SELECT a FROM t WHERE a = ?", ("\ud800",))) == []
        assert opened.row("SELECT ?, ?", (2**70, -(2**70))) == (2.0**70, -(2.0**70))
        assert opened.row("SELECT a FROM t WHERE a = 7") is None


def test_closed_it_opens_again_and_leaves_nothing_open(tmp_path: Path) -> None:
    run_owner(tmp_path / "db", _MAKE)
    opened = Database(tmp_path / "db")

    assert opened.row("SELECT a FROM t") == (1,)
    opened.close()
    opened.close()
    assert opened.row("SELECT a FROM t") == (1,)
    opened.close()


def test_a_file_that_never_rests_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_owner(tmp_path / "db", _MAKE)
    connect = sqlite3.connect

    def connect_and_touch(*args: object, **options: object) -> sqlite3.Connection:
        opened = connect(*args, **options)  # type: ignore[call-overload]
        later = (tmp_path / "db").stat().st_mtime_ns + 1
        os.utime(tmp_path / "db", ns=(later, later))
        return opened  # type: ignore[no-any-return]

    monkeypatch.setattr(sqlite3, "connect", connect_and_touch)

    with pytest.raises(StoreError, match="changed while it was read"):
        read(tmp_path / "db")

"""The file of the index: whatever befalls it or the journal, the answers are right."""

import os
import resource
import signal
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.unit.index.lines import BASE_NS, append, make_id, make_line, open_index
from whence.errors import StoreError
from whence.event import Event
from whence.index import Index, Problem
from whence.index import catchup as catchup_module
from whence.index import database as database_module
from whence.index import store as store_module
from whence.index.lookup import Lookup
from whence.index.schema import VERSION
from whence.journal.reader import Reader
from whence.query import Query

SEGMENT = "2026-09-21.0000"


def ids_in(index: Index) -> list[str]:
    return [row.id for row in index.find(Query())]


def lines(start: int, end: int) -> list[bytes]:
    return [make_line(n, time=BASE_NS + n, agent=f"agent-{n % 3}") for n in range(start, end)]


def test_a_new_index_is_empty_until_it_catches_up(tmp_path: Path) -> None:
    append(tmp_path, lines(0, 3))
    with Index.open(tmp_path, Reader(tmp_path)) as index:
        assert ids_in(index) == []
        assert index.statistics(Query()) == []
        index.catch_up()

        assert len(ids_in(index)) == 3


def test_only_the_owner_can_read_the_file(tmp_path: Path) -> None:
    append(tmp_path, lines(0, 3))
    with open_index(tmp_path) as index:
        assert index.path.stat().st_mode & 0o777 == 0o600
        assert (tmp_path / "index.sqlite").resolve() == index.path.resolve()


def test_an_index_closed_in_good_order_is_used_again(tmp_path: Path) -> None:
    append(tmp_path, lines(0, 3))
    with open_index(tmp_path) as index:
        path = index.path
    append(tmp_path, lines(3, 5))
    with Index.open(tmp_path, Reader(tmp_path)) as index:
        assert index.catch_up().events == 2
        assert index.path == path
        assert len(ids_in(index)) == 5


def test_an_index_of_another_schema_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(tmp_path, lines(0, 3))
    with open_index(tmp_path) as index:
        path = index.path
    monkeypatch.setattr(database_module, "VERSION", VERSION ^ 1)
    with open_index(tmp_path) as index:
        assert index.path != path
        assert len(ids_in(index)) == 3
    assert not path.exists()


def test_deleting_the_file_of_a_running_process_costs_it_nothing(tmp_path: Path) -> None:
    append(tmp_path, lines(0, 3))
    with open_index(tmp_path) as index, open_index(tmp_path) as other:
        (tmp_path / "index.sqlite").unlink()
        assert len(ids_in(index)) == 3
        append(tmp_path, lines(3, 5))
        index.catch_up()
        assert len(ids_in(index)) == 5
        other.catch_up()
        assert len(ids_in(other)) == 5
        assert other.path == index.path
    left = [name for name in os.listdir(tmp_path) if name.startswith(".index")]
    assert left == [index.path.name]


def test_an_index_that_was_written_to_by_other_means_is_made_anew(tmp_path: Path) -> None:
    """All in it can be read, and is wrong."""
    append(tmp_path, lines(0, 3))
    with open_index(tmp_path) as index:
        path = index.path
    with sqlite3.connect(path) as db:
        db.execute("UPDATE agents SET name = name || ' and more'")
    db.close()
    os.utime(path, (1, 1))
    with open_index(tmp_path) as index:
        assert index.path != path
        assert index.agents() == ["agent-0", "agent-1", "agent-2"]


def test_a_plain_file_in_its_place_is_replaced(tmp_path: Path) -> None:
    append(tmp_path, lines(0, 3))
    (tmp_path / "index.sqlite").write_bytes(b"not a link, as after unpacking an archive")
    with open_index(tmp_path) as index:
        assert len(ids_in(index)) == 3
    assert (tmp_path / "index.sqlite").is_symlink()


@pytest.mark.parametrize("name", [".index-foo", ".index-0123abcd.sqlite"])
def test_what_cannot_be_removed_as_a_stray_is_left_alone(tmp_path: Path, name: str) -> None:
    append(tmp_path, lines(0, 3))
    (tmp_path / name).mkdir()
    (tmp_path / ".index-89abcdef.sqlite-wal").touch()
    with open_index(tmp_path) as index:
        assert len(ids_in(index)) == 3
    assert (tmp_path / name).is_dir()
    assert not (tmp_path / ".index-89abcdef.sqlite-wal").exists()


@pytest.mark.parametrize("name", ["notes.txt", ".index-0123abcd.sqlite"])
def test_what_a_link_of_somebody_else_leads_to_is_left_alone(tmp_path: Path, name: str) -> None:
    """Only a file of our own making beside the link is an index: no other is opened or removed."""
    append(tmp_path, lines(0, 1))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    notes = elsewhere / name
    with sqlite3.connect(notes) as db:
        db.execute("create table notes (text)")
    db.close()
    before = notes.read_bytes()
    (tmp_path / "index.sqlite").symlink_to(notes)

    with open_index(tmp_path) as index:
        assert len(ids_in(index)) == 1

    assert notes.read_bytes() == before
    assert sorted(path.name for path in elsewhere.iterdir()) == [name]


def test_a_row_that_breaks_while_it_is_read_costs_no_answer(tmp_path: Path) -> None:
    """Bytes of an open file are overwritten, as by a failing disk."""
    append(tmp_path, lines(0, 300))
    with open_index(tmp_path) as index:
        pass
    with Index.open(tmp_path, Reader(tmp_path)) as index:
        raw = index.path.read_bytes()
        index.path.write_bytes(raw[:4096] + bytes(len(raw) - 4096))

        assert len(ids_in(index)) == 300
        assert index.by_id(make_id(BASE_NS + 7, 7)) is not None


def test_rows_named_by_number_are_not_mistaken_after_a_rebuild(tmp_path: Path) -> None:
    append(tmp_path, lines(0, 300))
    with open_index(tmp_path) as index:
        pass
    with Index.open(tmp_path, Reader(tmp_path)) as index:
        raw = index.path.read_bytes()
        index.path.write_bytes(raw[:4096] + bytes(len(raw) - 4096))

        with pytest.raises(StoreError, match="ask again"):
            index.rows([1, 2])
        assert len(index.rows([1, 2])) == 2


def test_a_segment_that_became_shorter_is_read_anew(tmp_path: Path) -> None:
    append(tmp_path, lines(0, 3))
    with open_index(tmp_path) as index:
        (tmp_path / f"journal/{SEGMENT}.jsonl").write_bytes(b"".join(lines(7, 9)))
        index.catch_up()

        assert ids_in(index) == [make_id(BASE_NS + n, n) for n in (7, 8)]
        had, has = (len(b"".join(lines(*ends))) for ends in ((0, 3), (7, 9)))
        words = f"segment was cut: had {had:,} bytes, has {has:,}"
        assert index.problems() == [(SEGMENT, has, had - has, words)]


def test_what_was_cut_is_remembered_across_later_losses(tmp_path: Path) -> None:
    segment = tmp_path / f"journal/{SEGMENT}.jsonl"
    sizes = []
    for end in (5, 4, 3):
        segment.unlink(missing_ok=True)
        append(tmp_path, lines(0, end))
        sizes.append(segment.stat().st_size)
        with open_index(tmp_path):
            pass
    with open_index(tmp_path) as index:
        assert [(lost.offset, lost.length) for lost in index.losses()] == [
            (sizes[2], sizes[0] - sizes[2])
        ]
    segment.unlink()
    with open_index(tmp_path) as index:
        assert index.losses() == [(SEGMENT, 0, sizes[0], "segment is gone")]
    append(tmp_path, lines(0, 1))
    with open_index(tmp_path) as index:
        assert "segment was cut" in index.losses()[0].problem
    append(tmp_path, lines(1, 5))
    with open_index(tmp_path) as index:
        assert index.losses() == []


def test_bytes_put_into_the_middle_of_a_segment_cost_no_event(tmp_path: Path) -> None:
    """All that follow stand elsewhere then, and are found there."""
    append(tmp_path, [make_line(n) for n in range(5)])
    with open_index(tmp_path) as index:
        path = tmp_path / "journal" / "2026-09-21.0000.jsonl"
        first, rest = path.read_bytes().split(b"\n", 1)
        path.write_bytes(first + b"\nby hand\n" + rest)

        index.catch_up()

        rows = list(index.find(Query()))
        events = Reader(tmp_path).read_many((row.segment, row.offset) for row in rows)
        assert [event.n for event in events if isinstance(event, Event)] == [0, 1, 2, 3, 4]
        assert len(index.problems()) == 1


def test_a_segment_that_was_replaced_is_read_anew(tmp_path: Path) -> None:
    append(tmp_path, lines(0, 3))
    with open_index(tmp_path):
        pass
    (tmp_path / f"journal/{SEGMENT}.jsonl").write_bytes(b"".join(lines(5, 20)))
    with open_index(tmp_path) as index:
        assert ids_in(index) == [make_id(BASE_NS + n, n) for n in range(5, 20)]


def test_a_segment_that_was_replaced_by_one_of_its_size_is_read_anew(tmp_path: Path) -> None:
    append(tmp_path, lines(0, 3))
    with open_index(tmp_path):
        pass
    segment = tmp_path / f"journal/{SEGMENT}.jsonl"
    before = segment.stat().st_size
    segment.write_bytes(b"".join(lines(5, 8)))
    assert segment.stat().st_size == before
    with open_index(tmp_path) as index:
        assert ids_in(index) == [make_id(BASE_NS + n, n) for n in range(5, 8)]


def test_of_a_segment_that_was_damaged_the_index_keeps_what_it_knows(tmp_path: Path) -> None:
    """So that `examine` can tell how many events there were."""
    append(tmp_path, lines(0, 3))
    with open_index(tmp_path) as index:
        path = index.path
    segment = tmp_path / f"journal/{SEGMENT}.jsonl"
    segment.write_bytes(bytes(segment.stat().st_size))
    with open_index(tmp_path) as index:
        assert index.path == path
        assert index.witnesses()[SEGMENT].events == 3


def test_a_segment_whose_first_line_broke_is_read_anew(tmp_path: Path) -> None:
    append(tmp_path, lines(0, 3))
    with open_index(tmp_path):
        pass
    segment = tmp_path / f"journal/{SEGMENT}.jsonl"
    segment.write_bytes(b"x" + segment.read_bytes()[1:] + b"".join(lines(3, 4)))
    with open_index(tmp_path) as index:
        assert len(ids_in(index)) == 3
        assert [problem.offset for problem in index.problems()] == [0]


def test_a_segment_that_is_gone_takes_its_events_along_and_is_named(tmp_path: Path) -> None:
    append(tmp_path, lines(0, 3))
    append(tmp_path, lines(3, 5), "2026-09-22.0000")
    segment = tmp_path / f"journal/{SEGMENT}.jsonl"
    content = segment.read_bytes()
    with open_index(tmp_path) as index:
        segment.unlink()
        reader = Reader(tmp_path)
    with Index.open(tmp_path, reader) as index:
        index.catch_up()
        assert len(ids_in(index)) == 2
        assert index.problems() == [Problem(SEGMENT, 0, len(content), "segment is gone")]
        assert index.lost() == {"w00000000000": 3}
    segment.write_bytes(content)
    with open_index(tmp_path) as index:
        assert index.problems() == []
        assert len(ids_in(index)) == 5


def test_a_folder_that_takes_no_file_gets_a_private_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(tmp_path, lines(0, 3))
    real = os.open

    def refuse(path: str | Path, flags: int, *args: int, **kwargs: int) -> int:
        if flags & os.O_CREAT and Path(path).parent == tmp_path:
            raise PermissionError(13, "Permission denied")
        return real(path, flags, *args, **kwargs)

    monkeypatch.setattr(os, "open", refuse)
    with open_index(tmp_path) as index:
        assert index.is_private
        assert index.refusal.endswith(".sqlite: Permission denied")
        assert len(ids_in(index)) == 3
        assert index.sql("SELECT count(*) FROM events")[1].__next__() == (3,)
        private = index.path
    assert not private.exists()
    assert os.listdir(tmp_path) == ["journal"]


@contextmanager
def full_disk(folder: Path) -> Iterator[None]:
    """Let no database in `folder` grow beyond what it is when it is made."""
    connect = database_module._connect

    def connect_to_little(path: Path) -> sqlite3.Connection:
        db = connect(path)
        if folder in path.parents:
            db.execute("PRAGMA max_page_count = 40")
        return db

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(database_module, "_connect", connect_to_little)
        yield


def test_a_full_disk_costs_no_answer(tmp_path: Path) -> None:
    append(tmp_path, lines(0, 3))
    with open_index(tmp_path) as index:
        path = index.path
    append(tmp_path, lines(3, 3000))
    with full_disk(tmp_path):
        with open_index(tmp_path) as index:
            assert index.is_private
            assert index.refusal == "database or disk is full"
            assert len(ids_in(index)) == 3000
        assert path.exists()
        assert not index.path.exists()
    with open_index(tmp_path) as index:
        assert (index.path, index.is_private) == (path, False)
        assert len(ids_in(index)) == 3000


def test_where_no_disk_has_room_the_index_is_in_memory(tmp_path: Path) -> None:
    append(tmp_path, lines(0, 3000))
    with full_disk(Path("/")), open_index(tmp_path) as index:
        assert (index.is_private, str(index.path)) == (True, ":memory:")
        assert len(ids_in(index)) == 3000
        assert list(index.sql("SELECT count(*) FROM events")[1]) == [(3000,)]
        append(tmp_path, lines(3000, 3010))
        assert index.catch_up().events == 10
        (tmp_path / f"journal/{SEGMENT}.jsonl").write_bytes(b"".join(lines(0, 2)))
        index.catch_up()
        assert len(ids_in(index)) == 2
        assert len(index.losses()) == 1
        index.close()
        assert len(ids_in(index)) == 0
        index.catch_up()
        assert len(ids_in(index)) == 2


def test_a_limit_on_the_size_of_files_costs_no_answer(tmp_path: Path) -> None:
    append(tmp_path, lines(0, 3000))
    child = os.fork()
    if child == 0:
        found = 0
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
            with open_index(tmp_path) as index:
                found = index.is_private and len(ids_in(index)) == 3000
        finally:
            os._exit(not found)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_question_that_finds_no_room_to_sort_is_answered_elsewhere(tmp_path: Path) -> None:
    append(tmp_path, lines(0, 3))
    with open_index(tmp_path) as index:
        asked: list[bool] = []

        def answer(lookup: Lookup) -> int:
            asked.append(index.is_private)
            if not index.is_private:
                error = sqlite3.OperationalError("disk I/O error")
                error.sqlite_errorcode = sqlite3.SQLITE_IOERR_WRITE
                raise error
            return len(lookup.consumed())

        assert index.ask(answer) == 1
        assert asked == [False, True]


def test_an_open_index_is_not_private(tmp_path: Path) -> None:
    with open_index(tmp_path) as index:
        assert not index.is_private
        assert not index.refusal


_NOBODY = 65534

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


@pytest.fixture
def owned() -> Iterator[Path]:
    """A log of another user, where that user can get at it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "log"
        folder.mkdir()
        append(folder, lines(0, 3))
        os.chmod(name, 0o755)
        for path in (folder, *folder.rglob("*")):
            os.chown(path, _NOBODY, _NOBODY)
        yield folder


@contextmanager
def user(uid: int) -> Iterator[None]:
    """Do the block as that user."""
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)


@as_root
def test_an_index_that_root_made_belongs_to_the_owner_of_the_folder(owned: Path) -> None:
    with open_index(owned) as index:
        path = index.path
        assert {found.stat().st_uid for found in owned.glob(".index-*")} == {_NOBODY}

    with user(_NOBODY), open_index(owned) as index:
        assert (index.path, index.is_private) == (path, False)
        assert len(ids_in(index)) == 3


@as_root
def test_an_index_that_is_closed_to_the_owner_of_the_folder_is_replaced(owned: Path) -> None:
    with open_index(owned) as index:
        path = index.path
    os.chown(path, 0, 0)

    with user(_NOBODY), open_index(owned) as index:
        assert not index.is_private
        assert index.path != path
        assert len(ids_in(index)) == 3
    assert not path.exists()


@as_root
def test_an_index_of_somebody_else_in_a_folder_of_somebody_else_is_named(owned: Path) -> None:
    os.chown(owned, 0, 0)
    with open_index(owned) as index:
        path = index.path
    os.chmod(owned, 0o755)

    with user(_NOBODY), open_index(owned) as index:
        assert index.is_private
        assert index.refusal == f"{path} belongs to root, who alone may use it"
        assert len(ids_in(index)) == 3
    assert path.exists()


def test_closing_twice_and_asking_after_closing_are_fine(tmp_path: Path) -> None:
    append(tmp_path, lines(0, 3))
    index = open_index(tmp_path)
    index.close()
    index.close()

    assert len(ids_in(index)) == 3
    index.close()


def test_a_forked_child_asks_and_leaves_the_parents_index_alone(tmp_path: Path) -> None:
    append(tmp_path, lines(0, 3))
    with open_index(tmp_path) as index:
        child = os.fork()
        if child == 0:
            append(tmp_path, lines(3, 5))
            index.catch_up()
            os._exit(len(ids_in(index)))
        status = os.waitpid(child, 0)[1]
        index.catch_up()

        assert os.waitstatus_to_exitcode(status) == 5
        assert len(ids_in(index)) == 5


def test_a_catcher_goes_on_from_where_another_came_between_its_windows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catchup_module, "WINDOW_EVENTS", 50)
    monkeypatch.setattr(catchup_module, "_BATCH_BYTES", 4096)
    append(tmp_path, lines(0, 300))
    with (
        Index.open(tmp_path, Reader(tmp_path)) as index,
        Index.open(tmp_path, Reader(tmp_path)) as other,
    ):
        path = index.path

        def let_the_other_go(_done: int, _total: int) -> None:
            other.catch_up()

        found = index.catch_up(let_the_other_go)

        assert 0 < found.events < 300
        assert index.path == path
        assert [row.seq for row in index.find(Query())] == list(range(1, 301))


def test_a_kind_that_is_rare_no_more_is_looked_for_by_time(tmp_path: Path) -> None:
    """Through the roll-ups, minute by minute, all of a common kind would take long."""
    query = Query(type="alarm")
    append(tmp_path, [*lines(0, 200), make_line(200, type="alarm")])
    with open_index(tmp_path) as index:
        assert index.ask(lambda lookup: lookup._is_rare(query))
        append(tmp_path, [make_line(n, type="alarm") for n in range(201, 300)])
        index.catch_up()

        assert not index.ask(lambda lookup: lookup._is_rare(query))
        assert len(list(index.find(query))) == 100


def test_an_answer_does_not_wait_for_ever_for_a_catcher_that_stands_still(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "PATIENCE_S", 0.3)
    append(tmp_path, lines(0, 3))
    with open_index(tmp_path) as index:
        append(tmp_path, lines(3, 5))
        other = sqlite3.connect(index.path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        found = index.catch_up()

        assert (found.events, found.behind > 0) == (0, True)
        assert len(ids_in(index)) == 3
        other.rollback()
        other.close()
        assert index.catch_up().events == 2


CATCHER = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    import whence.index.catchup as catchup
    from whence.index import Index
    from whence.journal.reader import Reader
    from whence.query import Query
    catchup.WINDOW_EVENTS = 50
    catchup._BATCH_BYTES = 4096
    folder = Path(sys.argv[1])
    index = Index.open(folder, Reader(folder))
    print("open", flush=True)
    sys.stdin.readline()
    index.catch_up()
    print(len(list(index.find(Query()))), index.statistics(Query())[0].count, flush=True)
    index.close()
    """
)


def start_catchers(folder: Path, count: int) -> list[subprocess.Popen[str]]:
    """Start processes that open the index at once, and wait until all have it open."""
    catchers = [
        subprocess.Popen(
            [sys.executable, "-c", CATCHER, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(count)
    ]
    for catcher in catchers:
        assert catcher.stdout is not None
        assert catcher.stdout.readline() == "open\n"
    return catchers


def let_go(catcher: subprocess.Popen[str]) -> None:
    assert catcher.stdin is not None
    catcher.stdin.write("\n")
    catcher.stdin.flush()


def test_processes_that_catch_up_at_once_all_answer_from_the_whole(tmp_path: Path) -> None:
    append(tmp_path, lines(0, 3000))
    catchers = start_catchers(tmp_path, 3)
    for catcher in catchers:
        let_go(catcher)

    answers = [catcher.communicate()[0] for catcher in catchers]

    assert answers == ["3000 3000\n"] * 3
    with open_index(tmp_path) as index:
        assert len(ids_in(index)) == 3000


@pytest.mark.parametrize("delay_ms", [0, 5, 20, 50, 100, 200])
def test_a_catch_up_that_is_killed_goes_on_where_it_was(tmp_path: Path, delay_ms: int) -> None:
    ids = [make_id(BASE_NS + n, n) for n in range(4000)]
    append(
        tmp_path,
        [
            make_line(n, time=BASE_NS + n, parent=ids[(n * 7) % 4000], duration=n)
            for n in range(4000)
        ],
    )
    (catcher,) = start_catchers(tmp_path, 1)
    let_go(catcher)
    time.sleep(delay_ms / 1000)
    catcher.send_signal(signal.SIGKILL)
    catcher.communicate()

    with open_index(tmp_path) as index:
        rows = list(index.find(Query()))
        by_seq = {row.seq: row.id for row in rows}
        assert [row.id for row in rows] == ids
        assert [by_seq[row.parent or 0] for row in rows] == [
            ids[(n * 7) % 4000] for n in range(4000)
        ]
        assert [(one.count, one.total_ns) for one in index.statistics(Query())] == [
            (4000, sum(range(4000)))
        ]

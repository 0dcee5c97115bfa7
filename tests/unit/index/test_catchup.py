"""Catching up: several segments at once, repeats, holes, fragments, half-written lines."""

from pathlib import Path
from typing import Any

import pytest

from tests.unit.index.lines import BASE_NS, append, make_id, make_line, open_index
from whence.errors import FormatError
from whence.index import CaughtUp, Index
from whence.index import catchup as catchup_module
from whence.journal.reader import Reader
from whence.query import Query

LATE, EARLY = "2026-09-22.0000", "2026-09-21.0000"


def test_segments_that_grow_at_the_same_time_are_all_read_on(tmp_path: Path) -> None:
    append(tmp_path, [make_line(0)], EARLY)
    append(tmp_path, [make_line(1)], LATE)
    with open_index(tmp_path) as index:
        append(tmp_path, [make_line(2)], EARLY)
        append(tmp_path, [make_line(3)], LATE)

        assert index.catch_up() == CaughtUp(2, 0)
        assert index.catch_up() == CaughtUp(0, 0)
        rows = list(index.find(Query()))

    assert [(row.segment, row.id) for row in rows] == [
        (segment, make_id(BASE_NS, n)) for n, segment in enumerate([EARLY, LATE, EARLY, LATE])
    ]


def test_a_line_written_again_is_one_event_also_in_a_later_catch_up(tmp_path: Path) -> None:
    append(tmp_path, [make_line(0), make_line(1), make_line(1)], EARLY)
    with open_index(tmp_path) as index:
        append(tmp_path, [make_line(0)], LATE)
        index.catch_up()

        assert len(list(index.find(Query()))) == 2


def test_a_half_written_line_is_read_once_it_is_whole(tmp_path: Path) -> None:
    line = make_line(1)
    append(tmp_path, [make_line(0), line[:20]])
    with open_index(tmp_path) as index:
        assert len(list(index.find(Query()))) == 1
        assert index.catch_up() == CaughtUp(0, 0)
        append(tmp_path, [line[20:]])

        assert index.catch_up() == CaughtUp(1, 0)


def test_a_line_longer_than_a_batch_is_read(tmp_path: Path) -> None:
    append(tmp_path, [make_line(0), make_line(1, data="x" * 2_000_000), make_line(2)])
    with open_index(tmp_path) as index:
        assert len(list(index.find(Query()))) == 3


def test_fragments_are_named_by_their_place(tmp_path: Path) -> None:
    first = make_line(0)
    append(tmp_path, [first, b"#\n", b'{"id":"torn', make_line(1)])
    with open_index(tmp_path) as index:
        problems = index.problems()

        assert [row.offset for row in index.find(Query())] == [0, len(first) + 13]
    assert [problem[:3] for problem in problems] == [
        (EARLY, len(first), 1),
        (EARLY, len(first) + 2, 11),
    ]
    assert all(problem.problem for problem in problems)


def test_holes_in_a_writers_count_are_lost_events(tmp_path: Path) -> None:
    append(tmp_path, [make_line(n) for n in (0, 1, 4)])
    with open_index(tmp_path) as index:
        assert index.lost() == {"w00000000000": 2}
        append(tmp_path, [make_line(3)], LATE)
        index.catch_up()

        assert index.lost() == {"w00000000000": 1}


def test_a_writer_without_a_close_shows(tmp_path: Path) -> None:
    own: dict[str, Any] = {"primitive": "whence", "data": {"format": 1}}
    append(
        tmp_path,
        [
            make_line(0, type="writer.open", **own),
            make_line(0, w="killed000000", type="writer.open", time=BASE_NS + 5, **own),
            make_line(1, type="writer.close", time=BASE_NS + 9, **own),
        ],
    )
    with open_index(tmp_path) as index:
        writers = index.writers()

    assert [(one.name, one.opened, one.last, one.is_closed) for one in writers] == [
        ("killed000000", BASE_NS + 5, BASE_NS + 5, False),
        ("w00000000000", BASE_NS, BASE_NS + 9, True),
    ]


def test_a_journal_of_a_newer_format_is_refused(tmp_path: Path) -> None:
    newer = {"format": 99, "version": "9.0"}
    append(tmp_path, [make_line(0, primitive="whence", type="writer.open", data=newer)])
    with (
        Index.open(tmp_path, Reader(tmp_path)) as index,
        pytest.raises(FormatError, match="format 99"),
    ):
        index.catch_up()


def test_progress_is_told_up_to_the_end(tmp_path: Path) -> None:
    append(tmp_path, [make_line(n) for n in range(10)])
    heard: list[tuple[int, int]] = []
    with Index.open(tmp_path, Reader(tmp_path)) as index:
        index.catch_up(lambda done, total: heard.append((done, total)))

    size = (tmp_path / f"journal/{EARLY}.jsonl").stat().st_size
    assert heard[-1] == (size, size)


def test_windows_tie_together_what_stands_in_different_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Children come windows before their parents, and a root that turns out not to be one."""
    monkeypatch.setattr(catchup_module, "WINDOW_EVENTS", 1)
    monkeypatch.setattr(catchup_module, "_BATCH_BYTES", 200)
    ids = [make_id(BASE_NS, n) for n in range(40)]
    lines = [make_line(0, parent=ids[1])]
    lines += [make_line(n, parent=ids[0], trace=ids[0]) for n in range(2, 39)]
    lines += [make_line(1, parent=ids[39]), make_line(39)]
    append(tmp_path, lines)
    with open_index(tmp_path) as index:
        top = index.by_id(ids[39])
        assert top is not None

        assert {row.root for row in index.find(Query()) if row.seq != top.seq} == {top.seq}
        assert len(list(index.find(Query(trace=ids[39])))) == 40
        assert len(list(index.find(Query(trace=ids[0])))) == 38
        assert [row.id for row in index.ancestors(1)] == [ids[1], ids[39]]


def test_what_waited_is_answered_by_whichever_window_brought_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More waits than is new, so the news alone is looked through: of all windows."""
    monkeypatch.setattr(catchup_module, "WINDOW_EVENTS", 1)
    monkeypatch.setattr(catchup_module, "_BATCH_BYTES", 200)
    parent = make_id(BASE_NS, 20)
    append(tmp_path, [make_line(n, parent=parent) for n in range(20)])
    with open_index(tmp_path) as index:
        append(tmp_path, [make_line(20), make_line(21)])
        index.catch_up()

        found = index.by_id(parent)
        assert found is not None
        assert len(index.children([found.seq])) == 20


def test_ids_in_upper_case_stay_as_they_are(tmp_path: Path) -> None:
    names = [make_id(BASE_NS, 0xABC), make_id(BASE_NS, 0xABD).upper()]
    append(tmp_path, [make_line(n, id=name) for n, name in enumerate(names)])
    with open_index(tmp_path) as index:
        assert [row.id for row in index.find(Query())] == names


def test_times_beyond_64_bits_do_not_stop_it(tmp_path: Path) -> None:
    append(tmp_path, [make_line(0, time=200_000_000_000 * 10**9, id="far"), make_line(1)])
    with open_index(tmp_path) as index:
        assert [row.id for row in index.find(Query())] == [make_id(BASE_NS, 1), "far"]
        assert index.by_id("far") is not None

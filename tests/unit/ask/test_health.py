"""The doctor believes the journal: what was destroyed after it was indexed is found too."""

from collections.abc import Callable
from pathlib import Path

import pytest

import whence
from tests.unit.index.lines import BASE_NS, append, make_line
from whence.ask.health import Health
from whence.errors import FormatError, StoreError
from whence.log import Log

SEGMENT = "2026-09-21.0000"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A log of ten events by a writer that has closed, read by the index."""
    folder = tmp_path / ".whence"
    folder.mkdir()
    lines = [make_line(n, time=BASE_NS + n, data={"step": n}) for n in range(9)]
    append(
        folder, [*lines, make_line(9, primitive="whence", type="writer.close", data={"last": 9})]
    )
    with Log(folder) as log:
        assert not log.examine().is_broken
    return folder


def examine(folder: Path) -> Health:
    with Log(folder) as log:
        return log.examine()


def change(folder: Path, how: Callable[[bytes], bytes], segment: str = SEGMENT) -> None:
    path = folder / "journal" / f"{segment}.jsonl"
    with path.open("r+b") as file:
        content = how(file.read())
        file.seek(0)
        file.write(content)
        file.truncate()


def zero_the_last_three_lines(content: bytes) -> bytes:
    lines = content.splitlines(keepends=True)
    return b"".join(lines[:-3]) + bytes(sum(map(len, lines[-3:])))


@pytest.mark.parametrize(
    "how",
    [
        zero_the_last_three_lines,
        lambda content: bytes(len(content)),
        lambda content: content[:500] + bytes(100) + content[600:],
        lambda content: content.replace(b'"id"', b'"ID"', 1),
        lambda content: content.replace(b'"n":4', b'"m":4'),
        lambda content: content.replace(b'"n":4', b'"n":3'),
    ],
)
def test_bytes_destroyed_after_they_were_indexed_are_found(
    folder: Path, how: Callable[[bytes], bytes]
) -> None:
    change(folder, how)

    health = examine(folder)

    assert health.is_broken
    assert any("when it was indexed" in problem.problem for problem in health.problems)
    assert examine(folder).is_broken


def test_the_journal_is_believed_without_an_index(folder: Path) -> None:
    (folder / "index.sqlite").unlink()
    change(folder, zero_the_last_three_lines)

    assert [problem.problem for problem in examine(folder).problems] == [
        "no newline ends the last line"
    ]


def test_a_repeated_line_is_no_harm_and_one_with_other_bytes_is(folder: Path) -> None:
    append(folder, [make_line(3, time=BASE_NS + 3, data={"step": 3})], "2026-09-22.0000")
    assert not examine(folder).is_broken

    append(folder, [make_line(4, time=BASE_NS + 4, data={"step": 5})], "2026-09-22.0000")
    (problem,) = examine(folder).problems

    assert problem.segment == "2026-09-22.0000"
    assert problem.problem == "other bytes than those of the first event 4 of w00000000000"


def test_a_newer_format_is_refused_wherever_it_stands(folder: Path) -> None:
    data = {"format": 7, "version": "9.0.0"}
    append(folder, [make_line(0, w="v" * 12, primitive="whence", type="writer.open", data=data)])

    with pytest.raises(FormatError, match=r"format 7.*format 1"):
        examine(folder)


def test_a_segment_that_was_cut_stays_a_problem(folder: Path) -> None:
    change(folder, lambda content: b"".join(content.splitlines(keepends=True)[:-2]))
    for _ in range(2):
        with Log(folder) as log:
            health = log.examine()
            assert health.is_broken
            assert "segment was cut: had" in health.problems[0].problem
            assert list(log.find("nothing of the kind")) == []
            assert len(list(log.timeline().rows)) == 8
            assert [text for text in log.warnings if "segment was cut" in text] == log.warnings


def test_a_log_that_lost_its_only_segment_is_not_an_empty_one(folder: Path) -> None:
    (folder / "journal" / f"{SEGMENT}.jsonl").unlink()
    for _ in range(2):
        with Log(folder) as log:
            assert log.exists()
            assert [problem.problem for problem in log.examine().problems] == ["segment is gone"]
            assert log.warnings == [f"{SEGMENT}: segment is gone"]


def test_payloads_without_a_journal_are_no_empty_log(tmp_path: Path) -> None:
    with whence.open(tmp_path) as log:
        log.emit("ops", "step", data="x" * 100_000)
    (segment,) = (tmp_path / "journal").iterdir()
    segment.unlink()

    health = examine(tmp_path)

    assert health.is_broken
    assert any("no segments" in complaint for complaint in health.complaints)


def test_a_payload_that_cannot_be_read_is_not_one_that_was_changed(tmp_path: Path) -> None:
    with whence.open(tmp_path) as log:
        log.emit("ops", "step", data="x" * 100_000)
    (blob,) = (tmp_path / "blobs").iterdir()
    blob.unlink()
    # Also root cannot read a folder as a file.
    blob.mkdir()

    health = examine(tmp_path)

    assert not health.is_broken
    assert health.blobs.unreadable == (blob.name,)
    assert health.complaints == ("1 payload in blobs/ cannot be read",)


def test_the_doctor_answers_without_an_index(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise StoreError("no index today")

    monkeypatch.setattr("whence.index.Index.open", refuse)
    with Log(folder) as log:
        health = log.examine()

        assert health.events == 10
        assert health.index is None
        assert log.warnings == ["the index cannot be used: no index today"]


def test_who_waits_hears_how_far_the_reading_is(folder: Path) -> None:
    heard: list[tuple[int, int]] = []
    with Log(folder) as log:
        log.examine(lambda done, in_all: heard.append((done, in_all)))

    size = (folder / "journal" / f"{SEGMENT}.jsonl").stat().st_size
    assert heard[-1] == (size, size)


def test_what_lies_among_the_segments_and_is_none_is_named(folder: Path) -> None:
    assert examine(folder).unknown == ()
    for name in ("notes.txt", "2026-09-21.0000.jsonl.bak", "2026-9-21.0000.jsonl"):
        (folder / "journal" / name).write_text("x")

    health = examine(folder)

    assert health.unknown == ("2026-09-21.0000.jsonl.bak", "2026-9-21.0000.jsonl", "notes.txt")
    assert "3 files in journal/ are no segments and were not read" in health.complaints
    assert not health.is_broken

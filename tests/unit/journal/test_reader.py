import itertools
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whence.errors import CorruptError, FormatError, StoreError
from whence.event import Event
from whence.journal.place import Layout
from whence.journal.reader import Cursor, Entry, Reader, Segment
from whence.line import encode_event
from whence.recorder.recorder import Recorder
from whence.testing.clock import FixedClock

_FIRST, _SECOND = "2026-11-20.0000", "2026-11-21.0000"


def _event(n: int, w: str = "w" * 12, size: int = 0) -> bytes:
    event = Event(
        id=f"id-{w}-{n}", time="2026-11-20T12:00:00.000000000Z", primitive="test", type="happened",
        w=w, n=n, commit="c" * 43, target="x" * size or None,
    )  # fmt: skip
    return encode_event(event)


def _write(folder: Path, **segments: bytes) -> Path:
    (folder / "journal").mkdir(parents=True, exist_ok=True)
    for day, content in segments.items():
        (folder / "journal" / f"2026-11-{day[1:]}.0000.jsonl").write_bytes(content)
    return folder


_pieces = st.one_of(
    st.integers(0, 30).map(_event),
    st.integers(0, 30).map(lambda n: _event(n, size=200)),
    st.sampled_from([b"", b"#", b"{}", b"\x00" * 50, _event(1)[:-9], b'{"id":"', b" "]),
    st.tuples(st.integers(0, 30), st.integers(0, 30), st.integers(0, 80)).map(
        lambda t: _event(t[0])[: t[2]] + _event(t[1], "v" * 12)
    ),
    st.tuples(st.integers(0, 30), st.integers(0, 30)).map(
        lambda t: _event(t[0]) + _event(t[1], "v" * 12)
    ),
)
_contents = st.tuples(st.lists(_pieces, max_size=12), st.sampled_from([b"", b"#", _event(9)])).map(
    lambda parts: b"".join(line + b"\n" for line in parts[0]) + parts[1]
)
_chunks = st.integers(1, 400)


def _key(entry: Entry) -> tuple[str, int] | None:
    return (entry.event.w, entry.event.n) if entry.event is not None else None


@given(first=_contents, second=_contents, chunk=_chunks)
def test_what_is_read_tiles_every_segment(
    tmp_path_factory: pytest.TempPathFactory, first: bytes, second: bytes, chunk: int
) -> None:
    """Between two newlines nothing is skipped, whatever stands there and however it is read."""
    folder = _write(tmp_path_factory.mktemp("log"), d20=first, d21=second)
    reader = Reader(folder, chunk_bytes=chunk)

    for name, content in ((_FIRST, first), (_SECOND, second)):
        place = 0
        for entry in reader.scan_segment(name):
            if entry.offset != place:
                # The next line; what is between is its newline.
                assert content[place : entry.offset] == b"\n"
            place = entry.offset + entry.length
            if entry.event is not None:
                raw = content[entry.offset : place]
                assert encode_event(entry.event) == raw
                assert reader.read(name, entry.offset) == entry.event
        assert place == max(0, content.rfind(b"\n"))
    reader.close()


@given(first=_contents, second=_contents, chunk=_chunks)
def test_backward_is_forward_turned_round(
    tmp_path_factory: pytest.TempPathFactory, first: bytes, second: bytes, chunk: int
) -> None:
    folder = _write(tmp_path_factory.mktemp("log"), d20=first, d21=second)
    reader = Reader(folder, chunk_bytes=chunk)
    raw = [*reader.scan_segment(_FIRST), *reader.scan_segment(_SECOND)]

    back = [*reader.scan_back()]
    forward = [*reader.scan()]

    assert forward == _first_of_each(raw)
    assert back == _first_of_each(raw[::-1])
    # From any entry on, in both directions.
    for at in range(0, len(raw), 3):
        cursor = Cursor(raw[at].segment, raw[at].offset)
        assert [*reader.scan(cursor)] == _first_of_each(raw[at:])
        assert [*reader.scan_back(cursor)] == _first_of_each(raw[:at][::-1])
    reader.close()


def _first_of_each(entries: list[Entry]) -> list[Entry]:
    seen: set[tuple[str, int]] = set()
    kept = []
    for entry in entries:
        key = _key(entry)
        if key is None or key not in seen:
            kept.append(entry)
        if key is not None:
            seen.add(key)
    return kept


@given(content=_contents, chunk=_chunks, cuts=st.lists(st.integers(0, 3000), max_size=6))
def test_following_sees_what_reading_sees(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, chunk: int, cuts: list[int]
) -> None:
    """A line is there when its newline is, however its bytes arrive."""
    folder = _write(tmp_path_factory.mktemp("log"), d20=b"")
    reader = Reader(folder, chunk_bytes=chunk)
    news = reader.follow(poll_s=0)
    assert next(news) is None
    found: list[Entry] = []

    edges = sorted({min(cut, len(content)) for cut in cuts} | {0, len(content)})
    for start, end in itertools.pairwise(edges):
        with (folder / "journal" / f"{_FIRST}.jsonl").open("ab") as file:
            file.write(content[start:end])
        found += _news(news)

    assert found == [*reader.scan()]
    reader.close()


def _news(follow: Iterator[Entry | None]) -> list[Entry]:
    return [*iter(lambda: next(follow), None)]


def test_following_goes_over_rotations_and_finds_late_lines(tmp_path: Path) -> None:
    clock = FixedClock("2026-11-20T23:59:00.000000000Z")
    late = Recorder(tmp_path, clock=FixedClock("2026-11-20T23:59:00.000000000Z"))
    recorder = Recorder(tmp_path, clock=clock, layout=Layout(segment_bytes=4096))
    reader = Reader(tmp_path)
    news = reader.follow(Cursor(_FIRST, 0), poll_s=0)
    found = []
    for number in range(40):
        recorder.emit("test", "happened", data={"number": number, "x": "x" * 300})
        clock.advance(10)
        if number % 10 == 9:
            late.emit("test", "late", data={"number": number})
        found += _news(news)

    types = [entry.event.type for entry in found if entry.event is not None]
    numbers = [e.event.data["number"] for e in found if e.event and e.event.type == "happened"]
    assert numbers == list(range(40))
    assert types.count("late") == 4
    assert len(reader.segments()) >= 3


def test_following_from_a_place_reads_what_came_since(tmp_path: Path) -> None:
    lines = [_event(n) + b"\n" for n in range(4)]
    _write(tmp_path, d20=lines[0] + lines[1], d21=lines[2], d22=lines[3])
    reader = Reader(tmp_path)

    from_place = _news(reader.follow(Cursor(_FIRST, len(lines[0])), poll_s=0))
    from_end = _news(reader.follow(poll_s=0))

    assert [entry.event.n for entry in from_place if entry.event] == [1, 2, 3]
    assert from_end == []


def test_a_journal_that_is_not_there_is_empty(tmp_path: Path) -> None:
    reader = Reader(tmp_path / "nowhere")

    assert reader.segments() == []
    assert [*reader.scan()] == [*reader.scan_back()] == []
    assert next(reader.follow(poll_s=0)) is None


def test_a_journal_that_is_a_file_is_the_worlds_refusal(tmp_path: Path) -> None:
    (tmp_path / "journal").write_text("in the way")

    with pytest.raises(StoreError, match="cannot list"):
        Reader(tmp_path).segments()


def test_a_segment_that_goes_away_is_the_worlds_refusal(tmp_path: Path) -> None:
    _write(tmp_path, d20=_event(0) + b"\n")
    reader = Reader(tmp_path)

    with pytest.raises(StoreError, match=r"cannot read /.*/2026-11-21\.0000\.jsonl at 0"):
        reader.read(_SECOND, 0)


@pytest.mark.parametrize("offset", [1, 5, 10_000])
def test_reading_where_no_event_starts_is_corrupt(offset: int, tmp_path: Path) -> None:
    _write(tmp_path, d20=b"# not an event\n" + _event(0) + b"\n")

    with pytest.raises(CorruptError):
        Reader(tmp_path).read(_FIRST, offset)


def test_reading_many_goes_on_after_a_broken_one(tmp_path: Path) -> None:
    first, second = _event(0) + b"\n", _event(1) + b"\n"
    _write(tmp_path, d20=first + b"broken\n" + second)
    places = [(_FIRST, 0), (_FIRST, len(first)), (_FIRST, len(first) + 7)]

    found = [*Reader(tmp_path).read_many(places)]

    assert [getattr(event, "n", None) for event in found] == [0, None, 1]
    assert isinstance(found[1], CorruptError)


def test_many_are_read_in_the_order_in_which_they_were_asked_for(tmp_path: Path) -> None:
    lines = [_event(n, size=size) + b"\n" for n, size in enumerate([0, 3_000, 0, 900, 0] * 3)]
    _write(tmp_path, d20=b"".join(lines), d21=b"".join(lines))
    offsets = [0, *itertools.accumulate(map(len, lines[:-1]))]
    order = [*range(0, 15, 2), *range(13, 0, -2), 14, 14, 0]
    places = [(segment, offsets[n]) for n in order for segment in (_SECOND, _FIRST)]

    found = [*Reader(tmp_path).read_many(places)]

    assert [getattr(event, "n", None) for event in found] == [n for n in order for _ in "ab"]


def test_a_segment_that_is_gone_is_said(tmp_path: Path) -> None:
    _write(tmp_path, d20=_event(0) + b"\n")

    with pytest.raises(StoreError, match=_SECOND):
        [*Reader(tmp_path).read_many([(_FIRST, 0), (_SECOND, 0)])]


def test_more_segments_than_descriptors_are_read(tmp_path: Path) -> None:
    days = {f"d{day:02d}": _event(day) + b"\n" for day in range(1, 29)}
    _write(tmp_path, **days)
    for number in range(1, 40):
        path = tmp_path / "journal" / f"2026-12-01.{number:04d}.jsonl"
        path.write_bytes(_event(100 + number) + b"\n")
    reader = Reader(tmp_path)

    assert len([*reader.scan()]) == len([*reader.scan_back()]) == 67

    assert 0 < _open_files(tmp_path) <= 32
    reader.close()
    assert _open_files(tmp_path) == 0


def _open_files(folder: Path) -> int:
    found = 0
    for fd in os.listdir("/proc/self/fd"):
        try:
            found += os.readlink(f"/proc/self/fd/{fd}").startswith(str(folder))
        except FileNotFoundError:
            # The descriptor of the listing itself.
            continue
    return found


def test_segments_are_listed_with_their_sizes(tmp_path: Path) -> None:
    _write(tmp_path, d21=b"12345", d20=b"1")
    (tmp_path / "journal" / "notes.txt").write_text("not ours")

    assert Reader(tmp_path).segments() == [Segment(_FIRST, 1), Segment(_SECOND, 5)]


def test_each_of_many_lines_is_read_where_it_stands(tmp_path: Path) -> None:
    """Among many that are read together, some are no events."""
    lines = [_event(n, size=n % 7) for n in range(1_000)]
    lines[100:100] = [b"", b"#" + lines[7], lines[8][:-3] + lines[9], lines[10] + b"   "]
    lines[700:700] = [b"\xff"]
    folder = _write(tmp_path, d20=b"".join(line + b"\n" for line in lines))

    found = list(Reader(folder).scan_segment(_FIRST))

    whole = (folder / "journal" / f"{_FIRST}.jsonl").read_bytes()
    assert b"".join(whole[e.offset : e.offset + e.length] for e in found) == b"".join(lines)
    assert [None if e.event is None else e.event.n for e in found] == [
        *range(100), None, None, 7, None, 9, 10, *range(100, 696), None, *range(696, 1_000)
    ]  # fmt: skip
    assert all((e.event is None) == bool(e.problem) for e in found)


def test_a_very_long_line_is_read_in_every_way(tmp_path: Path, full: bool) -> None:
    """Longer than many chunks; in a full run 100 MB."""
    salted = b'{"id":"1","time":"2026-11-20T12:00:00.000000000Z","primitive":"p","type":"t",'
    salted += b'"w":"%b","n":1,"salt":"%b","data":"' % (b"w" * 12, b"s" * 24)
    line = salted + b"x" * (100_000_000 if full else 3_000_000) + b'"}'
    content = _event(0) + b"\n" + line + b"\n" + _event(2) + b"\n"
    _write(tmp_path, d20=content)
    reader = Reader(tmp_path, chunk_bytes=4 * 1024 * 1024 if full else 50_000)

    forward = [entry.event.n for entry in reader.scan() if entry.event]
    back = [entry.event.n for entry in reader.scan_back() if entry.event]

    assert forward == [0, 1, 2]
    assert back == [2, 1, 0]
    assert len(reader.read(_FIRST, len(_event(0)) + 1).payload) == len(line) - len(salted)


def test_a_journal_of_a_newer_format_is_refused(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    recorder.emit("test", "happened")
    recorder.close()
    path = next((tmp_path / "journal").iterdir())
    reader = Reader(tmp_path)
    reader.check_format()

    path.write_bytes(path.read_bytes().replace(b'"format":1', b'"format":2', 1))

    with pytest.raises(FormatError, match=r"journal has format 2 .* reads format 1"):
        reader.check_format()


def test_an_event_written_twice_is_read_once(tmp_path: Path) -> None:
    """Each scan gives the copy that it meets first; raw reading gives both."""
    lines = [_event(n) + b"\n" for n in (0, 1, 0)]
    _write(tmp_path, d20=b"".join(lines), d21=lines[1])
    reader = Reader(tmp_path)

    forward = [(e.segment, e.event.n) for e in reader.scan() if e.event]
    back = [(e.segment, e.event.n) for e in reader.scan_back() if e.event]

    assert forward == [(_FIRST, 0), (_FIRST, 1)]
    assert back == [(_SECOND, 1), (_FIRST, 0)]
    assert len([*reader.scan_segment(_FIRST)]) == 3


@pytest.mark.parametrize("number", [1, 3, 5, 9])
@pytest.mark.parametrize("is_open", [False, True])
def test_following_begins_anew_in_a_folder_that_was_made_anew(
    is_open: bool, number: int, tmp_path: Path
) -> None:
    """Also if the new file is as long as the old one, and even if it is given the same number."""
    path = tmp_path / "journal" / f"{_FIRST}.jsonl"
    _write(tmp_path, d20=b"".join(_event(n) + b"\n" for n in range(5)))
    reader = Reader(tmp_path)
    if is_open:
        assert len([*reader.scan()]) == 5
    news = reader.follow(poll_s=0)
    assert _news(news) == []
    shutil.rmtree(tmp_path / "journal")
    assert _news(news) == []

    new = b"".join(_event(n, "v" * 12) + b"\n" for n in range(number))
    _write(tmp_path, d20=new)
    os.utime(path, (1, 1))

    assert [e.event.n for e in _news(news) if e.event] == [*range(number)]
    assert [e.event.w for e in reader.scan() if e.event] == ["v" * 12] * number
    reader.close()


def test_following_begins_when_a_segment_is_removed_as_it_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes under its name later is new."""
    _write(tmp_path, d20=_event(0) + b"\n")
    reader = Reader(tmp_path)
    look = reader._look

    def look_and_remove() -> list[tuple[str, os.stat_result]]:
        looked = look()
        shutil.rmtree(tmp_path / "journal", ignore_errors=True)
        return looked

    news = reader.follow(poll_s=0)
    with monkeypatch.context() as patch:
        patch.setattr(reader, "_look", look_and_remove)
        assert _news(news) == []
    _write(tmp_path, d20=_event(0) + b"\n")

    assert [e.event.n for e in _news(news) if e.event] == [0]
    reader.close()


def test_a_line_that_changes_as_it_is_read_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An erasure writes over it in place."""
    _write(tmp_path, d20=_event(0) + b"\n")
    reader = Reader(tmp_path)
    seen = [b"half erased", _event(0)]
    monkeypatch.setattr(reader, "_line", lambda segment, offset: seen.pop(0))

    assert reader.read(_FIRST, 0).n == 0
    assert not seen
    reader.close()


def test_following_goes_on_when_a_segment_is_removed_as_it_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write(tmp_path, d20=_event(0) + b"\n")
    reader = Reader(tmp_path)
    news = reader.follow(poll_s=0)
    assert _news(news) == []
    _write(tmp_path, d20=_event(0) + b"\n" + _event(1) + b"\n")
    look = reader._look

    def look_and_remove() -> list[tuple[str, os.stat_result]]:
        looked = look()
        shutil.rmtree(tmp_path / "journal", ignore_errors=True)
        return looked

    with monkeypatch.context() as patch:
        patch.setattr(reader, "_look", look_and_remove)
        assert _news(news) == []
    _write(tmp_path, d20=_event(0) + b"\n" + _event(1) + b"\n" + _event(2) + b"\n")

    assert [e.event.n for e in _news(news) if e.event] == [1, 2]
    reader.close()


def _make_loop(path: Path) -> None:
    path.symlink_to(path)


def _point_nowhere(path: Path) -> None:
    path.symlink_to("/nonexistent/x")


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, _make_loop, _point_nowhere])
def test_what_only_has_the_name_of_a_segment_is_not_read(
    make: Callable[[Path], object], tmp_path: Path
) -> None:
    _write(tmp_path, d20=_event(0) + b"\n")
    make(tmp_path / "journal" / f"{_SECOND}.jsonl")
    reader = Reader(tmp_path)

    assert [segment.name for segment in reader.segments()] == [_FIRST]
    assert [e.event.n for e in reader.scan() if e.event] == [0]
    assert _news(reader.follow(poll_s=0)) == []


def test_closing_inside_a_read_leaves_it_what_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a handler of SIGTERM does while a question is answered."""
    _write(tmp_path, d20=_event(0) + b"\n")
    reader = Reader(tmp_path)
    pread = os.pread

    def close_and_read(fd: int, size: int, offset: int) -> bytes:
        reader.close()
        return pread(fd, size, offset)

    found: list[Event] = []
    with monkeypatch.context() as patch:
        patch.setattr(os, "pread", close_and_read)
        # In a thread of its own, so that waiting for ever turns red.
        thread = threading.Thread(target=lambda: found.append(reader.read(_FIRST, 0)), daemon=True)
        thread.start()
        thread.join(timeout=60)
    assert not thread.is_alive()

    assert [event.n for event in found] == [0]
    reader.close()
    assert not reader._files


@pytest.mark.parametrize("cut", [1, 20, -1])
def test_following_begins_with_a_line_that_is_being_written(cut: int, tmp_path: Path) -> None:
    """Its first half is seen before it is whole."""
    line = _event(1) + b"\n"
    _write(tmp_path, d20=_event(0) + b"\n" + line[:cut])
    reader = Reader(tmp_path)
    news = reader.follow(poll_s=0)
    assert _news(news) == []

    _write(tmp_path, d20=_event(0) + b"\n" + line)

    assert [(e.problem, e.event.n) for e in _news(news) if e.event] == [("", 1)]
    reader.close()

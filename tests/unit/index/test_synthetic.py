"""The synthetic journals that benchmarks and tests use are what they say they are."""

from pathlib import Path

from tests.unit.index.lines import open_index
from whence.journal.reader import Reader
from whence.query import Query
from whence.testing.journals import AGENTS, write_synthetic

EVENTS = 3000


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    for name, seed in (("one", 7), ("two", 7), ("three", 8)):
        write_synthetic(tmp_path / name, 500, seed=seed)
    one, two, three = (
        b"".join(path.read_bytes() for path in sorted((tmp_path / name / "journal").iterdir()))
        for name in ("one", "two", "three")
    )

    assert one == two
    assert one != three


def test_every_line_is_an_event_and_none_is_lost(tmp_path: Path) -> None:
    write_synthetic(tmp_path, EVENTS, writers=3, days=2, segment_bytes=300_000)
    reader = Reader(tmp_path)
    events = [entry.event for entry in reader.scan()]
    reader.close()

    assert None not in events
    assert len(events) == EVENTS + 2 * 3
    assert len(reader.segments()) > 3
    with open_index(tmp_path) as index:
        assert index.lost() == {}
        assert {writer.is_closed for writer in index.writers()} == {True}


def test_the_shares_are_those_of_the_budget(tmp_path: Path) -> None:
    write_synthetic(tmp_path, EVENTS)
    with open_index(tmp_path) as index:
        rows = list(index.find(Query()))

        assert len(index.agents()) == AGENTS
        assert len(index.targets()) <= EVENTS // 50
        assert len(index.statistics(Query())) == 20
    assert all((row.parent is None) == (row.root is None) for row in rows)
    assert 0.75 < sum(row.parent is not None for row in rows) / EVENTS < 0.85
    assert 0.25 < sum(row.duration is not None for row in rows) / EVENTS < 0.35

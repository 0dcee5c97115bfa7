import os
import sqlite3
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import whence
from whence.errors import FormatError, StoreError
from whence.log import Log
from whence.runs.memory import FILE_NAME, ForecastMemory


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    with whence.open(tmp_path / "log") as opened:
        yield opened
        ForecastMemory(log=opened).close()


def _forget_file(memory: ForecastMemory) -> None:
    """Take the file away, as somebody does who knows that it comes back."""
    memory.close()
    for suffix in ("", "-wal", "-shm"):
        Path(f"{memory.path}{suffix}").unlink(missing_ok=True)


def _ids(memory: ForecastMemory, n: int = 1000) -> list[str]:
    return [entry["forecast_id"] for entry in memory.get_recent(n)]


# -- store -----------------------------------------------------------------------------------------


def test_a_forecast_has_its_own_id_or_that_of_its_trace(log: Log) -> None:
    memory = ForecastMemory(log=log)

    assert memory.store({"forecast_id": "f1", "trace_id": "t1"}) == "f1"
    assert memory.store({"trace_id": "t2"}) == "t2"
    assert memory.store({"forecast_id": 5}) == "5"


@pytest.mark.parametrize("nothing", [{}, {"forecast_id": None}, {"forecast_id": "unknown"}])
def test_forecasts_without_an_id_never_collide(log: Log, nothing: dict[str, Any]) -> None:
    memory = ForecastMemory(log=log)

    ids = [memory.store(nothing), memory.store(nothing)]

    assert len(set(ids)) == 2
    assert _ids(memory) == ids


def test_what_should_be_a_number_becomes_one(log: Log) -> None:
    memory = ForecastMemory(log=log)

    memory.store({"confidence": "0.7", "fragility": 1, "priority": True, "retrodiction_score": 0})

    [entry] = memory.get_recent()
    found = [entry[name] for name in ("confidence", "fragility", "priority", "retrodiction_score")]
    assert [repr(value) for value in found] == ["0.7", "1.0", "1.0", "0.0"]


def test_what_is_no_number_stays_and_is_told(log: Log, caplog: pytest.LogCaptureFixture) -> None:
    memory = ForecastMemory(log=log)

    memory.store({"forecast_id": "f", "confidence": "high", "fragility": None, "priority": 10**400})

    [entry] = memory.get_recent()
    assert entry["confidence"] == "high"
    assert entry["fragility"] is None
    assert "confidence of a forecast is no number: 'high'" in caplog.text
    assert "priority" in caplog.text


def test_a_forecast_that_is_given_is_left_as_it_is(log: Log) -> None:
    forecast = {"confidence": "0.5", "overlays": {"hope": 0.1}}
    before = deepcopy(forecast)

    ForecastMemory(log=log).store(forecast)

    assert forecast == before


@pytest.mark.parametrize("other", [None, "text", [("a", 1)], 5])
def test_only_dicts_are_stored(log: Log, other: Any) -> None:
    memory = ForecastMemory(log=log)

    with pytest.raises(TypeError, match="want dict"):
        memory.store(other)

    assert len(memory) == 0


def test_values_that_json_does_not_know_are_kept_as_plain_ones(log: Log, tmp_path: Path) -> None:
    memory = ForecastMemory(log=log)

    memory.store(
        {"forecast_id": "f", "confidence": float("nan"), "where": tmp_path, "when": {1: 2}}
    )

    [entry] = memory.get_recent()
    assert entry["when"] == {"1": 2}
    assert memory.prune(2.0) == 0


def test_one_of_the_same_id_is_replaced_and_is_the_newest(log: Log) -> None:
    memory = ForecastMemory(log=log)

    for forecast_id, note in (("a", 1), ("b", 2), ("a", 3)):
        memory.store({"forecast_id": forecast_id, "note": note})

    assert [entry["note"] for entry in memory.get_recent()] == [2, 3]
    assert len(memory) == 2


def test_only_the_newest_are_kept(log: Log) -> None:
    memory = ForecastMemory(log=log, max_entries=3)

    for number in range(10):
        memory.store({"forecast_id": str(number)})

    assert _ids(memory) == ["7", "8", "9"]
    assert len(memory) == 3
    with pytest.raises(ValueError, match="max_entries is 0"):
        ForecastMemory(log=log, max_entries=0)


# -- ask -------------------------------------------------------------------------------------------


def test_recent_ones_are_filtered_before_they_are_cut(log: Log) -> None:
    memory = ForecastMemory(log=log)
    for number in range(6):
        memory.store({"forecast_id": str(number), "domain": "even" if number % 2 == 0 else "odd"})

    assert [entry["forecast_id"] for entry in memory.get_recent(2, domain="even")] == ["2", "4"]
    assert _ids(memory, 2) == ["4", "5"]
    assert memory.get_recent(0) == memory.get_recent(-1) == []
    assert memory.get_recent(domain="none such") == []


def test_a_forecast_is_found_by_its_trace_the_newest_first(log: Log) -> None:
    memory = ForecastMemory(log=log)
    memory.store({"forecast_id": "old", "trace_id": "t"})
    memory.store({"forecast_id": "new", "trace_id": "t"})

    found = memory.find_by_trace_id("t")

    assert found is not None
    assert found["forecast_id"] == "new"
    assert memory.find_by_trace_id("old") == {"forecast_id": "old", "trace_id": "t"}
    for unknown in ("x", "", "'; --", "\ud800", None, ["t"]):
        assert memory.find_by_trace_id(unknown) is None  # type: ignore[arg-type] # odd input


def test_asking_makes_no_file(tmp_path: Path) -> None:
    with whence.open(tmp_path / "log") as log:
        memory = ForecastMemory(log=log)

        assert memory.get_recent() == []
        assert memory.find_by_trace_id("t") is None
        assert len(memory) == 0
        assert memory

    assert list(tmp_path.iterdir()) == []


# -- trust -----------------------------------------------------------------------------------------


def test_what_becomes_known_is_put_into_the_forecast(log: Log) -> None:
    memory = ForecastMemory(log=log)
    memory.store({"forecast_id": "f", "trace_id": "t", "confidence": 0.9})
    news = {"confidence": "0", "trust": 0.0, "forecast_id": "other"}

    assert memory.update_trust("t", news) is True

    assert news["confidence"] == "0"
    expected = {"forecast_id": "f", "trace_id": "t", "confidence": 0.0, "trust": 0.0}
    assert memory.find_by_trace_id("f") == expected
    assert memory.prune(0.1) == 1


def test_trust_in_what_is_not_there_is_refused_and_no_event(log: Log) -> None:
    memory = ForecastMemory(log=log)

    assert memory.update_trust("t", {"trust": 1.0}) is False
    assert memory.update_trust(None, {"trust": 1.0}) is False  # type: ignore[arg-type] # odd input
    with pytest.raises(TypeError, match="want a mapping"):
        memory.update_trust("t", 0.5)  # type: ignore[arg-type] # odd input
    assert memory.prune() == 0
    assert list(log.events()) == []
    assert not log.folder.exists()


# -- prune -----------------------------------------------------------------------------------------


def test_what_is_pruned_stays_gone(log: Log) -> None:
    memory = ForecastMemory(log=log)
    for forecast_id, confidence in (("zero", 0.0), ("low", 0.29), ("edge", 0.3), ("none", None)):
        memory.store({"forecast_id": forecast_id, "confidence": confidence})

    assert memory.prune(0.3) == 2

    assert _ids(memory) == ["edge", "none"]
    memory.close()
    assert _ids(ForecastMemory(log=log)) == ["edge", "none"]
    _forget_file(memory)
    assert _ids(ForecastMemory(log=log)) == ["edge", "none"]
    assert memory.prune(0.3) == 0


# -- the file and the journal ----------------------------------------------------------------------

_operations = st.one_of(
    st.tuples(
        st.just("store"),
        st.fixed_dictionaries(
            {"forecast_id": st.sampled_from("abcdefgh")},
            optional={
                "trace_id": st.sampled_from("tuv"),
                "domain": st.sampled_from(["x", "y"]),
                "confidence": st.floats(0, 1),
            },
        ),
    ),
    st.tuples(st.just("trust"), st.tuples(st.sampled_from("abctuv"), st.floats(0, 1))),
    st.tuples(st.just("prune"), st.floats(0, 1)),
)


@given(st.lists(_operations, max_size=25), st.integers(1, 6))
def test_a_memory_is_what_a_list_would_be_and_comes_back_from_the_journal(
    tmp_path_factory: pytest.TempPathFactory, operations: list[tuple[str, Any]], size: int
) -> None:
    expected: list[dict[str, Any]] = []
    with whence.open(tmp_path_factory.mktemp("log") / "log") as log:
        memory = ForecastMemory(log=log, max_entries=size)
        for name, value in operations:
            if name == "store":
                memory.store(value)
                expected = [e for e in expected if e["forecast_id"] != value["forecast_id"]]
                expected = [*expected, dict(value)][-size:]
            elif name == "trust":
                told = memory.update_trust(value[0], {"confidence": value[1]})
                of_trace = [e for e in expected if e.get("trace_id") == value[0]]
                found = (of_trace or [e for e in expected if e["forecast_id"] == value[0]])[-1:]
                assert told is bool(found)
                for entry in found:
                    entry["confidence"] = value[1]
            else:
                low = [e for e in expected if e.get("confidence", 2.0) < value]
                assert memory.prune(value) == len(low)
                expected = [e for e in expected if e not in low]

        assert memory.get_recent(100) == expected
        assert len(memory) == len(expected)
        assert memory.rebuild() == len(expected)
        assert memory.get_recent(100) == expected
        _forget_file(memory)
        assert ForecastMemory(log=log, max_entries=size).get_recent(100) == expected
        memory.close()


def test_each_change_is_an_event_on_its_trace(log: Log) -> None:
    memory = ForecastMemory(log=log)

    memory.store({"forecast_id": "f", "trace_id": "t", "confidence": 0.1})
    memory.update_trust("t", {"trust": 0.4})
    memory.prune(0.5)

    told = [(event.primitive, event.type, event.target) for event in log.events()]
    assert told == [
        ("forecast", "store", "t"),
        ("forecast", "update_trust", "t"),
        ("forecast", "prune", None),
    ]


def test_a_forecast_whose_row_was_never_written_comes_back(log: Log) -> None:
    """As after a kill between its event and its row."""
    memory = ForecastMemory(log=log)
    memory.store({"forecast_id": "a"})
    with sqlite3.connect(memory.path) as db:
        db.execute("DELETE FROM forecasts")
    db.close()
    assert _ids(memory) == []

    assert memory.rebuild() == 1

    assert _ids(memory) == ["a"]


def test_events_that_are_no_change_of_a_memory_cost_no_other(log: Log) -> None:
    memory = ForecastMemory(log=log)
    memory.store({"forecast_id": "a"})
    log.emit("forecast", "store", data={"forecast": 5})
    log.emit("forecast", "store", data=["nothing"])
    log.emit("forecast", "prune", data={"forecast_ids": 7})
    log.emit("forecast", "update_trust", data={"forecast_id": "a", "trust": None})
    log.emit("forecast", "cast", data={})
    memory.store({"forecast_id": "b"})

    assert memory.rebuild() == 2


def test_memories_of_one_log_are_apart(log: Log, tmp_path: Path) -> None:
    one, other = ForecastMemory(log=log), ForecastMemory(tmp_path / "other", log=log)
    one.store({"forecast_id": "one"})
    other.store({"forecast_id": "other"})

    assert (one.rebuild(), other.rebuild()) == (1, 1)
    assert (_ids(one), _ids(other)) == (["one"], ["other"])
    other.close()


def _open_files(path: Path) -> int:
    links = (Path("/proc/self/fd") / name for name in os.listdir("/proc/self/fd"))
    return sum(os.path.realpath(link) == str(path) for link in links)


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="tells open files on Linux")
def test_memories_of_one_file_share_one_connection(log: Log) -> None:
    for number in range(20):
        ForecastMemory(log=log).store({"forecast_id": str(number)})

    assert _open_files(ForecastMemory(log=log).path) == 1
    assert len(ForecastMemory(log=log)) == 20


def test_a_file_that_broke_is_set_aside_and_comes_back(log: Log) -> None:
    memory = ForecastMemory(log=log)
    memory.store({"forecast_id": "a"})
    memory.close()
    memory.path.write_bytes(b"not a database at all" * 500)

    assert _ids(memory) == ["a"]

    assert memory.path.with_name(f"{FILE_NAME}.broken").exists()


def test_a_file_that_breaks_while_it_is_open_comes_back(log: Log) -> None:
    memory = ForecastMemory(log=log)
    for number in range(50):
        memory.store({"forecast_id": str(number)})
    memory.close()
    content = bytearray(memory.path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    memory.path.write_bytes(content)

    with pytest.raises(StoreError, match="cannot be used"):
        memory.get_recent()

    assert len(memory) == 50


def test_a_file_that_was_removed_while_it_was_open_comes_back(log: Log) -> None:
    memory = ForecastMemory(log=log)
    memory.store({"forecast_id": "a"})
    memory.path.unlink()

    assert _ids(memory) == ["a"]
    memory.store({"forecast_id": "b"})
    assert _ids(memory) == ["a", "b"]


def test_somebody_elses_database_is_left_alone(log: Log) -> None:
    memory = ForecastMemory(log=log)
    log.folder.mkdir()
    with sqlite3.connect(memory.path) as db:
        db.execute("CREATE TABLE shop (name)")
    db.close()

    with pytest.raises(StoreError, match="no memory of forecasts"):
        memory.store({})


def test_a_newer_memory_is_refused(log: Log) -> None:
    memory = ForecastMemory(log=log)
    memory.store({})
    memory.close()
    with sqlite3.connect(memory.path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()

    with pytest.raises(FormatError, match="newer Whence"):
        memory.get_recent()


def test_a_folder_that_is_none_is_told(log: Log, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(StoreError, match="cannot open memory"):
        ForecastMemory(tmp_path / "file", log=log).store({})


def test_without_a_log_it_is_the_default_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHENCE_DIR", str(tmp_path / "default"))

    memory = ForecastMemory()
    memory.store({"forecast_id": "f"})

    assert memory.path == tmp_path / "default" / FILE_NAME
    memory.close()
    whence.close()


def test_the_file_is_for_its_owner_alone(log: Log) -> None:
    memory = ForecastMemory(log=log)
    memory.store({})

    assert memory.path.stat().st_mode & 0o077 == 0


def test_a_change_inside_of_a_change_is_refused_not_half_done(log: Log) -> None:
    """As from a signal's handler that interrupts one."""
    memory = ForecastMemory(log=log)
    memory.store({"forecast_id": "a"})

    with memory._file().change(memory._fill), pytest.raises(StoreError):
        memory.store({"forecast_id": "b"})

    assert _ids(memory) == ["a"]

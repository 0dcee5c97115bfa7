"""The tracker: its state is what the journal's events come to, for everybody and for any moment."""

import gc
import json
import logging
import math
import os
import subprocess
import sys
import threading
import weakref
import zlib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import whence
from whence.errors import CorruptError, NotFoundError, StoreError
from whence.learning.evidence import Evidence
from whence.learning.exchange import parse
from whence.learning.state import FILE_NAME, State, forget
from whence.learning.trust import BayesianTrustTracker
from whence.log import Log, default
from whence.query import Query

tracker = whence.learning.bayesian_trust_tracker


def _teach(key: str, letters: str) -> None:
    tracker.batch_update({key: [(letter == "T", 1.0) for letter in letters]})


def test_what_was_learnt_is_told_at_once_and_by_another_tracker() -> None:
    assert tracker.get_trust("rule") == 0.5
    _teach("rule", "TTFTFFTTTF")

    assert tracker.get_trust("rule") == pytest.approx(7 / 12)
    assert tracker.get_sample_size("rule") == 10
    assert tracker.get_confidence_strength("rule") == 0.5
    assert BayesianTrustTracker().get_trust("rule") == pytest.approx(7 / 12)
    assert "rule" in tracker
    assert "other" not in tracker


def test_asking_for_a_key_that_is_not_known_does_not_make_it_known() -> None:
    tracker.get_trust("nobody")
    tracker.get_confidence_interval("nobody")

    assert tracker.keys() == []
    assert tracker.get_time_since_update("nobody") == math.inf
    assert tracker.get_trend("nobody") == 0.0


def test_every_update_is_an_event_with_the_durability_asked_for() -> None:
    event_id = tracker.update("rule", True, 2.5)
    [event] = default().events(Query(primitive="trust"))

    assert (event.id, event.type, event.target) == (event_id, "update", "rule")
    assert event.data == {"success": True, "weight": 2.5}
    assert tracker.events("rule").__next__().id == event_id


@pytest.mark.parametrize("weight", [0, -1, math.nan, math.inf, "1", True, None])
def test_a_wrong_weight_is_refused_and_leaves_nothing(weight: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="weight is"):
        tracker.update("rule", True, weight)
    with pytest.raises((TypeError, ValueError), match="weight is"):
        tracker.batch_update({"other": [(True, 1.0)], "rule": [(True, weight)]})

    assert tracker.keys() == []


@pytest.mark.parametrize("success", ["yes", None, 2, 0.5])
def test_an_outcome_that_is_no_bool_is_refused(success: Any) -> None:
    with pytest.raises(TypeError, match="success is"):
        tracker.update("rule", success)


def test_a_batch_that_is_no_mapping_is_refused() -> None:
    with pytest.raises(TypeError, match="want a mapping"):
        tracker.batch_update([("rule", True, 1.0)])  # type: ignore[arg-type]


def test_a_second_trial_of_a_task_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "whence.learning")
    tracker.update("rule", True, task="task-1")
    tracker.update("rule", True, task="task-2")

    assert not caplog.records
    tracker.update("rule", True, task="task-1")
    assert "trial 2 of task 'task-1' for 'rule'" in caplog.text
    [entry] = tracker.generate_report()["recently_updated"]
    assert entry["dependent"] == 1


def test_any_past_moment_can_be_told() -> None:
    _teach("rule", "TTT")
    moments = [when for when, _, _ in tracker.course("rule")]

    past = tracker.as_of(moments[1])
    assert past.get_sample_size("rule") == 2
    assert past.get_trust("rule") == pytest.approx(0.75)
    assert tracker.as_of(moments[0] - 1).keys() == []
    assert tracker.as_of("now").get_sample_size("rule") == 3
    with pytest.raises(TypeError, match="as of a past moment"):
        past.update("rule", True)


def test_a_trend_says_how_trust_moved() -> None:
    _teach("up", "FFFTTTTT")
    _teach("down", "TTTFFFFF")

    assert tracker.get_trend("up", 4) > 0 > tracker.get_trend("down", 4)


@pytest.mark.parametrize("z", [0, 9, -10, 1e300])
def test_any_z_has_an_interval(z: float) -> None:
    _teach("rule", "TTF")
    low, high = tracker.get_confidence_interval("rule", z)

    assert 0.0 <= low <= high <= 1.0


@pytest.mark.parametrize("moment", [math.inf, -math.inf, math.nan, 1e300])
def test_what_is_no_moment_is_refused(moment: float) -> None:
    with pytest.raises(ValueError, match="want seconds since 1970"):
        tracker.as_of(moment)


def test_a_tracker_that_nobody_holds_is_let_go() -> None:
    _teach("rule", "TTF")
    trackers = [BayesianTrustTracker(), tracker.as_of(None)]
    assert [each.get_trust("rule") for each in trackers] == [0.6, 0.6]
    refs = [weakref.ref(each) for each in (*trackers, trackers[0]._state)]
    del trackers
    gc.collect()

    assert [each() for each in refs] == [None, None, None]


def test_decay_takes_a_share_of_what_is_known() -> None:
    _teach("rule", "T" * 8)
    tracker.apply_decay("rule", 0.5)

    assert tracker.believe("rule").alpha == 5.0
    with pytest.raises(ValueError, match="decay_factor is"):
        tracker.apply_decay("rule", 1.5)
    with pytest.raises(ValueError, match="min_count is"):
        tracker.apply_decay("rule", 0.5, -1)


def test_a_half_life_may_stand_in_the_settings(tmp_path: Path) -> None:
    (tmp_path / "whence.toml").write_text('[learning]\nhalf_life = "30 days"\n')
    _teach("rule", "T")
    later = default().recorder.clock() + 30 * 86_400 * 10**9

    assert tracker.as_of(later).believe("rule").alpha == pytest.approx(1.5, abs=1e-6)


@pytest.mark.parametrize("line", ['half_life = "soon"', "half_life = -1", "halflife = 3"])
def test_a_wrong_setting_is_refused_with_its_file(tmp_path: Path, line: str) -> None:
    (tmp_path / "whence.toml").write_text(f"[learning]\n{line}\n")

    with pytest.raises(ValueError, match=r"whence\.toml.*half"):
        tracker.get_trust("rule")


def test_threads_lose_no_update() -> None:
    def teach() -> None:
        for _ in range(50):
            tracker.update("rule", True, durability="os")

    threads = [threading.Thread(target=teach) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert tracker.get_sample_size("rule") == 400


_ANOTHER = """
import whence
whence.learning.bayesian_trust_tracker.batch_update({"rule": [(True, 1.0)] * 3})
"""


def test_what_another_process_learnt_counts_at_once() -> None:
    _teach("rule", "F")
    assert tracker.get_sample_size("rule") == 1
    subprocess.run([sys.executable, "-c", _ANOTHER], check=True)

    assert tracker.get_sample_size("rule") == 4


def test_a_child_goes_on_by_itself() -> None:
    _teach("rule", "TT")
    child = os.fork()
    if child == 0:
        try:
            tracker.update("rule", True)
            os._exit(0 if tracker.get_sample_size("rule") == 3 else 1)
        except BaseException:  # noqa: BLE001
            os._exit(2)
    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    assert tracker.get_sample_size("rule") == 3


# -- snapshots -------------------------------------------------------------------------------------


def _state(folder: Path, half_life_s: float | None = None) -> State:
    return State(folder, half_life_s)


def test_a_snapshot_spares_reading_and_changes_nothing() -> None:
    _teach("rule", "TTF")
    log = default()
    tracker.save_snapshot()
    assert (log.folder / FILE_NAME).stat().st_mode & 0o777 == 0o600
    _teach("rule", "F")
    reopened = _state(log.folder)

    assert reopened.fold().keys == tracker._fold().keys
    assert reopened.fold().keys["rule"].n == 4


def test_a_snapshot_of_another_half_life_is_not_taken() -> None:
    _teach("rule", "TTF")
    tracker.save_snapshot()

    assert _state(default().folder, 60.0).fold().keys["rule"].n == 3


@given(at=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_a_broken_snapshot_is_made_anew(
    at: int, bit: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("log")
    with Log(folder / "log") as log:
        BayesianTrustTracker(log).batch_update({"rule": [(True, 1.0)] * 3})
        BayesianTrustTracker(log).save_snapshot()
        file = log.folder / FILE_NAME
        content = bytearray(file.read_bytes())
        content[at % len(content)] ^= 1 << bit
        file.write_bytes(content)

        assert _state(log.folder).fold().keys["rule"].n == 3


@pytest.mark.parametrize(
    "change",
    [
        {"successes": 1e308, "failures": 1e308}, {"successes": math.nan}, {"failures": -5.0},
        {"squares": math.inf}, {"n": -1}, {"repeats": 7}, {"places": -1},
    ],
)  # fmt: skip
def test_a_snapshot_of_what_cannot_be_is_made_anew(change: dict[str, Any]) -> None:
    _teach("rule", "TTF")
    tracker.save_snapshot()
    file = default().folder / FILE_NAME
    [*others, places, writers, keys, mark] = msgspec.msgpack.decode(file.read_bytes()[4:])
    evidence = msgspec.convert(keys["rule"], Evidence)
    for name, value in change.items():
        if name == "places":
            places = dict.fromkeys(places, value)
        else:
            setattr(evidence, name, value)
    packed = msgspec.msgpack.encode([*others, places, writers, {"rule": evidence}, mark])
    file.write_bytes(zlib.crc32(packed).to_bytes(4, "big") + packed)

    assert _state(default().folder).fold().keys["rule"] == tracker._fold().keys["rule"]
    assert BayesianTrustTracker().get_trust("rule") == 0.6


def test_what_was_erased_lives_on_in_no_state_and_no_snapshot(tmp_path: Path) -> None:
    """Erasing is in place: the journal is as long as before, and nothing else tells who has read it."""
    _teach("rule", "TTF")
    here, elsewhere = _state(default().folder), _state(default().folder)
    here.fold()
    elsewhere.fold()
    here.save()
    [segment] = (tmp_path / ".whence" / "journal").iterdir()
    segment.write_bytes(segment.read_bytes().replace(b'{"success":true', b'{"success":null', 1))
    forget(default().folder)
    # It asks no more, and keeps what it has as it ends.
    elsewhere.save()

    assert _state(default().folder).fold().keys["rule"].n == 2
    assert here.fold().keys["rule"].n == 2
    here.save()
    assert _state(default().folder).fold().keys["rule"].n == 2


def test_a_moment_centuries_ahead_is_no_moment_and_breaks_no_snapshot() -> None:
    Path("in.json").write_text('{"stats": {"a": [3, 2]}, "last_update": {"a": 2e10}}')
    assert tracker.import_from_file("in.json") == 1
    tracker.save_snapshot()

    assert tracker.believe("a").last_ns is None
    assert _state(default().folder).fold().keys["a"].n == 3


def test_a_clock_centuries_ahead_only_costs_the_snapshot() -> None:
    _teach("rule", "TTF")
    tracker.save_snapshot()
    kept = (default().folder / FILE_NAME).read_bytes()
    state = _state(default().folder)
    state.fold().keys["rule"].last_ns = 2**80
    state.save()

    assert (default().folder / FILE_NAME).read_bytes() == kept


def test_a_snapshot_of_another_journal_is_not_taken(tmp_path: Path) -> None:
    one, other = Log(tmp_path / "one"), Log(tmp_path / "other")
    BayesianTrustTracker(one).batch_update({"rule": [(True, 1.0)] * 3})
    BayesianTrustTracker(one).save_snapshot()
    BayesianTrustTracker(other).batch_update({"rule": [(False, 1.0)] * 50})
    (other.folder / FILE_NAME).write_bytes((one.folder / FILE_NAME).read_bytes())

    assert _state(other.folder).fold().keys["rule"].n == 50
    one.close()
    other.close()


def test_a_journal_that_was_cut_is_read_anew() -> None:
    _teach("rule", "TTTTT")
    state = _state(default().folder)
    assert state.fold().keys["rule"].n == 5
    [segment] = (default().folder / "journal").glob("*.jsonl")
    lines = segment.read_bytes().splitlines(keepends=True)
    segment.write_bytes(b"".join(lines[:-2]))

    assert state.fold().keys["rule"].n == 3


# -- the file --------------------------------------------------------------------------------------


def test_what_is_exported_is_imported() -> None:
    _teach("rule", "TTFT")
    _teach("größe", "F")
    assert tracker.export_to_file("out/trust.json") == 2
    value = json.loads(Path("out/trust.json").read_text())
    assert set(value) == {"stats", "last_update", "timestamps", "export_time"}
    assert value["stats"] == {"rule": [4.0, 2.0], "größe": [1.0, 2.0]}
    assert [trust for _, trust in value["timestamps"]["rule"]][-1] == pytest.approx(4 / 6)
    assert Path("out/trust.json").stat().st_mode & 0o777 == 0o600

    with Log(Path("another")) as log:
        other = BayesianTrustTracker(log)
        assert other.import_from_file("out/trust.json") == 2
        assert other.believe("rule").alpha == 4.0
        assert other.believe("rule").last_ns == pytest.approx(
            tracker.believe("rule").last_ns, abs=1e3
        )
        other.export_to_file("again.json")
        again = json.loads(Path("again.json").read_text())
        assert again["stats"] == value["stats"]
        assert len(again["timestamps"]["rule"]) == 5


def test_evidence_that_ages_is_as_old_after_an_export_and_an_import(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    start = default().recorder.clock()
    for _ in range(16):
        tracker.update("rule", True)

    def at(seconds: float, log: Log) -> BayesianTrustTracker:
        return BayesianTrustTracker(
            log, half_life_s=3600, clock=lambda: start + int(seconds * 10**9)
        )

    before = at(3600, default())
    before.export_to_file("out.json")
    with Log(Path("another")) as log:
        monkeypatch.setattr(log.recorder, "clock", lambda: start + 3_600 * 10**9)
        after = at(3600, log)
        after.import_from_file("out.json")

        assert before.get_sample_size("rule") == pytest.approx(8, rel=1e-3)
        assert after.get_sample_size("rule") == pytest.approx(8, rel=1e-3)
        assert at(7200, log).get_sample_size("rule") == pytest.approx(4, rel=1e-3)
        assert after.believe("rule").last_ns == pytest.approx(start, abs=60 * 10**9)


@pytest.mark.parametrize("said", ['"2026-11-20T19:27:35"', "null", "Infinity", "true", "NaN"])
def test_a_file_that_does_not_say_in_seconds_when_it_was_written_is_read(said: str) -> None:
    [found], _ = parse(b'{"stats": {"a": [3, 1]}, "export_time": %s}' % said.encode())

    assert found.as_of_s is None


def test_counts_below_the_prior_are_taken_as_it_and_named(caplog: pytest.LogCaptureFixture) -> None:
    Path("in.json").write_text(
        '{"stats": {"low": [0.5, 3], "plain": [1, 3]}, "last_update": {"low": null}}'
    )
    assert tracker.import_from_file("in.json") == 2

    assert (tracker.believe("low").alpha, tracker.believe("low").last_ns) == (1.0, None)
    assert "counts of 'low' are below" in caplog.text
    assert "plain" not in caplog.text


def test_keys_that_hold_a_secret_are_left_out_and_named_without_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    keys = [
        "sk-ant-api03-aaaaaaaaaaaaaaaaaaaaaaaa1",
        "password=hunter2hunter2",
        "password",
        "plain",
    ]
    Path("in.json").write_text(json.dumps({"stats": {key: [5, 2] for key in keys}}))

    assert tracker.import_from_file("in.json") == 2
    assert sorted(tracker.keys()) == ["password", "plain"]
    assert tracker.believe("password").alpha == 5.0
    assert "holds a secret and is left out" in caplog.text
    assert "hunter2" not in caplog.text


def test_the_second_shape_and_infinity_are_read_and_never_written(
    caplog: pytest.LogCaptureFixture,
) -> None:
    Path("in.json").write_text(
        '{"stats": {"a": [3, 1], "b": [Infinity, 1]}, "last_update": {"a": -Infinity},'
        ' "timestamps": {"a": {"times": [1, 2, Infinity], "values": [0.5, 0.75, 1]}}}'
    )
    assert tracker.import_from_file("in.json") == 1
    assert "'b' has infinite counts" in caplog.text
    tracker.export_to_file("out.json")

    assert tracker.keys() == ["a"]
    assert tracker.course("a")[0][:2] == (10**9, 0.5)
    assert "Infinity" not in Path("out.json").read_text()


@pytest.mark.parametrize(
    "content",
    [
        "", "[]", "{}", "{", '{"stats": []}', '{"stats": {"a": [1]}}', '{"stats": {"a": [0, 1]}}',
        '{"stats": {"a": [1, "2"]}}', '{"stats": {"a": [NaN, 1]}}', '{"stats": {"": [1, 1]}}',
        '{"stats": {"a": [true, 1]}}', '{"stats": {"a": [-1, 1]}}', '{"stats": {"\\ud800": [1, 1]}}',
        '{"stats": {"a": [1, 1]}, "last_update": []}',
        '{"stats": {"a": [1, 1]}, "timestamps": {"a": 3}}',
        '{"stats": {"a": [1, 1]}, "timestamps": {"a": {"times": [1], "values": []}}}',
        '{"stats": {"good": [5, 1], "a": null}}', '{"stats": {"a": [Infinity, -3]}}',
    ],
)  # fmt: skip
def test_a_bad_file_changes_nothing(content: str) -> None:
    _teach("a", "T")
    Path("bad.json").write_text(content)

    with pytest.raises(CorruptError, match=r"bad\.json is no trust data"):
        tracker.import_from_file("bad.json")
    assert tracker.keys() == ["a"]
    assert tracker.believe("a").alpha == 2.0
    assert len(list(default().events(Query(primitive="trust")))) == 1


def test_a_file_that_is_not_there_or_cannot_be_written_is_said() -> None:
    with pytest.raises(NotFoundError):
        tracker.import_from_file("nowhere.json")
    with pytest.raises(StoreError, match="cannot read"):
        tracker.import_from_file(".")
    Path("file").write_text("")
    with pytest.raises(StoreError, match="cannot write"):
        tracker.export_to_file("file/trust.json")


@given(content=st.binary() | st.text().map(str.encode))
def test_no_bytes_make_reading_fail_otherwise(content: bytes) -> None:
    with pytest.raises(CorruptError):
        parse(content)


_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(
    value=st.fixed_dictionaries(
        {"stats": _values}, optional={"last_update": _values, "timestamps": _values}
    )
)
def test_what_is_read_can_be_recorded_whatever_the_values(value: dict[str, Any]) -> None:
    try:
        found, _ = parse(json.dumps(value).encode())
    except CorruptError:
        return
    assert all(each.alpha > 0 and math.isfinite(each.alpha) for each in found)

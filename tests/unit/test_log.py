"""The handle behind `whence.open()`: lazy, honest about what it is given, and its own when forked."""

import asyncio
import grp
import json
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

import whence
from tests.unit.index.lines import append, make_line
from whence.ask.health import Health
from whence.ask.zones import local_zone
from whence.errors import FormatError, NotFoundError, PhraseError, StoreError
from whence.log import Log
from whence.query import Query


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    with whence.open(tmp_path / ".whence") as opened:
        yield opened


@pytest.fixture(autouse=True)
def _no_default_log() -> Iterator[None]:
    yield
    whence.close()


def texts(log: Log, *args: Any, **kwargs: Any) -> list[str]:
    return [row.text for row in log.timeline(*args, **kwargs).rows]


def test_importing_whence_loads_next_to_nothing() -> None:
    code = "import sys; n = len(sys.modules); import whence; print(len(sys.modules) - n)"
    more = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert int(more.stdout) == 1


def test_the_public_face_names_what_it_has() -> None:
    assert set(whence.__all__) <= set(dir(whence))
    assert all(getattr(whence, name) for name in whence.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        whence.nothing  # type: ignore[attr-defined]  # noqa: B018


def test_opening_and_asking_make_nothing(log: Log) -> None:
    assert not log.exists()
    assert list(log.events()) == []
    assert texts(log) == []
    assert list(log.find("x")) == []
    assert log.statistics() == []
    log.catch_up()
    assert log.examine().exists is False
    for ask in (
        lambda: log.timeline("task-1"),
        lambda: log.causality("task-1"),
        lambda: log.resolve("@last"),
        lambda: log.sql("select 1"),
        lambda: log.moment("last wake"),
    ):
        with pytest.raises(NotFoundError, match="nothing is recorded in"):
            ask()

    assert not log.folder.exists()


def test_what_is_recorded_is_there_at_once(log: Log) -> None:
    event_id = log.emit("ops", "create_task", agent="zealot-1", target="#task-1", data={"a": 1})

    event = next(log.events())

    assert (event.id, event.target, event.data) == (event_id, "task-1", {"a": 1})
    assert log.exists()
    assert log.lost == 0


def test_recording_costs_no_hop_more(log: Log) -> None:
    log.emit("ops", "step")

    assert log.emit.__func__ is type(log.emit.__self__).emit  # type: ignore[attr-defined]


def test_spans_and_causes_go_to_the_same_journal(log: Log) -> None:
    with log.cause("some-cause"):
        assert log.current_cause() == "some-cause"
        with log.span("altitude.transition", input="L3→L2") as span:
            inside = log.emit("ops", "step")
    asyncio.run(_emit_async(log))

    events = {event.id: event for event in log.events()}
    assert events[inside].parent == span.id
    assert events[span.id].parent == "some-cause"
    assert len(events) == 3


async def _emit_async(log: Log) -> None:
    await log.emit_async("ops", "step")


def test_a_log_opened_for_reading_records_nothing(tmp_path: Path) -> None:
    log = whence.open(tmp_path / ".whence", read_only=True)

    with pytest.raises(ValueError, match="for reading only"):
        log.emit("ops", "step")


def test_the_default_log_is_found_when_it_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHENCE_DIR", str(tmp_path / "one"))
    with whence.span("a.b"), whence.cause("x"):
        whence.emit("ops", "step")
    whence.close()
    monkeypatch.setenv("WHENCE_DIR", str(tmp_path / "two"))
    whence.emit("ops", "step")

    assert len(list(whence.open(tmp_path / "one").events())) == 2
    assert len(list(whence.open().events())) == 1
    assert repr(whence.open()) == f"Log({str(tmp_path / 'two')!r})"


def test_closing_twice_is_fine_and_a_question_opens_again(log: Log) -> None:
    log.emit("ops", "step")
    log.close()
    log.close()

    assert len(list(log.events())) == 1


def test_threads_may_ask_at_once(log: Log) -> None:
    for number in range(200):
        log.emit("ops", "step", target=f"task-{number % 5}")
    answers: list[int] = []

    def ask(number: int) -> None:
        answers.append(len(texts(log, target=f"task-{number}")))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert answers == [40] * 5


def test_a_forked_child_asks_and_records_for_itself(log: Log) -> None:
    log.emit("ops", "step", target="task-1")
    assert texts(log, "task-1")
    child = os.fork()
    if child == 0:
        log.emit("ops", "step", target="task-1")
        found = len(texts(log, "task-1"))
        log.close()
        os._exit(found)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 2
    assert len(texts(log, "task-1")) == 2


# -- paths that are no logs --------------------------------------------------------------------------


def test_a_file_is_not_a_log(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x")

    with pytest.raises(StoreError, match="is not a log but a file"):
        whence.open(file)


def test_a_folder_of_something_else_is_not_a_log(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    log = whence.open(tmp_path)

    for ask in (lambda: list(log.events()), lambda: list(log.find("x")), log.examine):
        with pytest.raises(NotFoundError, match=r"no folder named journal.*emit"):
            ask()
    assert [*tmp_path.iterdir()] == [tmp_path / "notes.txt"]


def test_a_folder_that_holds_a_log_says_so(log: Log) -> None:
    log.emit("ops", "step")

    with pytest.raises(NotFoundError, match="holds one") as caught:
        list(whence.open(log.folder.parent).events())
    assert caught.value.candidates == (str(log.folder),)


def test_an_empty_folder_and_one_with_settings_are_logs_to_be(tmp_path: Path) -> None:
    assert list(whence.open(tmp_path).events()) == []
    (tmp_path / "whence.toml").write_text("")
    assert list(whence.open(tmp_path).events()) == []


def test_a_journal_of_a_newer_format_is_refused(log: Log) -> None:
    log.emit("ops", "step")
    log.close()
    segment = next((log.folder / "journal").iterdir())
    segment.write_bytes(segment.read_bytes().replace(b'"format":1', b'"format":7'))

    with whence.open(log.folder) as other:
        asks: list[Callable[[], object]] = [
            lambda: list(other.events()),
            lambda: list(other.find("x")),
        ]
        for ask in asks:
            with pytest.raises(FormatError, match=r"format 7.*format 1"):
                ask()


def test_a_broken_line_is_named_and_the_answers_go_on(log: Log) -> None:
    log.emit("ops", "step", target="task-1")
    log.close()
    segment = next((log.folder / "journal").iterdir())
    size = segment.stat().st_size
    with segment.open("ab") as file:
        file.write(b"not a line\n" * 5)
    with whence.open(log.folder) as other:
        other.emit("ops", "step", target="task-1")

        assert len(texts(other, "task-1")) == 2
        assert len(texts(other, "task-1")) == 2
        assert len(other.warnings) == 4
        assert other.warnings[0].startswith(f"{segment.stem} at {size}: 10 bytes are not an event")
        assert other.warnings[3].startswith("5 places in the journal")


# -- settings ----------------------------------------------------------------------------------------


def test_settings_reach_the_recorder(tmp_path: Path) -> None:
    folder = tmp_path / ".whence"
    folder.mkdir()
    (folder / "whence.toml").write_text(
        '[journal]\nsegment_bytes = 4096\ndurability = "disk"\n[redaction]\nenabled = false\n'
    )
    with whence.open(folder) as log:
        for _ in range(30):
            log.emit("ops", "step", data={"password": "not redacted"}, durability="os")
            assert log.recorder is log.recorder
        health = log.examine()

    assert log._durability == "disk"
    assert len(log._reader.segments()) >= 1
    assert list(log.find("not redacted"))
    assert not health.redaction
    assert health.settings_file == str(folder / "whence.toml")
    assert any("redaction is off" in complaint for complaint in health.complaints)


def test_keys_to_redact_are_added(tmp_path: Path) -> None:
    (tmp_path / "whence.toml").write_text('[redaction]\nkeys = ["vault_pin"]\n')
    with whence.open(tmp_path / ".whence") as log:
        log.emit("ops", "step", data={"vault_pin": "1234", "note": "kept"})

        assert list(log.find("1234")) == []
        assert list(log.find("kept"))


def test_wrong_settings_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "whence.toml"
    file.write_text('[journal]\ngroup = "no-such-group"\n')
    log = whence.open(tmp_path / ".whence")
    with pytest.raises(ValueError, match=r"'no-such-group' of \[journal\] does not exist"):
        log.emit("ops", "step")
    file.write_text("[journal\n")
    with pytest.raises(ValueError, match="cannot read"):
        whence.open(tmp_path / ".whence")
    with pytest.raises(ValueError, match="durability is 'later'"):
        whence.open(tmp_path, durability="later")  # type: ignore[arg-type]


# -- moments -----------------------------------------------------------------------------------------


def test_phrases_that_name_events_are_looked_up(log: Log) -> None:
    log.emit("spawn", "wake", agent="zealot-1")
    log.emit("spawn", "wake", agent="haiku-1")
    log.emit("spawn", "wake", agent="zealot-1")
    log.emit("ops", "create_task", agent="zealot-1", target="task-sub1")
    log.emit("ops", "create_task", agent="zealot-1", target="other")
    first, second, third, created, other = (event.time_ns for event in log.events())

    assert log.moment("last wake") == third
    assert log.moment("wake -2") == second
    assert log.moment("last wake", agent="haiku-1") == second
    assert log.moment("wake -2", agent="zealot-1") == first
    assert log.moment("when task-sub1 created") == created
    assert log.moment("when #task-sub1 created") == created
    assert log.moment("last create_task") == other
    assert log.moment("last create_task", target="#task-sub1") == created
    assert log.moment("last wake", target="task-sub1") == third
    assert log.moment("@12.5") == 12_500_000_000
    assert log.moment("2026-11-20 14:00 Asia/Tokyo") == log.moment("2026-11-20 05:00 UTC")


@pytest.mark.parametrize(
    ("phrase", "agent", "problem"),
    [
        ("last sleep", None, "time 'last sleep': no sleep is recorded"),
        ("last wake", "haiku-1", "no wake is recorded by haiku-1"),
        ("wake -2", None, "it counts back 2 wake events, and only 1 is recorded"),
        ("when task-9 created", None, "no create_task or created is recorded for task-9"),
    ],
)
def test_what_was_never_recorded_has_no_moment(
    log: Log, phrase: str, agent: str | None, problem: str
) -> None:
    log.emit("spawn", "wake", agent="zealot-1")

    with pytest.raises(NotFoundError, match=problem):
        log.moment(phrase, agent=agent)


def test_what_is_no_phrase_is_refused_with_examples(log: Log) -> None:
    with pytest.raises(PhraseError, match="2h ago"):
        log.moment("whenever")


@pytest.mark.parametrize(
    ("zone", "key"),
    [
        ("Europe/Berlin", "Europe/Berlin"),
        (":America/New_York", "America/New_York"),
        ("no/such-zone", None),
        ("../../etc/passwd", None),
    ],
)
def test_the_local_zone_is_the_one_that_clocks_show(
    monkeypatch: pytest.MonkeyPatch, zone: str, key: str | None
) -> None:
    monkeypatch.setenv("TZ", zone)

    assert getattr(local_zone(), "key", None) == key


# -- the rest of the questions -----------------------------------------------------------------------


def test_sql_reads_the_events_as_the_seed_has_them(log: Log) -> None:
    log.emit("ops", "create_task", target="task-1", data={"a": 1})

    columns, rows = log.sql("select event_type, metadata from events where primitive = ?", ["ops"])

    assert columns == ["event_type", "metadata"]
    assert list(rows) == [("create_task", '{"a":1}')]


def test_statistics_count_kinds(log: Log) -> None:
    with log.span("a.b"):
        pass

    assert [(found.primitive, found.type, found.count) for found in log.statistics()] == [
        ("a", "b", 1)
    ]


def test_events_are_filtered_and_limited(log: Log) -> None:
    for number in range(10):
        log.emit("ops", "step", target=f"task-{number % 2}", data=number)

    newest = log.events(Query(target="#task-1"), newest_first=True, limit=2)

    assert [event.data for event in newest] == [9, 7]


def test_payloads_in_blobs_are_searched_too(log: Log) -> None:
    event = log.emit("ops", "step", data={"text": "x" * 100_000 + "a needle"})
    log.emit("ops", "step", data={"text": "x" * 100_000})

    assert [found.id for found in log.find("A NEEDLE", ignore_case=True)] == [event]
    assert [found.id for found in log.find("needle")] == [event]

    for blob in (log.folder / "blobs").iterdir():
        blob.write_bytes(b"changed")
    assert list(log.find("needle")) == []
    assert len(log.warnings) == 2
    assert all("does not match its name" in warning for warning in log.warnings)


def test_a_group_may_read_where_settings_say_so(tmp_path: Path) -> None:
    group = grp.getgrgid(os.getgid()).gr_name
    (tmp_path / "whence.toml").write_text(f'[journal]\ngroup = "{group}"\n')
    with whence.open(tmp_path / ".whence") as log:
        log.emit("ops", "step")
        health = log.examine()

    segment = next((log.folder / "journal").iterdir())
    assert segment.stat().st_mode & 0o777 == 0o640
    assert log.folder.stat().st_mode & 0o7777 == 0o3770
    assert health.too_open == ()
    assert health.settings_file == str(tmp_path / "whence.toml")


def test_following_gives_what_comes(log: Log) -> None:
    log.emit("ops", "step", target="task-1", data="before")
    log.emit("ops", "step", target="task-2", data="other")
    query = Query(target="#task-1")
    later = log.follow(query, poll_s=0)
    all_along = log.follow(query, from_end=False, poll_s=0)
    assert next(later) is None
    assert _data(next(all_along)) == "before"
    large = "large" * 20_000
    log.emit("ops", "step", target="task-1", data=large)

    assert _data(next(found for found in later if found)) == large
    assert _data(next(found for found in all_along if found)) == large


def test_following_names_what_is_no_event(log: Log) -> None:
    log.emit("ops", "step")
    following = log.follow(poll_s=0)
    assert next(following) is None
    segment = next((log.folder / "journal").iterdir())
    with segment.open("ab") as file:
        file.write(b"not a line\n")

    problem = next(found for found in islice(following, 10) if found is not None)

    assert problem[:3] == (segment.stem, segment.stat().st_size - 11, 10)  # type: ignore[index]


def _data(found: Any) -> Any:
    return found.data


# -- health ------------------------------------------------------------------------------------------


def test_a_sound_log_has_nothing_to_complain_of(log: Log) -> None:
    log.emit("ops", "step", data="x" * 100_000)
    health = log.examine()

    assert health.exists
    assert health.events == 2
    assert [writer.state for writer in health.writers] == ["open"]
    assert health.writers[0].pid == os.getpid()
    assert health.blobs.count == 1
    assert health.blobs.size > 100_000
    assert health.index is not None
    assert health.index.behind == sum(segment.size for segment in health.segments)
    assert health.complaints == ()
    assert log.examine().index.behind == 0  # type: ignore[union-attr]
    assert json.loads(json.dumps(health.as_json()))["segments"][0]["size"] > 0


def test_what_is_wrong_is_told(log: Log) -> None:
    log.emit("ops", "step", data="x" * 100_000)
    log.emit("ops", "step", data="y" * 100_000)
    log.emit("ops", "step")
    log.close()
    segment = next((log.folder / "journal").iterdir())
    lines = segment.read_bytes().splitlines(keepends=True)
    # The third event is gone, and the writer never said goodbye.
    segment.write_bytes(
        b"".join(lines[:3]) + b"half a line\n" + lines[4].replace(b"close", b"cloze")
    )
    first, second = sorted((log.folder / "blobs").iterdir())
    first.unlink()
    second.write_bytes(b"changed")
    (log.folder / "blobs" / ("o" * 43)).write_bytes(b"orphan")
    segment.chmod(0o644)

    health = whence.open(log.folder).examine()

    assert [writer.state for writer in health.writers] == ["open"]
    assert health.lost == 1
    assert health.blobs.missing == (first.name,)
    assert health.blobs.broken == (second.name,)
    assert health.blobs.orphans == ("o" * 43,)
    assert len(health.problems) == 1
    assert any(str(segment) in found for found in health.too_open)
    assert len(health.complaints) == 6


def test_a_killed_writer_shows(log: Log) -> None:
    code = f"""
        import os, whence
        log = whence.open({str(log.folder)!r})
        log.emit("ops", "step", target="task-1")
        os.kill(os.getpid(), 9)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)])
    log.emit("ops", "step", target="task-1")

    health: Health = log.examine()

    assert sorted(writer.state for writer in health.writers) == ["ended", "open"]
    assert any("ended without closing" in complaint for complaint in health.complaints)
    assert len(texts(log, "task-1")) == 2


def test_gaps_are_told(log: Log) -> None:
    log.folder.mkdir()
    about = {"lost": 3, "reason": "disk full"}
    append(log.folder, [make_line(primitive="whence", type="writer.gap", data=about)])

    (gap,) = log.examine().gaps

    assert (gap.lost, gap.reason) == (3, "disk full")


def test_a_search_uses_an_index_that_is_there_and_makes_none(tmp_path: Path) -> None:
    with whence.open(tmp_path) as log:
        log.emit("ops", "create_task", target="task", data={"note": "a needle"})
    with whence.open(tmp_path) as log:
        assert len([*log.find("needle")]) == 1
        assert not (tmp_path / "index.sqlite").exists()
        log.catch_up()
        log.emit("ops", "create_task", target="task", data={"note": "another needle"})
    with whence.open(tmp_path) as log:
        assert len([*log.find("needle")]) == 2

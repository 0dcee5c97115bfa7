"""The verbs beside `show`."""

import csv
import io
import json
import re
from pathlib import Path

import pytest

import whence
from tests.unit.cli.asking import Ask
from whence.cli.find import split_needle
from whence.draw.cells import width

_Story = tuple[Path, dict[str, str]]


def test_tail_shows_the_newest_as_recorded(ask_story: Ask) -> None:
    lines = ask_story("tail", "-n", "3").out.splitlines()

    assert [line.rpartition("| ")[2] for line in lines] == [
        "haiku-1 sleep", "haiku-2 sleep", "zealot-1 sleep",
    ]  # fmt: skip
    assert len(ask_story("tail").out.splitlines()) == 10


@pytest.mark.parametrize("reference", ["haiku-2", "task-sub2", "#payments"])
def test_tail_can_be_limited_to_a_reference(ask_story: Ask, reference: str) -> None:
    events = [
        json.loads(line) for line in ask_story("tail", reference, "-o", "jsonl").out.splitlines()
    ]

    assert events
    assert all(
        reference.removeprefix("#") in (event.get("agent"), event["target"]) for event in events
    )


def test_tail_takes_filters(ask_story: Ask) -> None:
    out = ask_story("tail", "-a", "haiku-1", "--type", "claim_task").out

    assert out.count("claimed") == 2
    assert len(out.splitlines()) == 2


def test_what_is_followed_ends_with_its_window(ask_story: Ask) -> None:
    answer = ask_story("tail", "-f", "--until", "now", "-n", "2")

    assert answer.code == 0
    assert len(answer.out.splitlines()) == 2


def test_a_name_that_is_not_there_yet_is_waited_for(ask_story: Ask, ask: Ask) -> None:
    answer = ask_story("tail", "-f", "task-sub4", "--until", "now")

    assert (answer.code, answer.out) == (0, "")
    assert "nothing is called 'task-sub4' yet; waiting for it\n  task-sub" in answer.err
    assert ask_story("tail", "task-sub4").code == 3
    assert ask_story("tail", "-f", " ", "--until", "now").code == 3
    assert ask("tail", "-f", "task-1", "--until", "now", "-C", "nowhere").code == 0


def test_find_shows_the_newest_first(ask_story: Ask) -> None:
    answer = ask_story("find", "API key")

    assert answer.code == 0
    assert [line.rpartition("| ")[2] for line in answer.out.splitlines()] == [
        'zealot-1 posted to #payments: "API key in .env.example"',
        "task-sub1 blocked (reason: need API key)",
        'haiku-1 posted to #payments: "Blocked on API key"',
    ]
    assert len(ask_story("find", "API key", "-n", "1").out.splitlines()) == 1


@pytest.mark.parametrize(
    ("line", "finds"),
    [
        (["/API.key/"], 3), (["api key"], 0), (["api key", "-i"], 3), (["/api.key/", "-i"], 3),
        (["API key", "--agent", "zealot-1"], 1), (["/need|stripe/", "-p", "memory"], 1),
    ],
)  # fmt: skip
def test_find_takes_patterns_and_filters(ask_story: Ask, line: list[str], finds: int) -> None:
    answer = ask_story("find", *line, "-o", "jsonl")

    assert answer.code == 0
    assert len(answer.out.splitlines()) == finds


def test_finding_nothing_is_an_answer(ask_story: Ask) -> None:
    assert ask_story("find", "no such words") == (0, "", "nothing found\n")


def test_find_shows_the_place_where_the_words_do_not(ask_story: Ask) -> None:
    lines = ask_story("find", "client.py").out.splitlines()

    assert lines[1].startswith('    {"component": "client.py"')


def test_a_pattern_that_is_none_is_refused(ask_story: Ask) -> None:
    answer = ask_story("find", "/(/")

    assert answer.code == 2
    assert answer.err.startswith("whence: ")


@pytest.mark.parametrize("nothing", ["", "//"])
def test_nothing_is_not_looked_for(ask_story: Ask, nothing: str) -> None:
    answer = ask_story("find", nothing)

    assert (answer.code, answer.out) == (2, "")
    assert "empty" in answer.err


def test_a_word_of_other_bytes_is_refused_in_a_sentence(ask_story: Ask) -> None:
    for line in (["a\udcff"], ["tail", "--agent", "a\udcff"], ["find", "a\udcff"]):
        answer = ask_story(*line)

        assert (answer.code, answer.out) == (2, "")
        assert answer.err.startswith("whence: b'a\\xff' is not UTF-8\n")


def test_a_folder_may_have_a_name_of_other_bytes(ask: Ask, here: Path) -> None:
    with whence.open(here / "a\udcff" / ".whence") as log:
        log.emit("ops", "create_task", target="task-1")

    assert "created" in ask("task-1", "-C", "a\udcff").out


def test_the_json_of_find_says_what_was_looked_for(ask_story: Ask) -> None:
    document = json.loads(ask_story("find", "/API.key/", "--json").out)

    assert document["pattern"] == "API.key"
    assert document["text"] is None
    assert len(document["events"]) == 3


@pytest.mark.parametrize(
    ("text", "needle"),
    [("a", ("a", None)), ("/a/", (None, "a")), ("/", ("/", None)), ("//", (None, "")), ("/a", ("/a", None))],
)  # fmt: skip
def test_a_pattern_stands_between_slashes(text: str, needle: tuple[str | None, str | None]) -> None:
    assert split_needle(text) == needle


def test_sql_answers_as_a_table(ask_story: Ask) -> None:
    answer = ask_story(
        "sql", "select agent_id, count(*) as n from events where agent_id like 'haiku-%' group by 1"
    )

    assert answer.code == 0
    assert answer.out.splitlines() == [
        "agent_id   n",
        "haiku-1   11",
        "haiku-2    4",
        "haiku-3    3",
    ]


_REASON = (
    "select target_id, metadata ->> 'reason' as why from events where event_type = 'block_task'"
)


def test_sql_reads_payloads_in_every_format(ask_story: Ask) -> None:
    assert json.loads(ask_story("sql", _REASON, "--json").out) == {
        "columns": ["target_id", "why"], "rows": [["task-sub1", "need API key"]],
    }  # fmt: skip
    assert json.loads(ask_story("sql", _REASON, "-o", "jsonl").out) == {
        "target_id": "task-sub1", "why": "need API key",
    }  # fmt: skip
    assert list(csv.reader(io.StringIO(ask_story("sql", _REASON, "-o", "csv").out))) == [
        ["target_id", "why"], ["task-sub1", "need API key"],
    ]  # fmt: skip


def test_sql_values_that_json_lacks_have_another_form(ask_story: Ask) -> None:
    answer = ask_story("sql", "select x'ff00' as a, 9e999 as b, null as c", "-o", "jsonl")

    assert json.loads(answer.out) == {"a": "ff00", "b": "inf", "c": None}


def test_sql_can_come_from_standard_input(ask_story: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("select 1 as one"))

    assert ask_story("sql", "-").out == "one\n  1\n"


@pytest.mark.parametrize("columns", [34, 40, 60, 80, 200])
@pytest.mark.parametrize(
    "line",
    [
        ["task-abc123"], ["doctor"], ["sql", "select * from events"], ["find", "client.py"],
        ["--causality", "task-abc123"], ["tail"], ["tail", "--precise", "--color", "always"],
    ],
)  # fmt: skip
def test_no_answer_is_wider_than_the_terminal(
    ask_story: Ask, monkeypatch: pytest.MonkeyPatch, columns: int, line: list[str]
) -> None:
    monkeypatch.setattr("whence.cli.screen._is_terminal", lambda _: True)
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("LINES", "10000")

    answer = ask_story(*line)

    assert answer.code == 0
    lines = re.sub(r"\x1b\[[\d;]*m", "", answer.out).splitlines()
    assert lines
    assert max(map(width, lines)) <= columns, max(lines, key=width)


def test_sql_puts_columns_below_each_other_where_they_have_no_room(
    ask: Ask, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with whence.open(here / ".whence") as log:
        log.emit("ops", "create_task")
    monkeypatch.setattr("whence.cli.screen._is_terminal", lambda _: True)
    monkeypatch.setenv("COLUMNS", "20")

    query = "select 1000000000 as a, 2000000000 as b union all select 3, null"
    answer = ask("sql", query, "--color", "never")

    assert answer.out.splitlines() == ["a  1000000000", "b  2000000000", "", "a  3", "b"]


@pytest.mark.parametrize(
    "statement", ["selec 1", "delete from events", "select nothing from events"]
)
def test_sql_that_cannot_be_answered_is_wrong_use(ask_story: Ask, statement: str) -> None:
    answer = ask_story("sql", statement)

    assert answer.code == 2
    assert answer.err.startswith("whence: ")


def test_export_writes_every_event_as_it_was_recorded(ask_story: Ask, story: _Story) -> None:
    exported = [json.loads(line) for line in ask_story("export", "--own").out.splitlines()]
    (segment,) = (story[0] / "journal").glob("*.jsonl")
    recorded = [json.loads(line) for line in segment.read_text(encoding="utf-8").splitlines()]

    assert sorted(exported, key=lambda event: event["n"]) == recorded


def test_export_takes_filters_and_a_number(ask_story: Ask) -> None:
    lines = ask_story("export", "-a", "haiku-2", "-n", "2").out.splitlines()

    assert [json.loads(line)["type"] for line in lines] == ["complete_task", "sleep"]
    document = json.loads(ask_story("export", "-a", "haiku-2", "--json").out)
    assert len(document["events"]) == 4


def test_the_doctor_finds_a_whole_journal_whole(ask_story: Ask) -> None:
    answer = ask_story("doctor")

    assert answer.code == 0
    assert "WHOLE: nothing that was recorded is missing." in answer.out
    assert "An edit that leaves a valid line is not seen here" in answer.out
    assert json.loads(ask_story("doctor", "--json").out)["is_whole"] is True


def test_the_doctor_finds_what_is_broken_and_says_so_with_its_exit_code(
    ask: Ask, here: Path
) -> None:
    with whence.open(here / ".whence") as log:
        log.emit("ops", "create_task", target="task-1")
        log.emit("ops", "complete_task", target="task-1")
    (segment,) = (here / ".whence" / "journal").glob("*.jsonl")
    lines = segment.read_bytes().splitlines(keepends=True)
    lines[1] = b"#\x1b[31m\n"
    segment.write_bytes(b"".join(lines))

    answer = ask("doctor")

    assert answer.code == 1
    assert "BROKEN" in answer.out
    # It closed, and is listed for what it lost.
    assert re.search(
        r"\nWriters that have not closed, or lost events\n.*\n .* 1  closed\n", answer.out
    )
    assert f"{segment.stem} at {len(lines[0])}: " in answer.out
    assert "\x1b" not in answer.out
    assert ask("doctor", "--json").code == 1


def test_the_doctor_needs_a_journal(ask: Ask) -> None:
    assert ask("doctor").code == 3


@pytest.mark.parametrize(
    ("line", "code"), [(["nobody"], 3), (["--since", "soon"], 2), (["find", "/(/"], 2)]
)
def test_an_error_can_be_shown_with_where_it_comes_from(
    ask_story: Ask, monkeypatch: pytest.MonkeyPatch, line: list[str], code: int
) -> None:
    """More is said then, and nothing else changes."""
    plain = ask_story(*line)
    asked = ask_story(*line, "--debug")
    monkeypatch.setenv("WHENCE_DEBUG", "1")

    assert plain.code == asked.code == ask_story(*line).code == code
    assert "Traceback" not in plain.err
    assert "Traceback" in asked.err
    assert asked.err.endswith(plain.err)
    assert "Traceback" in ask_story(*line).err


def test_a_demo_does_not_write_into_a_journal_that_is_there(ask: Ask, story: _Story) -> None:
    answer = ask("demo", "-C", str(story[0]))

    assert answer.code == 1
    assert "holds a journal already" in answer.err


def test_a_demo_keeps_to_one_folder_among_other_files(ask: Ask, here: Path) -> None:
    (here / "notes.txt").write_text("dear diary")

    assert ask("demo", "-C", ".").code == 0
    assert {path.name for path in here.iterdir()} == {"notes.txt", ".whence"}
    assert ask("demo", "-C", ".").code == 1
    assert ask("demo", "-C", ".whence").code == 1


def test_a_demo_says_how_it_is_found_where_another_log_is_named(
    ask: Ask, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHENCE_DIR", str(here / "other"))

    answer = ask("demo", "-C", "my-demo")

    assert f"  export WHENCE_DIR={here / 'my-demo' / '.whence'}\n" in answer.out


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder that takes no files")
def test_a_demo_that_cannot_record_says_so_and_nothing_else(ask: Ask) -> None:
    answer = ask("demo", "-C", "/proc/self")

    assert (answer.code, answer.out) == (1, "")
    assert answer.err.startswith("whence: 29 of 29 moves were not recorded: ")
    assert answer.err.count("\n") == 1


def test_settings_that_are_wrong_are_refused_before_the_demo_begins(ask: Ask, here: Path) -> None:
    (here / "whence.toml").write_text("[journal]\ndurability = 3\n")

    answer = ask("demo", "-C", ".")

    assert (answer.code, answer.out) == (2, "")
    assert answer.err.count("\n") == 1
    assert "whence.toml" in answer.err


def test_a_demo_ends_where_one_of_its_questions_is_interrupted(
    ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("whence.log.Log.timeline", _interrupted)

    answer = ask("demo", "-C", "my-demo")

    assert answer.code == 130
    assert answer.out.count("\n$ ") == 1


def test_a_demo_that_is_interrupted_leaves_nothing(
    ask: Ask, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(here))
    monkeypatch.setattr("whence.cli.stage.cast.Cast.play", _interrupted)

    assert ask("demo") == (130, "", "")
    assert not list(here.iterdir())


def _interrupted(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_the_help_of_the_demo_says_where_its_journal_goes(ask: Ask) -> None:
    out = ask("demo", "--help").out

    assert "WHENCE_DIR" not in out
    assert "temporary" in out


def test_the_demo_tells_the_story_with_real_answers(ask: Ask, here: Path) -> None:
    answer = ask("demo", "-C", "my-demo")

    assert answer.code == 0
    commands = re.findall(r"^\$ (.+)$", answer.out, re.MULTILINE)
    assert len(commands) >= 5
    assert "haiku-3 was killed with SIGKILL" in answer.out
    assert "Timeline for task-abc123 (Build payment system):" in answer.out
    assert "haiku-1 posted" in answer.out
    assert "1 ended without closing" in answer.out
    assert f"The journal is {here / 'my-demo' / '.whence'} " in answer.out
    assert f"  cd {here / 'my-demo'}\n" in answer.out
    assert "export WHENCE_DIR" not in answer.out
    # What was shown is what is there.
    shown = ask("-C", "my-demo", "task-abc123").out
    assert shown in answer.out
    assert "task-sub3 completed" in shown

"""`whence <ref>`, `whence show`, and their filters and formats."""

import json
import re
from pathlib import Path

import pytest

import whence
from tests.unit.cli.asking import Ask

_Story = tuple[Path, dict[str, str]]


def _told(out: str) -> list[str]:
    """The rows without their times."""
    return [line.partition(" | ")[2] for line in out.splitlines() if " | " in line]


def test_the_timeline_of_a_task_has_the_shape_of_the_first_example(ask_story: Ask) -> None:
    answer = ask_story("task-abc123")

    assert answer.code == 0
    assert answer.err == ""
    lines = answer.out.splitlines()
    assert lines[0] == "Timeline for task-abc123 (Build payment system):"
    row = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \| \w+ +\| .+")
    assert all(row.fullmatch(line) for line in lines[1:])
    told = _told(answer.out)
    assert told[0] == "ops       | created by zealot-1"
    assert [line for line in told if "sub1" in line or "API" in line] == [
        "ops       | task-sub1 created by zealot-1",
        "ops       | task-sub1 claimed by haiku-1",
        'bridge    | haiku-1 posted to #payments: "Blocked on API key"',
        "ops       | task-sub1 blocked (reason: need API key)",
        'bridge    | zealot-1 posted to #payments: "API key in .env.example"',
        "ops       | task-sub1 claimed by haiku-1 (retry)",
        "ops       | task-sub1 completed",
    ]


@pytest.mark.parametrize(
    "line",
    [
        ["show", "task-abc123"],
        ["--task", "task-abc123"],
        ["--target", "task-abc123"],
        ["--no-pager", "task-abc123"],
    ],
)
def test_a_task_can_be_asked_for_in_several_ways(ask_story: Ask, line: list[str]) -> None:
    assert ask_story(*line).out == ask_story("task-abc123").out


def test_the_timeline_of_an_agent_is_what_it_did(ask_story: Ask) -> None:
    answer = ask_story("--agent", "haiku-2")

    assert answer.out.splitlines()[0] == "Activity timeline for haiku-2:"
    assert _told(answer.out) == [
        "spawn     | woke (session 8)",
        "ops       | claimed task-sub2",
        "ops       | completed task-sub2",
        "spawn     | sleep",
    ]
    assert ask_story("haiku-2").out == answer.out


def test_the_timeline_of_a_channel_is_what_was_said(ask_story: Ask) -> None:
    answer = ask_story("--channel", "#payments")

    assert answer.out.splitlines()[0] == "Timeline for #payments:"
    assert len(_told(answer.out)) == 4
    assert ask_story("#payments").out == answer.out


def test_a_reference_can_be_narrowed_by_filters(ask_story: Ask) -> None:
    answer = ask_story("task-abc123", "-a", "haiku-1", "-p", "ops", "--type", "claim_task")

    assert _told(answer.out) == [
        "ops       | task-sub1 claimed by haiku-1",
        "ops       | task-sub1 claimed by haiku-1 (retry)",
    ]


def test_the_newest_come_last_unless_reversed(ask_story: Ask) -> None:
    last_two = _told(ask_story("-n", "2").out)

    assert last_two == ["spawn     | haiku-2 sleep", "spawn     | zealot-1 sleep"]
    assert _told(ask_story("-n", "2", "-r").out) == last_two[::-1]


def test_what_a_limit_leaves_out_is_counted(ask_story: Ask) -> None:
    answer = ask_story("haiku-2", "-n", "1")

    assert answer.err == "3 earlier events; a larger -n shows more\n"


def test_without_anything_the_newest_events_are_shown(ask_story: Ask) -> None:
    answer = ask_story()

    assert answer.code == 0
    assert len(answer.out.splitlines()) == 20
    assert "whence REF tells the story of one of them" in answer.err


def test_the_window_that_a_phrase_means_is_echoed(
    ask_story: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "UTC")

    answer = ask_story("-a", "haiku-1", "--since", "last wake", "--until", "2100-01-01")

    assert re.fullmatch(
        r"from \d{4}-\d\d-\d\d \d\d:\d\d:\d\d to 2100-01-01 00:00:00 \(UTC\)\n", answer.err
    )
    assert _told(answer.out)[0] == "spawn     | woke (session 7)"


def test_a_phrase_may_name_an_event(ask_story: Ask) -> None:
    answer = ask_story("-a", "haiku-1", "--since", "when task-sub1 blocked")

    assert _told(answer.out)[0] == "ops       | blocked task-sub1 (reason: need API key)"


def test_a_phrase_that_is_not_understood_is_refused_with_examples(ask_story: Ask) -> None:
    answer = ask_story("--since", "a while ago")

    assert answer.code == 2
    assert answer.out == ""
    assert "'a while ago' is not understood; try '2h ago'" in answer.err


def test_a_limit_of_nothing_is_not_nothing_found(ask_story: Ask) -> None:
    answer = ask_story("task-abc123", "-n", "0")

    assert answer.code == 0
    assert re.fullmatch(r"\d+ earlier events; a larger -n shows more\n", answer.err)


@pytest.mark.parametrize("option", ["--task", "--agent"])
def test_an_empty_name_is_not_the_same_as_none(ask_story: Ask, option: str) -> None:
    """As from a variable of the shell that is not set: not to be answered with everything."""
    assert ask_story(option, "").code == 3
    assert ask_story("export", option, "") == (0, "", "")


def test_nothing_found_is_an_answer(ask_story: Ask) -> None:
    answer = ask_story("--type", "no_such_type")

    assert answer == (0, "", "nothing found\n")


def test_an_unknown_reference_is_refused_with_near_ones(ask_story: Ask) -> None:
    answer = ask_story("task-sub")

    assert answer.code == 3
    assert answer.out == ""
    assert answer.err.startswith("whence: nothing is called 'task-sub'\n")
    assert "  task-sub1 (target)\n" in answer.err


def test_an_ambiguous_reference_lists_what_it_may_mean(ask_story: Ask, story: _Story) -> None:
    answer = ask_story(story[1]["task"][:8])

    assert answer.code == 3
    assert "is ambiguous" in answer.err
    assert story[1]["task"] in answer.err or "over 10" in answer.err


def test_a_misspelt_verb_is_recognized(ask_story: Ask) -> None:
    answer = ask_story("doctr")

    assert answer.code == 3
    assert answer.err.splitlines()[-1] == "  whence doctor (a verb)"


def test_an_event_is_found_by_its_id(ask_story: Ask, story: _Story) -> None:
    answer = ask_story(story[1]["claim2"])

    assert "ops       | task-sub2 claimed by haiku-2" in _told(answer.out)


def test_json_is_one_document(ask_story: Ask, story: _Story) -> None:
    answer = ask_story("task-sub2", "--json", "--since", "@0")

    document = json.loads(answer.out)
    assert document["window"] == {"since": "1970-01-01T00:00:00.000000000Z", "until": None}
    assert document["subject"] == {"kind": "target", "name": "task-sub2", "is_channel": False}
    assert document["title"] == "Write the refund page"
    assert [event["id"] for event in document["events"]][:2] == [
        story[1]["sub2"], story[1]["claim2"],
    ]  # fmt: skip
    first = document["events"][0]
    assert first["text"] == "created by zealot-1"
    assert first["data"] == {"title": "Write the refund page", "parent_task_id": "task-abc123"}
    assert ask_story("task-sub2", "-o", "json", "-S", "@0").out == answer.out


def test_jsonl_has_an_event_on_each_line(ask_story: Ask) -> None:
    lines = ask_story("task-sub2", "-o", "jsonl").out.splitlines()

    assert [json.loads(line)["type"] for line in lines] == [
        "create_task", "claim_task", "complete_task",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("output", "first", "holds"),
    [
        (
            "md",
            "### Timeline for task-sub2 (Write the refund page)",
            "| ops | haiku-2 | completed |",
        ),
        ("mermaid", "sequenceDiagram", "participant p1 as task-sub2"),
        ("dot", 'digraph "Timeline for task-sub2 (Write the refund page)" {', "n0 -> n1;"),
    ],
)
def test_timelines_can_be_put_into_documents(
    ask_story: Ask, output: str, first: str, holds: str
) -> None:
    answer = ask_story("task-sub2", "-o", output)

    assert answer.out.splitlines()[0] == first
    assert holds in answer.out


def test_the_causality_of_a_task_has_the_shape_of_the_first_example(ask_story: Ask) -> None:
    answer = ask_story("--causality", "task-abc123")

    assert answer.code == 0
    lines = answer.out.splitlines()
    assert lines[:5] == [
        "Causality chain for task-abc123:",
        '[root] bridge message #payments:42 ("we need payments")',
        '  └─> memory entry zealot-1:arch-notes ("design payment flow")',
        "      └─> ops task-abc123 created",
        "          ├─> ops task-sub1 (claimed by haiku-1)",
    ]
    assert "          │   └─> ops task-sub2 completed" in lines


def test_a_tree_can_be_drawn_with_ascii_alone(ask_story: Ask) -> None:
    answer = ask_story("--causality", "task-abc123", "--ascii")

    assert answer.out.isascii()
    assert "          |-> ops task-sub1 (claimed by haiku-1)" in answer.out


def test_a_tree_is_cut_below_what_was_asked(ask_story: Ask, story: _Story) -> None:
    created = story[1]["task"]
    whole = json.loads(ask_story("--causality", created, "--json").out)["events"]

    bare = ask_story("--causality", created, "--depth", "0").out
    answer = ask_story("--causality", created, "--depth", "1").out
    events = json.loads(ask_story("--causality", created, "--depth", "1", "--json").out)["events"]

    assert bare.splitlines()[3] == "      └─> ops task-abc123 created"
    assert "task-sub1" not in bare
    assert "ops task-sub1 (claimed by haiku-1)" in answer
    assert "Blocked on API key" not in answer
    counts = [int(size) for size in re.findall(r"… (\d+) more", answer)]
    assert len(counts) > 1
    assert sum(counts) == sum(event["hidden"] for event in events) == len(whole) - len(events)


def test_the_way_to_what_was_asked_is_drawn_whatever_the_limits(ask_story: Ask) -> None:
    for verb in (["why"], ["--causality"]):
        for limit in (["--depth", "0"], ["-n", "0"], ["-n", "1"], ["--depth", "1", "-n", "1"]):
            answer = ask_story(*verb, "task-sub3", *limit)

            assert "ops task-sub3 (claimed by haiku-3)" in answer.out, (verb, limit)


def test_the_json_of_a_tree_is_flat(ask_story: Ask, story: _Story) -> None:
    document = json.loads(ask_story("--causality", "task-sub2", "--json").out)

    events = document["events"]
    assert document["subject"]["name"] == "task-sub2"
    assert [event["depth"] for event in events] == [0, 1, 2, 3, 4]
    assert [event["cause"] for event in events] == [None, 0, 1, 2, 3]
    assert events[3]["also"] == [story[1]["claim2"]]
    assert [event["is_asked"] for event in events] == [False, False, False, True, True]


@pytest.mark.parametrize(
    ("output", "first"),
    [
        ("jsonl", '{"id":'),
        ("md", "### Causality chain for task-sub2"),
        ("mermaid", "flowchart TD"),
        ("dot", 'digraph "Causality chain for task-sub2" {'),
    ],
)
def test_trees_come_in_every_format(ask_story: Ask, output: str, first: str) -> None:
    assert ask_story("--causality", "task-sub2", "-o", output).out.startswith(first)


@pytest.mark.parametrize(
    ("output", "lines"),
    [
        ("short", ["[root] ops task-1 created (missing parent gone-1, missing link gone-2)"]),
        ("md", ["- ops task-1 created (missing parent gone-1, missing link gone-2)"]),
        ("mermaid", ['n1["missing gone-1"]', 'n2["missing gone-2"]', "n1 --> n0", "n2 --> n0"]),
        ("dot", ['n1 [label="missing gone-1"];', "n1 -> n0;", "n2 -> n0;"]),
    ],
)
def test_a_cause_that_no_line_holds_is_shown_in_every_format(
    ask: Ask, here: Path, output: str, lines: list[str]
) -> None:
    with whence.open(here / ".whence") as log:
        log.emit("ops", "create_task", target="task-1", parent="gone-1", links=["gone-2"])

    shown = ask("--causality", "task-1", "-o", output).out
    (event,) = json.loads(ask("--causality", "task-1", "--json").out)["events"]

    assert {*lines} <= {line.strip() for line in shown.splitlines()}
    assert event["missing"] == ["gone-1", "gone-2"]
    assert event["note"] == "missing parent gone-1, missing link gone-2"


@pytest.mark.parametrize(
    "line",
    [
        ["--causality", "task-abc123", "task-sub1"],
        ["--causality", "task-abc123", "--agent", "haiku-1"],
        ["--causality", "task-abc123", "-r"],
        ["task-abc123", "--depth", "2"],
        ["--task", "a", "--channel", "b"],
        ["task-abc123", "-f", "-o", "md"],
        ["task-abc123", "--json", "-o", "md"],
        ["task-abc123", "-n", "-1"],
        ["task-abc123", "-n", "x"],
        ["task-abc123", "--no-such-option"],
        ["task-abc123", "task-sub1"],
    ],
)
def test_wrong_use_is_refused(ask_story: Ask, line: list[str]) -> None:
    answer = ask_story(*line)

    assert answer.code == 2
    assert answer.out == ""
    assert answer.err.startswith("whence: ")
    assert answer.err.endswith("try: whence show --help\n")


def test_an_event_cannot_be_followed(ask_story: Ask, story: _Story) -> None:
    answer = ask_story("-f", story[1]["task"])

    assert answer.code == 2
    assert "an event has happened" in answer.err


def test_colours_can_be_had_and_left_out(ask_story: Ask) -> None:
    coloured = ask_story("task-sub2", "--color", "always").out
    plain = ask_story("task-sub2", "--color", "never").out

    assert "\x1b[1mTimeline for task-sub2" in coloured
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured) == plain


def test_housekeeping_is_shown_when_asked_for(ask_story: Ask) -> None:
    assert not any("whence" in line for line in _told(ask_story("-n", "100").out))
    assert any("began to record" in line for line in _told(ask_story("--own").out))


def test_where_nothing_was_recorded_it_tells_how_to_begin(ask: Ask) -> None:
    answer = ask()

    assert answer.code == 0
    assert answer.out.startswith("Nothing is recorded here yet (.whence). To begin:\n")
    assert "import whence" in answer.out
    assert "whence.span" in answer.out
    assert "whence demo" in answer.out


@pytest.mark.parametrize("line", [[], ["-n", "1"], ["tail"], ["doctor"], ["sql", "select 1"]])
def test_a_place_that_was_named_and_holds_no_journal_is_an_error(
    ask: Ask, here: Path, monkeypatch: pytest.MonkeyPatch, line: list[str]
) -> None:
    """It is told as it was written and by whom, as somebody mistyped it there."""
    named = ask(*line, "-C", "no/../where")
    monkeypatch.setenv("WHENCE_DIR", "no/where")
    from_environment = ask(*line)
    monkeypatch.delenv("WHENCE_DIR")
    (here / "whence.toml").write_text('dir = "no-where"\n')
    from_file = ask(*line)
    (here / "empty").mkdir()
    empty = ask(*line, "-C", "empty")

    assert [each.code for each in (named, from_environment, from_file, empty)] == [3] * 4
    assert named.out + from_environment.out + from_file.out == ""
    assert "no/../where (named by -C) does not exist\n" in named.err
    assert "no/where (named by WHENCE_DIR) does not exist\n" in from_environment.err
    by = f"{here / 'no-where'} (named by `dir` in {here / 'whence.toml'}) does not exist\n"
    assert by in from_file.err
    assert "nothing is recorded yet in empty (named by -C)\n" in empty.err


def test_files_that_are_no_segments_are_named_where_nothing_else_is(ask: Ask, here: Path) -> None:
    (here / ".whence" / "journal").mkdir(parents=True)
    (here / ".whence" / "journal" / "notes.txt").write_text("dear")

    answer = ask("doctor")

    assert (answer.code, answer.out) == (3, "")
    assert answer.err.startswith(
        "whence: nothing is recorded yet in .whence: in its journal/ are files that are no segments:"
        " notes.txt\n"
    )


@pytest.mark.parametrize("line", [[], ["-n", "1"]])
def test_the_log_of_a_folder_above_is_hinted_at(
    ask: Ask, here: Path, monkeypatch: pytest.MonkeyPatch, line: list[str]
) -> None:
    with whence.open(here / ".whence") as log:
        log.emit("ops", "create_task")
    (here / "src" / "deep").mkdir(parents=True)
    monkeypatch.chdir(here / "src" / "deep")

    answer = ask(*line)

    assert f"whence -C {here}\n" in answer.out + answer.err
    assert "whence -C" not in ask(*line, "-C", ".").err


def test_a_journal_without_an_event_tells_how_to_begin(ask: Ask, here: Path) -> None:
    journal = here / ".whence" / "journal"
    journal.mkdir(parents=True)
    (journal / "2026-11-20.0000.jsonl").touch()

    empty = ask()
    with whence.open(here / ".whence") as log:
        log.emit("ops", "create_task")
    for segment in journal.iterdir():
        opened = segment.read_bytes().splitlines(keepends=True)[:1]
        segment.write_bytes(b"".join(opened))
    housekeeping = ask()

    assert empty.code == housekeeping.code == 0
    assert empty.out == housekeeping.out
    assert empty.out.startswith("Nothing is recorded here yet (.whence). To begin:\n")
    assert ask("--json").code == 0


@pytest.mark.parametrize(
    ("since", "until"),
    [("tomorrow", "yesterday"), ("when task-sub1 completed", "when task-sub1 blocked")],
)
@pytest.mark.parametrize("verb", ["show", "tail", "find", "export"])
def test_a_window_that_ends_before_it_begins_is_refused(
    ask_story: Ask, verb: str, since: str, until: str
) -> None:
    text = ["stripe"] if verb == "find" else []

    answer = ask_story(verb, *text, "--since", since, "--until", until)

    assert (answer.code, answer.out) == (2, "")
    assert f"--until '{until}' is before --since '{since}': from " in answer.err
    assert ".0" not in answer.err or since.startswith("when")
    assert ("means the last time" in answer.err) == since.startswith("when")
    assert ask_story(verb, *text, "--since", until, "--until", since).code == 0


def test_a_program_that_asks_where_nothing_was_recorded_gets_no_prose(ask: Ask) -> None:
    answer = ask("--json")

    assert (answer.code, answer.out) == (3, "")
    assert "whence.span" in answer.err


def test_a_question_needs_a_journal(ask: Ask) -> None:
    answer = ask("task-abc123")

    assert answer.code == 3
    assert answer.out == ""
    assert "there is no journal: .whence does not exist" in answer.err
    assert "whence demo" in answer.err


def test_a_folder_that_is_something_else_is_refused(ask: Ask, here: Path) -> None:
    (here / "letters").mkdir()
    (here / "letters" / "a.txt").write_text("dear")

    answer = ask("-C", "letters", "task-abc123")

    assert answer.code == 3
    assert "is not a log" in answer.err
    assert ask("-C", "letters").code == 3


@pytest.mark.parametrize("line", [["task-1"], ["tail"], ["doctor"], []])
def test_a_file_is_no_log(ask: Ask, here: Path, line: list[str]) -> None:
    (here / "notes.txt").write_text("no journal")

    answer = ask(*line, "-C", "notes.txt")

    assert answer.code == 3
    assert "notes.txt is not a log: it is a file; name the log's folder" in answer.err


def test_the_folder_of_a_project_will_do(ask: Ask, story: _Story) -> None:
    assert ask("-C", str(story[0].parent), "-n", "1").code == 0


def test_a_broken_line_is_named_and_skipped(ask: Ask, here: Path) -> None:
    with whence.open(here / ".whence") as log:
        log.emit("ops", "create_task", target="task-1")
        log.emit("ops", "complete_task", target="task-1")
    (segment,) = (here / ".whence" / "journal").glob("*.jsonl")
    lines = segment.read_bytes().splitlines(keepends=True)
    lines[1:1] = [b'{"id":"half a li\n']
    segment.write_bytes(b"".join(lines))

    answer = ask("task-1")

    assert answer.code == 0
    assert _told(answer.out) == ["ops       | created", "ops       | completed"]
    assert f"warning: {segment.stem} at {len(lines[0])}: " in answer.err


def test_a_newer_format_is_refused_with_both_versions(ask: Ask, here: Path) -> None:
    with whence.open(here / ".whence") as log:
        log.emit("ops", "create_task", target="task-1")
    (segment,) = (here / ".whence" / "journal").glob("*.jsonl")
    text = segment.read_text(encoding="utf-8")
    segment.write_text(text.replace('"format":1', '"format":9'), encoding="utf-8")

    for line in (["task-1"], ["tail"], ["find", "x"]):
        answer = ask(*line)
        assert answer.code == 3
        assert "format 9" in answer.err
        assert "format 1" in answer.err


def test_settings_that_are_wrong_are_named(ask: Ask, here: Path) -> None:
    (here / "whence.toml").write_text("[journal]\ndurability = 'perhaps'\n")

    answer = ask("task-1")

    assert answer.code == 2
    assert "whence.toml" in answer.err

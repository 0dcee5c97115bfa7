"""Transcripts as they are, as they grow, and as nobody would write them."""

import json
import os
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from tests.contract.sources.claude_case import (
    MAIN,
    OTHER,
    START_NS,
    answer,
    called,
    line,
    make,
    prompt,
    result,
    said,
    uuid,
    write,
)
from whence.errors import StoreError
from whence.query import Query
from whence.sources.claude import ClaudeSource, open_source
from whence.sources.source import SourceEvent, by_time


def read(path: Path, query: Query = Query()) -> list[SourceEvent]:
    return list(ClaudeSource(path, "claude").events(query))


def session(folder: Path, *lines: dict[str, Any] | bytes) -> list[SourceEvent]:
    """The events of a transcript with these lines, its start left out."""
    events = read(write(folder / "project" / f"{MAIN}.jsonl", *lines))
    return [event for event in events if event.type != "start"]


def tokens(events: list[SourceEvent]) -> int:
    return sum(event.data.get("tokens", {}).get("output", 0) for event in events)


# -- what lines are told as -----------------------------------------------------------------------


def test_a_session_is_told_from_its_start_with_who_said_what(tmp_path: Path) -> None:
    make(tmp_path)

    events = read(tmp_path / "projects", Query(target=MAIN))

    assert [(event.type, event.agent) for event in events] == [
        ("start", None),
        ("summary", "claude"),
        ("prompt", "user"),
        ("think", "claude"),
        ("say", "claude"),
        ("tool", "claude"),
        ("tool", "claude"),
        ("subagent", "claude:Explore"),
        ("tool", "claude:Explore"),
        ("say", "claude:Explore"),
        ("note", None),
        ("say", "claude"),
    ]
    assert events[0].data == {"cwd": "/srv/project", "version": "2.1.38", "gitBranch": "main"}
    assert events[1].inferred == ("time",)
    assert events[2].data == {"text": "mend the test"}


def test_a_call_has_its_result_its_status_and_how_long_it_took(tmp_path: Path) -> None:
    (call,) = session(
        tmp_path,
        answer(1, None, called("t1", "Bash", command="make  test", timeout=5)),
        result(4, 1, "t1", "1 failed", is_error=True),
    )

    assert (call.status, call.duration) == ("error", 3 * 10**9)
    assert call.data["input"] == "Bash make test"
    assert call.data["arguments"] == {"command": "make  test", "timeout": 5}
    assert (call.data["error"], "result" in call.data) == ("1 failed", False)


def test_what_the_user_refused_is_blocked(tmp_path: Path) -> None:
    refusal = "The user doesn't want to proceed with this tool use. The tool use was rejected."
    (call,) = session(
        tmp_path,
        answer(1, None, called("t1", "Bash", command="rm -rf /")),
        result(2, 1, "t1", refusal, is_error=True),
    )

    assert call.status == "blocked"


def test_a_call_without_result_and_a_result_without_call_are_there(tmp_path: Path) -> None:
    call, orphan = session(
        tmp_path,
        answer(1, None, called("t1", "Bash", command="sleep")),
        result(2, 1, "t2", "text"),
    )

    assert (call.status, call.duration, call.id) == (None, None, uuid(1))
    assert (orphan.status, orphan.duration, orphan.data) == ("success", None, {"result": "text"})


def test_parents_lead_through_results_and_silent_lines(tmp_path: Path) -> None:
    events = session(
        tmp_path,
        prompt(1, None, "go"),
        line("progress", 2, 1, data={"type": "bash_progress"}),
        answer(
            3, 2, said("yes"), called("t1", "Bash", command="a"), called("t2", "Bash", command="b")
        ),
        result(4, 3, "t2", "done"),
        answer(5, 4, said("done")),
        prompt(6, 99, "whose parent is not here"),
        prompt(7, 7, "my own parent"),
    )

    assert [(event.id, event.parent) for event in events] == [
        (uuid(1), None),
        (uuid(3), uuid(1)),
        (f"{uuid(3)}.1", uuid(1)),
        (f"{uuid(3)}.2", uuid(1)),
        (uuid(5), f"{uuid(3)}.2"),
        (uuid(6), None),
        (uuid(7), None),
    ]


def test_hooks_and_notes_of_the_program_are_notes(tmp_path: Path) -> None:
    events = session(
        tmp_path,
        line("progress", 1, data={"type": "hook_progress", "hookName": "Stop", "command": "x"}),
        line("attachment", 2, attachment={"type": "hook_success", "content": "ok"}),
        line("system", 3, subtype="api_error", level="error", content="overloaded"),
        prompt(4, None, "a reminder", isMeta=True),
        prompt(5, None, "continued", isCompactSummary=True),
    )

    assert [event.type for event in events] == ["note"] * 4 + ["summary"]
    assert events[0].data == {"hookName": "Stop", "command": "x"}
    assert events[2].status == "error"


# -- tokens, counted once -------------------------------------------------------------------------


def test_several_lines_of_one_message_are_counted_once_with_the_last_count(tmp_path: Path) -> None:
    lines = [
        answer(1, None, {"type": "thinking", "thinking": ""}, message="m", requestId="r"),
        answer(2, 1, said("a"), message="m"),
        answer(3, 2, called("t", "Bash"), message="m", requestId="r"),
        answer(4, 3, said("another"), message="n"),
    ]
    lines[0]["message"]["usage"]["output_tokens"] = 1
    lines[2]["message"]["usage"]["output_tokens"] = 90

    events = session(tmp_path, *lines)

    assert [event.data.get("tokens", {}).get("output") for event in events] == [90, None, None, 20]


def test_messages_without_ids_are_counted_each(tmp_path: Path) -> None:
    lines = [answer(number, None, said("a")) for number in (1, 2)]
    for each in lines:
        del each["message"]["id"]

    assert tokens(session(tmp_path, *lines)) == 40


@pytest.mark.parametrize("usage", [None, 5, {"output_tokens": -5}, {"output_tokens": True}])
def test_odd_counts_count_nothing(tmp_path: Path, usage: object) -> None:
    odd = answer(1, None, said("a"))
    odd["message"]["usage"] = usage

    assert tokens(session(tmp_path, odd)) == 0


def test_a_copied_session_is_shown_and_counted_once(tmp_path: Path) -> None:
    make(tmp_path)
    events = read(tmp_path / "projects")

    assert len({event.id for event in events}) == len(events)
    assert tokens([event for event in events if event.target == OTHER]) == 20
    assert tokens(events) == 20 * 6
    assert {event.target for event in events if event.id == uuid(1)} == {MAIN}
    assert [event.type for event in read(tmp_path / "projects", Query(target=OTHER))] == [
        "start",
        "prompt",
        "say",
    ]


def test_a_copy_under_other_ids_is_not_counted_again(tmp_path: Path) -> None:
    write(tmp_path / "p" / f"{MAIN}.jsonl", answer(1, None, said("a"), message="m"))
    copy = answer(1, None, said("a"), message="m") | {"uuid": uuid(77)}
    write(tmp_path / "p" / f"{OTHER}.jsonl", copy)

    assert tokens(read(tmp_path)) == 20


def test_a_line_that_is_written_twice_is_shown_once(tmp_path: Path) -> None:
    same = prompt(1, None, "go")
    other = prompt(1, None, "not the same") | {"timestamp": "2026-11-19T00:00:00Z"}

    events = session(tmp_path, same, same, other)

    assert events[0].id == uuid(1)
    assert len({event.id for event in events}) == len(events) == 2


# -- subagents ------------------------------------------------------------------------------------


def test_a_subagent_is_caused_by_the_call_that_says_so(tmp_path: Path) -> None:
    make(tmp_path)

    (event,) = read(tmp_path / "projects", Query(type="subagent"))

    assert (event.parent, event.agent, event.relations) == (uuid(7), "claude:Explore", ())


def test_a_subagent_that_has_not_ended_is_tied_by_its_prompt_and_dotted(tmp_path: Path) -> None:
    project = tmp_path / "project"
    task = called("t1", "Task", subagent_type="Plan", prompt="plan it")
    write(project / f"{MAIN}.jsonl", answer(1, None, task))
    write(project / "agent-a1.jsonl", prompt(2, None, "plan it", isSidechain=True, agentId="a1"))
    source = ClaudeSource(project, "claude")

    (event,) = source.events(Query(type="subagent"))
    (tie,) = source.causes(event)

    assert (event.agent, event.parent, event.target) == ("claude:Plan", None, MAIN)
    assert (tie.reason, tie.event.id) == ("prompt", uuid(1))
    assert [back.event.id for back in source.effects(tie.event)] == [event.id]


def test_a_side_chain_within_the_session_is_a_subagent_too(tmp_path: Path) -> None:
    side = {"isSidechain": True}
    events = session(
        tmp_path,
        answer(1, None, called("t1", "Task", subagent_type="Plan", prompt="plan it")),
        prompt(2, None, "plan it", **side),
        answer(3, 2, said("planned"), isSidechain=True),
        prompt(4, None, "of nobody", **side),
    )

    assert [(event.type, event.agent) for event in events[1:]] == [
        ("subagent", "claude:Plan"),
        ("say", "claude:Plan"),
        ("subagent", "claude:sidechain"),
    ]


def test_a_prompt_of_two_calls_ties_to_neither(tmp_path: Path) -> None:
    events = session(
        tmp_path,
        answer(1, None, called("t1", "Task", subagent_type="Plan", prompt="same")),
        answer(2, 1, called("t2", "Task", subagent_type="Explore", prompt="same")),
        prompt(3, None, "same", isSidechain=True),
    )

    assert (events[2].type, events[2].relations) == ("subagent", ())


def test_a_file_beside_the_transcript_names_the_subagent(tmp_path: Path) -> None:
    folder = tmp_path / MAIN / "subagents"
    write(folder / "agent-a1.jsonl", prompt(2, None, "go", isSidechain=True))
    (folder / "agent-a1.meta.json").write_text('{"agentType": "reviewer"}')

    (event,) = read(tmp_path)

    assert (event.agent, event.target) == ("claude:reviewer", MAIN)


# -- what should not be there ---------------------------------------------------------------------


def test_lines_of_all_kinds_are_told_kept_or_silent(tmp_path: Path) -> None:
    path = write(
        tmp_path / "-p" / f"{MAIN}.jsonl",
        prompt(1, None, "go"),
        b"{not json",
        b"[1, 2]",
        b'"text"',
        b"\xff\xfe",
        b'{"type": "user", "uuid": "\xff"}',
        b"[" * 50_000,
        b'{"type": "user"}',
        b'{"type": "assistant", "message": 5}',
        b'{"type": 7}',
        b'{"type": "summary"}',
        b"",
        b"   ",
        b'{"type": "mode", "mode": "normal"}',
    )
    source = ClaudeSource(path, "claude")

    rows = list(source.raw())

    assert len(rows) == source.health().not_understood == 10
    assert all(row.problem and f"{MAIN} at byte" in row.place for row in rows)
    assert [event.type for event in source.events()] == ["start", "prompt"]


def test_a_line_too_long_is_kept_as_not_understood(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("whence.sources.claude.files.LINE_BYTES_MAX", 3_000_000)
    path = tmp_path / f"{MAIN}.jsonl"
    write(path, prompt(1, None, "x" * 2_900_000), prompt(2, 1, "y" * 3_000_000), prompt(3, 1, "z"))
    source = ClaudeSource(path, "claude")

    first, second = source.events(Query(type="prompt"))
    (row,) = source.raw()

    assert (first.data["text_length"], len(first.data["text"])) == (2_900_000, 4_001)
    assert second.parent == uuid(1)
    assert "bytes long" in row.problem
    assert row.content[10_000:].startswith("… (3,000,")


def test_what_a_tool_is_given_is_cut(tmp_path: Path) -> None:
    deep: Any = "end"
    for _ in range(100):
        deep = {"in": [deep]}
    given = {
        "a": "x" * 5_000,
        "b": deep,
        "c": list(range(1_000)),
        "n": 10**30,
        "z": ["y" * 900] * 40,
    }

    (call,) = session(tmp_path, answer(1, None, called("t", "Write", **given)))

    assert call.data["arguments"]["a"].endswith("… (5,000 characters)")
    assert call.data["arguments"]["c"][-1] == "… (950 more)"
    assert call.data["arguments"]["n"] == str(10**30)
    assert len(bytes(call.payload)) < 20_000


def test_ids_and_sessions_never_become_paths(tmp_path: Path) -> None:
    (tmp_path / "secret.jsonl").write_text(json.dumps(prompt(9, None, "secret")) + "\n")
    project = tmp_path / "projects" / "p"
    hostile = {"sessionId": "../../secret", "agentId": "../../secret", "isSidechain": True}
    write(project / "agent-x.jsonl", prompt(1, None, "go") | hostile | {"uuid": "../../secret"})

    (event,) = read(tmp_path / "projects")

    assert event.target == "../../secret"
    assert event.id == "p/agent-x:0"


def test_links_to_folders_are_not_followed_and_pipes_not_opened(tmp_path: Path) -> None:
    write(tmp_path / "elsewhere" / f"{OTHER}.jsonl", prompt(1, None, "go"))
    (tmp_path / "projects").mkdir()
    (tmp_path / "projects" / "loop").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "projects" / "pipe.jsonl")

    assert read(tmp_path / "projects") == []


def test_lines_without_times_stand_by_their_neighbours(tmp_path: Path) -> None:
    untimed = prompt(3, None, "when?")
    del untimed["timestamp"]
    odd = [prompt(4 + n, None, "x") | {"timestamp": t} for n, t in enumerate((5, "soon", "9" * 99))]

    events = session(tmp_path, untimed, prompt(1, None, "go"), *odd)

    assert {event.time_ns for event in events} == {START_NS + 10**9}
    assert [event.inferred for event in events] == [(), *[("time",)] * 4]


def test_a_clock_far_from_its_files_is_shown_at_its_edge_and_remarked(tmp_path: Path) -> None:
    far = [prompt(2, None, "x") | {"timestamp": "2999-01-01T00:00:00Z"}]
    far += [prompt(3, None, "x") | {"timestamp": "1999-01-01T00:00:00Z"}]

    events = session(tmp_path, prompt(1, None, "go"), *far, prompt(9, None, "end"))

    assert [event.id for event in events] == [uuid(3), uuid(1), uuid(9), uuid(2)]
    assert [bool(event.remark and "far from" in event.remark) for event in events] == [
        *(True, False, False, True)
    ]


# -- files ----------------------------------------------------------------------------------------


def test_a_file_a_project_and_all_projects_tell_the_same(tmp_path: Path) -> None:
    make(tmp_path)
    projects = tmp_path / "projects"
    everything = read(projects)

    assert read(projects / "-work-project") == everything
    assert read(projects / "-work-project" / f"{MAIN}.jsonl") == [
        event for event in everything if event.target == MAIN
    ]


def test_old_files_are_left_alone_for_the_newest_events(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(20):
        start = 5_000 * number
        path = tmp_path / "p" / f"session-{number}.jsonl"
        write(path, *(prompt(start + each, None, "go") for each in range(10)))
        moment = START_NS + (start + 10) * 10**9
        os.utime(path, ns=(moment, moment))
    read_paths: list[Path] = []
    whole = ClaudeSource(tmp_path, "claude")
    lines = whole._folder.lines

    def count(file: Any) -> Any:
        read_paths.append(file.path)
        return lines(file)

    monkeypatch.setattr(whole._folder, "lines", count)
    newest = list(islice(whole.events(newest_first=True), 5))

    assert [event.target for event in newest] == ["session-19"] * 5
    assert len(read_paths) == 1
    list(whole.events(Query(since=START_NS + 60_000 * 10**9, until=START_NS + 61_000 * 10**9)))
    assert len(read_paths) <= 3
    list(whole.events(Query(target="session-3")))
    assert len(read_paths) <= 4


def test_a_file_that_is_no_transcript_and_one_that_cannot_be_read(tmp_path: Path) -> None:
    make(tmp_path)
    wanted = read(tmp_path / "projects")
    (tmp_path / "projects" / "broken.jsonl").symlink_to(tmp_path / "projects" / "broken.jsonl")
    source = ClaudeSource(tmp_path / "projects", "claude")
    events = source.events()

    told = list(islice(events, len(wanted)))

    assert told == wanted
    with pytest.raises(StoreError, match=r"broken\.jsonl"):
        next(events)
    assert "broken.jsonl" in source.health().problem
    with pytest.raises(StoreError):
        read(tmp_path / "missing")


def test_a_file_that_is_replaced_while_it_is_read_is_said_to_be(tmp_path: Path) -> None:
    path = write(tmp_path / f"{MAIN}.jsonl", *(prompt(n, None, "go") for n in range(1, 9)))
    events = ClaudeSource(path, "claude").events()
    next(events)
    path.write_bytes(b"short")

    with pytest.raises(StoreError, match="changed while it was read"):
        list(events)


def test_what_is_half_written_is_not_there_yet(tmp_path: Path) -> None:
    path = write(tmp_path / f"{MAIN}.jsonl", prompt(1, None, "go"))
    whole = json.dumps(prompt(2, 1, "on")).encode()
    source = ClaudeSource(path, "claude")
    with path.open("ab") as file:
        file.write(whole[:50])
    before = list(source.events())
    with path.open("ab") as file:
        file.write(whole[50:])

    after = list(source.events())

    assert [len(before), len(after)] == [2, 3]
    assert source.health().not_understood == 0


def test_a_process_that_appends_while_we_read(tmp_path: Path) -> None:
    path = write(tmp_path / f"{MAIN}.jsonl", prompt(1, None, "go"))
    lines = [json.dumps(prompt(number, number - 1, "on" * 999)) for number in range(2, 400)]
    (tmp_path / "lines").write_text("\n".join(lines) + "\n")
    script = (
        "import os, sys\n"
        "fd = os.open(sys.argv[2], os.O_WRONLY | os.O_APPEND)\n"
        "for line in open(sys.argv[1], 'rb'):\n"
        "    os.write(fd, line[:700]); os.write(fd, line[700:])\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "lines"), str(path)]
    source = ClaudeSource(path, "claude")
    counts = []
    with subprocess.Popen(command) as writer:
        deadline = time.monotonic() + 60
        while writer.poll() is None and time.monotonic() < deadline:
            events = list(source.events(Query(type="prompt")))
            assert events == sorted(events, key=by_time)
            assert [event.id for event in events] == [uuid(n + 1) for n in range(len(events))]
            counts.append(len(events))

    assert counts == sorted(counts)
    assert len(list(source.events(Query(type="prompt")))) == 399
    assert source.health().not_understood == 0


def test_options_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="`folder`"):
        open_source(tmp_path, "claude", {"folder": "x"})

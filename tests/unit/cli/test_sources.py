"""Sources on the command line: declared and given, listed, and failing alone."""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

import whence
from tests.unit.cli.asking import Ask
from whence.ask.causality import Causality
from whence.ask.references import Subject
from whence.cli.causes import draw_causality
from whence.cli.screen import Screen
from whence.cli.sources import _draw as draw_sources

SPACE = """
CREATE TABLE agents (agent_id TEXT PRIMARY KEY, identity TEXT NOT NULL, created_at TEXT NOT NULL);
CREATE TABLE channels (channel_id TEXT PRIMARY KEY, name TEXT NOT NULL, topic TEXT,
    parent_channel_id TEXT, created_at TEXT NOT NULL, archived_at TEXT);
CREATE TABLE messages (message_id TEXT PRIMARY KEY, channel_id TEXT NOT NULL, agent_id TEXT NOT NULL,
    content TEXT NOT NULL, created_at TEXT NOT NULL);
INSERT INTO agents VALUES ('a1', 'zealot-1', '2026-11-20T10:00:00.000');
INSERT INTO channels VALUES ('c1', 'payments', NULL, NULL, '2026-11-20T10:00:01.000', NULL);
INSERT INTO messages VALUES ('m1', 'c1', 'a1', 'we need payments', '2026-11-20T10:00:02.000');
"""


@pytest.fixture
def space(here: Path) -> Path:
    """A swarm's database, with one message in it."""
    path = here / "space.db"
    with sqlite3.connect(path) as db:
        db.executescript(SPACE)
    db.close()
    return path


def test_a_source_is_enough_for_an_answer(ask: Ask, space: Path) -> None:
    answer = ask("#payments", "--source", f"space-os:{space}")

    assert answer.code == 0
    lines = answer.out.splitlines()
    assert lines[0] == "Timeline for #payments:"
    assert lines[-1].endswith('zealot-1 posted: "we need payments"  [space-os]')
    assert not (space.parent / ".whence").exists()


def test_sources_are_declared_beside_the_log(ask: Ask, space: Path, here: Path) -> None:
    (here / "whence.toml").write_text('[[source]]\nkind = "space-os"\npath = "space.db"\n')
    with whence.open() as log:
        log.emit("ops", "create_task", agent="zealot-1", target="task-1")

    told = json.loads(ask("--json").out)["events"]

    assert [event.get("source") for event in told if event["type"] == "send"] == ["space-os"]
    assert told[-1]["target"] == "task-1"
    assert "source" not in told[-1]
    assert "w" not in told[0]


def test_the_list_says_how_well_each_is_understood(ask: Ask, space: Path) -> None:
    (entry,) = json.loads(ask("sources", "--json", "--source", f"space-os:{space}").out)

    assert (entry["source"], entry["kind"], entry["problem"]) == ("space-os", "space-os", None)
    assert entry["events"] >= 2
    assert entry["not_understood"] == 0
    assert entry["newest"] == "2026-11-20T10:00:02.000000000Z"
    shown = ask("sources", "--source", f"space-os:{space}", "--utc").out
    assert "2026-11-20 10:00:02" in shown


def test_strict_has_nothing_against_sources_that_answer(ask: Ask, space: Path) -> None:
    given = ["--source", f"space-os:{space}", "--strict"]

    assert ask("sources", *given).code == 0
    assert ask("sources", "--raw", *given).code == 0


@pytest.mark.parametrize(
    "line", [["find", "created"], ["tail"], ["export"], ["sql", "select count(*) from events"]]
)
def test_verbs_that_ask_no_sources_say_so_where_some_are_declared(
    line: list[str], ask: Ask, here: Path
) -> None:
    with whence.open() as log:
        log.emit("ops", "create_task", agent="zealot-1", target="task-1")
    before = ask(*line)
    (here / "whence.toml").write_text('[[source]]\nkind = "space-os"\npath = "space.db"\n')

    after = ask(*line)

    assert (after.code, after.out) == (before.code, before.out)
    assert "sources are not" not in before.err
    assert after.err.count("sources are not") == 1
    assert "whence show and whence why ask them" in after.err


def test_without_sources_the_list_says_how_to_have_some(ask: Ask) -> None:
    answer = ask("sources")

    assert answer.code == 0
    assert "[[source]]" in answer.out


def _remove(path: Path) -> None:
    path.unlink()


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _break(path: Path) -> None:
    path.write_bytes(b"SQLite format 3\0" + b"\xff" * 5_000)


def _replace(path: Path) -> None:
    path.write_bytes(b"not a database at all, but long enough to be one" * 100)


@pytest.mark.parametrize("harm", [_remove, _empty, _break, _replace])
def test_a_source_that_cannot_be_read_costs_its_own_part_alone(
    harm: Callable[[Path], None], ask: Ask, space: Path
) -> None:
    with whence.open() as log:
        log.emit("ops", "create_task", agent="zealot-1", target="task-1")
    harm(space)
    given = ["--source", f"space-os:{space}"]

    answer = ask("task-1", *given)
    strict = ask("task-1", "--strict", *given)

    assert answer.code == 0
    assert "created by zealot-1" in answer.out
    assert "warning: source space-os: " in answer.err
    assert (strict.code, strict.out) == (1, answer.out)
    listed = ask("sources", *given)
    assert listed.code == 0
    assert "space-os" in listed.out
    assert json.loads(ask("sources", "--json", *given).out)[0]["problem"]
    assert ask("sources", "--strict", *given).code == 1
    assert ask("sources", "--strict", "--raw", *given).code == 1


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--source", "space-os"], "want KIND:PATH"),
        (["--source", "spaceos:x"], "did you mean space-os"),
        (["-f", "--source", "git:."], "no --source with it"),
        (["sources", "suggets", "x"], "suggest FILE"),
        (["sources", "suggest"], "suggest FILE"),
    ],
)
def test_wrong_use_is_said(arguments: list[str], problem: str, ask: Ask) -> None:
    answer = ask(*arguments)

    assert answer.code == 2
    assert problem in answer.err


def test_dotted_arrows_say_why_in_every_format(ask: Ask, here: Path) -> None:
    path = here / "space.db"
    with sqlite3.connect(path) as db:
        db.executescript(SPACE)
        db.execute(
            "INSERT INTO channels VALUES ('c2', 'refunds', NULL, 'c1', '2026-11-20T11:00:00', NULL)"
        )
    db.close()
    given = ["--source", f"space-os:{path}"]

    drawn = ask("--causality", "refunds", *given).out
    plain = ask("--causality", "refunds", "--ascii", *given).out
    mermaid = ask("--causality", "refunds", "-o", "mermaid", *given).out
    dot = ask("--causality", "refunds", "-o", "dot", *given).out
    nodes = json.loads(ask("--causality", "refunds", "--json", *given).out)["events"]

    assert "└┄> bridge create channel refunds" in drawn
    assert "(by parent_channel_id)" in drawn
    assert "`.> bridge create channel refunds" in plain
    assert '-. "parent_channel_id" .->' in mermaid
    assert '[style=dotted, label="parent_channel_id"]' in dot
    assert [node["reason"] for node in nodes] == [None, "parent_channel_id"]


def test_trees_say_which_source_tells_what(ask: Ask, here: Path) -> None:
    """Two stores with the same ids, and a cause that neither has."""
    for name in ("first", "second"):
        (here / f"{name}.jsonl").write_text(
            '{"at": "2026-11-20T00:00:00Z", "id": "a", "on": "task", "after": "gone"}\n'
        )
    keys = 'time = "at"\nid = "id"\ntarget = "on"\nrelations = { after = "after" }\n'
    (here / "whence.toml").write_text(
        "".join(
            f'[[source]]\nkind = "jsonl"\nname = "{name}"\npath = "{name}.jsonl"\n{keys}'
            for name in ("first", "second")
        )
    )
    answers = {
        form: ask("why", "task", "-o", form).out
        for form in ("short", "md", "mermaid", "dot", "json")
    }

    for form in ("short", "md", "mermaid", "dot"):
        assert [name for name in ("first", "second") if name in answers[form]] == [
            "first",
            "second",
        ]
    assert answers["short"].count("[first] (missing after gone)") == 1
    assert answers["md"].count("missing after gone") == 2
    assert answers["mermaid"].count("missing gone") == answers["dot"].count("missing gone") == 2
    nodes = json.loads(answers["json"])["events"]
    assert [(node["source"], node["missing"]) for node in nodes] == [
        ("first", ["gone"]),
        ("second", ["gone"]),
    ]


def test_the_way_to_have_sources_breaks_between_words() -> None:
    lines = list(draw_sources([], Screen(width=20), "short"))

    assert {line for line in lines if len(line) > 20} == {
        "  whence --source space-os:.space",
        "  whence sources suggest FILE",
    }
    assert " ".join(lines).split() == " ".join(draw_sources([], Screen(), "short")).split()


@pytest.mark.parametrize("output", ["md", "mermaid", "dot"])
@pytest.mark.parametrize("question", [["--causality", "täsk"], ["täsk"]])
def test_with_ascii_documents_are_ascii(
    question: list[str], output: str, ask: Ask, here: Path
) -> None:
    with whence.open() as log:
        log.emit("ops", "create_task", target="täsk", agent="é", data={"content": "→ …" * 40})

    answer = ask(*question, "-o", output, "--ascii")

    assert answer.code == 0
    assert answer.out.isascii()
    assert "t&#228;sk" in answer.out or "t#228;sk" in answer.out
    assert "\\" not in answer.out


def test_the_headline_of_a_tree_breaks_between_words() -> None:
    subject = Subject(kind="target", name="a task of many words")
    lines = list(
        draw_causality(Causality(subject=subject, roots=()), Screen(width=20), output="short")
    )

    assert lines == ["Causality chain for", "a task of many", "words:"]


def test_an_agent_that_was_only_spawned_is_found_by_its_spawn(ask: Ask, here: Path) -> None:
    with whence.open() as log:
        log.emit("spawn", "spawn", agent="zealot-1", target="haiku-7")
        log.emit("ops", "create_task", agent="zealot-1", target="task")

    answer = ask("--agent", "haiku-7")

    assert answer.code == 0
    assert "Timeline for haiku-7" in answer.out
    assert "zealot-1 spawned" in answer.out
    assert ask("--agent", "task").code == 3
    assert ask("--agent", "haiku-8").code == 3

"""`whence learning`: what changed, a picture of it, and whether it fits together."""

import json
import os
import pty
import select
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

import whence
from whence.draw.cells import width
from whence.learning.recording import find_subject
from whence.learning.trust import BayesianTrustTracker

Ask = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "whence", "learning", *words],
            cwd=tmp_path, capture_output=True, text=True, env=_environment(),
        )  # fmt: skip

    return run


def _environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WHENCE_")}
    return {**kept, **more}


@pytest.fixture
def ids(tmp_path: Path) -> list[str]:
    """The learning events of a log in which all fits."""
    with whence.open(tmp_path / ".whence") as log:
        tracker = BayesianTrustTracker(log)
        tracker.batch_update({"rule-7": [(letter == "T", 1.0) for letter in "TTFTFFTTTF"]})
        told = [
            ("variable_weight_update", {"variable": "inflation", "from": 0.4, "to": 0.55}),
            ("variable_weight_update", {"variable": "inflation", "from": 0.55, "to": 0.5}),
            ("variable_weight_update", {"variable": "evil\x1b[2J<b>", "from": 0, "to": 1}),
            ("rule_activation", {"rule_id": "rule-7", "variable_id": "inflation", "success": True}),
            ("overlay_shift", {"overlay": "hope", "old_value": 0.5, "new_value": 0.4,
                               "shift_type": "decay", "rate": 0.1}),
            ("symbolic_upgrade_applied", {"changes": {"a": 1}}),
        ]  # fmt: skip
        for event_type, data in told:
            log.emit(
                "learning", event_type, target=find_subject(data), data={"data": data}, wait=True
            )
        return [event.id for event in log.events(whence.Query(primitive="learning"))]


def test_what_changed_is_told_by_kind_with_the_event_of_its_last_value(
    ask: Ask, ids: list[str]
) -> None:
    said = ask()
    lines = said.stdout.splitlines()

    assert said.returncode == 0
    assert lines[1].split()[:5] == ["variable", "inflation", "2", "0.4", "0.5"]
    assert lines[1].split()[-1] == ids[1][-8:]
    assert "\x1b" not in said.stdout
    assert "inflation weighs 0.55 → 0.5" in said.stdout
    assert [line.split()[0] for line in lines[1:6]] == [
        "variable",
        "variable",
        "rule",
        "overlay",
        "event",
    ]


def test_every_value_names_its_event_in_json(ask: Ask, ids: list[str]) -> None:
    [course, rule] = map(json.loads, ask("--variable", "inflation", "--json").stdout.splitlines())

    assert (course["kind"], course["changes"], course["from"], course["to"]) == (
        "variable",
        2,
        0.4,
        0.5,
    )
    assert [point["event"] for point in course["points"]] == ids[:2]
    assert course["points"][0]["time"].endswith("Z")
    assert (rule["kind"], rule["name"]) == ("rule", "rule-7")


@pytest.mark.usefixtures("ids")
def test_filters_choose_by_rule_type_and_time(ask: Ask) -> None:
    assert "inflation" not in ask("--rule", "rule-7").stdout.splitlines()[1]
    assert ask("--type", "overlay_shift").stdout.splitlines()[1].split()[1] == "hope"
    assert ask("--until", "1h ago").stdout == "nothing was learnt, by what is recorded\n"
    assert "Newest" not in ask("-n", "0").stdout


@pytest.mark.parametrize("words", [["plot"], ["check", "x"], ["draw"], ["-f", "check"],
                                   ["check", "--rule", "r"], ["plot", "x.png"]])  # fmt: skip
@pytest.mark.usefixtures("ids")
def test_wrong_use_is_refused(ask: Ask, words: list[str]) -> None:
    said = ask(*words)

    assert said.returncode == 2
    assert said.stdout == ""


@pytest.mark.usefixtures("ids")
def test_the_picture_is_whole_names_its_events_and_is_its_owners(ask: Ask, tmp_path: Path) -> None:
    said = ask("plot", "out/learnt.svg")
    root = ET.fromstring((tmp_path / "out" / "learnt.svg").read_bytes())
    titles = [title.text or "" for title in root.iter("{http://www.w3.org/2000/svg}title")]

    assert said.returncode == 0
    assert said.stdout == ""
    assert "panels: out/learnt.svg" in said.stderr
    assert len(titles) == 15
    assert stat.S_IMODE((tmp_path / "out" / "learnt.svg").stat().st_mode) == 0o600


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.places: list[str] = []
        self.outside: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            if name == "href":
                self.links.append(value or "")
            elif name == "id":
                self.places.append(value or "")
            elif name == "src" or (value or "").startswith(("http:", "https:", "//")):
                self.outside.append(value or "")


def test_the_page_needs_nothing_else_and_every_point_leads_to_its_event(
    ask: Ask, tmp_path: Path, ids: list[str]
) -> None:
    assert ask("plot", "learnt.html").returncode == 0
    text = (tmp_path / "learnt.html").read_text()
    page = _Page()
    page.feed(text)

    assert len(page.places) == len(set(page.places))
    assert {link.removeprefix("#") for link in page.links} == set(page.places)
    assert f"e-{ids[0]}" in page.places
    assert [each for each in page.outside if "www.w3.org/2000/svg" not in each] == []
    assert not page.tags & {"script", "link", "img", "iframe", "b"}
    assert "inflation weighs 0.4 → 0.55" in text


def test_nothing_to_draw_is_said(ask: Ask, tmp_path: Path) -> None:
    with whence.open(tmp_path / ".whence") as log:
        log.emit("ops", "create_task", target="t")
    said = ask("plot", "learnt.svg")

    assert said.returncode == 3
    assert not (tmp_path / "learnt.svg").exists()
    assert ask().stdout == "nothing was learnt, by what is recorded\n"


def test_a_check_of_what_fits_ends_well_and_one_of_what_does_not_names_it(
    ask: Ask, tmp_path: Path, ids: list[str]
) -> None:
    said = ask("check")
    assert (said.returncode, said.stdout) == (
        0, f"FITS: {len(ids)} learning events and 10 outcomes of trust looked at.\n",
    )  # fmt: skip

    with whence.open(tmp_path / ".whence") as log:
        wrong = {"variable": "inflation", "from": 0.7, "to": 0.8}
        event_id = log.emit("learning", "variable_weight_update", data={"data": wrong}, wait=True)
    said = ask("check")
    told = json.loads(ask("check", "--json").stdout)

    assert said.returncode == 1
    assert "MISFITS: 1" in said.stdout
    assert event_id in said.stdout
    assert [(one["rule"], one["event"]) for one in told["misfits"]] == [("continuity", event_id)]


@pytest.mark.usefixtures("ids")
def test_each_new_change_is_told_as_it_comes(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "whence", "learning", "-f", "-n", "0", "--json", "--variable", "gdp"],
        cwd=tmp_path, stdout=subprocess.PIPE, text=True, env=_environment(),
    ) as follower:  # fmt: skip
        assert follower.stdout is not None
        try:
            with whence.open(tmp_path / ".whence") as log:
                # Until it has begun to follow, nobody tells it.
                while not select.select([follower.stdout], [], [], 0.05)[0]:
                    for name in ("other", "gdp"):
                        data = {"variable": name, "from": 0, "to": 1}
                        log.emit(
                            "learning", "variable_weight_update", data={"data": data}, wait=True
                        )
            first = json.loads(follower.stdout.readline())
        finally:
            follower.send_signal(signal.SIGINT)

    assert (first["name"], first["kind"]) == ("gdp", "variable")


@pytest.mark.usefixtures("ids")
@pytest.mark.parametrize("columns", [40, 60, 80, 120])
@pytest.mark.parametrize("words", [[], ["check"]])
def test_no_line_is_wider_than_asked(tmp_path: Path, columns: int, words: list[str]) -> None:
    master, slave = pty.openpty()
    subprocess.run(
        [sys.executable, "-m", "whence", "learning", *words, "--no-pager"],
        cwd=tmp_path, stdout=slave, check=True,
        env=_environment(COLUMNS=str(columns), LINES="60", NO_COLOR="1"),
    )  # fmt: skip
    os.close(slave)
    said = os.read(master, 65536).decode()
    os.close(master)

    assert all(width(line.rstrip("\r")) <= columns for line in said.split("\n"))

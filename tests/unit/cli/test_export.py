"""`whence export` for other tools."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import whence
from tests.unit.cli.asking import Ask
from tests.unit.tracing.parsing import as_dict, parse_requests
from whence.tracing import otlp
from whence.tracing.ids import trace_id_of

_Story = tuple[Path, dict[str, str]]


def test_otlp_holds_every_event_once(ask_story: Ask, story: _Story) -> None:
    answer = ask_story("export", "-o", "otlp")

    assert (answer.code, answer.err) == (0, "")
    recorded = [json.loads(line)["id"] for line in ask_story("export").out.splitlines()]
    told = parse_requests(answer.out.splitlines())
    ids = [as_dict(span.attributes)["whence.id"] for _, _, span in told]
    assert sorted(ids) == sorted(recorded)
    services = {as_dict(around.resource.attributes)["service.name"] for around, _, _ in told}
    assert services == {"whence"}


def test_a_service_may_be_named(ask_story: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "payments")

    (around, *_), *_ = parse_requests(ask_story("export", "-o", "otlp", "-n", "1").out.splitlines())

    assert as_dict(around.resource.attributes)["service.name"] == "payments"


@pytest.mark.parametrize("output", ["jsonl", "otlp", "perfetto"])
def test_a_trace_is_chosen_by_a_part_of_its_id_or_as_others_write_it(
    ask: Ask, here: Path, output: str
) -> None:
    with whence.open(here / ".whence") as log:
        log.emit("ops", "beside")
        with log.span("altitude.plan") as span:
            log.emit("ops", "inside")

    whole = ask("export", "--trace-id", span.id, "-o", output).out
    assert "inside" in whole
    assert "beside" not in whole
    for part in (span.id[-12:], trace_id_of(span.id)):
        assert ask("export", "--trace-id", part, "-o", output).out == whole


def test_perfetto_is_one_document(ask_story: Ask) -> None:
    answer = ask_story("export", "-o", "perfetto")

    drawn = json.loads(answer.out)["traceEvents"]
    assert {each["ph"] for each in drawn} >= {"M", "X"}
    recorded = ask_story("export").out.splitlines()
    assert len([each for each in drawn if each["ph"] in "XB"]) == len(recorded)


@pytest.mark.parametrize("output", ["otlp", "perfetto"])
def test_filters_and_a_number_hold(ask_story: Ask, output: str) -> None:
    answer = ask_story("export", "-a", "haiku-2", "-n", "2", "-o", output)

    lines = [
        json.loads(line)
        for line in ask_story("export", "-a", "haiku-2", "-n", "2").out.splitlines()
    ]
    assert len(lines) == 2
    for event in lines:
        assert event["id"] in answer.out
    assert answer.out.count('"ts"') + answer.out.count('"spanId"') >= 2


@pytest.mark.parametrize(
    ("output", "nothing"), [("otlp", ""), ("perfetto", '{"traceEvents":[]}\n')]
)
def test_nothing_that_matches_is_a_valid_answer(ask_story: Ask, output: str, nothing: str) -> None:
    assert ask_story("export", "-a", "nobody", "-o", output).out == nothing


@pytest.mark.parametrize("output", ["otlp", "perfetto"])
def test_what_could_meddle_with_a_terminal_is_escaped(ask: Ask, here: Path, output: str) -> None:
    with whence.open(here / ".whence") as log:
        log.emit("ops", "odd\x9b\u202e", data={"k\x9d": "\x1b[31m\u2066"})

    answer = ask("export", "-o", output)
    assert not set("\x1b\x9b\x9d\u202e\u2066").intersection(answer.out)
    assert "\\u202e" in answer.out
    json.loads(answer.out)


def test_a_long_export_holds_little_in_memory(here: Path) -> None:
    """Ten times as many events take hardly more."""
    sizes = []
    for number, count in enumerate((2_000, 40_000)):
        folder = here / str(number) / ".whence"
        with whence.open(folder) as log:
            for serial in range(count):
                log.emit("ops", "step", data={"serial": serial, "text": "x" * 200})
        subprocess.run(
            [sys.executable, "-m", "whence", "-C", folder, "sql", "select 1"], check=True
        )
        sizes.append(_peak_kb(folder))

    small, large = sizes
    assert large < small * 1.5, sizes


def _peak_kb(folder: Path) -> int:
    program = (
        "import resource, sys; from whence.cli.app import run;"
        f" run(['export', '-C', {str(folder)!r}, '-o', 'otlp'], 'whence');"
        " print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env={**os.environ}, check=True,
    )  # fmt: skip
    return int(done.stderr.split()[-1])


def test_lines_stay_below_what_servers_take() -> None:
    assert otlp.LINE_CHARACTERS_MAX < 4_000_000

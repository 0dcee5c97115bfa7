"""`tracing.add_argument` gives a user's own program the flag."""

import argparse

import pytest

from whence import tracing
from whence.tracing import Tracer


def _parse(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    tracing.add_argument(parser)
    parser.add_argument("rest", nargs="*")
    return parser.parse_args(arguments)


@pytest.mark.parametrize(
    ("argument", "console"),
    [
        ("--trace", "tree"), ("--trace=tree", "tree"), ("--trace=lines", "lines"),
        ("--trace=both", "both"), ("--trace=off", "off"),
    ],
)  # fmt: skip
def test_the_flag_switches_tracing_on_and_shows_it(
    tracer: Tracer, monkeypatch: pytest.MonkeyPatch, argument: str, console: str
) -> None:
    monkeypatch.setenv("WHENCE_TRACE", "0")
    options = _parse(argument)

    assert options.trace is True
    assert tracer.enabled
    assert tracer.switch.console == console


@pytest.mark.parametrize("argument", ["--trace", "--trace=lines"])
def test_what_follows_the_flag_is_the_programs_own(tracer: Tracer, argument: str) -> None:
    assert _parse(argument, "tree", "hello").rest == ["tree", "hello"]


def test_the_help_tells_it_once(tracer: Tracer, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        _parse("--help")

    out = capsys.readouterr().out
    assert "[--trace]" in out
    assert "--trace=lines says" in out
    assert "[--trace=" not in out


def test_without_the_flag_others_decide(tracer: Tracer, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _parse().trace is False
    assert not tracer.enabled
    monkeypatch.setenv("WHENCE_TRACE", "1")
    tracer._look_at = 0.0
    assert _parse().trace is False
    assert tracer.enabled


def test_the_flag_may_have_another_name(tracer: Tracer) -> None:
    parser = argparse.ArgumentParser()
    tracing.add_argument(parser, "--show-steps")

    assert parser.parse_args(["--show-steps"]).show_steps is True
    assert tracer.enabled


def test_a_form_that_nobody_knows_is_refused(
    tracer: Tracer, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        _parse("--trace=loud")

    assert "loud" in capsys.readouterr().err
    assert not tracer.enabled

"""How a program asks, as a type checker sees it. Type-checked, never run."""

from collections.abc import Iterator
from typing import Any, Literal, assert_type

import whence
from whence.ask.causality import Causality
from whence.ask.timeline import Timeline


def read_an_event(event: whence.Event) -> None:
    """An event is a frozen value."""
    assert_type(event.id, str)
    assert_type(event.agent, str | None)
    assert_type(event.status, Literal["success", "error", "blocked"] | None)
    assert_type(event.duration, int | None)
    assert_type(event.links, tuple[str, ...])
    assert_type(event.time_ns, int)
    assert_type(event.data, Any)
    event.agent = "another"  # type: ignore[misc]


def ask(log: whence.Log) -> None:
    """Every question has a type of answer."""
    query = whence.Query(agent="haiku-1", since=log.moment("2h ago"), until=None)
    assert_type(log.events(query, newest_first=True, limit=5), Iterator[whence.Event])
    assert_type(log.timeline("task-abc123"), Timeline)
    assert_type(log.timeline(target="task-abc123", agent="haiku-1", limit=20), Timeline)
    assert_type(log.causality("task-abc123", depth=3), Causality)
    assert_type(log.find("API key", query=query), Iterator[whence.Event])
    assert_type(log.find(pattern="API.*key", ignore_case=True), Iterator[whence.Event])
    assert_type(log.sql("select 1", ()), tuple[list[str], Iterator[tuple[Any, ...]]])
    assert_type(log.warnings, list[str])
    log.events("haiku-1")  # type: ignore[arg-type]
    whence.Query(since="2h ago")  # type: ignore[arg-type]
    whence.Query(who="haiku-1")  # type: ignore[call-arg]


def meet_errors(log: whence.Log) -> None:
    """Every error is one of ours, and some say more."""
    try:
        log.resolve("task-abd")
    except whence.NotFoundError as error:
        assert_type(error.candidates, tuple[str, ...])
    except (whence.CorruptError, whence.StoreError, whence.ConflictError, whence.FormatError):
        pass
    except whence.WhenceError:
        raise
    try:
        log.moment("soon")
    except whence.PhraseError as error:
        wrong_value: ValueError = error
        raise wrong_value from None

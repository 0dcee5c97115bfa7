"""The bus as the seed has it, in one process and across several; and what may leave."""

import subprocess
import sys
import threading
from typing import Any

import pytest

from whence.decisions import bus as buses
from whence.decisions.bus import EventBus, emit_event, follow
from whence.decisions.consent import (
    WITHHELD,
    ConsentGuard,
    ConsentRefused,
    Scope,
    may_leave,
    parse_scope,
)
from whence.errors import ConflictError
from whence.log import default
from whence.query import Query


def test_exact_listeners_come_first_then_those_with_wildcards() -> None:
    bus = EventBus()
    heard: list[Any] = []
    bus.on("theme.*", lambda topic, data: heard.append(("wild", topic, data)))
    bus.on("theme.changed", lambda topic, data: heard.append(("exact", topic, data)))
    bus.on("other", lambda *_: heard.append("other"))

    assert bus.emit("theme.changed", 1) == 2
    assert heard == [("exact", "theme.changed", 1), ("wild", "theme.changed", 1)]
    assert bus.emit("nobody") == 0


def test_a_listener_that_raises_stops_nobody_and_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bus = EventBus()
    heard: list[Any] = []

    def fail(*_: object) -> None:
        raise RuntimeError("no")

    bus.on("t", fail)
    bus.on("t", lambda *_: heard.append(1))

    assert bus.emit("t") == 1
    assert heard == [1]
    assert "a listener to t raised" in caplog.text


def test_once_is_once_and_off_is_off() -> None:
    bus = EventBus()
    heard: list[Any] = []

    def listen(topic: str, data: Any) -> None:
        heard.append(data)

    bus.once("t", listen)
    bus.on("u", listen)
    assert (bus.emit("t", 1), bus.emit("t", 2), bus.emit("u", 3)) == (1, 0, 1)
    assert bus.off("u", listen)
    assert not bus.off("u", listen)
    assert bus.emit("u", 4) == 0
    assert heard == [1, 3]


def test_once_is_once_also_under_threads() -> None:
    bus = EventBus()
    heard: list[Any] = []
    for _ in range(50):
        heard.clear()
        bus.once("t", lambda *_: heard.append(1))
        threads = [threading.Thread(target=bus.emit, args=("t",)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert heard == [1]


def test_who_is_added_while_an_event_is_told_hears_the_next() -> None:
    bus = EventBus()
    heard: list[Any] = []
    bus.on("t", lambda *_: bus.on("t", lambda *_: heard.append(1)))

    assert (bus.emit("t"), heard) == (1, [])
    assert (bus.emit("t"), heard) == (2, [1])


@pytest.mark.parametrize(("topic", "callback"), [("", print), ("t", 3)])
def test_wrong_listeners_are_refused(topic: str, callback: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        EventBus().on(topic, callback)


# -- across processes ------------------------------------------------------------------------------

_EMIT = "import sys, whence.decisions.bus as b; [b.emit_event('t.x', n) for n in map(int, sys.argv[1:])]"


def _emit_elsewhere(*numbers: int) -> None:
    subprocess.run([sys.executable, "-c", _EMIT, *map(str, numbers)], check=True)


def _hear(subscriber: str | None, want: int, *, meanwhile: Any = None) -> list[Any]:
    """Follow until so many events were heard."""
    bus, stop = EventBus(), threading.Event()
    heard: list[Any] = []

    def listen(_: str, data: Any) -> None:
        heard.append(data)
        if len(heard) == want:
            stop.set()

    bus.on("t.*", listen)
    if meanwhile is not None:
        timer = threading.Timer(0.5, meanwhile)
        timer.start()
    follow(default(), bus=bus, subscriber=subscriber, stop=stop)
    return heard


def test_what_another_process_emits_is_heard_in_order() -> None:
    emit_event("t.first", "before")

    assert _hear(None, 3, meanwhile=lambda: _emit_elsewhere(1, 2, 3)) == [1, 2, 3]


def test_a_named_subscriber_goes_on_where_it_left_off() -> None:
    emit_event("t.first", "before")
    assert _hear("dash", 2, meanwhile=lambda: _emit_elsewhere(1, 2)) == [1, 2]
    _emit_elsewhere(3, 4)

    assert _hear("dash", 2) == [3, 4]


def test_a_subscriber_is_one_process() -> None:
    emit_event("t.first", "before")
    with buses._Place(default().folder, "dash"), pytest.raises(ConflictError):
        follow(default(), subscriber="dash")
    with pytest.raises(ValueError, match="subscriber is"):
        follow(default(), subscriber="../x")


# -- consent ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("scope", [*Scope])
@pytest.mark.parametrize("destination", [*Scope])
def test_data_goes_no_further_than_its_scope(scope: Scope, destination: Scope) -> None:
    assert may_leave(scope.text, destination.text) == (destination <= scope)


@pytest.mark.parametrize("unknown", [None, "", "everywhere", 4, "edge"])
def test_no_scope_or_an_unknown_one_is_edge_only(unknown: Any) -> None:
    assert parse_scope(unknown) is Scope.EDGE_ONLY


def test_a_destination_is_never_guessed() -> None:
    with pytest.raises(ValueError, match="destination is 'mars'"):
        emit_event("t", {}, destination="mars")


def test_without_consent_nothing_leaves_and_the_refusal_is_an_event() -> None:
    heard: list[Any] = []
    buses.default_bus.on("t", lambda _, data: heard.append(data))

    assert emit_event("t", {"scope": "public", "secretish": 1}, destination="federated") == 0
    [refusal] = default().events(Query(primitive="consent"))
    assert heard == []
    assert refusal.data == {"topic": "t", "destination": "federated", "scope": "edge_only"}
    assert list(default().events(Query(primitive="bus"))) == []


def test_fields_of_a_smaller_scope_are_withheld_however_deep() -> None:
    guard = ConsentGuard()
    guard.allow("t", "federated", {"subject.user_id": "edge_only", "email": "user_devices"})
    data = {
        "subject": {"user_id": "u", "prompt_id": "p", "people": [{"email": "e", "n": 1}]},
        "user_id": "kept",
    }
    released = guard.release("t", data, "federated")
    [refusal] = default().events(Query(primitive="consent"))

    assert released == {
        "subject": {"user_id": WITHHELD, "prompt_id": "p", "people": [{"email": WITHHELD, "n": 1}]},
        "user_id": "kept",
    }
    assert data["subject"]["user_id"] == "u"  # type: ignore[index]
    assert refusal.data["withheld"] == ["subject.user_id", "subject.people.0.email"]
    assert guard.release("t", data, "edge_only") == data
    with pytest.raises(ConsentRefused, match="its scope is federated"):
        guard.release("t", data, "public")


def test_consent_is_given_in_so_many_words() -> None:
    with pytest.raises(ValueError, match="destination is 'everyone'"):
        ConsentGuard().allow("t", "everyone")

"""A listener that blocks holds up nobody, and what it misses is counted."""

import os
import threading
from typing import Any

import pytest

from whence.decisions import bus as buses
from whence.decisions.background import Background, in_background
from whence.decisions.bus import EventBus, emit_event
from whence.log import default
from whence.query import Query


def test_a_listener_that_never_returns_stops_neither_the_others_nor_the_journal() -> None:
    freed, heard = threading.Event(), list[Any]()
    blocked = in_background(lambda *_: freed.wait())
    buses.default_bus.on("t", blocked)
    buses.default_bus.on("t", lambda _, data: heard.append(data))
    try:
        for number in range(3):
            emit_event("t", number)

        assert heard == [0, 1, 2]
        assert len(list(default().events(Query(primitive="bus")))) == 3
        assert not blocked.close(timeout_s=0.01)
    finally:
        freed.set()
        buses.default_bus.off("t", blocked)
    assert blocked.close(timeout_s=30)


def test_it_hears_all_in_order_also_past_one_that_made_it_raise(
    caplog: pytest.LogCaptureFixture,
) -> None:
    heard: list[int] = []

    def listen(_: str, data: int) -> None:
        if data == 1:
            raise RuntimeError("no")
        heard.append(data)

    bus, slow = EventBus(), in_background(listen)
    bus.on("t", slow)
    for number in range(500):
        bus.emit("t", number)

    assert slow.close(timeout_s=30)
    assert heard == [0, *range(2, 500)]
    assert "a listener to t raised" in caplog.text


def test_what_it_cannot_take_is_counted_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    freed, begun = threading.Event(), threading.Event()

    def listen(*_: object) -> None:
        begun.set()
        freed.wait()

    slow = Background(listen, waiting=2)
    slow("t", 0)
    assert begun.wait(30)
    for number in range(1, 6):
        slow("t", number)
    freed.set()

    assert slow.missed == 3
    assert slow.close(timeout_s=30)
    assert len([line for line in caplog.messages if "more are missed" in line]) == 1


def test_a_forked_child_has_a_listener_of_its_own() -> None:
    heard: list[int] = []
    slow = in_background(lambda _, data: heard.append(data))
    slow("t", 1)
    assert slow.close(timeout_s=30)
    child = os.fork()
    if child == 0:
        heard.clear()
        slow("t", 2)
        os._exit(0 if slow.close(timeout_s=30) and heard == [2] else 1)
    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    assert heard == [1]


@pytest.mark.parametrize(("callback", "waiting"), [(3, 1), (print, 0), (print, True)])
def test_wrong_use_is_refused(callback: Any, waiting: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        Background(callback, waiting)

"""The bus as the seed has it, in one process and across several."""

import itertools
import signal
import subprocess
import sys
import threading
from typing import Any

import msgspec
import pytest

from whence.decisions.bus import EventBus, emit_event, follow
from whence.decisions.places import Place
from whence.errors import ConflictError, CorruptError
from whence.line import decode_line, encode_event
from whence.log import default


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


def test_a_subscriber_that_was_stopped_before_its_first_event_misses_none() -> None:
    emit_event("t.first", "before")
    with pytest.raises(KeyboardInterrupt):
        _hear("dash", 1, meanwhile=lambda: signal.raise_signal(signal.SIGINT))
    _emit_elsewhere(1, 2)

    assert _hear("dash", 2) == [1, 2]


def test_a_late_line_in_an_older_segment_is_heard_after_a_restart() -> None:
    emit_event("t.first", "before")
    [segment] = (default().folder / "journal").iterdir()
    # As written by a process whose clock has not come to this day yet.
    older = segment.with_name("2020-01-01.0000.jsonl")
    lines = segment.read_bytes().splitlines(keepends=True)
    older.write_bytes(lines[0])
    assert _hear("dash", 1, meanwhile=lambda: _emit_elsewhere(1)) == [1]
    with open(older, "ab") as file:
        file.write(_as_of_another_process(lines[-1]))

    assert _hear("dash", 1) == ["before"]


def _as_of_another_process(line: bytes) -> bytes:
    event = decode_line(line.rstrip(b"\n"))
    data = {**event.data, "process": "another"}
    changed = msgspec.structs.replace(
        event, id="late", w="a" * 12, n=1, payload=msgspec.Raw(msgspec.json.encode(data))
    )
    return encode_event(changed) + b"\n"


def test_what_is_private_is_told_without_its_data() -> None:
    emit_event("t.first", "before")
    code = "import whence; whence.emit('bus', 't.x', data={'data': 1}, private=True)"
    heard = _hear(
        None, 1, meanwhile=lambda: subprocess.run([sys.executable, "-c", code], check=True)
    )

    assert heard == [None]


def test_a_damaged_place_is_no_beginning() -> None:
    emit_event("t.first", "before")
    folder = default().folder / "subscribers"
    folder.mkdir()
    (folder / "dash").write_text("[]")
    with pytest.raises(CorruptError, match="tells no place"):
        follow(default(), subscriber="dash")


_FOLLOW = """
import sys, time, whence
from whence.decisions.bus import EventBus, follow
bus = EventBus()
def listen(topic, data):
    sys.stdout.write(f"{data}\\n")
    sys.stdout.flush()
    time.sleep(0.002)
bus.on("t.*", listen)
follow(whence.open(".whence", read_only=True), bus=bus, subscriber="dash")
"""


def test_a_subscriber_that_is_killed_hears_each_event_and_at_most_one_twice_a_kill() -> None:
    emit_event("t.first", "before")
    with Place(default().folder, "dash"):
        pass
    for number in range(200):
        emit_event("t.x", number)
    heard: list[int] = []
    kills = 0
    while not heard or heard[-1] != 199:
        with subprocess.Popen(
            [sys.executable, "-c", _FOLLOW], stdout=subprocess.PIPE, text=True
        ) as follower:
            assert follower.stdout is not None
            for _ in range(40):
                line = follower.stdout.readline()
                heard.append(int(line))
                if heard[-1] == 199:
                    break
            follower.kill()
            kills += 1
            heard += [int(line) for line in follower.stdout if line.endswith("\n")]

    assert kills > 2
    assert sorted(set(heard)) == list(range(200))
    assert len(heard) <= 200 + kills
    # In order, but for the one in hand.
    assert all(after - before in (0, 1) for before, after in itertools.pairwise(heard))


def test_a_subscriber_is_one_process() -> None:
    emit_event("t.first", "before")
    with Place(default().folder, "dash"), pytest.raises(ConflictError):
        follow(default(), subscriber="dash")
    with pytest.raises(ValueError, match="subscriber is"):
        follow(default(), subscriber="../x")

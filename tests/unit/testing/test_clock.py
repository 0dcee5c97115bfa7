from whence.event import format_time
from whence.testing.clock import FixedClock


def test_it_stands_still_until_told_to_move() -> None:
    clock = FixedClock("2026-11-20T12:00:00.000000001Z")
    assert clock() == clock()

    clock.advance(1.5)
    assert format_time(clock()) == "2026-11-20T12:00:01.500000001Z"

    clock.advance(-86_400)
    assert format_time(clock()) == "2026-11-19T12:00:01.500000001Z"

    clock.set("2030-01-01T00:00:00.000000000Z")
    assert format_time(clock()) == "2030-01-01T00:00:00.000000000Z"

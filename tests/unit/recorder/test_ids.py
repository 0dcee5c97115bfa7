"""Ids are UUIDv7 that only grow within a process, whatever the clock does, and never repeat."""

import multiprocessing
import os
import sys
import threading
import time
import uuid
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whence.event import id_time_ms
from whence.recorder.ids import IdMaker, Pool, make_salts

FULL = bool(os.environ.get("WHENCE_TEST_FULL"))
NOW_NS = 1_795_203_655_104_233_123


def zeros(size: int) -> bytes:
    return bytes(size)


def ones(size: int) -> bytes:
    return b"\xff" * size


def make_many(count: int) -> list[str]:
    """Make ids in this process, in a way that a child process can be asked for too."""
    maker = IdMaker(os.urandom)
    return [maker.make(NOW_NS) for _ in range(count)]


@given(st.lists(st.integers(0, 2**48 * 10**6 - 1), min_size=1, max_size=20))
def test_every_id_is_a_uuid_of_version_7(times_ns: list[int]) -> None:
    maker = IdMaker(os.urandom)
    for time_ns in times_ns:
        text = maker.make(time_ns)
        parsed = uuid.UUID(text)

        assert str(parsed) == text
        assert parsed.version == 7
        assert parsed.variant == uuid.RFC_4122


@given(st.lists(st.integers(0, 2**44) | st.integers(NOW_NS, NOW_NS + 10**7), max_size=50))
def test_an_id_tells_the_latest_time_so_far(times_ns: list[int]) -> None:
    maker = IdMaker(os.urandom)
    latest = 0
    for time_ns in times_ns:
        latest = max(latest, time_ns // 10**6)

        assert id_time_ms(maker.make(time_ns)) == latest


@pytest.mark.parametrize("random", [zeros, ones, os.urandom])
@given(steps=st.lists(st.integers(-(10**9), 10**9), min_size=1, max_size=600))
def test_ids_grow_also_when_the_clock_steps_back(
    random: Callable[[int], bytes], steps: list[int]
) -> None:
    maker = IdMaker(random)
    now, made = NOW_NS, []
    for step in steps:
        now += step
        made.append(maker.make(now))

    assert all(before < after for before, after in pairwise(made))


def test_ids_grow_from_block_to_block() -> None:
    made = make_many(5_000)

    assert all(before < after for before, after in pairwise(made))


def test_the_count_grows_where_it_starts_highest() -> None:
    """40 of its 42 bits are random, so even then it does not wrap."""
    maker = IdMaker(ones)
    made = [maker.make(NOW_NS) for _ in range(2_000)]

    assert all(before < after for before, after in pairwise(made))


def test_ids_do_not_repeat() -> None:
    count = 5_000_000 if FULL else 200_000

    assert len(set(make_many(count))) == count


def test_makers_of_one_moment_differ() -> None:
    """Two processes that start together have nothing in common but the time."""
    made = [id_ for _ in range(200) for id_ in make_many(300)]

    assert len(set(made)) == len(made)


def test_an_id_made_after_another_returned_is_greater_in_any_thread() -> None:
    """A stamp of time and a count from different threads never mix into a smaller id."""
    maker = IdMaker(os.urandom)
    clock = iter(range(NOW_NS, NOW_NS + 10**15, 50_000)).__next__
    newest = [""]
    failures: list[tuple[str, str]] = []
    made: list[list[str]] = [[] for _ in range(8)]
    start = threading.Barrier(8)

    def work(mine: list[str]) -> None:
        start.wait()
        for at in range(20_000 if FULL else 4_000):
            # Returned before ours begins, by whichever thread.
            before = newest[0]
            now = clock() - (at % 7) * 10**6
            text = maker.make(now)
            if text <= before:
                failures.append((before, text))
            newest[0] = text
            mine.append(text)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work, args=(mine,)) for mine in made]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)

    everything = [text for mine in made for text in mine]
    assert failures == []
    assert len(set(everything)) == len(everything)
    assert all(before < after for mine in made for before, after in pairwise(mine))


def test_ids_grow_also_when_a_handler_makes_some_while_a_block_is_made() -> None:
    """A signal handler or finalizer may record wherever Python calls something."""
    made: list[str] = []
    asked = 0

    def random(size: int) -> bytes:
        nonlocal asked
        asked += 1
        if asked == 4:
            made.extend(maker.make(NOW_NS) for _ in range(3))
        return bytes(size)

    maker = IdMaker(random)
    for _ in range(1_000):
        text = maker.make(NOW_NS)
        made.append(text)

    assert asked > 4
    assert all(before < after for before, after in pairwise(made))


def test_processes_make_different_ids() -> None:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        parts = pool.map(make_many, [3_000] * 4)

    everything = [text for part in parts for text in part]
    assert len(set(everything)) == 12_000


def test_the_time_is_the_one_given() -> None:
    now = time.time_ns()

    assert id_time_ms(IdMaker(os.urandom).make(now)) == now // 10**6


@pytest.mark.parametrize("blocks", [1, 20])
def test_salts_have_24_characters_and_do_not_repeat(blocks: int) -> None:
    salts = [salt for _ in range(blocks) for salt in make_salts(os.urandom)]

    assert all(len(salt) == 24 for salt in salts)
    assert all(salt.replace(b"-", b"").replace(b"_", b"").isalnum() for salt in salts)
    assert len(set(salts)) == len(salts) > 100


def test_salts_hold_all_the_randomness_they_are_cut_from() -> None:
    """18 bytes each: whoever guesses payloads cannot guess these."""
    asked: list[int] = []

    def random(size: int) -> bytes:
        asked.append(size)
        return os.urandom(size)

    salts = make_salts(random)

    assert sum(asked) == 18 * len(salts)


def test_a_pool_asks_for_much_at_once_and_hands_out_each_byte_once() -> None:
    asked: list[bytes] = []

    def random(size: int) -> bytes:
        asked.append(os.urandom(size))
        return asked[-1]

    pool = Pool(random)
    taken = {size: [pool(size) for _ in range(100)] for size in (5, 256)}

    assert len(asked) <= 8
    for size, pieces in taken.items():
        assert {len(piece) for piece in pieces} == {size}
        assert len({*pieces}) == 100
        assert all(any(piece in fetched for fetched in asked) for piece in pieces)


def test_threads_never_share_what_a_pool_hands_out() -> None:
    pool = Pool(os.urandom)
    taken: list[list[bytes]] = [[] for _ in range(8)]

    def take(into: list[bytes]) -> None:
        into += [pool(16) for _ in range(5_000)]

    threads = [threading.Thread(target=take, args=(into,)) for into in taken]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    pieces = [piece for into in taken for piece in into]
    assert len({*pieces}) == len(pieces) == 40_000

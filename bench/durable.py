"""What a durable acknowledgement costs: events per second that survive a power cut.

Beside a bare loop of write and fdatasync, beside itself with more callers at once, and beside one
SQLite insert per event with `synchronous=FULL`. Wall time, since the disk is what all wait for.
"""

import asyncio
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial

import whence
from bench.emit import run_together
from bench.measure import Benchmark, Finding, Plan, interleave, median_of, median_ratio, scratch
from bench.peers import make_payloads

_AT_ONCE = 64
_PAYLOADS = make_payloads(400)
_ALONE = len(_PAYLOADS)
_EACH = 40


def bare_loop() -> float:
    """Lines a second of `os.write` and `os.fdatasync`, of the length that Whence writes here."""
    with scratch() as folder:
        line = b"x" * 320 + b"\n"
        fd = os.open(folder / "lines", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(fd, line)
        os.fdatasync(fd)
        start = time.perf_counter()
        for _ in range(_ALONE):
            os.write(fd, line)
            os.fdatasync(fd)
        taken = time.perf_counter() - start
        os.close(fd)
    return _ALONE / taken


def by_threads(threads: int) -> float:
    """Durable events a second of so many threads."""
    each = _ALONE if threads == 1 else _EACH
    with scratch() as folder:
        log = whence.open(folder / ".whence", durability="disk")
        log.emit("ops", "create_task")

        def record() -> None:
            emit = log.emit
            for payload in _PAYLOADS[:each]:
                emit("ops", "claim_task", agent="haiku-1", target="task-sub1", data=payload)

        taken = run_together([record] * threads, time.perf_counter_ns) / 1e9
        log.close()
    return threads * each / taken


def by_tasks() -> float:
    """Durable events a second of 64 asyncio tasks in one thread."""
    with scratch() as folder:
        log = whence.open(folder / ".whence", durability="disk")
        taken = asyncio.run(_record_in_tasks(log))
        log.close()
    return _AT_ONCE * _EACH / taken


async def _record_in_tasks(log: whence.Log) -> float:
    async def record() -> None:
        for payload in _PAYLOADS[:_EACH]:
            await log.emit_async(
                "ops", "claim_task", agent="haiku-1", target="task-sub1", data=payload
            )

    await log.emit_async("ops", "create_task")
    start = time.perf_counter()
    await asyncio.gather(*(record() for _ in range(_AT_ONCE)))
    return time.perf_counter() - start


def by_sqlite(journal_mode: str) -> float:
    """Inserts a second of 64 threads that share one connection, which is how SQLite is fastest.

    With a connection each they would wait for one another by sleeping.
    """
    each = max(_EACH // 8, 1)
    with scratch() as folder:
        db = sqlite3.connect(folder / "events.db", isolation_level=None, check_same_thread=False)
        db.execute(f"PRAGMA journal_mode = {journal_mode}")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("CREATE TABLE events (id INTEGER PRIMARY KEY, line TEXT NOT NULL)")
        lock = threading.Lock()
        line = "x" * 320

        def record() -> None:
            for _ in range(each):
                with lock:
                    db.execute("INSERT INTO events (line) VALUES (?)", (line,))

        record()
        taken = run_together([record] * _AT_ONCE, time.perf_counter_ns) / 1e9
        db.close()
    return _AT_ONCE * each / taken


def run(plan: Plan) -> Iterator[Finding]:
    contenders: dict[str, Callable[[], float]] = {
        "bare": bare_loop,
        "1 thread": partial(by_threads, 1),
        "64 threads": partial(by_threads, _AT_ONCE),
        "64 tasks": by_tasks,
        "WAL": partial(by_sqlite, "WAL"),
        "rollback": partial(by_sqlite, "DELETE"),
    }
    rates = interleave(contenders, plan.rounds)
    rates["sqlite"] = [*map(max, rates["WAL"], rates["rollback"])]
    for key, ours, peer in (
        ("durable.bare", "1 thread", "bare"),
        ("durable.threads", "64 threads", "1 thread"),
        ("durable.asyncio", "64 tasks", "1 thread"),
        ("durable.sqlite", "64 threads", "sqlite"),
    ):
        yield Finding(
            key,
            median_ratio(rates[ours], rates[peer]),
            f"{median_of(rates[ours], float):,.0f}/s",
            f"{median_of(rates[peer], float):,.0f}/s",
            f"WAL {median_of(rates['WAL'], float):,.0f}/s, "
            f"rollback {median_of(rates['rollback'], float):,.0f}/s"
            if peer == "sqlite"
            else "",
        )


DURABLE = Benchmark(
    "durable", ("durable.bare", "durable.threads", "durable.asyncio", "durable.sqlite"), run
)

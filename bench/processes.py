"""Several processes that record into one journal at once, beside one alone.

Each records for a while; what counts is how many lines they wrote in all, by wall time.
"""

import multiprocessing
import time
from collections.abc import Iterator
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

import whence
from bench.measure import Benchmark, Finding, Plan, interleave, median_of, median_ratio, scratch
from bench.peers import make_payloads

_SECONDS = 0.5
_PAYLOADS = make_payloads(200)


class Answer(NamedTuple):
    """What one process has to tell."""

    events: int
    seconds: float
    lost: int


def _record(folder: Path, start: float, answer: Connection) -> None:
    log = whence.open(folder)
    log.emit("ops", "create_task")
    events, emit = 0, log.emit
    time.sleep(max(start - time.monotonic(), 0))
    while time.monotonic() < start + _SECONDS:
        for payload in _PAYLOADS:
            emit("ops", "claim_task", agent="haiku-1", target="task-sub1", data=payload)
        events += len(_PAYLOADS)
    answer.send(Answer(events, time.monotonic() - start, log.lost))
    log.close()


def measure(processes: int) -> float:
    """Events a second that so many processes write to one journal in all."""
    context = multiprocessing.get_context("fork")
    with scratch() as folder:
        start = time.monotonic() + 0.2
        pipes = [context.Pipe(duplex=False) for _ in range(processes)]
        workers = [
            context.Process(target=_record, args=(folder / ".whence", start, send))
            for _, send in pipes
        ]
        for worker in workers:
            worker.start()
        answers: list[Answer] = [receive.recv() for receive, _ in pipes]
        for worker in workers:
            worker.join()
    if any(answer.lost for answer in answers):
        raise AssertionError("a process lost events")
    events = sum(answer.events for answer in answers)
    return events / max(answer.seconds for answer in answers)


def run(plan: Plan) -> Iterator[Finding]:
    rates = interleave({str(n): partial(measure, n) for n in (1, 2, 4)}, plan.rounds)
    for processes in ("2", "4"):
        yield Finding(
            f"processes.{processes}",
            median_ratio(rates[processes], rates["1"]),
            f"{median_of(rates[processes], float):,.0f}/s",
            f"{median_of(rates['1'], float):,.0f}/s",
        )


PROCESSES = Benchmark("processes", ("processes.2", "processes.4"), run)

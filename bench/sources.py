"""Meta-layer against dedicated storage: a swarm's six databases read in place, beside a journal of the same.

The seed's first open question. The same questions through `whence.open()`, in turn, warm: to the databases
as they are, to the same with indexes, and to the journal; and once each in a new process, which has yet to
learn what the databases hold. `python -m bench.sources` prints the whole table.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import NamedTuple

import whence
from bench.index import MILLION
from bench.measure import Benchmark, Finding, Plan, peak_mb
from bench.space import Stores, make_stores, some_tasks
from bench.targets import BY_KEY
from whence.ask.timeline import Timeline
from whence.query import Query

SIZES = (10_000, 100_000, MILLION)
WAYS = ("bare", "indexed", "journal")
QUESTIONS = {
    "task": "one task",
    "agent": "one agent since",
    "last": "last 100",
    "first": "first of all",
    "first_agent": "first of an agent",
}
_SINCE_NS = 6 * 3_600_000_000_000
_BUDGET_S = 20.0
"""So long is one question asked, after the least number of rounds."""
_ROUNDS_MIN = 5
_NEW_MAX = 5
"""So many processes ask each question anew."""

Ask = Callable[[whence.Log], list[str]]
Times = Mapping[tuple[str, str], Sequence[float]]
"""Milliseconds of each turn, by question and way."""


def open_way(way: str, stores: Stores) -> whence.Log:
    """A log to ask: the journal, or an empty one with the databases as its source."""
    if way == "journal":
        return whence.open(stores.journal)
    folder = getattr(stores, way)
    return whence.open(folder / "nothing", sources=[f"space-os:{folder}"])


def make_questions(stores: Stores, rounds: int) -> dict[str, list[Ask]]:
    """For each kind of question as many as there are rounds, about many subjects; the ids are the answer."""
    tasks = some_tasks(stores, rounds)
    agents = [f"agent-{number * 7 % 50}" for number in range(rounds)]
    since = Query(since=stores.end_ns - _SINCE_NS)

    def first(log: whence.Log, agent: str | None = None) -> list[str]:
        return [next(iter(log.timeline(agent=agent).rows)).event.id]

    def last(log: whence.Log) -> list[str]:
        return _ids(log.timeline(limit=100))

    return {
        "task": [lambda log, task=task: _ids(log.timeline(target=task)) for task in tasks],  # type: ignore[misc]
        "agent": [
            lambda log, agent=agent: _ids(log.timeline(agent=agent, query=since))  # type: ignore[misc]
            for agent in agents
        ],
        "last": [last] * rounds,
        "first": [first] * rounds,
        "first_agent": [lambda log, agent=agent: first(log, agent) for agent in agents],  # type: ignore[misc]
    }


def _ids(timeline: Timeline) -> list[str]:
    return [row.event.id for row in timeline.rows]


def ask_in_turn(stores: Stores, rounds: int) -> Times:
    """Put every question to each way in turn; refuse ways that answer differently."""
    times: dict[tuple[str, str], list[float]] = {}
    with ExitStack() as stack:
        logs = {way: stack.enter_context(open_way(way, stores)) for way in WAYS}
        for kind, questions in make_questions(stores, rounds).items():
            start = time.monotonic()
            # The first turn warms up what is asked about, and does not count.
            for number, ask in enumerate([questions[0], *questions]):
                if number > _ROUNDS_MIN and time.monotonic() - start > _BUDGET_S:
                    break
                answers = {}
                for way, log in logs.items():
                    began = time.perf_counter_ns()
                    answers[way] = ask(log)
                    took = time.perf_counter_ns() - began
                    if number:
                        times.setdefault((kind, way), []).append(took / 1e6)
                _compare(kind, answers)
        warned = [text for log in logs.values() for text in log.warnings]
    if warned:
        raise AssertionError(f"the answers are not whole: {'; '.join(warned)}")
    return times


def _compare(kind: str, answers: Mapping[str, list[str]]) -> None:
    wanted = sorted(answers["journal"])
    for way, answer in answers.items():
        if sorted(answer) != wanted or not wanted:
            raise AssertionError(f"{kind}: {way} gives {len(answer)} events, want {len(wanted)}")


class Once(NamedTuple):
    """What asking once takes in a process of its own."""

    ms: float
    """Of the answers alone."""
    peak_mb: float
    idle_mb: float
    """The peak before the first question."""


def ask_anew(
    way: str, stores: Stores, kinds: Sequence[str] = tuple(QUESTIONS), subject: int = 0
) -> Once:
    """Put a question of each kind to one way, in a new process."""
    command = [
        sys.executable, "-m", "bench.sources",
        f"--rows={stores.rows}", f"--once={way}", f"--subject={subject}", *kinds,
    ]  # fmt: skip
    answer = subprocess.run(command, check=True, capture_output=True).stdout
    return Once(*json.loads(answer))


def ask_all_anew(stores: Stores, rounds: int) -> dict[tuple[str, str], float]:
    """Milliseconds of the first question of a process, by question and way."""
    return {
        (kind, way): statistics.median(
            ask_anew(way, stores, [kind], subject).ms for subject in range(min(rounds, _NEW_MAX))
        )
        for kind in QUESTIONS
        for way in WAYS
    }


def _ask_once(way: str, stores: Stores, kinds: Sequence[str], subject: int) -> Once:
    questions = make_questions(stores, _NEW_MAX)
    idle = peak_mb()
    start = time.perf_counter_ns()
    with open_way(way, stores) as log:
        for kind in kinds:
            questions[kind][subject](log)
        took = time.perf_counter_ns() - start
    return Once(took / 1e6, peak_mb(), idle)


def run(plan: Plan) -> Iterator[Finding]:
    # A first impression is one of the smallest size.
    rows = MILLION if plan.events >= MILLION else SIZES[0]
    stores = make_stores(rows)
    times = ask_in_turn(stores, plan.rounds)
    anew = ask_all_anew(stores, plan.rounds)

    def slowest(key: str, way: str, kinds: Sequence[str], others: Sequence[str] = ()) -> Finding:
        ours, theirs = (
            max(statistics.median(times[kind, each]) for kind in kinds) for each in (way, "journal")
        )
        new = max(anew[kind, way] for kind in kinds)
        also = [
            f"{QUESTIONS[kind]} {statistics.median(times[kind, way]):.0f} ms" for kind in others
        ]
        note = "; ".join([f"at {rows:,} rows", f"{new:.0f} ms in a new process", *also])
        return Finding(f"source.{key}.{way}", ours, f"{ours:.1f} ms", f"{theirs:.2f} ms", note)

    for way in ("indexed", "bare"):
        yield slowest("task", way, ["task"], ["agent", "last"])
    for way in ("indexed", "bare"):
        yield slowest("first", way, ["first", "first_agent"])
    once = {way: ask_anew(way, stores) for way in WAYS}
    most = max(once["indexed"], once["bare"], key=lambda each: each.peak_mb)
    yield Finding(
        "source.memory",
        most.peak_mb,
        f"{most.peak_mb:.0f} MB",
        f"{once['journal'].peak_mb:.0f} MB",
        f"at {rows:,} rows; {most.idle_mb:.0f} MB of it before the first question",
    )


def print_table(sizes: Sequence[int], rounds: int) -> None:
    """Every size, question and way, as Markdown: medians of wall time, and in a new process."""
    print("| rows | question | databases | with indexes | journal |")
    print("|-----:|----------|----------:|-------------:|--------:|")
    for rows in sizes:
        stores = make_stores(rows)
        times = ask_in_turn(stores, rounds)
        anew = ask_all_anew(stores, rounds)
        for kind, words in QUESTIONS.items():
            cells = [
                f"{_digits(statistics.median(times[kind, way]))} ({_digits(anew[kind, way])}) ms"
                for way in WAYS
            ]
            print(f"| {rows:,} | {words} | {' | '.join(cells)} |", flush=True)
        peaks = [f"{ask_anew(way, stores).peak_mb:.0f} MB" for way in WAYS]
        print(f"| {rows:,} | peak memory | {' | '.join(peaks)} |", flush=True)


def _digits(ms: float) -> str:
    return f"{ms:,.0f}" if ms >= 100 else f"{ms:.1f}" if ms >= 1 else f"{ms:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.sources", description=__doc__)
    parser.add_argument("--rows", type=int, action="append", help="size of the store")
    parser.add_argument("--rounds", type=int, default=25, help="how often each has its turn")
    parser.add_argument("--once", choices=WAYS, help="ask this way once, and tell what that took")
    parser.add_argument("--subject", type=int, default=0, help="about which task or agent")
    parser.add_argument("kinds", nargs="*", help="what to ask once")
    given = parser.parse_args()
    if given.once:
        print(
            json.dumps(
                _ask_once(given.once, make_stores(given.rows[0]), given.kinds, given.subject)
            )
        )
    else:
        print_table(given.rows or SIZES, given.rounds)


SOURCES = Benchmark("sources", tuple(key for key in BY_KEY if key.startswith("source.")), run)

if __name__ == "__main__":
    main()

"""What a question costs once the index is caught up: warm, in one process, the median of many.

Asked through `whence.open()`, so the look whether anything new was recorded, the reading of
payloads and the words of a timeline are all in it. The note gives the index's part alone.
"""

import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import whence
from bench.index import MILLION, RARE_WORD, synthetic_log
from bench.measure import Benchmark, Finding, Plan
from bench.targets import BY_KEY
from whence.index import Index, Row
from whence.journal.reader import Reader
from whence.query import Query

_SUBJECTS = 200
_HOUR_NS = 3_600_000_000_000
_LARGE_TREES = (
    "SELECT root FROM entries WHERE root NOTNULL GROUP BY root HAVING count(*) >= 99 LIMIT 50"
)

Question = Callable[[], object]


class Took(NamedTuple):
    """What one kind of question takes, in milliseconds."""

    wall_ms: float = 0
    cpu_ms: float = 0


def time_all(questions: Sequence[Question]) -> Took:
    """Ask each question once; return the medians."""
    wall, cpu = [], []
    for question in questions:
        start, start_cpu = time.perf_counter_ns(), time.thread_time_ns()
        question()
        cpu.append(time.thread_time_ns() - start_cpu)
        wall.append(time.perf_counter_ns() - start)
    if not questions:
        return Took()
    return Took(statistics.median(wall) / 1e6, statistics.median(cpu) / 1e6)


def make_questions(
    log: whence.Log, index: Index, some: list[Row], roots: list[Row]
) -> dict[str, tuple[list[Question], list[Question]]]:
    """For each kind of look-up, questions about many subjects: to the log, and to its index."""

    def hour_of(row: Row) -> Query:
        return Query(agent=row.agent, since=row.time, until=row.time + _HOUR_NS)

    def each(ask: Callable[[Row], Any], rows: Sequence[Row]) -> list[Question]:
        return [lambda row=row: ask(row) for row in rows]  # type: ignore[misc]

    last = Query()
    return {
        "timeline": (
            each(lambda row: [*log.timeline(target=row.target, limit=20).rows], some),
            each(lambda row: [*index.find(Query(target=row.target), newest_first=True, limit=20)],
                 some),
        ),
        "last": (
            each(lambda _: [*log.events(last, newest_first=True, limit=100)], some),
            each(lambda _: [*index.find(last, newest_first=True, limit=100)], some),
        ),
        "id": (
            each(lambda row: [*log.timeline(row.id, limit=1).rows], some),
            each(lambda row: index.by_id(row.id), some),
        ),
        "hour": (
            each(lambda row: [*log.events(hour_of(row))], some),
            each(lambda row: [*index.find(hour_of(row))], some),
        ),
        "causality": (
            each(lambda row: log.causality(row.id), roots),
            each(lambda row: index.descendants([row.seq], 1000), roots),
        ),
        "statistics": (
            each(lambda _: log.statistics(), some[:20]),
            each(lambda _: index.statistics(last), some[:20]),
        ),
        "find": (each(lambda _: [*log.find(RARE_WORD)], some[:5]), []),
    }  # fmt: skip


def ask_all(events: int) -> dict[str, tuple[Took, Took]]:
    """What each kind of look-up takes in a log of so many events: the log, and its index alone."""
    folder = synthetic_log(events)
    rng = random.Random(7)
    with whence.open(folder) as log, Index.open(folder, Reader(folder)) as index:
        log.catch_up()
        some = index.rows(rng.sample(range(1, events), _SUBJECTS))
        roots = index.rows(seq for (seq,) in log.sql(_LARGE_TREES)[1])
        questions = make_questions(log, index, some, roots)
        found = [*log.find(RARE_WORD)]
        if len(found) != 1:
            raise AssertionError(f"{len(found)} events hold {RARE_WORD}, want 1")
        for of_log, of_index in questions.values():
            time_all(of_log[:20])
            time_all(of_index[:20])
        return {
            kind: (time_all(of_log), time_all(of_index))
            for kind, (of_log, of_index) in questions.items()
        }


def _describe(of_log: Took, of_index: Took) -> str:
    alone = f"; index alone {of_index.wall_ms:.2f} ms" if of_index.wall_ms else ""
    return f"CPU {of_log.cpu_ms:.2f} ms{alone}"


def run(plan: Plan) -> Iterator[Finding]:
    rounds = [ask_all(plan.events) for _ in range(max(plan.rounds // 5, 1))]
    for kind in rounds[0]:
        of_log, of_index = (
            Took(
                *map(statistics.median, zip(*(times[kind][part] for times in rounds), strict=True))
            )
            for part in (0, 1)
        )
        note = _describe(of_log, of_index)
        yield Finding(f"ask.{kind}", of_log.wall_ms, f"{of_log.wall_ms:.2f} ms", "", note)
    if plan.is_full:
        for kind, (of_log, of_index) in ask_all(10 * MILLION).items():
            note = _describe(of_log, of_index)
            yield Finding(f"ask10.{kind}", of_log.wall_ms, f"{of_log.wall_ms:.2f} ms", "", note)


ASK = Benchmark("ask", tuple(key for key in BY_KEY if key.startswith(("ask.", "ask10."))), run)

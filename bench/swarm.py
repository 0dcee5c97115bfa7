"""What the swarm's call forms cost beside `log.emit` of the same events. CPU of the calling thread.

The payload is made at the call, as a program would. All log the same lines: in the first pair a
message of five values, in the second a claim whose cause is found rather than given.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import whence
from bench.measure import Benchmark, Finding, Plan, interleave, median_of, median_ratio, scratch
from bench.peers import Payload, make_payloads
from whence.swarm import Swarm

_CALLS = 4_000
_WARM_UP_CALLS = 500

Way = Callable[[whence.Log, Sequence[Payload]], None]


def emit_messages(log: whence.Log, payloads: Sequence[Payload]) -> None:
    emit = log.emit
    for payload in payloads:
        step, note, tokens, ok, seconds = payload.values()
        emit(
            "bridge", "send", agent="haiku-1", target="payments",
            data={"step": step, "note": note, "tokens": tokens, "ok": ok, "seconds": seconds},
        )  # fmt: skip


def swarm_messages(log: whence.Log, payloads: Sequence[Payload]) -> None:
    emit = Swarm(log).emit
    for payload in payloads:
        step, note, tokens, ok, seconds = payload.values()
        emit(
            "bridge", "send", agent_id="haiku-1", channel_id="payments",
            step=step, note=note, tokens=tokens, ok=ok, seconds=seconds,
        )  # fmt: skip


def emit_claims(log: whence.Log, payloads: Sequence[Payload]) -> None:
    emit = log.emit
    created = emit("ops", "create_task", agent="zealot-1", target="task-sub1")
    for payload in payloads:
        emit(
            "ops", "claim_task", agent="haiku-1", target="task-sub1", parent=created,
            data={"note": payload["note"]},
        )  # fmt: skip


def swarm_claims(log: whence.Log, payloads: Sequence[Payload]) -> None:
    ops = Swarm(log).ops
    ops.create_task("zealot-1", "task-sub1")
    claim = ops.claim_task
    for payload in payloads:
        claim("haiku-1", "task-sub1", note=payload["note"])


def measure(way: Way, payloads: Sequence[Payload]) -> float:
    """Microseconds of CPU for one call."""
    with scratch() as folder, whence.open(folder / ".whence") as log:
        way(log, payloads[:_WARM_UP_CALLS])
        start = time.thread_time_ns()
        way(log, payloads)
        return (time.thread_time_ns() - start) / len(payloads) / 1000


def run(plan: Plan) -> Iterator[Finding]:
    payloads = make_payloads(_CALLS)
    ways: dict[str, Way] = {
        "emit": emit_messages,
        "swarm": swarm_messages,
        "emit, claim": emit_claims,
        "swarm, claim": swarm_claims,
    }
    rounds = interleave(
        {name: partial(measure, way, payloads) for name, way in ways.items()}, plan.rounds
    )
    for key, ours, theirs in (
        ("swarm.emit", "swarm", "emit"),
        ("swarm.claim", "swarm, claim", "emit, claim"),
    ):
        yield Finding(
            key,
            median_ratio(rounds[ours], rounds[theirs]),
            f"{median_of(rounds[ours], float):.2f} µs",
            f"{median_of(rounds[theirs], float):.2f} µs",
        )


SWARM = Benchmark("swarm", ("swarm.emit", "swarm.claim"), run)

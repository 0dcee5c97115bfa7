"""One agent of the demo: a process of its own, which records what the story has it do.

Each line it reads is a cue. It records the move through the public API, as any program would, and
answers with the new event's id.
"""

import sys

import whence
from whence.cli.stage.story import Cue, Move, decode_cue


def main() -> None:
    """Act until the story has nothing more to say, or somebody kills us."""
    log = whence.open(sys.argv[1])
    for line in sys.stdin:
        cue = decode_cue(line)
        sys.stdout.write(act(log, cue) + "\n")
        sys.stdout.flush()
    log.close()


def act(log: whence.Log, cue: Cue) -> str:
    """Record what the cue asks for, and return the id of the event."""
    record = _trace if cue.move.steps else _emit
    return record(log, cue.move, cue.parent)


def _emit(log: whence.Log, move: Move, parent: str | None) -> str:
    primitive, _, what = move.does.partition(".")
    return whence.swarm.Swarm(log).emit(
        primitive, what, agent_id=move.agent, target_id=move.target, parent_event_id=parent,
        **move.data,
    )  # fmt: skip


def _trace(log: whence.Log, move: Move, parent: str | None) -> str:
    """Record a span around the spans of its steps; those find their parent by themselves."""
    assert parent is not None, f"{move.does} has no cause"
    with (
        log.cause(parent),
        log.span(move.does, agent=move.agent, target=move.target, input=move.data["input"]) as span,
    ):
        for step in move.steps:
            with log.span(
                step.name, agent=move.agent, component=step.component, input=step.input
            ) as inner:
                inner.output(step.output)
        span.output(move.data["output"])
    return span.id


if __name__ == "__main__":
    main()

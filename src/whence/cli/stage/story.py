"""The story that the demo records: who does what, and what made them do it. Pure.

It is the story of the swarm that Whence was first thought of for: a task is blocked on an API
key, somebody answers, and it is done. `because` names the move that caused this one.
"""

from typing import Any

import msgspec


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A span inside the span of a move."""

    name: str
    component: str
    input: str
    output: str


class Move(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that an agent does. With `steps` it is a traced span, else an event."""

    name: str = ""
    """What later moves call it."""
    agent: str
    does: str
    """Primitive and type with a dot between them."""
    target: str
    because: str = ""
    data: dict[str, Any] = {}
    steps: tuple[Step, ...] = ()
    is_last: bool = False
    """Right after it the agent's process is killed."""


class Cue(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent's process is told: it is your turn, and `parent` is the event that made you."""

    move: Move
    parent: str | None = None


def encode_cue(cue: Cue) -> str:
    """Write a cue as one line."""
    return msgspec.json.encode(cue).decode() + "\n"


def decode_cue(line: str) -> Cue:
    """Read what `encode_cue` wrote."""
    return msgspec.json.decode(line, type=Cue)


AGENTS = ("human", "zealot-1", "haiku-1", "haiku-2", "haiku-3")

TASK = "task-abc123"
CHANNEL = "payments"
BLOCKED = "haiku-1"
KILLED = "haiku-3"


def _subtask(number: int, title: str) -> Move:
    return Move(
        name=f"sub{number}", agent="zealot-1", does="ops.create_task", target=f"task-sub{number}",
        because="task", data={"title": title, "parent_task_id": TASK},
    )  # fmt: skip


PLOT = (
    Move(
        name="need", agent="human", does="bridge.send", target=CHANNEL,
        data={"message_id": 42, "content": "we need payments"},
    ),
    Move(
        name="zealot-1 wakes", agent="zealot-1", does="spawn.wake", target="session-42",
        data={"session": 42},
    ),
    Move(
        agent="zealot-1", does="bridge.recv", target=CHANNEL, because="need",
        data={"unreads": 1},
    ),
    Move(
        name="design", agent="zealot-1", does="memory.add_entry", target="zealot-1:arch-notes",
        because="need", data={"topic": "payments", "content": "design payment flow"},
    ),
    Move(
        name="task", agent="zealot-1", does="ops.create_task", target=TASK, because="design",
        data={"title": "Build payment system"},
    ),
    _subtask(1, "Charge a card"),
    _subtask(2, "Write the refund page"),
    _subtask(3, "Add tax to invoices"),
    Move(
        agent="zealot-1", does="ops.decompose_task", target=TASK, because="task",
        data={"subtasks": ["task-sub1", "task-sub2", "task-sub3"]},
    ),
    Move(agent="haiku-1", does="spawn.wake", target="session-7", data={"session": 7}),
    Move(name="claim", agent="haiku-1", does="ops.claim_task", target="task-sub1", because="sub1"),
    Move(agent="haiku-2", does="spawn.wake", target="session-8", data={"session": 8}),
    Move(name="claim2", agent="haiku-2", does="ops.claim_task", target="task-sub2", because="sub2"),
    Move(agent="haiku-3", does="spawn.wake", target="session-9", data={"session": 9}),
    Move(name="claim3", agent="haiku-3", does="ops.claim_task", target="task-sub3", because="sub3"),
    Move(
        name="stuck", agent="haiku-1", does="bridge.send", target=CHANNEL, because="claim",
        data={"message_id": 43, "content": "Blocked on API key"},
    ),
    Move(
        agent="haiku-1", does="memory.add_entry", target="haiku-1:notes", because="stuck",
        data={"topic": "payments", "content": "stripe config issue"},
    ),
    Move(
        name="block", agent="haiku-1", does="ops.block_task", target="task-sub1", because="stuck",
        data={"reason": "need API key"},
    ),
    Move(
        agent="haiku-2", does="ops.complete_task", target="task-sub2", because="claim2",
        data={"result": "refund page written"},
    ),
    Move(
        agent=KILLED, does="ops.complete_task", target="task-sub3", because="claim3",
        data={"result": "tax on every invoice"}, is_last=True,
    ),
    Move(
        name="answer", agent="zealot-1", does="bridge.send", target=CHANNEL, because="block",
        data={"message_id": 44, "content": "API key in .env.example"},
    ),
    Move(
        name="retry", agent="haiku-1", does="ops.claim_task", target="task-sub1", because="answer",
    ),
    Move(
        name="charge", agent="haiku-1", does="payments.charge", target="task-sub1",
        because="retry", data={"input": "4.20 EUR", "output": "paid"},
        steps=(
            Step(
                name="config.read", component="settings.py", input=".env.example",
                output="stripe key found",
            ),
            Step(
                name="stripe.post", component="client.py", input="POST /v1/charges",
                output="200 OK",
            ),
        ),
    ),
    Move(
        name="done", agent="haiku-1", does="ops.complete_task", target="task-sub1",
        because="charge", data={"result": "cards can be charged"},
    ),
    Move(
        agent="zealot-1", does="ops.complete_task", target=TASK, because="done",
        data={"result": "payments work"},
    ),
    Move(
        agent="zealot-1", does="knowledge.add_discovery", target="payment-keys", because="done",
        data={"domain": "architecture", "content": "keys belong into .env.example"},
    ),
    Move(agent="haiku-1", does="spawn.sleep", target="session-7", data={"session": 7}),
    Move(agent="haiku-2", does="spawn.sleep", target="session-8", data={"session": 8}),
    Move(agent="zealot-1", does="spawn.sleep", target="session-42", data={"session": 42}),
)  # fmt: skip

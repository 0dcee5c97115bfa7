"""Makes journals of any size at once, for benchmarks and tests: valid lines, written as text.

The events look like those of a swarm at work: 50 agents, 20,000 targets for each million of events,
20 kinds; four in five have a parent and a trace, three in ten are spans with a duration, and spans
stand after what they caused. The same seed gives the same bytes.
"""

import random
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from whence.event import OWN, format_time

AGENTS = 50
EVENTS_PER_TARGET = 50
KINDS = tuple(
    f'"primitive":"{primitive}","type":"{type_}"'
    for primitive, types in (
        ("ops", "create_task claim_task complete_task block_task reduce_task"),
        ("bridge", "send recv"),
        ("memory", "add archive"),
        ("knowledge", "add archive"),
        ("spawn", "wake sleep"),
        ("log", "note"),
    )
    for type_ in types.split()
)
SPAN_KINDS = tuple(
    f'"primitive":"{primitive}","type":"{type_}"'
    for primitive, type_ in (
        ("altitude", "transition"),
        ("focus", "select"),
        ("reasoning", "plan"),
        ("reasoning", "step"),
        ("memory", "recall"),
        ("tool", "call"),
    )
)

_FIRST_NS = 1_790_000_000_000_000_000
_WORDS = "deploy retry payment gateway timeout review merged blocked waiting handover".split()
_MS_NS = 1_000_000
_PAUSE_NS = 20 * _MS_NS
"""At most so long after an event the next of its tree follows."""


class _Draft(NamedTuple):
    """An event before it is placed in its tree."""

    time: int
    id: str
    place: int
    is_span: bool


def write_synthetic(
    folder: Path,
    events: int,
    *,
    seed: int = 0,
    writers: int = 4,
    days: int = 3,
    segment_bytes: int = 256 * 1024 * 1024,
) -> None:
    """Write `events` lines, and the first and last of each writer, into `folder`/journal.

    The trees are spread evenly over `days`, each of them a burst; a segment ends with its day, or at `segment_bytes`.
    """
    journal = folder / "journal"
    journal.mkdir(mode=0o700, parents=True, exist_ok=True)
    step = max(days * 86_400_000_000_000 // max(events, 1), 1_000)
    day, number, size = "", 0, 0
    held: list[str] = []
    for ns, line in _lines(events, random.Random(seed), writers, step):
        today = datetime.fromtimestamp(ns // 1_000_000_000, UTC).strftime("%Y-%m-%d")
        if today != day or size + len(line) > segment_bytes:
            _append(journal, day, number, held)
            day, number, size = today, (number + 1 if today == day else 0), 0
        held.append(line)
        size += len(line)
        if len(held) >= 50_000:
            _append(journal, day, number, held)
    _append(journal, day, number, held)


def _append(journal: Path, day: str, number: int, lines: list[str]) -> None:
    if lines:
        with (journal / f"{day}.{number:04d}.jsonl").open("a", encoding="ascii") as file:
            file.writelines(lines)
        lines.clear()


def _lines(events: int, rng: random.Random, writers: int, step: int) -> Iterator[tuple[int, str]]:
    """Give the lines with their times, tree by tree, the spans of a tree after their children."""
    names = [f"{rng.randrange(36**12):012x}"[:12].rjust(12, "0") for _ in range(writers)]
    counts = [0] * writers
    targets = max(events // EVENTS_PER_TARGET, 10)
    made, now = 0, _FIRST_NS
    for name in names:
        now += 1_000
        yield now, _own_line("writer.open", '{"format":1}', now, rng, name, 0)
        counts[names.index(name)] += 1
    while made < events:
        # Some trees are large, for questions about causes and effects.
        size = min(100 if rng.random() < 0.002 else rng.randrange(1, 10), events - made)
        writer = rng.randrange(writers)
        drafts = []
        moment = now
        for place in range(size):
            moment += rng.randrange(1, min(2 * step, _PAUSE_NS))
            drafts.append(_Draft(moment, _make_id(moment, rng), place, rng.random() < 0.3))
        order = sorted(range(size), key=lambda at: drafts[at].is_span * (2 * size - at))
        for at in order:
            draft = drafts[at]
            yield draft.time, _line(draft, drafts, rng, names[writer], counts[writer], targets)
            counts[writer] += 1
        made += size
        now += rng.randrange(1, 2 * step * size)
    for name, count in zip(names, counts, strict=True):
        now += 1_000
        yield now, _own_line("writer.close", f'{{"last":{count}}}', now, rng, name, count)


def _own_line(type_: str, data: str, now: int, rng: random.Random, writer: str, count: int) -> str:
    return (
        f'{{"id":"{_make_id(now, rng)}","time":"{format_time(now)}","primitive":"{OWN}"'
        f',"type":"{type_}","w":"{writer}","n":{count},"salt":"{rng.getrandbits(96):024x}"'
        f',"data":{data}}}{" " * max(13 - len(data), 0)}\n'
    )


def _make_id(now: int, rng: random.Random) -> str:
    digits = f"{now // _MS_NS:012x}7{rng.getrandbits(76):019x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _line(
    draft: _Draft, drafts: list[_Draft], rng: random.Random, writer: str, count: int, targets: int
) -> str:
    family = ""
    if draft.place:
        parent = drafts[rng.randrange(draft.place)].id
        family = f',"parent":"{parent}","trace":"{drafts[0].id}"'
    span = ""
    if draft.is_span:
        kind = SPAN_KINDS[rng.randrange(len(SPAN_KINDS))]
        status = (
            "success" if (luck := rng.random()) < 0.95 else "error" if luck < 0.99 else "blocked"
        )
        span = f',"status":"{status}","duration":{int(rng.lognormvariate(16, 2)) + 1}'
    else:
        kind = KINDS[rng.randrange(len(KINDS))]
    note = " ".join(_WORDS[rng.randrange(len(_WORDS))] for _ in range(3))
    return (
        f'{{"id":"{draft.id}","time":"{format_time(draft.time)}",{kind}'
        f',"agent":"agent-{rng.randrange(AGENTS)}","target":"task-{rng.randrange(targets):06x}"'
        f'{family}{span},"w":"{writer}","n":{count},"salt":"{rng.getrandbits(96):024x}"'
        f',"data":{{"step":{count},"note":"{note}","tokens":{rng.randrange(9000)}'
        f',"ok":true,"place":{draft.place}}}}}\n'
    )

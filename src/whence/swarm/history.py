"""What the journal says that other processes did to a task: its end is read backward.

No index is asked: a recording program must not wait for one to be built, nor load SQLite. Whether a
line is about the task shows in its raw bytes, so a mebibyte takes a fifth of a millisecond.
"""

from collections.abc import Iterator
from pathlib import Path

from whence.errors import StoreError
from whence.event import Event
from whence.journal.reader import Reader
from whence.line import split_line
from whence.recorder.envelope import quote
from whence.swarm.plans import LISTED
from whence.swarm.tasks import Task

# Several times slower if larger: the system then makes fresh pages for each.
_CHUNK_BYTES = 256 * 1024
_CREATES = b'"type":"create_task"'
_STEPS = frozenset(plan.step for plan in LISTED if plan.step)


def read_steps(
    folder: Path, task_id: str, within_bytes: int | None = None, known: Task | None = None
) -> list[tuple[str, str]]:
    """Read the steps of a task that others follow from, with their events' ids, in their order.

    They are read backward up to its creation or what is `known` of it, in the last so many bytes of
    the journal or in all of it. What cannot be read is left out: this serves recording, which goes on.
    """
    steps: list[tuple[str, str]] = []
    reader = Reader(folder)
    try:
        for event in _events_back(reader, task_id, within_bytes, known):
            steps.append((event.type, event.id))
            if event.type == "create_task":
                break
    except (StoreError, UnicodeEncodeError):
        # Unreadable, or named by half of a character, as no line's target is.
        pass
    finally:
        reader.close()
    return steps[::-1]


def _events_back(
    reader: Reader, task_id: str, within_bytes: int | None, known: Task | None
) -> Iterator[Event]:
    """The steps of a task, last one first, up to what is known of it.

    Where nothing is, before its last claim only its creations: no other step matters any more.
    """
    needle = f',"target":{quote(task_id)}'.encode()
    left = within_bytes
    is_claimed = False
    for segment in reversed(reader.segments()):
        for _, lines in reader.chunks_back(segment.name, segment.size, _CHUNK_BYTES):
            for line in _lines_back(lines, needle):
                if is_claimed and _CREATES not in line:
                    continue
                for piece in reversed(split_line(line)):
                    event = piece.event
                    if event is None or event.target != task_id or not _is_step(event):
                        continue
                    if known is not None and known.is_known(event.id):
                        return
                    yield event
                    is_claimed = known is None and (is_claimed or event.type == "claim_task")
            if left is not None:
                left -= len(lines)
                if left <= 0:
                    return


def _lines_back(lines: bytes, needle: bytes) -> Iterator[bytes]:
    """The lines that hold the needle, last one first."""
    end = len(lines)
    while (at := lines.rfind(needle, 0, end)) >= 0:
        start = lines.rfind(b"\n", 0, at) + 1
        stop = lines.find(b"\n", at)
        line = lines[start : stop if stop >= 0 else len(lines)]
        if b'"primitive":"ops"' in line:
            yield line
        end = start


def _is_step(event: Event) -> bool:
    return event.primitive == "ops" and event.type in _STEPS

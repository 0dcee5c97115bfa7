"""What the journal says of a task that another process recorded: its end is read backward.

No index is asked: a recording program must not wait for one to be built, nor load SQLite. Whether a
line is about the task shows in its raw bytes, so a mebibyte takes a millisecond.
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

_CHUNK_BYTES = 1024 * 1024
_STEPS = frozenset(plan.step for plan in LISTED if plan.step)


def read_task(folder: Path, task_id: str, within_bytes: int | None = None) -> Task:
    """Read what happened to a task, in the last so many bytes of the journal or in all of it.

    What cannot be read is not known: this serves recording, which goes on.
    """
    steps: list[tuple[str, str]] = []
    reader = Reader(folder)
    try:
        for event in _events_back(reader, task_id, within_bytes):
            steps.append((event.type, event.id))
            if event.type == "create_task":
                break
    except StoreError:
        pass
    finally:
        reader.close()
    task = Task()
    for step, event_id in reversed(steps):
        task.note(step, event_id)
    return task


def _events_back(reader: Reader, task_id: str, within_bytes: int | None) -> Iterator[Event]:
    """The steps of a task, last one first."""
    needle = f',"target":{quote(task_id)}'.encode()
    left = within_bytes
    for segment in reversed(reader.segments()):
        for _, lines in reader.chunks_back(segment.name, segment.size, _CHUNK_BYTES):
            for line in _lines_back(lines, needle):
                for piece in reversed(split_line(line)):
                    event = piece.event
                    if event and event.target == task_id and _is_step(event):
                        yield event
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

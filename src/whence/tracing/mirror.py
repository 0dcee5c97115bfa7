"""The seed's file, `trace.jsonl`: each step as a line of exactly the seed's keys, besides the journal."""

import logging
import os
from pathlib import Path

from whence.tracing.events import TraceEvent
from whence.tracing.spans import TraceContext

_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
"""Without waiting: a pipe that nobody reads must not stop the program."""

_MODE = 0o600

_logger = logging.getLogger("whence")


class Mirror:
    """Appends steps to a file that anybody may rename or remove meanwhile."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._is_failing = False
        self._is_torn = False

    def start(self, step: TraceContext) -> None:
        """Nothing is written yet."""

    def end(
        self,
        above: TraceContext | None,  # noqa: ARG002 what hears of steps is called so
        step: TraceContext | None,  # noqa: ARG002
        event: TraceEvent,
    ) -> None:
        """Append a line. What cannot be written is told once: the journal has it."""
        # After a line of which only a part was written, so that no other is lost with it.
        line = b"\n" + event.as_line() if self._is_torn else event.as_line()
        try:
            # Opened for each, so that no fork, rename or closing program concerns it.
            fd = os.open(self._path, _FLAGS, _MODE)
            try:
                written = os.write(fd, line)
                self._is_torn = written < len(line)
                if self._is_torn:
                    self._is_torn = os.write(fd, line[written:]) < len(line) - written
            finally:
                os.close(fd)
        except OSError as error:
            if not self._is_failing:
                _logger.warning("cannot write to %s: %s", self._path, error.strerror)
            self._is_failing = True
        else:
            self._is_failing = False

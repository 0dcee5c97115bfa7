"""Records of `logging` as events, below the step that they were written in.

    logging.getLogger().addHandler(Handler())

The primitive is `log`, the type the level's name in lower case. The other direction is the logger
`dopejar.trace`, which receives each step of the tracer.
"""

import logging
import sys
import threading
from typing import Any

from whence.errors import StoreError
from whence.event import Status
from whence.log import Log, default
from whence.recorder.recorder import Recorder
from whence.recorder.span import describe_error
from whence.tracing.layers import as_text
from whence.tracing.logger import NAME as TRACE_LOGGER

# What every record has; all else was given as `extra`.
_KNOWN = frozenset([*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"])


class Handler(logging.Handler):
    """Writes log records to a log, by default the process's own. The log stays open at close.

    Records of Whence's own loggers are left out, since writing them could cause more of them. A
    record that cannot be kept is counted; nothing is raised or printed.
    """

    def __init__(
        self, log: Log | None = None, *, level: int | str = logging.NOTSET, agent: str | None = None
    ) -> None:
        super().__init__(level)
        self._log = log
        self._agent = agent
        self._inside = threading.local()

    def handle(self, record: logging.LogRecord) -> bool:
        """Write a record that the filters let through; without logging's lock, for recording needs none."""
        # From Python 3.12 on a filter may give another record.
        found: Any = self.filter(record)
        if not found:
            return False
        self.emit(found if isinstance(found, logging.LogRecord) else record)
        return True

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record. Never raises."""
        name = as_text(record.name)
        if name.partition(".")[0] == "whence" or name == TRACE_LOGGER:
            return
        try:
            recorder = (self._log or default()).recorder
        except Exception:  # noqa: BLE001 - who logs must not fail for want of a journal
            return
        if getattr(self._inside, "is_busy", False):
            # A value in a record logs when it is asked for its text: that could go on for ever.
            recorder.lose("log record: written while another one was")
            return
        self._inside.is_busy = True
        try:
            self._record(recorder, record)
        except StoreError:
            # Counted already.
            pass
        except Exception as problem:  # noqa: BLE001 - who logs must not fail for what is logged
            recorder.lose(f"log record: {problem}")
        finally:
            self._inside.is_busy = False

    def _record(self, recorder: Recorder, record: logging.LogRecord) -> None:
        status: Status | None = "error" if (record.levelno or 0) >= logging.ERROR else None
        recorder.emit(
            "log",
            as_text(record.levelname).strip().lower() or "notset",
            agent=self._agent,
            data=_tell(record),
            parent=_parent(recorder),
            status=status,
        )


def _parent(recorder: Recorder) -> str | None:
    """What is around the record: the step here, which `emit` finds, or a nearer one of OpenTelemetry's."""
    otel = sys.modules.get("whence.tracing.otel")
    if otel is None:
        return None
    found: str | None = otel.nearest_id(recorder)
    return found


def _tell(record: logging.LogRecord) -> dict[str, Any]:
    message, is_formatted = _message(record)
    said = {
        "message": message,
        "logger": as_text(record.name) or None,
        "template": record.msg if record.args or not is_formatted else None,
        "args": record.args or None,
        "file": record.pathname,
        "line": record.lineno,
        "function": record.funcName,
        "thread": record.threadName if record.threadName != "MainThread" else None,
        "error": _error(record),
        "stack": record.stack_info,
        "extra": {key: value for key, value in vars(record).items() if key not in _KNOWN},
    }
    return {key: value for key, value in said.items() if value is not None and value != {}}


def _message(record: logging.LogRecord) -> tuple[str, bool]:
    """The message, and whether its arguments fit; where they do not, it is what was to be filled."""
    try:
        return as_text(record.getMessage()), True
    except Exception:  # noqa: BLE001 - their values and formats may raise anything
        return as_text(record.msg), False


def _error(record: logging.LogRecord) -> dict[str, Any] | None:
    found: Any = record.exc_info
    error = found[1] if isinstance(found, tuple) and len(found) > 1 else None
    if isinstance(error, BaseException):
        return describe_error(error)
    # What came over a socket brings only its text.
    return {"stack": record.exc_text} if record.exc_text else None

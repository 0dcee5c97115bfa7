"""The seed's logger, `dopejar.trace`, which receives each step as a line of the seed's file."""

import logging

from whence.tracing.events import TraceEvent

NAME = "dopejar.trace"

_logger = logging.getLogger(NAME)


def is_logged() -> bool:
    """Whether anybody listens: it has a handler of its own, or its level lets information through."""
    return bool(_logger.handlers) or _logger.isEnabledFor(logging.INFO)


def log_event(event: TraceEvent) -> None:
    """Hand a step to the handlers, as the record's message and, under `trace_event`, as it is."""
    text = event.as_line().decode().rstrip("\n")
    record = _logger.makeRecord(
        NAME, logging.INFO, __file__, 0, text, (), None, "log_event", {"trace_event": event}
    )
    if _logger.getEffectiveLevel() <= logging.INFO:
        _logger.handle(record)
        return
    # The seed sets the level when it adds its handler; whoever adds one here need not.
    if _logger.level == logging.NOTSET and not _logger.disabled:
        for handler in _logger.handlers:
            if record.levelno >= handler.level:
                handler.handle(record)

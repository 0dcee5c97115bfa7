"""The tracer: steps of layers, off by default, as seed 001 has it.

    with tracer.span("alt", "transition", "altitude.py", "L3→L2") as ctx:
        ...
        if ctx:
            ctx.set_output("success", reason=reason)

Off, a span is one look at a clock. On, it is a `whence.span` whose id has the seed's form, and
goes besides to whatever `outlets` listen. Nothing here raises into the program, whatever it is
given: what is no text becomes text, what cannot be recorded is counted.
"""

import logging
import os
import random
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Protocol, Self, TypeVar

from whence.event import STATUSES, Status
from whence.log import Log, default
from whence.recorder.context import Cause
from whence.recorder.envelope import write_extras
from whence.recorder.recorder import Recorder
from whence.recorder.span import Span
from whence.settings import find_folder
from whence.tracing.events import OWN_KEYS, TraceEvent
from whence.tracing.layers import as_text, layer_of, make_id, operation_of
from whence.tracing.logger import NAME as TRACE_LOGGER
from whence.tracing.logger import is_logged, log_event
from whence.tracing.payloads import is_empty, make_payload, name_or_none, retell, summarise
from whence.tracing.switches import OFF_RANK, RANKS, Console, Switch, Switchboard

F = TypeVar("F")

_LOOK_EVERY_S = 1.0

_STATUSES: Mapping[str, Status] = {status: status for status in STATUSES}

_OF_THE_END = frozenset(["output", "error", "reason_blocked", "ended_by", "not_sampled"])
"""What a step's payload says of how it ended."""

_monotonic = time.monotonic


class Outlet(Protocol):
    """Hears of steps, of which it is told nothing secret or private. What it raises is ignored."""

    def start(self, step: "TraceContext") -> None:
        """A step begins."""
        ...

    def end(
        self, above: "TraceContext | None", step: "TraceContext | None", event: TraceEvent
    ) -> None:
        """A step ended, inside `above`; `step` is None for an event, which takes no time."""
        ...


class TraceContext(Span):
    """A step that is traced. `set_output` says what came out; `block` that it may not go on."""

    own_keys: ClassVar = OWN_KEYS

    __slots__ = ("_dropped", "_is_kept", "_tracer", "above", "layer", "operation", "shown")

    def __init__(
        self,
        tracer: "Tracer",
        recorder: Recorder,
        layer: str,
        operation: str,
        names: str,
        data: dict[str, Any],
        private: bool,
    ) -> None:
        super().__init__(recorder, names, ',"private":true' if private else "", data, private)
        self._tracer = tracer
        self._dropped = 0
        self._is_kept = True
        self.layer = layer
        self.operation = operation
        self.above: TraceContext | None = None
        """The traced step around this one, in this process."""
        self.shown: Any = None
        """What an outlet keeps of it while it is open."""

    @property
    def trace_id(self) -> str:
        """The step's own id, under the seed's name."""
        return self.id

    @property
    def input(self) -> str:
        """What went in, as it is kept; nothing of a private step."""
        text = "" if self._private else as_text(self._data.get("input"))
        return self._recorder.payloads.redact(text)

    @property
    def is_here(self) -> bool:
        """Whether the step began in this process, and not in the one that it was forked from."""
        return self._forks == self._recorder.forks

    def set_output(self, /, *output: Any, **metadata: Any) -> None:
        """Say what came out, first or as `output=`, and anything else worth keeping."""
        # Not a parameter: whatever a caller's values are called, they are kept.
        first = output[0] if output else metadata.pop("output", "")
        self._data["output"] = summarise(self._recorder, first if len(output) < 2 else output)
        if metadata:
            self.note(**metadata)

    def block(self, reason: Any) -> None:
        """Say that the step was not allowed to go on, and why."""
        super().block(summarise(self._recorder, reason))

    def __enter__(self) -> Self:
        if self._token is not None:
            # Entered twice: the step goes on as it is.
            return self
        if self.id:
            self._begin_anew()
        super().__enter__()
        tracer = self._tracer
        self.id = trace_id = make_id(self.layer, self._time_ns, self._recorder.random)
        cause = self._cause
        if cause is None:
            self.trace = trace_id
        self.above = above = _step_around(cause)
        self._is_kept = tracer.is_sampled(cause) if above is None else above._is_kept
        if tracer.outlets:
            tracer.announce(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            super().__exit__(kind, error, traceback)
        except Exception as problem:  # noqa: BLE001 - a tracer never breaks what it watches
            self._recorder.lose(f"trace event: {problem}")

    def _begin_anew(self) -> None:
        """Forget how the step ended that this one was before."""
        self.id = self.text = ""
        self._status = "success"
        self._data = {key: value for key, value in self._data.items() if key not in _OF_THE_END}

    def _keep(self, duration: int) -> None:
        tracer = self._tracer
        if not self._is_kept:
            slow_ns = tracer.switch.slow_ns
            if self._status == "success" and (slow_ns is None or duration < slow_ns):
                self._drop()
                return
            self.keep()
        if self._dropped:
            self._data["not_sampled"] = self._dropped
        super()._keep(duration)
        if tracer.outlets or is_logged():
            cause = self._cause
            event = retell(
                self._recorder, str(self.id), cause, self._time_ns, duration, self.layer,
                self.operation, self._status, self._data, self._private,
            )  # fmt: skip
            tracer.tell(self.above, self, event)

    def tell_open(self, now_ns: int, after_ns: int) -> None:
        """As `Span.tell_open`; of a trace that is not sampled only what is slow already."""
        if not self._is_kept:
            slow_ns = self._tracer.switch.slow_ns
            if slow_ns is None or now_ns - self._start_ns < slow_ns:
                return
            # Told now, so its end has to be told too.
            self.keep()
        super().tell_open(now_ns, after_ns)

    def says_sampled(self) -> bool | None:
        """Whether this step is recorded, as far as is known yet."""
        return self._is_kept

    def _drop(self) -> None:
        root = self
        while root.above is not None:
            root = root.above
        root._dropped += 1
        self._tracer.not_sampled += 1

    def keep(self) -> None:
        """Have this step and all around it recorded, also where its trace is not sampled."""
        step: TraceContext | None = self
        while step is not None and not step._is_kept:
            step._is_kept = True
            step = step.above


def _step_around(cause: Cause | None) -> TraceContext | None:
    """The traced step that something happens in, also where spans of another kind stand between."""
    while cause is not None and not isinstance(cause, TraceContext):
        cause = cause.outer()
    return cause


class _Off:
    """Stands for a step that is not traced."""

    __slots__ = ()

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        return None


_OFF = _Off()


class Tracer:
    """Traces steps where that is switched on. There is one in a process.

    Safe for threads, tasks and forks.
    """

    _instance: "Tracer | None" = None

    def __new__(cls) -> "Tracer":  # noqa: PYI034 there is one, whoever asks
        """Give the one tracer of this process."""
        if cls._instance is None:
            tracer = super().__new__(cls)
            tracer._set_up()
            cls._instance = tracer
        return cls._instance

    def _set_up(self) -> None:
        self.board = Switchboard()
        self.switch = Switch()
        self.outlets: tuple[Outlet, ...] = ()
        """Who hears of each step besides the log, as the switches say."""
        self.not_sampled = 0
        """How many steps were not recorded since their trace was not sampled."""
        self._log: Log | None = None
        self._rank = OFF_RANK
        # When to look again at the switches, and how often somebody asked for that. The lock is held
        # while one looks, so that others wait for what it finds. Re-entrant: a handler may trace too.
        self._look_at = 0.0
        self._asked = 0
        self._looking = threading.RLock()

    # -- switching -------------------------------------------------------------------------------

    @property
    def enabled(self) -> bool:
        """Whether steps are traced now. Set it, and nothing else decides any more."""
        if _monotonic() >= self._look_at:
            self._look()
        return self._rank != OFF_RANK

    @enabled.setter
    def enabled(self, is_on: bool | None) -> None:
        self.board.forced_on = None if is_on is None else bool(is_on)
        self._look_soon()

    def enable(self, *, console: Console | None = None) -> None:
        """Trace from now on, whatever the environment and settings say."""
        self.board.forced_console = console
        self.enabled = True

    def use(self, log: Log | None) -> None:
        """Record to `log` instead of the process's default one; with None to that again."""
        self._log = log
        self._look_soon()

    @property
    def log(self) -> Log:
        """The log that steps are recorded to."""
        return self._log or default()

    @property
    def logger(self) -> logging.Logger:
        """The seed's logger, which receives each step."""
        return logging.getLogger(TRACE_LOGGER)

    def look(self) -> None:
        """Read the switches again now. Happens by itself, at most once a second."""
        self._look_soon()
        self._look()

    def _look_soon(self) -> None:
        self._asked += 1
        self._look_at = 0.0

    def _look(self) -> None:
        """Read the switches, unless somebody did so while we waited for our turn."""
        with self._looking:
            if _monotonic() < self._look_at:
                return
            asked = self._asked
            self._apply(self.board.look(self._folder))
            # What was asked for meanwhile may not be in it.
            if asked == self._asked:
                self._look_at = _monotonic() + _LOOK_EVERY_S

    def _apply(self, switch: Switch) -> None:
        if switch != self.switch:
            # Otherwise they stay: a mirror remembers of what it has warned.
            self.switch = switch
            self.outlets = self._choose_outlets(switch)
        self._rank = switch.rank if switch.is_on else OFF_RANK

    def _choose_outlets(self, switch: Switch) -> "tuple[Outlet, ...]":
        outlets: list[Outlet] = []
        if switch.is_on and switch.mirror is not None:
            from whence.tracing.mirror import Mirror

            outlets.append(Mirror(switch.mirror))
        if switch.is_on and switch.console != "off":
            from whence.tracing.console import choose_console

            outlets += choose_console(switch.console)
        return tuple(outlets)

    def announce(self, step: "TraceContext") -> None:
        """Have the outlets hear of a step that begins."""
        for outlet in self.outlets:
            try:
                outlet.start(step)
            except Exception:  # noqa: BLE001 - a stream may be a program's own
                continue

    def tell(
        self, above: "TraceContext | None", step: "TraceContext | None", event: TraceEvent
    ) -> None:
        """Have the outlets, and the seed's logger, hear of a step that ended."""
        for outlet in self.outlets:
            try:
                outlet.end(above, step, event)
            except Exception:  # noqa: BLE001 - a stream may be a program's own
                continue
        if is_logged():
            try:
                log_event(event)
            except Exception:  # noqa: BLE001 - so may a handler
                return

    def _folder(self) -> Path:
        return find_folder() if self._log is None else self._log.folder

    def is_sampled(self, cause: Cause | None = None) -> bool:
        """Whether a trace that begins here is to be recorded as a whole: as its sender chose, if one did."""
        while cause is not None:
            chosen = cause.says_sampled()
            if chosen is not None:
                return chosen
            cause = cause.outer()
        rate = self.switch.sample
        return rate >= 1 or random.random() < rate

    # -- tracing ---------------------------------------------------------------------------------

    def is_on(self, level: object = "info") -> bool:
        """Whether a step of that level would be traced here and now."""
        if _monotonic() >= self._look_at and self._may_look():
            self._look()
        rank = RANKS.get(level, 1) if type(level) is str else _rank_of(level)
        return rank >= self._rank

    def generate_id(self, hrm: str) -> str:
        """Make an id of the seed's form for a layer: `alt_1705180800_a3f2…`."""
        return make_id(layer_of(hrm), time.time_ns(), os.urandom)

    def span(
        self,
        hrm: str,
        operation: str,
        component: str = "",
        input_data: Any = "",
        *,
        level: str = "info",
        agent: str | None = None,
        target: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> AbstractContextManager[TraceContext | None]:
        """Trace a step: a context manager that gives its `TraceContext`, or None where tracing is off.

        `level` is debug, info or warn; a step below the level that is set is not traced.
        """
        if _monotonic() >= self._look_at and self._may_look():
            self._look()
        try:
            if (RANKS.get(level, 1) if type(level) is str else _rank_of(level)) < self._rank:
                return _OFF
            layer = layer_of(hrm)
            name = operation_of(layer, operation)
            recorder = self.log.recorder
            who, what = name_or_none(agent), name_or_none(target)
            names = recorder.write_names(layer, name, who, what)
            data = make_payload(recorder, component, input_data, level, metadata)
            private = recorder.is_private(layer, name, who)
            return TraceContext(self, recorder, layer, name, names, data, private)
        except Exception as problem:  # noqa: BLE001 - a tracer never breaks what it watches
            self.lose(problem)
            return _OFF

    def event(
        self,
        hrm: str,
        operation: str,
        component: str = "",
        input_data: Any = "",
        output_data: Any = "",
        status: str = "success",
        metadata: Mapping[str, Any] | None = None,
        *,
        level: str = "info",
        agent: str | None = None,
        target: str | None = None,
    ) -> str | None:
        """Trace what takes no time worth telling.

        Returns its id, or None where tracing is off or the trace is not sampled.
        """
        if _monotonic() >= self._look_at and self._may_look():
            self._look()
        try:
            if (RANKS.get(level, 1) if type(level) is str else _rank_of(level)) < self._rank:
                return None
            recorder = self.log.recorder
            data = make_payload(recorder, component, input_data, level, metadata)
            if not is_empty(output_data):
                data["output"] = summarise(recorder, output_data)
            return self._record(recorder, hrm, operation, status, data, agent, target)
        except Exception as problem:  # noqa: BLE001 - a tracer never breaks what it watches
            self.lose(problem)
            return None

    def _record(
        self,
        recorder: Recorder,
        hrm: str,
        operation: str,
        status: str,
        data: dict[str, Any],
        agent: str | None,
        target: str | None,
    ) -> str | None:
        layer = layer_of(hrm)
        name = operation_of(layer, operation)
        told = as_text(status) or "success"
        known = _STATUSES.get(told)
        if known is None:
            data["status"] = told
        cause = recorder.cause_variable.get()
        above = _step_around(cause)
        if above is None:
            if told == "success" and not self.is_sampled():
                self.not_sampled += 1
                return None
        elif not above._is_kept:
            if told == "success":
                above._drop()
                return None
            above.keep()
        who = name_or_none(agent)
        names = recorder.write_names(layer, name, who, name_or_none(target))
        now = recorder.clock()
        trace_id = make_id(layer, now, recorder.random)
        extras = "" if cause is None else cause.text or cause.write()
        extras += write_extras(known, None, (), None)
        private = recorder.is_private(layer, name, who)
        recorder.record(
            trace_id, now, 0, names, extras + (',"private":true' if private else ""), data, private
        )
        if self.outlets or is_logged():
            event = retell(recorder, trace_id, cause, now, 0, layer, name, told, data, private)
            self.tell(above, None, event)
        return trace_id

    def traced(
        self,
        hrm: str,
        operation: str | None = None,
        component: str | None = None,
        **options: Any,
    ) -> Callable[[F], F]:
        """Trace each call of a function, of any kind, where tracing is on; use it as a decorator.

        The operation is the function's name, and the component its file, where none is given.
        `level`, `agent` and `target` are those of `span`; `arguments=True` and `result=True` keep what
        went in and came out.
        """
        from whence.tracing.decorator import traced_by

        return traced_by(self, hrm, operation, component, **options)

    def _may_look(self) -> bool:
        """Within a trace nothing is switched: it is told whole or not at all."""
        if self._rank == OFF_RANK:
            return True
        try:
            return not isinstance(self.log.recorder.cause_variable.get(), Span)
        except Exception:  # noqa: BLE001 - there is no log to be in a trace of
            return True

    def lose(self, problem: Exception) -> None:
        """Count what could not be traced, so that it shows as a gap."""
        try:
            self.log.recorder.lose(f"trace event: {problem}")
        except Exception:  # noqa: BLE001 - there is no log to count in
            return


def _rank_of(level: object) -> int:
    return RANKS.get(as_text(level), 1)


def _after_fork() -> None:
    """Begin with a lock that no thread of the parent holds."""
    if Tracer._instance is not None:
        Tracer._instance._looking = threading.RLock()


os.register_at_fork(after_in_child=_after_fork)

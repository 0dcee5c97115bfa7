"""The tracer: steps of layers, off by default, as seed 001 has it.

    with tracer.span("alt", "transition", "altitude.py", "L3→L2") as ctx:
        ...
        if ctx:
            ctx.set_output("success", reason=reason)

Off, a span is one look at a clock. On, it is a `whence.span` whose id has the seed's form, and
goes besides to whatever `outlets` listen. Nothing here raises into the program, whatever it is
given: what is no text becomes text, what cannot be recorded is counted.
"""

import os
import random
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from whence.event import STATUSES
from whence.log import Log, default
from whence.recorder.envelope import write_extras
from whence.recorder.payload import Cut
from whence.recorder.recorder import Recorder
from whence.recorder.span import Span
from whence.settings import find_folder
from whence.tracing.events import SUMMARY_MAX, TraceEvent, tell
from whence.tracing.layers import as_text, code_of, layer_of, operation_of
from whence.tracing.logger import is_logged, log_event
from whence.tracing.switches import OFF_RANK, RANKS, Console, Switch, Switchboard

_LOOK_EVERY_S = 1.0
_RANDOM_BYTES = 8
_NS_PER_S = 1_000_000_000

_monotonic = time.monotonic


class Outlet(Protocol):
    """Hears of steps. Never raises: each guards itself."""

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
        """What went in, as it is kept."""
        return as_text(self._data.get("input"))

    def set_output(self, output: Any = "", **metadata: Any) -> None:
        """Say what came out, and anything else worth keeping."""
        self.output(_summary(output), **metadata)

    def block(self, reason: str) -> None:
        """Say that the step was not allowed to go on, and why."""
        super().block(_summary(reason))

    def __enter__(self) -> Self:
        if self._token is not None:
            # Entered twice: the step goes on as it is.
            return self
        super().__enter__()
        tracer = self._tracer
        self.id = trace_id = make_id(self.layer, self._time_ns, self._recorder.random)
        cause = self._cause
        if cause is None:
            self.trace = trace_id
        while cause is not None:
            if isinstance(cause, TraceContext):
                self.above = cause
                self._is_kept = cause._is_kept
                break
            cause = cause._cause if isinstance(cause, Span) else None
        else:
            self._is_kept = tracer.is_sampled()
        for outlet in tracer.outlets:
            outlet.start(self)
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
            tracer.tell(self.above, self, self._tell(duration))

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

    def _tell(self, duration: int) -> TraceEvent:
        cause = self._cause
        return tell(
            str(self.id), None if cause is None else str(cause.id), self._time_ns, duration,
            self.layer, self.operation, self._status, self._data,
        )  # fmt: skip


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
        self._look_at = 0.0

    # -- switching -------------------------------------------------------------------------------

    @property
    def enabled(self) -> bool:
        """Whether steps are traced now. Set it, and nothing else decides any more."""
        if _monotonic() >= self._look_at:
            self.look()
        return self._rank != OFF_RANK

    @enabled.setter
    def enabled(self, is_on: bool | None) -> None:
        self.board.forced_on = None if is_on is None else bool(is_on)
        self._look_at = 0.0

    def enable(self, *, console: Console | None = None) -> None:
        """Trace from now on, whatever the environment and settings say."""
        self.board.forced_console = console
        self.enabled = True

    def use(self, log: Log | None) -> None:
        """Record to `log` instead of the process's default one; with None to that again."""
        self._log = log
        self._look_at = 0.0

    @property
    def log(self) -> Log:
        """The log that steps are recorded to."""
        return self._log or default()

    def look(self) -> None:
        """Read the switches again now. Happens by itself, at most once a second."""
        self._look_at = _monotonic() + _LOOK_EVERY_S
        self.switch = switch = self.board.look(self._folder)
        self._rank = switch.rank if switch.is_on else OFF_RANK
        self.outlets = self._choose_outlets(switch)

    def _choose_outlets(self, switch: Switch) -> "tuple[Outlet, ...]":
        outlets: list[Outlet] = []
        if switch.is_on and switch.mirror is not None:
            from whence.tracing.mirror import Mirror

            outlets.append(Mirror(switch.mirror))
        if switch.is_on and switch.console != "off":
            from whence.tracing.console import choose_console

            outlets += choose_console(switch.console)
        return tuple(outlets)

    def tell(
        self, above: "TraceContext | None", step: "TraceContext | None", event: TraceEvent
    ) -> None:
        """Have the outlets, and the seed's logger, hear of a step that ended."""
        for outlet in self.outlets:
            outlet.end(above, step, event)
        if is_logged():
            log_event(event)

    def _folder(self) -> Path:
        return find_folder() if self._log is None else self._log.folder

    def is_sampled(self) -> bool:
        """Whether a trace that begins now is to be recorded as a whole."""
        rate = self.switch.sample
        return rate >= 1 or random.random() < rate

    # -- tracing ---------------------------------------------------------------------------------

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
            self.look()
        if RANKS.get(level, 1) < self._rank:
            return _OFF
        try:
            layer = layer_of(hrm)
            name = operation_of(layer, operation)
            recorder = self.log.recorder
            who, what = _text_or_none(agent), _text_or_none(target)
            names = recorder.write_names(layer, name, who, what)
            data = _payload(component, input_data, level, metadata)
            private = recorder.is_private(layer, name, who)
            return TraceContext(self, recorder, layer, name, names, data, private)
        except Exception as problem:  # noqa: BLE001 - a tracer never breaks what it watches
            self._lose(problem)
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
        """Trace what takes no time worth telling. Returns its id, or None where tracing is off."""
        if _monotonic() >= self._look_at and self._may_look():
            self.look()
        if RANKS.get(level, 1) < self._rank:
            return None
        try:
            data = _payload(component, input_data, level, metadata)
            if output_data not in (None, ""):
                data["output"] = _summary(output_data)
            return self._record(hrm, operation, status, data, agent, target)
        except Exception as problem:  # noqa: BLE001 - a tracer never breaks what it watches
            self._lose(problem)
            return None

    def _record(
        self,
        hrm: str,
        operation: str,
        status: str,
        data: dict[str, Any],
        agent: str | None,
        target: str | None,
    ) -> str | None:
        layer = layer_of(hrm)
        name = operation_of(layer, operation)
        recorder = self.log.recorder
        known = status if status in STATUSES else None
        if known is None and status is not None:
            data["status"] = as_text(status)
        cause = recorder.cause_variable.get()
        above = cause if isinstance(cause, TraceContext) else None
        if above is not None and not above._is_kept:
            if known in (None, "success"):
                above._drop()
                return None
            above.keep()
        who = _text_or_none(agent)
        names = recorder.write_names(layer, name, who, _text_or_none(target))
        now = recorder.clock()
        trace_id = make_id(layer, now, recorder.random)
        extras = "" if cause is None else cause.text or cause.write()
        extras += write_extras(known, None, (), None)
        private = recorder.is_private(layer, name, who)
        recorder.record(
            trace_id, now, 0, names, extras + (',"private":true' if private else ""), data, private
        )
        if self.outlets or is_logged():
            parent = None if cause is None else str(cause.id)
            told = known or as_text(status)
            event = tell(trace_id, parent, now, 0, layer, name, told, data)
            self.tell(above, None, event)
        return trace_id

    def _may_look(self) -> bool:
        """Within a trace nothing is switched: it is told whole or not at all."""
        if self._rank == OFF_RANK:
            return True
        return self.log.current_cause() is None

    def _lose(self, problem: Exception) -> None:
        try:
            self.log.recorder.lose(f"trace event: {problem}")
        except Exception:  # noqa: BLE001 - there is no log to count in
            return


def _payload(
    component: Any, input_data: Any, level: str, metadata: Mapping[str, Any] | None
) -> dict[str, Any]:
    data: dict[str, Any] = {}
    if metadata:
        data = {**metadata} if _is_mapping(metadata) else {"metadata": metadata}
        if not _OWN_KEYS.isdisjoint(data):
            data = {"attributes": data}
    if component not in (None, ""):
        data["component"] = _summary(component)
    if input_data is not None and not (type(input_data) is str and not input_data):
        data["input"] = _summary(input_data)
    if level != "info":
        data["level"] = as_text(level)
    return data


def _is_mapping(value: object) -> bool:
    return isinstance(value, Mapping)


def make_id(layer: str, time_ns: int, random: Callable[[int], bytes]) -> str:
    """Make an id of the seed's form, for a layer's full name."""
    # The seed's four digits meet by chance within a second; sixteen do not.
    return f"{code_of(layer)}_{time_ns // _NS_PER_S}_{random(_RANDOM_BYTES).hex()}"


_OWN_KEYS = frozenset(["component", "input", "output", "error", "level", "status"])


def _summary(value: Any) -> str:
    """The first characters of a value's text, marked where there were more."""
    return Cut.start(as_text(value), SUMMARY_MAX)


def _text_or_none(value: Any) -> str | None:
    return None if value is None else as_text(value) or None

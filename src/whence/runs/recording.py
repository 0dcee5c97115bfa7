"""One run while it happens: what went in before the work, a digest of each step, what came out.

    with log.run("forecast", inputs, seed=7) as run:
        for turn in range(3):
            run.step("turn", state)
        run.output(overlays=state.overlays, trust=0.7)

When the block is left its file is written, then the event that commits to it. An exception ends the run
as failed and comes out unchanged. A run whose process is killed has begun and never ended.
"""

import os
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Self

from whence.calls import Emit
from whence.errors import StoreError
from whence.event import check_text
from whence.log import Log
from whence.recorder.span import describe_error
from whence.runs.capturing import Capture, CapturedStep, current_capture
from whence.runs.convert import overlay_to_dict, plain, variables_to_dict
from whence.runs.digest import digest
from whence.runs.environment import describe_environment
from whence.runs.files import check_id
from whence.runs.history import BEGIN, FAIL, FORK, PRIMITIVE, STEP
from whence.runs.runners import describe_runner, registered
from whence.runs.saving import keep_run

__all__ = ["Run"]

_NS_PER_S = 1_000_000_000


class Run:
    """One run, recorded to a log. Begin it with `with`; it is not for more than one thread at a time.

    The input is copied and digested when the run is made, so what the work does to it later does not
    show. `runner` is the function, or the name of one, that a replay calls with the input; without one it is
    the runner registered under the run's own name. With `keep` the states of steps are kept, not only their digests.
    """

    def __init__(
        self,
        log: Log,
        name: str,
        input: Any = None,
        *,
        seed: Any = None,
        seeds: Mapping[str, Any] | None = None,
        runner: Callable[..., Any] | str | None = None,
        keep: bool = False,
        trace_id: str | None = None,
        agent: str | None = None,
    ) -> None:
        check_text("name", name)
        self.id = check_id(trace_id) if trace_id is not None else str(uuid.uuid4())
        self.name = name
        self.input = plain(input)
        self.input_digest = digest(self.input)
        self._seed, self._seeds = plain(seed), plain(seeds)
        self._runner = runner if runner is not None else name if name in registered() else None
        self._log = log
        self._emit: Emit
        self._keep = keep
        self._agent = agent
        self._steps = 0
        self._forks: list[dict[str, Any]] = []
        self._result: Any = {}
        self._capture: Capture | None = None
        self._is_captured = False
        self._begin_id: str | None = None
        self._begin_ns = 0
        self._process = 0
        self._cause: AbstractContextManager[None] | None = None
        self._is_open = self._has_ended = False

    def step(self, name: str, state: Any = None, *, keep: bool | None = None) -> str:
        """Record a step by the digest of its state, and the state itself where asked; returns the digest."""
        if not self._is_open:
            self._check_open()
        value = plain(state)
        said = digest(value)
        if self._is_captured:
            if self._capture is not None:
                self._capture.steps.append(
                    CapturedStep(name=name, digest=said, state=value, has_state=True)
                )
            return said
        self._steps = number = self._steps + 1
        data = {"step": name, "number": number, "digest": said}
        if self._keep if keep is None else keep:
            data["state"] = value
        self._emit(
            PRIMITIVE, STEP, agent=self._agent, target=self.id, data=data, parent=self._begin_id
        )
        return said

    def fork(
        self,
        overlays: Any = None,
        variables: Any = None,
        *,
        parent: str | None = None,
        **others: Any,
    ) -> str:
        """Record that the simulation branched, from the start or from another fork; returns the fork's id.

        Forks are part of the output, unless `output` is given others.
        """
        self._check_open()
        fork_id = str(others.pop("id", None) or f"fork-{len(self._forks) + 1}")
        fork = {
            "id": fork_id,
            "parent": parent,
            "overlays": overlay_to_dict(overlays),
            "variables": variables_to_dict(variables),
            **plain(others),
        }
        self._forks.append(fork)
        if not self._is_captured:
            self._log.emit(
                PRIMITIVE, FORK, agent=self._agent, target=self.id, parent=self._begin_id,
                data={"fork": fork_id, "of": parent, "digest": digest(fork)},
            )  # fmt: skip
        return fork_id

    def output(
        self,
        *,
        overlays: Any = None,
        variables: Any = None,
        trust: float | None = None,
        forks: Any = None,
        **others: Any,
    ) -> None:
        """Say what came out. Said again, it replaces what was said before."""
        self._check_open()
        made: dict[str, Any] = {
            "overlays": overlay_to_dict(overlays),
            "variables": variables_to_dict(variables),
            "trust": trust,
            "forks": self._forks if forks is None else forks,
        }
        self._result = plain({**made, **others})

    def result(self, value: Any) -> None:
        """Say what came out as one value, whatever its shape; what is no object is its `result`."""
        self._check_open()
        made = plain(value)
        self._result = made if isinstance(made, dict) else {"result": made}

    def __enter__(self) -> Self:
        if self._begin_id is not None or self._is_captured:
            raise ValueError(f"run {self.id} was begun before; each needs one of its own")
        self._begin_ns = time.perf_counter_ns()
        self._process = os.getpid()
        capture = current_capture()
        if capture is not None:
            self._is_captured = True
            if not capture.has_begun:
                capture.has_begun, capture.id = True, self.id
                self._capture = capture
            self._is_open = True
            return self
        said: dict[str, Any] = {
            "run": self.name,
            **describe_runner(self._runner),
            "input": self.input,
            "input_digest": self.input_digest,
            "seed": self._seed,
            "seeds": self._seeds,
            "environment": describe_environment(),
        }
        self._begin_id = self._log.emit(
            PRIMITIVE, BEGIN, agent=self._agent, target=self.id,
            data={key: value for key, value in said.items() if value is not None},
        )  # fmt: skip
        # What is recorded in the block was caused by the run.
        self._cause = self._log.cause(self._begin_id)
        self._cause.__enter__()
        self._emit = self._log.emit
        self._is_open = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._has_ended:
            return
        self._has_ended, self._is_open = True, False
        if self._cause is not None:
            self._cause.__exit__(kind, error, traceback)
        if self._is_captured:
            if self._capture is not None and error is None:
                self._capture.output, self._capture.has_output = self._result, True
            return
        if self._begin_id is None or self._process != os.getpid():
            # A forked child leaves the block too; the parent, whose run it is, saves it.
            return
        duration = time.perf_counter_ns() - self._begin_ns
        if error is not None:
            self._fail(error, duration)
            return
        try:
            keep_run(
                self._log, self.id, self.input, self._result,
                name=self.name, input_digest=self.input_digest, agent=self._agent,
                parent=self._begin_id, duration=duration,
            )  # fmt: skip
        except (StoreError, ValueError) as problem:
            # It ran, and nobody will find its file: whoever ran it has to know.
            self._fail(problem, duration)
            raise

    def _fail(self, error: BaseException, duration: int) -> None:
        self._log.emit(
            PRIMITIVE, FAIL, agent=self._agent, target=self.id, parent=self._begin_id,
            status="error", duration=duration, data={"run": self.name, "error": describe_error(error)},
        )  # fmt: skip

    def _check_open(self) -> None:
        if not self._is_open:
            raise ValueError(f"run {self.id} is not going on; use it inside its `with` block")

    def __repr__(self) -> str:
        return f"Run({self.name!r}, id={self.id!r})"

"""Programs of nested, concurrent, failing spans: made up, run, and said in advance what they record.

A program is a list of steps, and a step a list that JSON can hold, so that a part of it can run in
another process: `python -m tests.integration.programs FOLDER < part.json`.

    ["event", NAME]                       something happens
    ["span", NAME, KIND, BLOCKED, BODY]   a span, or the call of a traced function
    ["raise"]   ["catch", BODY]           a failure, and what stops it
    ["together", HOW, [BODY, …]]          bodies that run at the same time, somewhere else
    ["generator", NAME, INNER, [BODY, …], [BODY, …], TAKE]
                                          a traced generator that runs the first bodies, and waits after
                                          each; whoever uses it runs the second ones in between, and
                                          leaves after TAKE values. INNER is a span in it, or None
"""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

import whence
from whence.event import Event
from whence.tracing import bind, carry

Program = list[Any]
Told = dict[str, tuple[str | None, str | None]]
"""By name: what it happened in, and how it ended."""

ROOT = Path(__file__).parents[2]

IN_THREADS = ("bound", "pool", "request", "bare")
FOLLOWED = ("threads", "executor")
"""Right only while threads are followed."""
IN_PROCESSES = ("fork", "environment")


class RefusedError(Exception):
    """What programs raise."""


# --- made up ----------------------------------------------------------------------------------


def programs(ways: tuple[str, ...]) -> st.SearchStrategy[Program]:
    """Programs whose concurrent parts run in one of these ways."""
    # Mostly events, as whatever follows a failure does not run.
    step = st.sampled_from([["event"]] * 5 + [["raise"]])

    def extend(inner: st.SearchStrategy[list[Any]]) -> st.SearchStrategy[list[Any]]:
        body = st.lists(inner, min_size=1, max_size=4)
        bodies = st.lists(body, min_size=1, max_size=3)
        return st.one_of(
            st.tuples(st.just("span"), st.sampled_from(["span", "call"]), st.booleans(), body).map(
                list
            ),
            st.tuples(st.just("catch"), body).map(list),
            st.tuples(st.just("together"), st.sampled_from(ways), bodies).map(list),
            st.tuples(st.just("generator"), st.booleans(), bodies, bodies, st.integers(0, 4)).map(
                list
            ),
        )

    return st.lists(st.recursive(step, extend, max_leaves=40), min_size=1, max_size=6).map(named)


def named(program: Program) -> Program:
    """Give everything that is recorded a name of its own."""
    numbers = count()

    def name(steps: Program) -> Program:
        named: Program = []
        for step in steps:
            kind = step[0]
            if kind == "event":
                named.append(["event", f"e{next(numbers)}"])
            elif kind == "span":
                named.append(["span", f"s{next(numbers)}", step[1], step[2], name(step[3])])
            elif kind == "catch":
                named.append(["catch", name(step[1])])
            elif kind == "together":
                named.append(["together", step[1], [name(body) for body in step[2]]])
            elif kind == "generator":
                _, has_inner, inside, between, take = step
                own, inner = f"g{next(numbers)}", f"i{next(numbers)}" if has_inner else None
                named.append(
                    ["generator", own, inner, [*map(name, inside)], [*map(name, between)], take]
                )
            else:
                named.append(step)
        return named

    return name(program)


# --- said in advance --------------------------------------------------------------------------


def foretell(program: Program) -> Told:
    """Say what running a program records: an interpreter that records nothing."""
    told: Told = {}
    _foretell(program, None, told)
    return told


def _foretell(steps: Program, parent: str | None, told: Told) -> bool:
    """The same for a part of it; whether that part fails."""
    for step in steps:
        kind = step[0]
        if kind == "event":
            told[step[1]] = (parent, None)
        elif kind == "raise":
            return True
        elif kind == "span":
            _, name, _, is_blocked, body = step
            fails = _foretell(body, name, told)
            told[name] = (parent, _ended(fails, is_blocked))
            if fails:
                return True
        elif kind == "catch":
            _foretell(step[1], parent, told)
        elif kind == "together":
            for body in step[2]:
                _foretell(body, None if step[1] == "bare" else parent, told)
        elif _foretell_generator(step, parent, told):
            return True
    return False


def _foretell_generator(step: list[Any], parent: str | None, told: Told) -> bool:
    _, name, inner, inside, between, take = step
    if take == 0:
        return False
    fails = breaks = False
    for number, body in enumerate(inside[:take]):
        breaks = _foretell(body, inner or name, told)
        if breaks:
            break
        if number < len(between) and _foretell(between[number], parent, told):
            fails = True
            break
    told[name] = (parent, _ended(breaks, False))
    if inner is not None:
        told[inner] = (name, _ended(breaks, False))
    return fails or breaks


def _ended(fails: bool, is_blocked: bool) -> str:
    return "error" if fails else "blocked" if is_blocked else "success"


def tell(events: list[Event]) -> Told:
    """What was recorded, in the same words."""
    names = {event.id: event.type for event in events}
    return {
        event.type: (
            None if event.parent is None else names.get(event.parent, event.parent),
            event.status,
        )
        for event in events
        if (event.primitive, event.type) != ("span", "open")
    }


# --- run --------------------------------------------------------------------------------------


def run(log: whence.Log, program: Program) -> None:
    """Run a program; nobody is told how it ended."""
    with contextlib.suppress(RefusedError):
        _run(log, program)


def _run(log: whence.Log, steps: Program) -> None:
    for step in steps:
        kind = step[0]
        if kind == "event":
            log.emit("p", step[1])
        elif kind == "raise":
            raise RefusedError
        elif kind == "span":
            _, name, how, is_blocked, body = step
            if how == "call":
                whence.traced(f"p.{name}", log=log)(_run_blocked)(log, is_blocked, body)
            else:
                with log.span(f"p.{name}") as span:
                    if is_blocked:
                        span.block("not allowed")
                    _run(log, body)
        elif kind == "catch":
            run(log, step[1])
        elif kind == "together":
            _together(log, step[1], step[2])
        else:
            _use_generator(log, step)


def _run_blocked(log: whence.Log, is_blocked: bool, body: Program) -> None:
    if is_blocked:
        variable = log.recorder.cause_variable
        variable.get().block("not allowed")  # type: ignore[union-attr]
    _run(log, body)


def _use_generator(log: whence.Log, step: list[Any]) -> None:
    _, name, inner, inside, between, take = step

    @whence.traced(f"p.{name}", log=log)
    def values() -> Iterator[int]:
        with contextlib.nullcontext() if inner is None else log.span(f"p.{inner}"):
            for number, body in enumerate(inside):
                _run(log, body)
                yield number

    with contextlib.closing(values()) as made:  # type: ignore[type-var]
        for number in range(take):
            if next(made, None) is None:
                break
            if number < len(between):
                _run(log, between[number])


def _together(log: whence.Log, how: str, bodies: list[Program]) -> None:
    if how == "tasks":
        asyncio.run(_tasks(log, bodies))
    elif how in ("pool", "executor"):
        work = bind(run) if how == "pool" else run
        # One thread for two bodies: it works for one after the other.
        with ThreadPoolExecutor((len(bodies) + 1) // 2) as pool:
            for done in [pool.submit(work, log, body) for body in bodies]:
                done.result()
    elif how == "fork":
        for child in [_fork(log, body) for body in bodies]:
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    elif how == "environment":
        for part in [_start_process(log, body) for body in bodies]:
            assert part.wait() == 0
    else:
        barrier = threading.Barrier(len(bodies))
        headers: dict[str, str] = {}
        carry.inject(headers, log=log)

        def begin(body: Program) -> None:
            barrier.wait()
            with carry.extract(headers, log=log) if how == "request" else contextlib.nullcontext():
                run(log, body)

        target: Callable[[Program], None] = bind(begin) if how == "bound" else begin
        threads = [threading.Thread(target=target, args=(body,)) for body in bodies]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def _fork(log: whence.Log, body: Program) -> int:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            run(log, body)
            log.close()
            code = 0
        finally:
            os._exit(code)
    return child


def _start_process(log: whence.Log, body: Program) -> "subprocess.Popen[bytes]":
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.integration.programs", str(log.folder)],
        cwd=ROOT,
        env={**carry.environment(log=log), "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
    )
    assert process.stdin is not None
    with process.stdin:
        process.stdin.write(json.dumps(body).encode())
    return process


async def _tasks(log: whence.Log, bodies: list[Program]) -> None:
    async with asyncio.TaskGroup() as group:
        for body in bodies:
            group.create_task(_run_task(log, body))


async def _run_task(log: whence.Log, program: Program) -> None:
    with contextlib.suppress(RefusedError):
        await _run_async(log, program)


async def _run_async(log: whence.Log, steps: Program) -> None:
    for step in steps:
        # Whoever else is there gets a turn between any two steps.
        await asyncio.sleep(0)
        kind = step[0]
        if kind == "span":
            _, name, how, is_blocked, body = step
            if how == "call":
                call = whence.traced(f"p.{name}", log=log)(_run_blocked_async)
                await call(log, is_blocked, body)
            else:
                with log.span(f"p.{name}") as span:
                    if is_blocked:
                        span.block("not allowed")
                    await _run_async(log, body)
        elif kind == "catch":
            await _run_task(log, step[1])
        elif kind == "together" and step[1] == "tasks":
            await _tasks(log, step[2])
        elif kind == "together":
            await asyncio.to_thread(_together, log, step[1], step[2])
        elif kind == "generator":
            await _use_async_generator(log, step)
        else:
            _run(log, [step])


async def _run_blocked_async(log: whence.Log, is_blocked: bool, body: Program) -> None:
    _run_blocked(log, is_blocked, [])
    await _run_async(log, body)


async def _use_async_generator(log: whence.Log, step: list[Any]) -> None:
    _, name, inner, inside, between, take = step

    @whence.traced(f"p.{name}", log=log)
    async def values() -> AsyncIterator[int]:
        with contextlib.nullcontext() if inner is None else log.span(f"p.{inner}"):
            for number, body in enumerate(inside):
                await _run_async(log, body)
                yield number

    async with contextlib.aclosing(values()) as made:  # type: ignore[type-var]
        for number in range(take):
            if await anext(made, None) is None:
                break
            if number < len(between):
                await _run_async(log, between[number])


if __name__ == "__main__":
    with whence.open(sys.argv[1]) as opened:
        run(opened, json.load(sys.stdin))

"""Runners that tests replay, in a module that another process finds."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import whence

State = dict[str, Any]


@whence.runner("steady")
def steady(config_override: State) -> State:
    hope = config_override["hope"]
    return {"overlays": {"hope": hope / 2}, "trust": 0.5}


@whence.runner("recording")
def recording(config_override: State) -> None:
    with whence.run("recording", config_override) as run:
        for turn in range(3):
            run.step("turn", {"hope": config_override["hope"] - turn / 10})
        whence.emit("ops", "note", target="nobody-sees-this")
        run.output(overlays={"hope": config_override["hope"]}, variables={"id": run.id})


@whence.runner("lucky")
def lucky(config_override: State) -> State:
    return {"result": list({f"agent-{number}" for number in range(config_override["n"])})}


@whence.runner("choosing")
def choosing(config_override: State) -> State:
    """The first of a set, which is the same with half of all hash seeds."""
    return {"result": next(iter(set(config_override["names"])))}


@whence.runner("moody")
def moody(config_override: State) -> State:
    if os.environ["PYTHONHASHSEED"] in config_override["raise_with"]:
        raise LookupError("no such thing")
    return {"result": "done"}


@whence.runner("random")
def seeded(config_override: State) -> State:
    import random

    return {"result": [random.random() for _ in range(config_override["n"])]}


@whence.runner("drifting")
def drifting(config_override: State) -> State:
    """Something is not as it was: a file that the run read."""
    with open(config_override["file"], encoding="utf-8") as file:
        return {"overlays": {"hope": float(file.read())}, "trust": 0.5}


@whence.simulation(keep=True)
def growing(start: int, *, turns: int = 2, seed: int = 3) -> State:
    return {"variables": {"size": start * turns + seed}}


class _UnspeakableError(Exception):
    def __str__(self) -> str:
        raise ValueError


@whence.runner("unruly")
def unruly(config_override: State) -> State:
    how = config_override.get("how")
    sys.stdout.write(f"about to {how}\n")
    if how == "raise":
        raise LookupError("no such thing")
    if how == "be unspeakable":
        raise _UnspeakableError
    if how == "hang":
        if "note" in config_override:
            with open(config_override["note"], "a", encoding="utf-8") as note:
                note.write(f"{os.getpid()}\n")
        time.sleep(config_override.get("for_s", 600))
        Path("ended").touch()
    if how == "exit":
        sys.exit(3)
    if how == "leave":
        os._exit(0)
    if how == "leave as timeout does":
        os._exit(124)
    if how == "stop the watcher":
        os.kill(os.getppid(), signal.SIGTERM)
        time.sleep(600)
    if how == "fork and leave":
        if os.fork() == 0:
            return {"result": "done"}
        os.wait()
        os._exit(3)
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "print":
        for _ in range(2000):
            sys.stdout.write("x" * 10_000 + "\n")
    if how == "move":
        os.chdir("/")
    if how == "close":
        os.closerange(0, 64)
    if how == "spawn":
        _leave_running(config_override["note"])
    if how == "spawn and kill the watcher":
        _leave_running(config_override["note"])
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(600)
    return {"result": "done"}


def _leave_running(note: str) -> None:
    """Start a child, and a daemon that leaves the session, which both would go on for ever."""
    code = (
        "import os, sys, time; open(sys.argv[1], 'a').write(f'{os.getpid()}\\n'); time.sleep(600)"
    )
    subprocess.Popen([sys.executable, "-c", code, note])
    if os.fork() == 0:
        os.setsid()
        subprocess.Popen([sys.executable, "-c", code, note], start_new_session=True)
        os._exit(0)
    while not os.path.exists(note) or Path(note).read_text().count("\n") < 2:
        time.sleep(0.02)

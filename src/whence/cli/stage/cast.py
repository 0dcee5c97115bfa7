"""Directs the story: a process for each agent, cues over pipes, and one of them killed."""

import contextlib
import subprocess
import sys
from pathlib import Path
from typing import Self

from whence.cli.stage.story import AGENTS, PLOT, Cue, encode_cue
from whence.errors import StoreError


class Cast:
    """The agents' processes, which all record to the journal in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._processes: dict[str, subprocess.Popen[str]] = {}

    def __enter__(self) -> Self:
        for agent in AGENTS:
            self._processes[agent] = subprocess.Popen(
                [sys.executable, "-m", "whence.cli.stage.actor", str(self._folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                encoding="utf-8",
            )
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes.values():
            with contextlib.suppress(BrokenPipeError):
                process.communicate()

    def play(self) -> int:
        """Have the story happen, and return how many moves it had."""
        ids: dict[str, str] = {}
        for move in PLOT:
            event_id = self._act(Cue(move=move, parent=ids.get(move.because)))
            if move.name:
                ids[move.name] = event_id
            if move.is_last:
                self._processes[move.agent].kill()
        return len(PLOT)

    def _act(self, cue: Cue) -> str:
        """Have an agent do something; returns the id of the event that it recorded."""
        process = self._processes[cue.move.agent]
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(encode_cue(cue))
            process.stdin.flush()
        event_id = process.stdout.readline().strip()
        if not event_id:
            raise StoreError(f"the process of {cue.move.agent} ended before its turn")
        return event_id

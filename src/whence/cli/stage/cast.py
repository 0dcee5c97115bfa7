"""Directs the story: a process for each agent, cues over pipes, and one of them killed.

What the actors complain about is kept, so that the director can say it once.
"""

import contextlib
import subprocess
import sys
from pathlib import Path
from typing import Self

from whence.cli.stage.story import AGENTS, PLOT, Cue, encode_cue
from whence.errors import StoreError, WhenceError


class Cast:
    """The agents' processes, which all record to the journal in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._processes: dict[str, subprocess.Popen[str]] = {}
        self.complaints: list[str] = []
        """What the actors wrote on their standard error, complete when all have left."""

    def __enter__(self) -> Self:
        try:
            for agent in AGENTS:
                # Ctrl-C is the director's: in sessions of their own the actors do not hear it, and
                # leave when nobody gives them a cue any more.
                self._processes[agent] = subprocess.Popen(
                    [sys.executable, "-m", "whence.cli.stage.actor", str(self._folder)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                    encoding="utf-8",
                    start_new_session=True,
                )
        except BaseException as error:
            self._dismiss()
            if isinstance(error, OSError):
                raise WhenceError(f"cannot start {sys.executable}: {error.strerror}") from error
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._dismiss()

    def play(self) -> list[str]:
        """Have the story happen, and return the ids of its moves."""
        ids: dict[str, str] = {}
        played: list[str] = []
        for move in PLOT:
            event_id = self._act(Cue(move=move, parent=ids.get(move.because)))
            played.append(event_id)
            if move.name:
                ids[move.name] = event_id
            if move.is_last:
                self._processes[move.agent].kill()
        return played

    def _dismiss(self) -> None:
        for process in self._processes.values():
            with contextlib.suppress(BrokenPipeError):
                _, complaint = process.communicate()
                self.complaints += complaint.splitlines()

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

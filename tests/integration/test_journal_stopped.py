"""A process that is stopped anywhere never delays another: no lock is held between processes."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from whence.event import OWN
from whence.journal.reader import Reader

_ROOT = Path(__file__).parents[2]
# Only so that a failure ends: nothing here waits for a stopped process.
_PATIENCE_S = 300


def _start(folder: Path, stream: str, count: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.integration.recording", str(folder), stream, str(count)],
        cwd=_ROOT, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(_ROOT)},
    )  # fmt: skip


def test_a_stopped_process_delays_nobody(tmp_path: Path, full: bool) -> None:
    chance = random.Random(1)
    victim = _start(tmp_path, "victim", 0)
    try:
        assert victim.stdout is not None
        assert victim.stdout.readline() == "begun\n"
        for number in range(40 if full else 4):
            time.sleep(chance.random() * 0.02)
            victim.send_signal(signal.SIGSTOP)
            os.waitpid(victim.pid, os.WUNTRACED)

            others = [_start(tmp_path, f"other-{number}-{each}", 2000) for each in range(2)]
            for other in others:
                other.communicate(timeout=_PATIENCE_S)
                assert other.returncode == 0

            victim.send_signal(signal.SIGCONT)
    finally:
        victim.kill()
        victim.communicate()

    found: dict[str, int] = {}
    for entry in Reader(tmp_path).scan():
        if entry.event is not None and entry.event.primitive != OWN:
            stream = entry.event.data["key"].partition(":")[0]
            found[stream] = found.get(stream, 0) + 1
    assert found.pop("victim") > 0
    assert set(found.values()) == {2000}

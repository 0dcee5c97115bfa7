"""One memory of forecasts, used by several processes and by forked children at the same time."""

import os
import subprocess
import sys
from pathlib import Path

import whence
from whence.runs.memory import ForecastMemory

_PROCESSES = 4
_EACH = 40

_STORE = """
import sys
import whence
from whence.runs.memory import ForecastMemory
with whence.open(sys.argv[1]) as log:
    memory = ForecastMemory(log=log)
    for number in range(int(sys.argv[3])):
        memory.store({"forecast_id": f"{sys.argv[2]}-{number}", "trace_id": "t", "confidence": 0.5})
        memory.update_trust(f"{sys.argv[2]}-{number}", {"trust": number})
"""


def test_processes_store_at_the_same_time(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    started = [
        subprocess.Popen([sys.executable, "-c", _STORE, str(folder), f"p{number}", str(_EACH)])
        for number in range(_PROCESSES)
    ]

    assert [process.wait() for process in started] == [0] * _PROCESSES

    with whence.open(folder) as log:
        memory = ForecastMemory(log=log)
        entries = memory.get_recent(1000)
        assert len(entries) == len(memory) == _PROCESSES * _EACH
        for number in range(_PROCESSES):
            own = [e for e in entries if e["forecast_id"].startswith(f"p{number}-")]
            assert [e["forecast_id"] for e in own] == [f"p{number}-{n}" for n in range(_EACH)]
        memory.rebuild()
        key = "forecast_id"
        assert sorted(memory.get_recent(1000), key=lambda e: e[key]) == sorted(
            entries, key=lambda e: e[key]
        )
        memory.close()


def test_a_forked_child_and_its_parent_both_go_on(tmp_path: Path) -> None:
    with whence.open(tmp_path / "log") as log:
        memory = ForecastMemory(log=log)
        memory.store({"forecast_id": "before"})
        child = os.fork()
        if child == 0:
            memory.store({"forecast_id": "child"})
            log.close()
            os._exit(0)
        _, status = os.waitpid(child, 0)
        memory.store({"forecast_id": "parent"})

        assert status == 0
        assert [e["forecast_id"] for e in memory.get_recent()] == ["before", "child", "parent"]
        memory.close()

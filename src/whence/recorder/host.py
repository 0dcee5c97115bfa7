"""What a writer says of itself when it opens: which program, process, machine and boot."""

import os
import platform
import socket
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from whence.journal.folder import FORMAT


def package_version() -> str:
    """The version of Whence that is running."""
    try:
        return version("whence")
    except (PackageNotFoundError, ImportError, OSError):
        # Not installed, or no file can be opened just now: recording goes on.
        return "0.0.0"


def describe_host() -> dict[str, Any]:
    """The payload of `writer.open`."""
    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "boot": _boot_id(),
        "program": Path(sys.argv[0]).name if sys.argv and sys.argv[0] else "",
        "python": platform.python_version(),
        "version": package_version(),
        "format": FORMAT,
        "clock": {"monotonic_ns": time.monotonic_ns(), "resolution_s": _resolution_s()},
    }


def _boot_id() -> str | None:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return None


def _resolution_s() -> float:
    return time.get_clock_info("time").resolution

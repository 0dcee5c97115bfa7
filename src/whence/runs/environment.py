"""What a run ran in: Python, its packages, the machine, the commit of the code, the command line.

Looked up once a process, when its first run begins.
"""

import os
import platform
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

_PATIENCE_S = 5.0
_SUFFIX = ".dist-info"
_GIT = ("git", "--no-pager", "-c", "core.fsmonitor=false")
_STATUS = ("status", "--porcelain=v2", "--branch", "--untracked-files=no")


def describe_environment() -> dict[str, Any]:
    """What a replay has to find again, or to tell that it does not."""
    said = {**_describe_process(os.getpid())}
    try:
        folder = os.getcwd()
    except OSError:
        return said
    said["folder"] = folder
    commit = _describe_commit(folder)
    return said if commit is None else {**said, "git": commit}


@cache
def _describe_process(pid: int) -> dict[str, Any]:  # noqa: ARG001 a forked child may be told otherwise
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "platform": platform.platform(),
        "hash_seed": os.environ.get("PYTHONHASHSEED") or "random",
        "command": shlex.join(sys.orig_argv),
        "packages": list_packages(),
    }


def list_packages() -> dict[str, str]:
    """The versions of the packages that can be imported, as the names of their folders say."""
    found: dict[str, str] = {}
    for place in sys.path:
        try:
            names = os.listdir(place or ".")
        except OSError:
            continue
        for name in names:
            if name.endswith(_SUFFIX):
                package, _, version = name.removesuffix(_SUFFIX).rpartition("-")
                # The first on the path is the one that is imported.
                found.setdefault(package.lower().replace("_", "-"), version)
    return dict(sorted(found.items()))


@cache
def _describe_commit(folder: str) -> dict[str, Any] | None:
    """The commit of the repository around a folder, and whether its files were changed since."""
    try:
        done = subprocess.run(
            [*_GIT, *_STATUS], cwd=Path(folder), stdin=subprocess.DEVNULL, capture_output=True,
            timeout=_PATIENCE_S, check=True, env={**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"},
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        # No repository, no git, or one that does not answer: then it is not known.
        return None
    lines = done.stdout.decode(errors="replace").splitlines()
    heads = [
        line.removeprefix("# branch.oid ") for line in lines if line.startswith("# branch.oid")
    ]
    is_dirty = any(not line.startswith("#") for line in lines)
    return {"commit": heads[0] if heads else None, "dirty": is_dirty}

"""The zones of this machine, for `times`, which reads no disk itself."""

import os
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo, available_timezones


def find_zone(name: str) -> tzinfo | None:
    """A zone by its name in the database, in capitals or not: `Asia/Tokyo`; None if there is none."""
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        meant = {known.lower(): known for known in available_timezones()}.get(name.lower())
        return ZoneInfo(meant) if meant is not None else None


def local_zone() -> tzinfo:
    """The zone that this machine's clocks show, with its changes of the year where it names them."""
    name = os.environ.get("TZ", "").removeprefix(":")
    file = Path("/etc/localtime")
    try:
        if not name:
            name = os.path.realpath(file).partition("/zoneinfo/")[2]
        if name:
            return ZoneInfo(name)
        with file.open("rb") as rules:
            return ZoneInfo.from_file(rules)
    except (OSError, ValueError, KeyError):
        return datetime.now(UTC).astimezone().tzinfo or UTC

"""The zone database of this machine, for `times`, which reads no disk itself."""

from datetime import tzinfo
from zoneinfo import ZoneInfo, available_timezones


def find_zone(name: str) -> tzinfo | None:
    """A zone by its name in the database, in capitals or not: `Asia/Tokyo`; None if there is none."""
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        meant = {known.lower(): known for known in available_timezones()}.get(name.lower())
        return ZoneInfo(meant) if meant is not None else None

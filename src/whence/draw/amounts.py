"""Amounts in words that a reader takes in at a glance: durations, sizes, counts, ages. Pure.

Amounts are cut, not rounded: a span never reads longer than it was, and 59.99 s never becomes
"60s". Exact values belong into JSON.
"""

_NS_PER_US = 1_000
_NS_PER_MS = 1_000_000
_NS_PER_S = 1_000_000_000

_SIZES = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")

# Months and years are those of systemd.time(7): 30.44 and 365.25 days.
_AGES = (
    (31_557_600, "year", "years"),
    (2_630_016, "month", "months"),
    (86_400, "day", "days"),
    (3_600, "h", "h"),
    (60, "min", "min"),
    (1, "s", "s"),
)


def format_duration(ns: int, *, ascii: bool = False) -> str:  # noqa: A002 the option's one name
    """Write nanoseconds as `850ns`, `12µs`, `5ms`, `1.2s`, `3m 04s`, `2h 05m` or `3d 04h`."""
    if ns < 0:
        return "-" + format_duration(-ns, ascii=ascii)
    if ns < _NS_PER_US:
        return f"{ns}ns"
    if ns < _NS_PER_MS:
        return _tenths(ns, _NS_PER_US, 10) + ("us" if ascii else "µs")
    if ns < _NS_PER_S:
        return _tenths(ns, _NS_PER_MS, 10) + "ms"
    minutes, seconds = divmod(ns // _NS_PER_S, 60)
    if minutes == 0:
        return _tenths(ns, _NS_PER_S, 60) + "s"
    hours, minutes = divmod(minutes, 60)
    if hours == 0:
        return f"{minutes}m {seconds:02d}s"
    days, hours = divmod(hours, 24)
    return f"{hours}h {minutes:02d}m" if days == 0 else f"{days:,}d {hours:02d}h"


def format_size(size: int) -> str:
    """Write bytes as `512 B`, `1.5 KiB`, `256 MiB`."""
    if size < 0:
        return "-" + format_size(-size)
    step = 0
    while step < len(_SIZES) - 1 and size >= 1024 ** (step + 1):
        step += 1
    return f"{_tenths(size, 1024**step, 10)} {_SIZES[step]}"


def format_count(size: int, one: str = "", many: str = "") -> str:
    """Write a number with separators, and with its noun if one is given: `1,200 events`."""
    noun = one if size == 1 else many or (one and one + "s")
    return f"{size:,} {noun}" if noun else f"{size:,}"


def format_ago(then_ns: int, now_ns: int) -> str:
    """Write how long ago a moment was: `now`, `3 min ago`, `2 days ago`; or `in 3 min`."""
    seconds = abs(now_ns - then_ns) // _NS_PER_S
    for size, one, many in _AGES:
        if seconds >= size:
            number = seconds // size
            amount = f"{number:,} {one if number == 1 else many}"
            return f"{amount} ago" if then_ns < now_ns else f"in {amount}"
    return "now"


def _tenths(amount: int, unit: int, whole_from: int) -> str:
    """Write amount/unit, with one decimal where that says something below `whole_from`."""
    whole, rest = divmod(amount, unit)
    tenth = rest * 10 // unit
    return f"{whole:,}.{tenth}" if tenth and whole < whole_from else f"{whole:,}"

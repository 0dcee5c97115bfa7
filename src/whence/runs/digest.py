"""One way to write a plain value, so that equal values have equal digests, on every machine.

Plain is what a run file holds: objects with text as keys, lists, text, numbers, true, false and null.
Written as JSON without spaces, keys in the order of their code points, floats as `repr` writes them
(`1.0` is not `1`, `-0.0` not `0.0`), text with non-ASCII characters escaped. What JSON has no word for
is the text `"NaN"`, `"Infinity"` or `"-Infinity"`, as in the files that we write.
"""

import hashlib
import json
from typing import Any

from whence.line import DEPTH_MAX

NOT_FINITE = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
"""What stands for the floats that JSON cannot say, by their `repr`."""

_write = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False).encode


def canonical(value: Any) -> bytes:
    """Write a plain value in the one way that its digest is of.

    Raises:
        TypeError: something in it is not plain; `plain` of `whence.runs.convert` makes it so.
        ValueError: it contains itself, or is nested too deep.
    """
    try:
        return _write(value).encode("ascii")
    except RecursionError as error:
        raise ValueError("value is nested too deep to be digested") from error
    except ValueError:
        # Either it contains itself, which is found again, or it holds floats that JSON cannot say.
        return _write(_say_floats(value, 0)).encode("ascii")


def digest(value: Any) -> str:
    """Digest a plain value: `sha256:` and 64 hexadecimal digits."""
    return digest_bytes(canonical(value))


def digest_bytes(content: bytes) -> str:
    """Digest bytes, such as what `canonical` wrote, in the same form."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _say_floats(value: Any, level: int) -> Any:
    """A copy with text in place of the floats that JSON cannot say."""
    if level > DEPTH_MAX:
        raise ValueError("value contains itself, or is nested too deep to be digested")
    if isinstance(value, float):
        return NOT_FINITE.get(repr(float(value)), value)
    if isinstance(value, dict):
        return {key: _say_floats(item, level + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_say_floats(item, level + 1) for item in value]
    return value

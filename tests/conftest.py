"""What holds for every test: how hard Hypothesis tries, and that no test finds a log by accident.

`WHENCE_TEST_FULL=1` (`make test-full`) runs the long tables. Otherwise runs are short and the
same every time, so that a red run says something about the change and not about luck.
"""

import os
import signal

import pytest
from hypothesis import HealthCheck, settings

_FULL = bool(os.environ.get("WHENCE_TEST_FULL"))

# A busy machine is not a bug: no deadline, and no complaint about slow generation.
settings.register_profile(
    "short",
    deadline=None,
    database=None,
    derandomize=True,
    max_examples=100,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "full",
    parent=settings.get_profile("short"),
    derandomize=False,
    max_examples=1_000,
)
settings.load_profile("full" if _FULL else "short")

# A shell lets what it starts in the background ignore Ctrl-C, and so do all whom the tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The developer's own settings stay out, also of processes that tests start.
for _name in [*os.environ]:
    if _name.startswith(("WHENCE_", "DOPEJAR_")) and not _name.startswith("WHENCE_TEST_"):
        del os.environ[_name]
# Nor is a test caused by what the developer happens to be doing.
for _name in ("TRACEPARENT", "TRACESTATE", "BAGGAGE"):
    os.environ.pop(_name, None)


@pytest.fixture(scope="session")
def full() -> bool:
    """Whether the long tables are asked for."""
    return _FULL

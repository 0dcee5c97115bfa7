"""Bounds in time, as far as the index can tell times apart. Pure."""

import msgspec

from whence.index.schema import INT_MAX, INT_MIN
from whence.query import Query


def is_far(query: Query) -> bool:
    """Whether a bound is where the index cannot tell times apart: it keeps 64 bits."""
    bounds = (query.since, query.until)
    return any(bound is not None and not INT_MIN < bound <= INT_MAX for bound in bounds)


def between(query: Query, since: int, until: int) -> Query:
    """The query within other bounds, where what lies at the ends of time is not told apart."""
    return msgspec.structs.replace(
        query,
        since=since if since > INT_MIN else None,
        until=until if until <= INT_MAX else None,
    )

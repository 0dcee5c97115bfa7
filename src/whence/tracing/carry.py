"""Causes carried across processes and machines: by headers, by the environment.

    carry.inject(request.headers)                             # where a request goes out
    with carry.extract(request.headers): ...                  # where it comes in
    subprocess.run(command, env=carry.environment())          # where a process is started

Headers are W3C's `traceparent`, `tracestate` and `baggage`, so that other tracers take part. The
receiver's event names the sender's by its whole id, which `tracestate` holds as `whence=`; another
tracer's span goes by its trace and its number. Headers that are broken count as not sent.

`log` is the one that the cause is of: where none is given the tracer's, which is the default one.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import Any

from whence.log import Log
from whence.recorder.carrying import baggage_variable
from whence.recorder.context import (
    Cause,
    CauseVar,
    Sent,
    inherit,
    leave,
    receive,
    send,
    variable_of,
)
from whence.recorder.headers import (
    Entry,
    Members,
    TraceParent,
    format_baggage,
    format_traceparent,
    format_tracestate,
    is_key,
    ours_in,
    parse_baggage,
    with_ours,
)
from whence.tracing.ids import join, span_id_of, split, trace_id_of
from whence.tracing.layers import as_text
from whence.tracing.spans import Tracer

_NAMES = ("traceparent", "tracestate", "baggage")
_WSGI = "http_"
"""What stands before the names of headers in a WSGI environment."""

Headers = Mapping[str, Any] | Iterable[tuple[Any, Any]]
"""Headers as frameworks give them: a mapping, or pairs of text or bytes. Case does not matter."""


def inject(headers: MutableMapping[str, str], *, log: Log | None = None) -> None:
    """Write what is the cause here and now, and the baggage, into the headers of a request.

    Without a cause the headers stay as they are.
    """
    for name, value in _written(log).items():
        for spelling in [key for key in headers if _is_named(key, name)]:
            del headers[spelling]
        if value:
            headers[name] = value


@contextmanager
def extract(headers: Headers, *, log: Log | None = None) -> Iterator[str | None]:
    """Have what is recorded inside caused by whoever sent these headers; gives that event's id.

    None, and the cause stays what it is, where the headers hold none. Never raises.
    """
    cause, told = _read(headers)
    variable = _variable(log)
    token = None if cause is None else variable.set(cause)
    said = None if cause is None and not told else baggage_variable.set(told)
    try:
        yield None if cause is None else cause.id
    finally:
        if token is not None:
            leave(variable, token)
        if said is not None:
            try:
                baggage_variable.reset(said)
            except ValueError:
                # Ended in another context than it began in, as a generator may be.
                pass


def environment(env: Mapping[str, str] | None = None, *, log: Log | None = None) -> dict[str, str]:
    """The environment for a process that is started here: what it records is caused by this.

    A copy of `env`, or of this process's own, with TRACEPARENT, TRACESTATE and BAGGAGE.
    """
    made = dict(os.environ if env is None else env)
    for name, value in _written(log).items():
        made.pop(name.upper(), None)
        if value:
            made[name.upper()] = value
    return made


def baggage() -> dict[str, str]:
    """What goes along with every request from here on: values by key."""
    return {entry.key: entry.value for entry in _entries()}


@contextmanager
def with_baggage(values: Mapping[str, Any] | None = None, /, **more: Any) -> Iterator[None]:
    """Have values go along with every request that is made inside, to whoever takes part.

    Whoever receives the request can read them: put nothing in that is not theirs to know.
    """
    added = {**(values or {}), **more}
    for key in added:
        if not is_key(key):
            raise ValueError(f"key is {key!r}, want letters, digits and !#$%&'*+-.^_`|~")
    others = [entry for entry in _entries() if entry.key not in added]
    said = baggage_variable.set(
        (*others, *(Entry(key, as_text(value)) for key, value in added.items()))
    )
    try:
        yield
    finally:
        try:
            baggage_variable.reset(said)
        except ValueError:
            # Ended in another context than it began in, as a generator may be.
            pass


def _variable(log: Log | None) -> CauseVar:
    return variable_of((log or Tracer().log).folder)


def _entries() -> tuple[Entry, ...]:
    found = baggage_variable.get()
    if found is not None:
        return found
    return parse_baggage(os.environ.get("BAGGAGE", "")) if inherit() is not None else ()


def _written(log: Log | None) -> dict[str, str]:
    """Each header that has something to say, or, as "", that may not stay as it is."""
    cause = _variable(log).get()
    written = {} if cause is None else _written_for(cause)
    entries = _entries()
    if entries or baggage_variable.get() is not None:
        written["baggage"] = format_baggage(entries)
    return written


def _written_for(cause: Cause) -> dict[str, str]:
    sent = send(cause)
    parent = TraceParent(trace_id_of(sent.root), span_id_of(sent.id), sent.is_sampled is not False)
    return {
        "traceparent": format_traceparent(parent),
        "tracestate": format_tracestate(_members(sent)),
    }


def _members(sent: Sent) -> Members:
    if split(sent.id) is not None or ours_in(sent.members) == sent.id:
        # Passed on as it came: nothing was done here in between.
        return sent.members
    return with_ours(sent.members, sent.id)


def _read(headers: Headers) -> tuple[Sent | None, tuple[Entry, ...]]:
    try:
        found = _find(headers)
    except Exception:  # noqa: BLE001 - what a framework gives us is not ours, and may raise anything
        return None, ()
    told = parse_baggage(",".join(found["baggage"]))
    if len(found["traceparent"]) != 1:
        return None, told
    received = receive(found["traceparent"][0], ",".join(found["tracestate"]))
    if received is None:
        return None, told
    parent, members, event_id = received
    event_id = event_id or join(parent.trace_id, parent.parent_id)
    return Sent(event_id, None, parent.trace_id, members, parent.is_sampled), told


def _find(headers: Headers) -> dict[str, list[str]]:
    """The values of our headers, in their order, whatever a framework keeps them in."""
    found: dict[str, list[str]] = {name: [] for name in _NAMES}
    # Frameworks have mappings of their own, which may hold a name twice.
    pairs = headers.items() if hasattr(headers, "items") else headers
    for key, value in pairs:
        name = _text(key).lower().removeprefix(_WSGI)
        if name in found:
            several = value if isinstance(value, list | tuple) else [value]
            found[name] += [_text(each) for each in several]
    return found


def _is_named(key: object, name: str) -> bool:
    return isinstance(key, str) and key.lower() == name


def _text(value: object) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else as_text(value)

"""Rules about the shape of a run file: its keys, and what stands under them. Pure."""

from collections.abc import Iterator

import msgspec

from whence.runs.rules.rule import Limits, rule
from whence.runs.rules.subject import AuditedRun, show
from whence.runs.schema import PARTS

_KEYS = tuple(name for name, _ in PARTS)


@rule("required-keys", "error", "A run file has `trace_id`, `input` and `output`.")
def required_keys(run: AuditedRun, _limits: Limits) -> Iterator[str]:
    """Name the keys that are missing; null is as good as missing."""
    for key in _KEYS:
        if run.content.get(key) is None:
            yield f"{key} is {'null' if key in run.content else 'missing'}"


@rule("unknown-key", "warning", "A run file has no other keys than these three.")
def unknown_key(run: AuditedRun, _limits: Limits) -> Iterator[str]:
    """Name the keys that are too many."""
    for key in run.content:
        if key not in _KEYS:
            yield f"key {show(key)} is none of {', '.join(_KEYS)}"


@rule("schema", "error", "What a run file holds has the types of its published JSON Schema.")
def schema(run: AuditedRun, _limits: Limits) -> Iterator[str]:
    """Say which value has the wrong type; what is missing is another rule's."""
    for key, wanted in PARTS:
        value = run.content.get(key)
        if value is None:
            continue
        try:
            msgspec.convert(value, wanted)
        except msgspec.ValidationError as error:
            what, _, path = str(error).partition(" - at `$")
            yield f"{key}{path.removesuffix('`')}: {what[:1].lower()}{what[1:]}"
    if run.trace_id == "":
        yield "trace_id is empty"


@rule("trust-missing", "warning", "The output has a trust score; 0 is one.")
def trust_missing(run: AuditedRun, _limits: Limits) -> Iterator[str]:
    """Tell an output without a score; a file without an output is another rule's."""
    if isinstance(run.content.get("output"), dict) and run.output.get("trust") is None:
        yield f"output.trust is {'null' if 'trust' in run.output else 'missing'}"

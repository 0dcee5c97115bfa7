"""What a run file looks like, as types; the JSON Schema of the documentation is made from them. Pure.

The shape only: whether numbers make sense is for the rules. Keys that are not named here may be anything
inside `input` and `output`, which belong to the simulation.
"""

from typing import Annotated, Any

import msgspec

_TITLE = "A simulation run as Whence keeps it"

Overlays = dict[str, float]
"""Name to strength; the core five are hope, despair, rage, fatigue and trust."""


def _said(text: str) -> msgspec.Meta:
    return msgspec.Meta(description=text)


class State(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The state in which a turn begins."""

    turn: Annotated[int | None, _said("which turn of its simulation, counted without holes")] = None
    sim_id: Annotated[str | int | None, _said("the simulation that the turn belongs to")] = None
    timestamp: Annotated[str | int | float | None, _said("ISO text, or seconds since 1970")] = None
    overlays: Annotated[Overlays | None, _said("the overlays before the work, each 0 to 1")] = None
    capital: Annotated[dict[str, float] | None, _said("the capital per asset before it")] = None
    variables: Any = None
    event_count: int | None = None
    metadata: Any = None


class Input(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What went in, captured before the work."""

    state: Annotated[
        State | list[Any] | str | float | bool | None,
        _said("the state in which a turn begins; other simulations may mean something else by it"),
    ] = None
    decay_rate: Annotated[
        float | None, _said("what each overlay loses in a turn that nothing feeds")
    ] = None
    rule_fn: Annotated[str | None, _said("the rules that ran; null where none did")] = None


class Fork(msgspec.Struct, kw_only=True, omit_defaults=True):
    """An alternative future."""

    overlays: Annotated[Overlays | None, _said("its overlays, each 0 to 1")] = None
    variables: Any = None


class Output(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What came out: a turn's, or a forecast's."""

    overlays: Annotated[Overlays | None, _said("the overlays after the work, each 0 to 1")] = None
    variables: Any = None
    capital: Annotated[dict[str, float] | None, _said("the capital per asset after it")] = None
    trust: Annotated[float | None, _said("how far to trust the output, 0 to 1; 0 is a score")] = (
        None
    )
    forks: Annotated[list[Fork] | None, _said("alternative futures, at most 1000")] = None
    confidence: Annotated[float | None, _said("of a forecast, 0 to 1")] = None
    fragility: Annotated[float | None, _said("of a forecast, 0 to 1")] = None
    fragility_label: str | None = None
    confidence_status: str | None = None
    arc_label: str | None = None
    trace_id: Annotated[str | None, _said("if there, the same as that of the file")] = None


class RunContent(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Exactly three keys."""

    trace_id: Annotated[
        str, msgspec.Meta(min_length=1, description="the run's id; the file is named by it")
    ]
    input: Annotated[Input, _said("what went in")]
    output: Annotated[Output, _said("what came out")]


PARTS: tuple[tuple[str, Any], ...] = (("trace_id", str), ("input", Input), ("output", Output))
"""The keys of a run file and what each holds, for those who check them one by one."""


def run_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a run file."""
    (reference,), parts = msgspec.json.schema_components([RunContent])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": _TITLE,
        **reference,
        "$defs": parts,
    }

"""The rules that Whence brings, in the order in which they are told."""

from whence.runs.rules.forks import fork_integrity
from whence.runs.rules.identity import id_agreement
from whence.runs.rules.movement import (
    adjustment_law,
    capital_arithmetic,
    decay_law,
    input_equals_output,
    overlay_coherence,
)
from whence.runs.rules.rule import Rule
from whence.runs.rules.shape import required_keys, schema, trust_missing, unknown_key
from whence.runs.rules.values import timestamp, value_range

_MIB = 1024 * 1024

TRUNCATED = Rule(
    id="truncated-file", severity="error",
    sentence="A run file is there as a whole; what could be salvaged of one cut off is said.",
)  # fmt: skip
UNREADABLE = Rule(
    id="unreadable-file", severity="error",
    sentence="A run file is an object of JSON in UTF-8, not empty, and nested no deeper than 200.",
)  # fmt: skip
OVERSIZED = Rule(
    id="oversized-file", severity="error",
    sentence="A run file is small enough to be looked into; of larger ones only the digest is checked.",
    limits={"bytes": 16 * _MIB},
)  # fmt: skip
DIGEST = Rule(
    id="digest", severity="error",
    sentence="A run file holds the very bytes that the journal says were saved.",
)  # fmt: skip
ORPHAN = Rule(
    id="orphan-file", severity="info",
    sentence="The journal tells of each file in the folder; one it does not know proves nothing.",
)  # fmt: skip
MISSING = Rule(
    id="missing-file", severity="error",
    sentence="Each run that the journal says was saved has its file.",
)  # fmt: skip
DUPLICATE = Rule(
    id="duplicate-id", severity="error", sentence="No two files hold the same `trace_id`."
)
TURNS = Rule(
    id="turn-sequence", severity="warning",
    sentence="The turns of one simulation are consecutive, each there once.",
)  # fmt: skip
FAILED = Rule(
    id="broken-rule", severity="error",
    sentence="A rule comes to an end; one that raised has checked nothing.",
)  # fmt: skip

STANDARD = (
    TRUNCATED, UNREADABLE, OVERSIZED, DIGEST, MISSING, ORPHAN,
    required_keys, unknown_key, schema, id_agreement, DUPLICATE,
    trust_missing, value_range, timestamp,
    overlay_coherence, decay_law, adjustment_law, capital_arithmetic, fork_integrity, TURNS,
    input_equals_output, FAILED,
)  # fmt: skip

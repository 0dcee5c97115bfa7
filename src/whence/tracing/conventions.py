"""What others call an agent, a tool, a model and tokens: one table of attribute names. Pure.

OpenTelemetry's conventions for generative AI changed their names several times, and programs in use
write all of them; two other conventions are as common. Attributes are kept under the names that
they came with. This table only says where to look for what Whence asks by, newest name first.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

VERSION = "semantic-conventions-genai 0.1.0"
"""The newest conventions that the table knows. A newer table keeps the older names."""

# Where each name comes from:
#   gen_ai.*                    semantic-conventions-genai 0.1.0; until 1.41.0 part of OpenTelemetry's own
#   gen_ai.workflow.name        before 0.1.0, now gen_ai.agent.name
#   gen_ai.system               before 1.37.0, now gen_ai.provider.name
#   gen_ai.usage.*_tokens       `prompt` and `completion` before 1.27.0, now `input` and `output`
#   llm.*                       drafts before 1.26.0, OpenLLMetry and OpenInference until today
#   agent.name, tool.name, …    OpenInference
#   traceloop.entity.name       OpenLLMetry; what it names, traceloop.span.kind tells
_AGENT = ("gen_ai.agent.name", "agent.name", "gen_ai.workflow.name", "gen_ai.agent.id")
_TOOL = ("gen_ai.tool.name", "tool.name")
_MODEL = (
    "gen_ai.request.model", "gen_ai.response.model", "llm.request.model", "llm.response.model",
    "llm.request.model_name", "llm.model_name", "embedding.model_name", "reranker.model_name",
)  # fmt: skip
_STORE = ("gen_ai.data_source.id",)
_PROVIDER = (
    "gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system", "llm.vendor",
)  # fmt: skip
_OPERATION = (
    "gen_ai.operation.name", "openinference.span.kind", "traceloop.span.kind", "llm.request.type",
)  # fmt: skip
_CONVERSATION = (
    "gen_ai.conversation.id",
    "session.id",
    "traceloop.association.properties.session_id",
)
_TOKENS: Mapping[str, tuple[str, ...]] = {
    "input_tokens": (
        "gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens",
        "llm.usage.prompt_tokens", "llm.token_count.prompt",
    ),
    "output_tokens": (
        "gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens",
        "llm.usage.completion_tokens", "llm.token_count.completion",
    ),
    "cached_tokens": (
        "gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_read_input_tokens",
        "llm.token_count.prompt_details.cache_read",
    ),
    "reasoning_tokens": (
        "gen_ai.usage.reasoning.output_tokens", "llm.token_count.completion_details.reasoning",
    ),
}  # fmt: skip
_ENTITY = "traceloop.entity.name"
_ENTITY_KIND = "traceloop.span.kind"

NAME_MAX = 200
"""A longer name of an agent or a target is cut: it has to stand in an envelope."""


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What attributes say of what Whence asks by.

    `usage` has tool, model, provider, operation, conversation and tokens, under one name each.
    """

    agent: str | None
    target: str | None
    usage: dict[str, Any]


def read(attributes: Mapping[str, Any]) -> Said:
    """Find the agent, the target (tool, store or model) and the rest, whatever they are called."""
    found: dict[str, Any] = {}
    ranks: dict[str, int] = {}
    for name, value in attributes.items():
        place = _PLACES.get(name)
        if place is None:
            continue
        field, rank, clean = place
        cleaned = clean(value)
        if cleaned is not None and rank < ranks.get(field, _LAST):
            found[field], ranks[field] = cleaned, rank
    kind = attributes.get(_ENTITY_KIND)
    entity = as_name(attributes.get(_ENTITY)) if kind in ("agent", "workflow", "tool") else None
    agent = found.pop("agent", None) or (entity if kind != "tool" else None)
    store = found.pop("store", None)
    target = (
        found.get("tool") or (entity if kind == "tool" else None) or store or found.get("model")
    )
    return Said(
        agent=agent, target=target, usage={key: found[key] for key in _USAGE if key in found}
    )


def as_name(value: object) -> str | None:
    """A value as a name that can stand in an envelope; None for what is no text, or an empty one."""
    if not isinstance(value, str):
        return None
    text = str.__str__(value)[:NAME_MAX].strip()
    return text.encode("utf-8", "replace").decode() or None


def _as_count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


_LAST = 1_000
_TEXTS: Mapping[str, tuple[str, ...]] = {
    "agent": _AGENT,
    "store": _STORE,
    "tool": _TOOL,
    "model": _MODEL,
    "provider": _PROVIDER,
    "operation": _OPERATION,
    "conversation": _CONVERSATION,
}
_USAGE = ("tool", "model", "provider", "operation", "conversation", *_TOKENS)
_PLACES: Mapping[str, tuple[str, int, Callable[[object], Any]]] = {
    name: (field, rank, clean)
    for table, clean in ((_TEXTS, as_name), (_TOKENS, _as_count))
    for field, names in table.items()
    for rank, name in enumerate(names)
}

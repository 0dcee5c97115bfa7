"""What the memory does: it reads, writes, and moves what it holds between its tiers."""

from typing import Any

from whence.tracing.points.calls import Facts, point
from whence.tracing.points.words import say_change, say_key


@point("memory")
def read(namespace: str, key: str, tier: str | None = None, **metadata: Any) -> Facts:
    """A memory is read: `altitude.session`."""
    data = {"namespace": namespace, "key": key, "tier": tier, **metadata}
    return Facts(say_key(namespace, key), "read", data)


@point("memory")
def write(
    namespace: str,
    key: str,
    tier: str | None = None,
    tokens_saved: int | None = None,
    **metadata: Any,
) -> Facts:
    """A memory is written; how many tokens that saves is told beside it."""
    data = {
        "namespace": namespace, "key": key, "tier": tier, "tokens_saved": tokens_saved, **metadata,
    }  # fmt: skip
    return Facts(say_key(namespace, key), "written", data)


@point("memory")
def promote(key: str, from_tier: str, to_tier: str, **metadata: Any) -> Facts:
    """A memory goes to a quicker tier."""
    data = {"key": key, "from_tier": from_tier, "to_tier": to_tier, **metadata}
    return Facts(f"{key} {say_change(from_tier, to_tier)}", "promoted", data)


@point("memory")
def demote(key: str, from_tier: str, to_tier: str, **metadata: Any) -> Facts:
    """A memory goes to a slower tier."""
    data = {"key": key, "from_tier": from_tier, "to_tier": to_tier, **metadata}
    return Facts(f"{key} {say_change(from_tier, to_tier)}", "demoted", data)

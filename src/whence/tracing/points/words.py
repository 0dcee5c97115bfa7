"""How the layers' values are said in summaries. Pure."""

from whence.tracing.layers import as_text

Level = int | str

_REFUSALS = frozenset("denied deny refused refuse rejected reject blocked block no false".split())


def say_level(level: Level) -> str:
    """A level as the seed writes it: 3 and "3" are `L3`, and any other name is itself."""
    text = as_text(level)
    return f"L{text}" if text.isdecimal() else text


def say_change(before: object, after: object) -> str:
    """What something was and what it becomes: `L3→L2`."""
    return f"{as_text(before)}→{as_text(after)}"


def say_key(namespace: object, key: object) -> str:
    """Where a memory is: `altitude.session`."""
    return f"{as_text(namespace)}.{as_text(key)}"


def say_allowed(decision: bool | str | None) -> str | None:
    """A decision in a word: true is `allowed`, false is `denied`, any other is itself; None if not made."""
    if decision is None:
        return None
    if decision is True or decision is False:
        return "allowed" if decision else "denied"
    return as_text(decision)


def is_refusal(decision: bool | str | None) -> bool:
    """Whether a decision means that something may not go on."""
    return decision is False or (as_text(decision).lower() in _REFUSALS)

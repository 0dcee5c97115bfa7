"""The memory: notes in three tiers, of which the first holds only what was used last."""

from whence.tracing import points

_HOT_MAX = 2


class Memory:
    """Keeps texts by namespace and key."""

    def __init__(self) -> None:
        self._texts: dict[tuple[str, str], str] = {}
        self._tiers: dict[tuple[str, str], str] = {}

    def keys(self, namespace: str) -> list[str]:
        """The keys of a namespace, oldest first."""
        return [key for space, key in self._texts if space == namespace]

    def read(self, namespace: str, key: str) -> str | None:
        """Look a text up; one that was far away comes nearer."""
        place = (namespace, key)
        with points.memory.read.span(namespace, key, self._tiers.get(place)) as step:
            text = self._texts.get(place)
            step.set_output("not there" if text is None else "found")
        if text is not None and self._tiers[place] != "hot":
            points.memory.promote(f"{namespace}.{key}", self._tiers[place], "hot")
            self._tiers[place] = "hot"
            self._make_room()
        return text

    def write(self, namespace: str, key: str, text: str) -> None:
        """Keep a text; what is kept need not be said again."""
        with points.memory.write.span(namespace, key, "warm") as step:
            self._texts[namespace, key] = text
            self._tiers[namespace, key] = "warm"
            step.note(tokens_saved=len(text.split()))

    def _make_room(self) -> None:
        hot = [place for place, tier in self._tiers.items() if tier == "hot"]
        for namespace, key in hot[:-_HOT_MAX]:
            points.memory.demote(f"{namespace}.{key}", "hot", "cold")
            self._tiers[namespace, key] = "cold"

"""The model alone: people who hope, despair, rage, tire and trust, and what that does to their capital.

The same settings give the same history: all chance comes from one generator that begins with the seed.
"""

import random
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from statistics import fmean
from typing import Any

from whence.laws import CORE_OVERLAYS, adjust_overlay, decay_overlay, move_capital

SETTINGS: dict[str, Any] = {
    "seed": 7,
    "people": 40,
    "turns": 12,
    "decay_rate": 0.02,
    "capital": 100.0,
    "fork_at": 8,
    "forks": {"calm": 0.0, "unrest": 0.3},
}
"""What `simulate` needs to know."""

_LEADS_TO = {
    "hope": {"trust": 0.06, "despair": -0.05},
    "despair": {"fatigue": 0.05, "hope": -0.06},
    "rage": {"trust": -0.08, "fatigue": 0.03},
    "fatigue": {"rage": -0.04, "hope": -0.02},
    "trust": {"hope": 0.04, "rage": -0.05},
}
"""What each feeling, when it is heard from somebody, does to the others."""

Tell = Callable[[str, dict[str, Any]], object]
Order = Callable[[set[str]], Iterable[str]]

Person = dict[str, float]
"""A person's overlays, and capital."""


def simulate(
    settings: Mapping[str, Any], tell: Tell = lambda _name, _state: None, order: Order = sorted
) -> dict[str, Any]:
    """Let a crowd live, and return what became of it. `tell` hears the state after every turn.

    `order` settles who speaks first among those who speak in a turn.
    """
    chance = random.Random(settings["seed"])
    crowd = {
        f"person-{number:02d}": _person(chance, settings) for number in range(settings["people"])
    }
    forks = []
    for turn in range(settings["turns"]):
        if turn == settings["fork_at"]:
            forks = [
                {"fork": name, "parent_fork": None}
                | _summarize(_live_on(crowd, settings, shock, turn, order))
                for name, shock in settings["forks"].items()
            ]
        _take_turn(crowd, chance, settings, order)
        tell("turn", {"turn": turn, **_summarize(crowd)})
    return _summarize(crowd) | {"forks": forks}


def _person(chance: random.Random, settings: Mapping[str, Any]) -> Person:
    overlays = {name: round(chance.uniform(0.2, 0.6), 6) for name in CORE_OVERLAYS}
    return overlays | {"capital": settings["capital"]}


def _live_on(
    crowd: dict[str, Person], settings: Mapping[str, Any], shock: float, turn: int, order: Order
) -> dict[str, Person]:
    """How the same crowd fares if something happens now that makes everybody angry."""
    other = deepcopy(crowd)
    for person in other.values():
        person["rage"] = adjust_overlay(person["rage"], shock)
    chance = random.Random(settings["seed"] + turn)
    for _ in range(turn, settings["turns"]):
        _take_turn(other, chance, settings, order)
    return other


def _take_turn(
    crowd: dict[str, Person], chance: random.Random, settings: Mapping[str, Any], order: Order
) -> None:
    for person in crowd.values():
        for name in CORE_OVERLAYS:
            person[name] = decay_overlay(person[name], settings["decay_rate"])
    # Whoever is drawn twice still speaks once.
    speakers = {chance.choice(list(crowd)) for _ in range(len(crowd) // 2)}
    for speaker in order(speakers):
        listener = crowd[chance.choice(list(crowd))]
        said = max(CORE_OVERLAYS, key=lambda name: crowd[speaker][name])
        listener[said] = adjust_overlay(listener[said], 0.08 * chance.random())
        for name, push in _LEADS_TO[said].items():
            listener[name] = adjust_overlay(listener[name], push * crowd[speaker][said])
    for person in crowd.values():
        mood = person["hope"] + person["trust"] - person["despair"] - person["rage"]
        person["capital"] = move_capital(person["capital"], mood * chance.random())


def _summarize(crowd: dict[str, Person]) -> dict[str, Any]:
    overlays = {name: fmean(person[name] for person in crowd.values()) for name in CORE_OVERLAYS}
    capital = [person["capital"] for person in crowd.values()]
    return {
        "overlays": overlays,
        "variables": {"capital": sum(capital), "poorest": min(capital), "richest": max(capital)},
        "trust": overlays["trust"],
    }

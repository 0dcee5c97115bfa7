"""What a journal's events say of its completeness: counts of writers, what was erased, which fragments were reported. Pure."""

from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from typing import Any

from whence.proof.folder import Taken
from whence.proof.looking import Looked, Run

Found = tuple[str, int | None, bool]
"""What is wrong, the position if there is one, and whether it is missing rather than broken."""


class Account:
    """Gathers what stretches tell, in their order, and finds what does not add up."""

    def __init__(self) -> None:
        self.wrong_files: list[tuple[int, str]] = []
        self._runs: dict[str, list[Run]] = {}
        self._opened: set[str] = set()
        self._closed: set[str] = set()
        self._gone: list[int] = []
        self._erased: list[tuple[int, int]] = []
        self._fragments: dict[tuple[str, int], tuple[int, str]] = {}
        self._blanked: set[tuple[str, int]] = set()
        self._reported: list[tuple[int, Any]] = []
        self.lost = 0
        self.erased_and_gone = 0

    @property
    def left_open(self) -> list[str]:
        """Writers that never wrote `writer.close`."""
        return [w for w in self._runs if w not in self._closed]

    def add(self, taken: Taken, looked: Looked) -> None:
        """Take what the next stretch tells."""
        for run in looked.runs:
            runs = self._runs.setdefault(run.w, [])
            last = runs[-1] if runs else None
            if last is not None and (last.n + last.size, last.first + last.size) == (
                run.n,
                run.first,
            ):
                runs[-1] = Run(run.w, last.n, last.size + run.size, last.first)
            else:
                runs.append(run)
        self._gone += looked.gone
        for offset, length, digest in looked.fragments:
            self._fragments[taken.segment, offset] = length, digest
        for position, event in looked.told:
            if event.type == "writer.open" and event.n == 0:
                self._opened.add(event.w)
            elif event.type == "writer.close":
                self._closed.add(event.w)
            elif event.type == "erased":
                # Only what was sealed before it can have been erased: nobody is licensed for what comes.
                self._erased += [
                    (start, min(end, position))
                    for start, end in read_positions(event.data)
                    if start < position
                ]
                self._blanked |= _read_blanked(event.data)
            elif event.type == "fragment":
                self._reported.append((position, event.data))

    def find_problems(self, same: Callable[[int, int], bool]) -> Iterator[Found]:
        """Tell what does not add up. `same` tells whether the entries of two positions are one."""
        yield from self._find_counts(same)
        yield from self._find_gone()
        yield from self._find_fragments()
        for position, problem in self.wrong_files:
            yield problem, position, False

    def _find_counts(self, same: Callable[[int, int], bool]) -> Iterator[Found]:
        for w, runs in self._runs.items():
            if runs[0].n == 0 and w not in self._opened:
                yield (
                    f"writer {w} begins with something else than its opening",
                    runs[0].first,
                    False,
                )
            if runs[0].n != 0:
                yield f"writer {w} begins with count {runs[0].n}, want 0", runs[0].first, False
            ordered = sorted(runs, key=lambda run: run.n)
            reached, before = 0, None
            for run in ordered:
                if run.n > reached:
                    self.lost += run.n - reached
                    yield (
                        f"{run.n - reached:,} events of writer {w} were counted and are in no line",
                        None,
                        True,
                    )
                elif before is not None and run.n < reached:
                    yield from _find_repeats(w, before, run, same)
                if run.n + run.size > reached:
                    reached, before = run.n + run.size, run

    def _find_gone(self) -> Iterator[Found]:
        spans = merge(self._erased)
        at = 0
        for position in sorted(self._gone):
            while at < len(spans) and spans[at][1] <= position:
                at += 1
            if at < len(spans) and spans[at][0] <= position:
                self.erased_and_gone += 1
            else:
                yield (
                    "its payload is gone, and no sealed event says that it was erased",
                    position,
                    False,
                )

    def _find_fragments(self) -> Iterator[Found]:
        reported: set[tuple[str, int]] = set()
        for position, data in self._reported:
            if not isinstance(data, dict):
                continue
            offset = data.get("offset")
            if not isinstance(offset, int):
                continue
            place = str(data.get("segment")), offset
            reported.add(place)
            found = self._fragments.get(place)
            if found != (data.get("length"), data.get("sha256")) and not self._is_blank(place):
                yield (
                    f"the fragment in {place[0]} at {place[1]} is not what was reported",
                    position,
                    False,
                )
        for place, (length, _) in self._fragments.items():
            # What nobody reported is not covered by anything that was signed, and could say whatever it wants.
            if place not in reported and not self._is_blank(place):
                yield (
                    f"{length:,} bytes in {place[0]} at {place[1]:,} are no event, and no sealed event reports them",
                    None,
                    True,
                )

    def _is_blank(self, place: tuple[str, int]) -> bool:
        """Whether a sealed event says that a fragment was blanked, and it is."""
        if place not in self._blanked:
            return False
        length, digest = self._fragments.get(place, (0, ""))
        return length == 0 or digest == sha256(b" " * length).hexdigest()


def read_positions(data: object) -> list[tuple[int, int]]:
    """The positions that an `erased` event lists, as half-open ranges; nothing of what is none."""
    rows = data.get("positions") if isinstance(data, dict) else None
    return [
        (row[0], row[1])
        for row in (rows if isinstance(rows, list) else ())
        if isinstance(row, list)
        and len(row) == 2
        and all(isinstance(each, int) and not isinstance(each, bool) for each in row)
        and 0 <= row[0] < row[1]
    ]


def _read_blanked(data: object) -> set[tuple[str, int]]:
    """The fragments that an `erased` event says were blanked, by where they stand."""
    rows = data.get("fragments") if isinstance(data, dict) else None
    return {
        (row[0], row[1])
        for row in (rows if isinstance(rows, list) else ())
        if isinstance(row, list)
        and len(row) == 3
        and isinstance(row[0], str)
        and isinstance(row[1], int)
    }


def merge(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Half-open ranges in order, those that touch as one."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return merged


def _find_repeats(
    w: str, one: Run, other: Run, same: Callable[[int, int], bool]
) -> Iterator[Found]:
    """Lines may be written again after a failed sync: then they are the same."""
    for n in range(other.n, min(one.n + one.size, other.n + other.size)):
        first, second = one.first + n - one.n, other.first + n - other.n
        if not same(first, second):
            yield f"two different events are {w} {n}", max(first, second), False
            return

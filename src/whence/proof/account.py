"""What a journal's events say of its completeness: counts of writers, what was erased, which fragments were reported. Pure."""

from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from typing import Any

import msgspec

from whence.proof.folder import Taken
from whence.proof.looking import Looked, Run

Found = tuple[str, int | None, bool]
"""What is wrong, the position if there is one, and whether it is missing rather than broken."""


class Account(msgspec.Struct):
    """Gathers what stretches tell, in their order, and finds what does not add up."""

    wrong_files: list[tuple[int, str]] = []
    runs: dict[str, list[Run]] = {}
    opened: set[str] = set()
    closed: set[str] = set()
    gone: list[int] = []
    erased: list[tuple[int, int]] = []
    fragments: dict[str, dict[int, tuple[int, str]]] = {}
    blanked: dict[str, set[int]] = {}
    reported: list[tuple[int, Any]] = []
    lost: int = 0
    erased_and_gone: int = 0

    @property
    def left_open(self) -> list[str]:
        """Writers that never wrote `writer.close`."""
        return [w for w in self.runs if w not in self.closed]

    def add(self, taken: Taken, looked: Looked) -> None:
        """Take what the next stretch tells."""
        for run in looked.runs:
            runs = self.runs.setdefault(run.w, [])
            last = runs[-1] if runs else None
            if last is not None and (last.n + last.size, last.first + last.size) == (
                run.n,
                run.first,
            ):
                runs[-1] = Run(run.w, last.n, last.size + run.size, last.first)
            else:
                runs.append(run)
        self.gone += looked.gone
        for offset, length, digest in looked.fragments:
            self.fragments.setdefault(taken.segment, {})[offset] = length, digest
        for position, event in looked.told:
            if event.type == "writer.open" and event.n == 0:
                self.opened.add(event.w)
            elif event.type == "writer.close":
                self.closed.add(event.w)
            elif event.type == "erased":
                # Only what was sealed before it can have been erased: nobody is licensed for what comes.
                self.erased += [
                    (start, min(end, position))
                    for start, end in read_positions(event.data)
                    if start < position
                ]
                for segment, offset in _read_blanked(event.data):
                    self.blanked.setdefault(segment, set()).add(offset)
            elif event.type == "fragment":
                self.reported.append((position, event.data))

    def find_problems(self, same: Callable[[int, int], bool]) -> Iterator[Found]:
        """Tell what does not add up. `same` tells whether the entries of two positions are one."""
        yield from self._find_counts(same)
        yield from self._find_gone()
        yield from self._find_fragments()
        for position, problem in self.wrong_files:
            yield problem, position, False

    def _find_counts(self, same: Callable[[int, int], bool]) -> Iterator[Found]:
        for w, runs in self.runs.items():
            if runs[0].n == 0 and w not in self.opened:
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
        spans = merge(self.erased)
        at = 0
        for position in sorted(self.gone):
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
        for position, data in self.reported:
            if not isinstance(data, dict):
                continue
            offset = data.get("offset")
            if not isinstance(offset, int):
                continue
            segment = str(data.get("segment"))
            reported.add((segment, offset))
            found = self.fragments.get(segment, {}).get(offset)
            if found != (data.get("length"), data.get("sha256")) and not self._is_blank(
                segment, offset
            ):
                yield (
                    f"the fragment in {segment} at {offset} is not what was reported",
                    position,
                    False,
                )
        for segment, fragments in self.fragments.items():
            for offset, (length, _) in fragments.items():
                # What nobody reported is not covered by anything that was signed, and could say whatever it wants.
                if (segment, offset) not in reported and not self._is_blank(segment, offset):
                    yield (
                        f"{length:,} bytes in {segment} at {offset:,} are no event, and no sealed event reports them",
                        None,
                        True,
                    )

    def _is_blank(self, segment: str, offset: int) -> bool:
        """Whether a sealed event says that a fragment was blanked, and it is."""
        if offset not in self.blanked.get(segment, ()):
            return False
        length, digest = self.fragments.get(segment, {}).get(offset, (0, ""))
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

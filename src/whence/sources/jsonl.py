"""Files of JSON lines, one or a folder of daily ones, by a mapping from keys to events.

Lines need not be in order of time: the first question reads all of them once, and keeps for each event its
time, its place and marks of its names. Later questions read what is new, and the lines they give.
"""

import glob
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from heapq import merge
from itertools import chain, groupby, islice, pairwise
from operator import itemgetter, methodcaller
from pathlib import Path
from typing import IO, Any, NamedTuple

from whence.errors import StoreError, WhenceError
from whence.query import Query, matches
from whence.sources.builtin import FORMATS, Format, keep, recognise
from whence.sources.glance import Needle, make_needle, spell
from whence.sources.lines import KEPT, Line, decode_line, open_lines, read_lines
from whence.sources.mapping import Map, MappingError, decode_maps, suggest_near
from whence.sources.offsets import Offsets, mark
from whence.sources.ordering import HELD, put_in_order
from whence.sources.patterns import find_files
from whence.sources.rows import Getter, Reader, Row
from whence.sources.source import Health, NameKind, RawRow, Source, SourceEvent, Tie
from whence.sources.understanding import Understanding

_LOOKED_AT = 20
"""Lines that are looked at to recognise a format."""

_FIRST_BATCH = 16
_BATCH_MAX = 1024
_BATCH_BYTES = 2 * 1024 * 1024
"""Lines of about so many bytes are held at a time, or one that is longer."""

SIFTED_MIN = 4 * 1024 * 1024
"""Files of fewer bytes are read whole at once."""

_SIFTED_MAX = 50_000
_SIFTS_MAX = 2
"""For so many names only the lines that have them are read; who asks for more is better off with all."""

_SEEN_MAX = 100_000


def open_source(path: Path, name: str, options: Mapping[str, Any]) -> Source:
    """Make a source of a file, folder or pattern; ValueError if the mapping in `options` is wrong."""
    where = f"[[source]] {path.name}"
    rest = dict(options)
    form = rest.pop("format", None)
    if form is not None and form not in FORMATS:
        near = suggest_near(str(form), FORMATS) or f", want one of {', '.join(FORMATS)}"
        raise ValueError(f"{where}: format {form!r} is unknown{near}")
    # A mapping that leaves the time to a format yet to be recognised is looked at as well.
    _decode(where, FORMATS[form] if form else Format(frozenset(), {"time": "?"}, keep), rest)
    return JsonlSource(path, name, where, form, rest)


def _decode(where: str, form: Format, options: Mapping[str, Any]) -> Map:
    if "map" in options:
        raise ValueError(f"{where}: lines have one mapping, want its keys without [[source.map]]")
    maps = decode_maps({**form.options, **options}, where)
    for key in ("table", "parent_table"):
        if key in options:
            raise ValueError(f"{where}: `{key}` is for databases; lines have no tables")
    return maps[0]


class _Position(NamedTuple):
    """Where an event stands: the number of its file, and its own in it."""

    ns: int
    file: int
    number: int


class _Told(NamedTuple):
    position: _Position
    row: Row
    event: SourceEvent


class JsonlSource:
    """JSON lines that are mapped to events, by `options` and those of the built-in format `form`.

    If there is neither a format nor a time, the format is recognised.
    """

    kind = "jsonl"

    def __init__(
        self, path: Path, name: str, where: str, form: str | None, options: Mapping[str, Any]
    ) -> None:
        self.name = name
        self._path = path
        self._where = where
        self._form = form
        self._options = options
        self._understanding: Understanding | None = None
        self._files: list[Offsets] = []
        self._links: list[Path] = []
        # For the first names that are asked about: the lines that have them.
        self._sifted: dict[str, list[Offsets]] = {}

    def events(
        self, query: Query = Query(), *, newest_first: bool = False
    ) -> Iterator[SourceEvent]:
        """Give what `query` lets through; see `Source.events`."""
        if query.trace is not None:
            # Nothing here knows its trace, but a root belongs to its own.
            root = self.event(query.trace)
            yield from [root] if root is not None and matches(query, root) else []
            return
        files = self._files_of(query)
        found = _in_order(_find_positions(files, query, newest_first), files, newest_first)
        yield from (event for event in found if matches(query, event))

    def event(self, event_id: str) -> SourceEvent | None:
        """The event of that id, or None."""
        written, _, repeat = event_id.rpartition("#")
        files = self._files_with("id", written if repeat.isdecimal() else event_id)
        found = (event for event in _load(_find_id(files, event_id), files))
        return next((event for event in found if event.id == event_id), None)

    def matching(self, part: str, limit: int) -> list[SourceEvent]:
        """Events whose id begins or ends with `part`, at most `limit`."""
        files = self._update()
        has_ids = any(len(file.ids) for file in files)
        places = (
            position
            for position in _all_positions(files)
            if has_ids or _is_end_of(part, files[position.file].place(position.number))
        )
        events = (event for event in _load(places, files) if _is_end_of(part, event.id))
        return list(islice(events, limit))

    def names(self, kind: NameKind) -> Iterator[str]:
        """The targets or agents of its events."""
        files = self._update()
        for event in _load(_first_of_each(files, kind), files):
            name = event.target if kind == "target" else event.agent
            if name is not None:
                yield name

    def has_name(self, kind: NameKind, name: str) -> bool:
        """Whether an event has that target or agent."""
        query = Query(target=name, own=True) if kind == "target" else Query(agent=name, own=True)
        files = self._files_of(query)
        found = _load(_find_positions(files, query, newest_first=False), files)
        return any(matches(query, event) for event in found)

    def below(self, target: str) -> list[str]:
        """The targets that the mapping's `part_of` puts under `target`."""
        files = self._files_with("part_of", target)
        with closing(_Opened(files)) as opened:
            found = dict.fromkeys(
                told.event.target
                for told in _tell_all(_find_marked(files, "part_of", target), files, opened)
                if files[told.position.file].understanding.reader.part_of(told.row) == target
            )
        return [name for name in found if name is not None and name != target]

    def causes(self, event: SourceEvent) -> list[Tie]:
        """What its relations name, as far as it is there."""
        ties = ((each.reason, self.event(each.id)) for each in event.relations)
        return [Tie(reason, cause) for reason, cause in ties if cause is not None]

    def effects(self, event: SourceEvent) -> list[Tie]:
        """The events whose relations name this one."""
        files = self._files_with("relations", event.id)
        positions = dict.fromkeys(
            _Position(file.ns(number), place, number)
            for place, file in enumerate(files)
            for number in file.find_related(event.id)
        )
        return [
            Tie(relation.reason, effect)
            for effect in _load(positions, files)
            for relation in effect.relations
            if relation.id == event.id
        ]

    def health(self) -> Health:
        """How well the lines are understood."""
        try:
            files = self._update()
        except WhenceError as error:
            return Health(problem=str(error))
        return Health(
            events=sum(map(len, files)),
            newest_ns=max(
                (file.newest_ns for file in files if file.newest_ns is not None), default=None
            ),
            not_understood=sum(file.not_understood + bool(file.problem) for file in files),
            problem="; ".join(file.problem for file in files if file.problem),
            note=", ".join(filter(None, (self._form, _tell_links(self._links)))),
        )

    def raw(self) -> Iterator[RawRow]:
        """The lines that are not understood."""
        for file in self._update():
            try:
                for number, line, problem in file.raw():
                    yield RawRow(f"{file.name}:{number}", problem, _show_raw(line))
            except WhenceError as error:
                yield RawRow(file.name, str(error), "")

    def close(self) -> None:
        """Give everything back. The next use reads it again."""
        self._files = []
        self._sifted = {}
        self._understanding = None

    def _files_of(self, query: Query) -> list[Offsets]:
        """The files, as far as a question needs them."""
        named = {"parent": query.parent, "target": query.target, "agent": query.agent}
        name, value = next(((name, value) for name, value in named.items() if value), ("", ""))
        return self._files_with(name, value)

    def _files_with(self, name: str, value: str) -> list[Offsets]:
        """The files: all of them, or as long as nobody asked for more, the lines that have this name."""
        needle = make_needle(value) if not self._files and name else None
        if needle is None:
            return self._update()
        paths, understanding = self._look()
        known = self._sifted.get(value, [])
        is_same = bool(known) and [file.path for file in known] == list(paths.values())
        files = None
        try:
            if is_same and all(file.is_current() for file in known):
                return known
            if len(self._sifted) < _SIFTS_MAX and understanding.can_glance(name):
                files = self._sift(paths, understanding, needle)
        except (OSError, StoreError):
            # One of several files may fail alone, which is told where all are read.
            pass
        if files is None:
            return self._update()
        self._sifted[value] = files
        return files

    def _sift(
        self, paths: Mapping[str, Path], understanding: Understanding, needle: Needle
    ) -> list[Offsets] | None:
        """The lines that have a name; None if they are too many, or their ids are not theirs alone."""
        if sum(path.stat().st_size for path in paths.values()) < SIFTED_MIN:
            return None
        files, ids = list[Offsets](), set[str]()
        for name, path in paths.items():
            file = Offsets(path, name, understanding)
            found = file.sift(needle, _SIFTED_MAX)
            if found is None:
                return None
            ids.update(filter(None, found))
            files.append(file)
        key = understanding.id_key()
        if key is not None and ids:
            spelled = {form for each in ids for form in spell(each)}
            if any(file.has_others(key, spelled) for file in files):
                return None
            _count_repeats(files)
        return files

    def _look(self) -> tuple[Mapping[str, Path], Understanding]:
        paths, self._links = find_files(self._path)
        understanding = self._understand(paths)
        understanding.reader.now_ns = time.time_ns()
        return paths, understanding

    def _update(self) -> list[Offsets]:
        """Bring what is known of the files up to what they hold now."""
        paths, understanding = self._look()
        self._sifted.clear()
        known = {file.path: file for file in self._files}
        is_changed = list(known) != list(paths.values())
        files = []
        for name, path in paths.items():
            file = known.get(path)
            try:
                if file is None or file.is_replaced():
                    file = Offsets(path, name, understanding)
                is_changed |= file.update()
            except StoreError as error:
                if len(paths) == 1:
                    raise
                file = file or Offsets(path, name, understanding)
                file.problem = str(error)
            files.append(file)
        if is_changed:
            _count_repeats(files)
        self._files = files
        return files

    def _understand(self, paths: Mapping[str, Path]) -> Understanding:
        if self._understanding is None:
            if self._form is None and "time" not in self._options:
                self._form = self._recognise(paths)
            form = FORMATS[self._form] if self._form else Format(frozenset(), {}, keep)
            reader = Reader(
                _decode(self._where, form, self._options),
                source=self.name,
                primitive=_name_store(self._path),
                getter=find_key,
                now_ns=time.time_ns(),
            )
            self._understanding = Understanding(form, reader)
        return self._understanding

    def _recognise(self, paths: Mapping[str, Path]) -> str:
        found = None
        for path in paths.values():
            with open_lines(path) as file:
                rows = (
                    decode_line(line.data) for line in islice(read_lines(file, path), _LOOKED_AT)
                )
                found = recognise(row for row in rows if not isinstance(row, str))
            if found is not None:
                return found
        raise MappingError(
            f"{self._where} has no mapping, and is none of {', '.join(FORMATS)};"
            f" `whence sources suggest {self._path.name}` proposes one"
        )


def _in_order(
    positions: Iterable[_Position], files: list[Offsets], newest_first: bool
) -> Iterator[SourceEvent]:
    """Read the events at positions that come by time, and put those of one time in order of their ids."""
    with closing(_Opened(files)) as opened:
        yield from _in_order_by(positions, files, newest_first, opened)


def _in_order_by(
    positions: Iterable[_Position], files: list[Offsets], newest_first: bool, opened: "_Opened"
) -> Iterator[SourceEvent]:
    batch: list[_Position] = []
    size, held = _FIRST_BATCH, 0
    for _, group in groupby(positions, itemgetter(0)):
        same = iter(group)
        tied, tied_bytes = _take_some(same, files)
        rest = next(same, None)
        if rest is None:
            batch += tied
            held += tied_bytes
            if len(batch) < size and held < _BATCH_BYTES:
                continue
        yield from _by_id(batch, files, newest_first, opened)
        batch, size, held = [], min(2 * size, _BATCH_MAX), 0
        if rest is not None:
            # More of one time than are held: their places are sorted, and their lines read again.
            told = _tell_all(chain(tied, [rest], same), files, opened)
            items = ((each.event.time_ns, each.event.id, tuple(each.position)) for each in told)
            sorted_places = (
                _Position(*place) for _, _, place in put_in_order(items, newest_first=newest_first)
            )
            yield from (each.event for each in _tell_all(sorted_places, files, opened))
    yield from _by_id(batch, files, newest_first, opened)


def _take_some(positions: Iterator[_Position], files: list[Offsets]) -> tuple[list[_Position], int]:
    """As many as may be held at a time, and the bytes of their lines."""
    taken: list[_Position] = []
    held = 0
    while len(taken) < HELD and held < _BATCH_BYTES and (each := next(positions, None)):
        taken.append(each)
        held += files[each.file].size(each.number)
    return taken, held


def _by_id(
    positions: list[_Position], files: list[Offsets], newest_first: bool, opened: "_Opened"
) -> Iterator[SourceEvent]:
    told = sorted(
        _tell_all(positions, files, opened),
        key=lambda each: (each.position.ns, each.event.id),
        reverse=newest_first,
    )
    return (each.event for each in told)


def _load(positions: Iterable[_Position], files: list[Offsets]) -> Iterator[SourceEvent]:
    with closing(_Opened(files)) as opened:
        yield from (told.event for told in _tell_all(positions, files, opened))


def _tell_all(
    positions: Iterable[_Position], files: list[Offsets], opened: "_Opened"
) -> Iterator[_Told]:
    """Read the events that stand there, in the order given, a batch at a time."""
    for batch in _batch(positions, files):
        found: dict[_Position, _Told] = {}
        # In the order of the files, which packed ones can only be read in.
        for place, standing in groupby(sorted(batch, key=itemgetter(1, 2)), itemgetter(1)):
            file = opened.open(place)
            for position in standing:
                found[position] = _tell(files[place], file, position)
        yield from (found[position] for position in batch)


class _Opened:
    """The one file that is read now. A packed one stays open for what stands behind, read once."""

    def __init__(self, files: list[Offsets]) -> None:
        self._files = files
        self._place: int | None = None
        self._file: IO[bytes] | None = None

    def open(self, place: int) -> IO[bytes]:
        if self._file is None or place != self._place or not self._files[place].is_packed:
            self.close()
            self._file, self._place = self._files[place].open(), place
        return self._file

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _batch(positions: Iterable[_Position], files: list[Offsets]) -> Iterator[list[_Position]]:
    """What is read at a time: few at first, so that the first come early."""
    batch: list[_Position] = []
    size, held = _FIRST_BATCH, 0
    for position in positions:
        batch.append(position)
        held += files[position.file].size(position.number)
        if len(batch) >= size or held >= _BATCH_BYTES:
            yield batch
            batch, size, held = [], min(2 * size, _BATCH_MAX), 0
    if batch:
        yield batch


def _tell(file: Offsets, opened: IO[bytes], position: _Position) -> _Told:
    row, key = file.load(opened, position.number)
    remark = None
    repeat = file.repeats[position.number] if file.repeats else 0
    if repeat:
        remark = f"several lines have the id {key.id}"
        key = key._replace(id=f"{key.id}#{repeat + 1}")
    return _Told(position, row, file.understanding.reader.event(row, key, remark))


def _name_store(path: Path) -> str:
    """What the lines of a store are called that do not say it: as the file, or the folder of several."""
    while glob.has_magic(path.name):
        path = path.parent
    return path.name.lstrip(".").partition(".")[0] or "lines"


def find_key(key: str) -> Getter:
    """How a key is found in an object: as it is written, else as a path: `data.user.name`, `items.0`."""
    steps = key.split(".")
    if len(steps) == 1:
        return methodcaller("get", key)

    def find(row: Row) -> Any:
        value: Any = row.get(key)
        if value is not None:
            return value
        value = row
        for step in steps:
            if isinstance(value, dict):
                value = value.get(step)
            elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
                value = value[int(step)]
            else:
                return None
        return value

    return find


def _find_positions(files: list[Offsets], query: Query, newest_first: bool) -> Iterator[_Position]:
    """Where the answers probably stand, by time."""
    streams = [_find_in(file, place, query, newest_first) for place, file in enumerate(files)]
    return streams[0] if len(streams) == 1 else merge(*streams, reverse=newest_first)


def _find_in(file: Offsets, place: int, query: Query, newest_first: bool) -> Iterator[_Position]:
    wanted = [
        (name, value)
        for name, value in (
            ("parent", query.parent),
            ("target", query.target),
            ("agent", query.agent),
        )
        if value is not None
    ]
    within = file.between(query.since, query.until)
    numbers: Sequence[int] = within
    if wanted:
        (name, value), *others = wanted
        marks = [(file.marks.get(other), mark(each)) for other, each in others]
        numbers = [
            number
            for number in file.find(name, value)
            if number in within and all(found and found[number] == each for found, each in marks)
        ]
    since, until = query.since, query.until
    if not file.is_ordered and (since is not None or until is not None):
        numbers = [
            number
            for number in numbers
            if (since is None or file.ns(number) >= since)
            and (until is None or file.ns(number) < until)
        ]
    for number in file.by_time(numbers, newest_first=newest_first):
        yield _Position(file.ns(number), place, number)


def _find_marked(files: list[Offsets], name: str, value: str) -> Iterator[_Position]:
    for place, file in enumerate(files):
        for number in file.find(name, value):
            yield _Position(file.ns(number), place, number)


def _find_id(files: list[Offsets], event_id: str) -> Iterator[_Position]:
    """Where the event of that id probably stands."""
    written, _, repeat = event_id.rpartition("#")
    name, _, line = event_id.rpartition(":")
    for place, file in enumerate(files):
        numbers = list(file.find_id(event_id))
        if repeat.isdecimal():
            numbers += file.find_id(written)
        if not file.ids and file.name == name and line.isdecimal():
            number = file.at_line(int(line))
            numbers += [] if number is None else [number]
        for number in numbers:
            yield _Position(file.ns(number), place, number)


def _all_positions(files: list[Offsets]) -> Iterator[_Position]:
    for place, file in enumerate(files):
        for number in range(len(file)):
            yield _Position(file.ns(number), place, number)


def _first_of_each(files: list[Offsets], kind: NameKind) -> Iterator[_Position]:
    """Where each name is said, at least once."""
    seen: set[int] = set()
    for place, file in enumerate(files):
        for number, each in enumerate(file.marks.get(kind, ())):
            if each and each not in seen:
                seen.add(each)
                yield _Position(file.ns(number), place, number)
        if len(seen) > _SEEN_MAX:
            seen.clear()


def _count_repeats(files: list[Offsets]) -> None:
    """Count for each event those before it that have its id."""
    for file in files:
        del file.repeats[:]
    if len(set(_all_ids(files))) == sum(len(file.ids) for file in files):
        return
    marks = sorted(_all_ids(files))
    counts = {each: 0 for each, following in pairwise(marks) if each == following}
    for file in files:
        for each in file.ids:
            count = counts.get(each, 0)
            file.repeats.append(count)
            if each in counts:
                counts[each] = count + 1


def _all_ids(files: list[Offsets]) -> Iterator[int]:
    return chain.from_iterable(file.ids for file in files)


def _tell_links(links: list[Path]) -> str:
    """What to say of links to folders that are read anyway."""
    return (
        f"{links[0]} leads to a folder that is read already"
        + (f", as do {len(links) - 1:,} other links" if len(links) > 1 else "")
        if links
        else ""
    )


def _show_raw(line: Line) -> str:
    """The beginning of a line; what is left out is said."""
    text = line.data[:KEPT].decode(errors="replace").strip()
    size = line.end - line.offset
    return text if size <= KEPT else f"{text}… ({size:,} bytes)"


def _is_end_of(part: str, text: str) -> bool:
    return text.startswith(part) or text.endswith(part)

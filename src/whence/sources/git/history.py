"""Which commits a repository has, on which branch each stands, and its tags.

Read in one walk that looks at no file, and kept packed: 60 to 90 bytes a commit. Commits' clocks may
be skewed, so that only the whole walk tells their order by time. What the walk finds depends on
nothing but the refs, so it holds as long as they do.
"""

import os
import re
import stat
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterator
from pathlib import Path
from struct import Struct
from typing import NamedTuple

from whence.errors import CorruptError
from whence.event import parse_time
from whence.sources.git.program import Program
from whence.sources.git.watch import Folders

TIME_MAX_S = parse_time("9999-12-31T23:59:59.000000000Z") // 10**9
DETACHED = "HEAD"
"""Where commits stand that no branch or tag leads to: somebody works without one."""

_HEADS = "refs/heads/"
_REMOTES = "refs/remotes/"
_TAGS = "refs/tags/"
_USUAL_DEFAULTS = ("main", "master", "trunk")

_IS_MERGE, _IS_CUT, _IS_UNDATED = 1, 2, 4


class Row(NamedTuple):
    """One commit: when and by whom it was made, and on which branch it stands.

    `is_cut` is a commit whose parents were not fetched, so that nobody here knows what it changed.
    """

    second: int
    hash: bytes
    branch: str
    agent: str
    parent: str
    is_merge: bool
    is_cut: bool
    is_undated: bool

    @property
    def id(self) -> str:
        """The commit's name, as git writes it in full."""
        return self.hash.hex()


class Tag(NamedTuple):
    """A tag. `hash` is its own object's; `commit` what it leads to, empty if that is no commit."""

    ref: str
    hash: str
    commit: str
    is_annotated: bool
    agent: str
    second: int | None
    is_undated: bool
    """Whether `second` is not what is written there."""
    message: str

    @property
    def name(self) -> str:
        """The tag as people say it."""
        return self.ref.removeprefix(_TAGS)


class Refs(NamedTuple):
    """All that the history depends on: refs as (name, hash, the ref it stands for), HEAD, where it is cut."""

    refs: tuple[tuple[str, str, str], ...]
    head: str
    cut: frozenset[str]
    folders: Folders


class History:
    """The commits in order of (time, hash), the tags, and what leads to nothing.

    `refs` are all that there are; those that are `lost` name an object that is not there.
    """

    def __init__(self, refs: Refs, tags: list[Tag], lost: dict[str, str]) -> None:
        self.refs = refs
        self.tags = tags
        self.lost = lost
        self.branches: list[str] = []
        self.agents: list[str] = []
        self.seconds: dict[str, int] = {}
        """When the commits were made that have tags."""
        size = max((len(oid) for _, oid, _ in refs.refs), default=len(refs.head)) // 2
        # The time first and then the hash, so that rows sort as bytes.
        self._layout = Struct(f">Q{size}sIIB{size}s")
        self._rows: list[bytes] = []
        self._by_hash = array("I")
        self._by_parent = array("I")

    def __len__(self) -> int:
        return len(self._rows)

    def rows(self, since_s: int, until_s: int, *, newest_first: bool = False) -> Iterator[Row]:
        """The commits of [since, until), in order."""
        start = bisect_left(self._rows, _as_key(since_s))
        end = bisect_left(self._rows, _as_key(until_s))
        numbers = range(start, end)
        for number in reversed(numbers) if newest_first else numbers:
            yield self._unpack(self._rows[number])

    def find(self, id: str) -> Row | None:
        """The commit of that name, written in full."""
        number = self._number(id)
        return None if number is None else self._unpack(self._rows[number])

    def children(self, id: str) -> list[Row]:
        """The commits whose first parent is that one, in order."""
        oid = self._as_hash(id)
        if oid is None:
            return []
        if not self._by_parent:
            self._by_parent = array("I", sorted(range(len(self)), key=self._parent_of))
        start = bisect_left(self._by_parent, oid, key=self._parent_of)
        end = bisect_right(self._by_parent, oid, key=self._parent_of)
        return [self._unpack(self._rows[number]) for number in self._by_parent[start:end]]

    def around(self, id: str, size: int) -> list[Row]:
        """Commits that were made before and after that one, which is the first of them."""
        number = self._number(id)
        if number is None:
            return []
        near = range(max(0, number - size), min(len(self), number + size))
        numbers = [number, *(each for each in near if each != number)]
        return [self._unpack(self._rows[each]) for each in numbers]

    def _number(self, id: str) -> int | None:
        oid = self._as_hash(id)
        if oid is None:
            return None
        if not self._by_hash:
            self._by_hash = array("I", sorted(range(len(self)), key=self._hash_of))
        at = bisect_left(self._by_hash, oid, key=self._hash_of)
        is_there = at < len(self) and self._hash_of(self._by_hash[at]) == oid
        return self._by_hash[at] if is_there else None

    def _as_hash(self, id: str) -> bytes | None:
        is_hash = len(id) == 2 * self._hash_size and re.fullmatch("[0-9a-f]+", id)
        return bytes.fromhex(id) if is_hash else None

    def _hash_of(self, number: int) -> bytes:
        return self._rows[number][8 : 8 + self._hash_size]

    def _parent_of(self, number: int) -> bytes:
        return self._rows[number][-self._hash_size :]

    def hashes(self) -> Iterator[str]:
        """The names of all commits."""
        for packed in self._rows:
            yield packed[8 : 8 + self._hash_size].hex()

    @property
    def _hash_size(self) -> int:
        return (self._layout.size - 17) // 2

    def _unpack(self, packed: bytes) -> Row:
        second, oid, branch, agent, flags, parent = self._layout.unpack(packed)
        return Row(
            second,
            oid,
            self.branches[branch],
            self.agents[agent],
            "" if not any(parent) else parent.hex(),
            bool(flags & _IS_MERGE),
            bool(flags & _IS_CUT),
            bool(flags & _IS_UNDATED),
        )

    def leads(self) -> list[tuple[str, bytes]]:
        """Where the walk begins, as (what to call it, hash): the best branch to stand on first."""
        return _order_leads(self.refs, self.tags, self.lost)

    def walk(self, program: Program) -> None:
        """Find the commits; each stands on the first branch on whose own line it lies.

        Children come before parents. A branch's own line is that of first parents; what came in by a
        merge and lies on no line of its own belongs to the branch it was merged into. The default
        branch comes first, then others by name.
        """
        leads = self.leads()
        self.branches = [name for name, _ in leads]
        merged = len(leads)
        marks: dict[bytes, int] = {}
        for number, (_, oid) in enumerate(leads):
            marks[oid] = min(marks.get(oid, number), number)
        agents: dict[str, int] = {}
        lines = program.lines(
            *("rev-list", "--stdin", "--topo-order", "--encoding=UTF-8"),
            "--format=%P%x00%ct%x00%an",
            given=[oid for _, oid in leads],
        )
        for line in lines if leads else ():
            oid = line.removeprefix(b"commit ")
            told = next(lines, b"").split(b"\0", 2)
            if len(told) < 3:
                raise CorruptError(f"git in {program.path} cannot tell {oid.decode()} in one line")
            parents, seconds, author = told
            mark = marks.pop(oid, merged - 1)
            first, *others = parents.split() or [b""]
            if first:
                marks[first] = min(marks.get(first, mark), mark)
            for other in others:
                marks[other] = min(marks.get(other, 2 * merged), mark % merged + merged)
            second, is_dated = _as_second(seconds)
            agent = author.decode(errors="backslashreplace")
            self._rows.append(
                self._layout.pack(
                    second,
                    bytes.fromhex(oid.decode()),
                    mark % merged,
                    agents.setdefault(agent, len(agents)),
                    (_IS_MERGE if others else 0)
                    | (_IS_CUT if oid.decode() in self.refs.cut else 0)
                    | (0 if is_dated else _IS_UNDATED),
                    bytes.fromhex(first.decode()),
                )
            )
        self.agents = list(agents)
        self._rows.sort()
        tagged = {tag.commit for tag in self.tags}
        for packed, id in zip(self._rows, self.hashes(), strict=True):
            if id in tagged:
                self.seconds[id] = int.from_bytes(packed[:8], "big")


def read_refs(program: Program, folders: Folders) -> Refs:
    """Look at where the history begins and ends now: branches, remote branches, tags and HEAD.

    Stashes, notes and whatever else lies under `refs/` is nobody's history.
    """
    folders = read_folders(program)
    listed = program.read(
        "for-each-ref", "--format=%(refname)%00%(objectname)%00%(symref)", _HEADS, _REMOTES, _TAGS
    )
    head = program.read("rev-parse", "-q", "--verify", "HEAD^{commit}", may_fail=True)
    cut = _read_cut(Path(folders.shared) / "shallow")
    refs = (_as_texts(line) for line in listed.splitlines())
    return Refs(
        tuple((name, oid, leads_to) for name, oid, leads_to in refs),
        head.decode().strip(),
        cut,
        folders,
    )


def read_folders(program: Program) -> Folders:
    """Where its files are. Each is asked for alone, since a name may hold line ends."""
    told = program.read("rev-parse", "--is-bare-repository", "--absolute-git-dir")
    bare, _, own = told[:-1].partition(b"\n")
    shared = program.read("rev-parse", "--git-common-dir")[:-1]
    return Folders(
        os.fsdecode(own), os.path.join(program.path, os.fsdecode(shared)), bare == b"true"
    )


def _read_cut(path: Path) -> frozenset[str]:
    """The commits where a shallow clone ends. The file may be there and be none."""
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return frozenset()
            return frozenset(file.read().decode().split())
    except (OSError, UnicodeDecodeError):
        return frozenset()


def read_history(program: Program, refs: Refs) -> History:
    """Walk the whole history that these refs lead to."""
    lost = _find_lost(program, refs)
    history = History(refs, _read_tags(program, refs, lost), lost)
    history.walk(program)
    return history


def read_touching(program: Program, history: History, path: bytes) -> set[bytes]:
    """The hashes of the commits that may have changed that file, and of no others if it can be told.

    What git keeps about commits beside them makes this up to four times as fast; but it may be damaged.
    """
    leads = [oid for _, oid in history.leads()]
    if not leads:
        return set()

    def look(has_graph: str) -> set[bytes]:
        # Without `--full-history` git would leave out sides of merges that made no difference.
        lines = program.lines(
            *("-c", f"core.commitGraph={has_graph}", "rev-list", "--stdin", "--full-history"),
            *("--", b":(top,literal)" + path),
            given=leads,
        )
        return {bytes.fromhex(line.decode()) for line in lines}

    try:
        return look("true")
    except CorruptError:
        return look("false")


def _find_lost(program: Program, refs: Refs) -> dict[str, str]:
    """The refs whose object is missing or damaged, as a crash leaves them; each with its name."""
    checked = program.lines(
        *("cat-file", "--batch-check=%(objectname)"),
        given=[oid.encode() for _, oid, _ in refs.refs],
    )
    return {
        ref: oid
        for (ref, oid, _), found in zip(refs.refs, checked, strict=False)
        if found.endswith(b" missing")
    }


def _read_tags(program: Program, refs: Refs, lost: Collection[str]) -> list[Tag]:
    named = [ref for ref, _, _ in refs.refs if ref.startswith(_TAGS) and ref not in lost]
    if not named:
        return []
    listed = program.read(
        "for-each-ref",
        "--format=%(refname)%00%(objectname)%00%(objecttype)%00%(taggername)"
        "%00%(taggerdate:raw)%00%(contents:subject)%0a%0a%(contents:body)%00",
        # It refuses to speak of any if one of them is lost.
        *(named if any(ref.startswith(_TAGS) for ref in lost) else [_TAGS]),
    )
    fields = listed.split(b"\0")
    tags = [_as_texts(b"\0".join(fields[at : at + 6])) for at in range(0, len(fields) - 6, 6)]
    # A tag may be of a tag; only git knows where that ends.
    checked = program.lines(
        "cat-file",
        "--batch-check=%(objectname)",
        given=[f"{oid}^{{commit}}".encode() for _, oid, *_ in tags],
    )
    found_tags: list[Tag] = []
    for (ref, oid, kind, agent, date, message), found in zip(tags, checked, strict=False):
        commit = "" if found.endswith(b"missing") else found.decode()
        second, is_dated = _as_second(date.partition(" ")[0].encode()) if date else (None, False)
        found_tags.append(
            Tag(
                *(ref.strip("\n"), oid, commit, kind == "tag"),
                *(agent, second, not is_dated, message),
            )
        )
    return found_tags


def _order_leads(refs: Refs, tags: list[Tag], lost: Collection[str]) -> list[tuple[str, bytes]]:
    by_name = {name: leads_to for name, _, leads_to in refs.refs}
    default = by_name.get(f"{_REMOTES}origin/HEAD", "").removeprefix(f"{_REMOTES}origin/")
    defaults = [default] if default else list(_USUAL_DEFAULTS)
    found: list[tuple[int, int, str, bytes]] = []
    for ref, oid, leads_to in refs.refs:
        if ref.startswith(_TAGS) or leads_to or ref in lost:
            continue
        is_remote = ref.startswith(_REMOTES)
        name = ref.removeprefix(_REMOTES if is_remote else _HEADS)
        bare_name = name.partition("/")[2] if is_remote else name
        rank = defaults.index(bare_name) if bare_name in defaults else len(defaults)
        found.append((rank, is_remote, name, oid.encode()))
    leads = [(name, oid) for _, _, name, oid in sorted(found)]
    leads += [(tag.name, tag.commit.encode()) for tag in tags if tag.commit]
    if refs.head:
        leads.append((DETACHED, refs.head.encode()))
    return leads


def _as_second(text: bytes) -> tuple[int, bool]:
    """Seconds since 1970, and whether they are what was written there."""
    try:
        second = int(text)
    except ValueError:
        return 0, False
    kept = min(max(second, 0), TIME_MAX_S)
    return kept, kept == second


def _as_texts(line: bytes) -> list[str]:
    return [part.decode(errors="backslashreplace") for part in line.split(b"\0")]


def _as_key(second: int) -> bytes:
    return min(max(second, 0), TIME_MAX_S + 1).to_bytes(8, "big")

"""Recomputes all that a checkpoint claims from the journal itself, and says what holds, what does not, and what nobody can say.

Nothing on disk is believed but the key: ranges have to tile every segment, every line has to be what its leaf says, the leaves
have to make the tree and the tree the signed root. The first position that is wrong is named.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

from whence.errors import CorruptError, ProofError, StoreError
from whence.event import Event
from whence.journal.reader import Reader
from whence.proof.account import Account
from whence.proof.checkpoints import Checkpoint, parse_checkpoint
from whence.proof.folder import Taken, TreeFolder
from whence.proof.growing import GrowingTree
from whence.proof.keys import VerifierKey
from whence.proof.looking import Looked, look
from whence.proof.notes import Note, verify_note
from whence.proof.policies import Policy
from whence.proof.report import Problem, Report
from whence.proof.resuming import Noted, read_noted, write_noted
from whence.proof.sealing import read_checkpoint, read_history
from whence.proof.succession import Succession
from whence.proof.tree import EMPTY_ROOT, HASH_BYTES, Hash
from whence.proof.workers import look_at_all

Progress = Callable[[int, int], None]
CheckFile = Callable[[Event], "str | None"]
"""Says what is wrong with the file that an event commits to; None if nothing, or if it says nothing of one. StoreError: it cannot be read."""

_NS_PER_S = 1_000_000_000
_AHEAD_NS = 300 * _NS_PER_S
"""So far a witness' clock may be ahead of ours."""
_TRIES = 3
_NOTE_EVERY_S = 2.0
_ALONE_BYTES = 64 * 1024 * 1024
"""Less than that is not worth a second process."""


def verify(
    folder: Path,
    *,
    keys: Sequence[VerifierKey] = (),
    keys_from: str = "given",
    policy: Policy | None = None,
    witnessed_by: Policy | None = None,
    since: Note | None = None,
    head: Checkpoint | None = None,
    check_file: CheckFile = lambda _event: None,
    workers: int | None = None,
    resume: Path | None = None,
    progress: Progress = lambda _done, _in_all: None,
) -> Report:
    """Verify what a journal's checkpoint claims. Where it grew meanwhile and something seems broken, it is looked at again: it was erased, perhaps.

    `keys` are those of the log, and `keys_from` says whose word that is; without them it is the policy's, and without one the log's own is taken,
    and the report says so. `witnessed_by` names witnesses where the policy is not to say whose key it is. `since` is a checkpoint that somebody kept: the journal has to extend it. `head` is what the signer says
    it signed last. `resume` is a file that says how far an earlier verification got: it goes on from there, and is noted there again.

    Raises:
        StoreError: nothing is sealed, or the folder cannot be read at all.
    """
    tries = 0
    while True:
        shown = read_checkpoint(folder)
        report = _verify(
            folder, shown,
            keys=keys, keys_from=keys_from, policy=policy, witnessed_by=witnessed_by or policy,
            since=since, head=head, check_file=check_file, workers=workers, resume=resume, progress=progress,
        )  # fmt: skip
        tries += 1
        if not report.is_broken or tries == _TRIES or read_checkpoint(folder) == shown:
            return report


def _verify(
    folder: Path,
    shown: tuple[Note, Checkpoint] | None,
    *,
    keys: Sequence[VerifierKey],
    keys_from: str,
    policy: Policy | None,
    witnessed_by: Policy | None,
    since: Note | None,
    head: Checkpoint | None,
    check_file: CheckFile,
    workers: int | None,
    resume: Path | None,
    progress: Progress,
) -> Report:
    if shown is None:
        if head is not None and head.size:
            return _report_removed(head)
        raise StoreError(f"nothing is sealed in {folder}: whence seal does that")
    note, checkpoint = shown
    report = Report(
        origin=checkpoint.origin, size=checkpoint.size, root=checkpoint.root.hex(),
        looked_ns=time.time_ns(), witnesses=[], left_open=[], problems=[],
    )  # fmt: skip
    tree = TreeFolder(folder)
    trusted = list(keys)
    if policy is not None:
        named = [each.key for each in policy.logs if each.key.name == checkpoint.origin]
        trusted = [each for each in trusted if each in named] if keys else named
        if not trusted:
            report.find(f"the policy does not name the key of {checkpoint.origin}")
    verification = _Verification(folder, tree, report, check_file, Succession(trusted))
    try:
        ranges = verification.check_tiling(checkpoint.size)
        older = [found.size for _, found in verification.history]
        older += [_size_of(since)] if since is not None else []
        if resume is not None:
            ranges = verification.go_on_from(resume, ranges, checkpoint, older)
        verification.read(ranges, checkpoint, older, workers, progress)
        report.above = max(0, tree.size() - checkpoint.size)
    except (CorruptError, StoreError) as error:
        report.find(str(error), is_unread=isinstance(error, StoreError))
    if trusted:
        report.key_from = keys_from if keys else "the policy"
    verification.check_signature(note)
    verification.check_witnesses(note, checkpoint, witnessed_by)
    verification.check_history(checkpoint)
    verification.check_since(since, checkpoint)
    if head is not None and head.size > checkpoint.size:
        report.find(
            f"the signer signed {head.size:,} entries and the folder shows {checkpoint.size:,}:"
            " an older copy was put in its place, or it was cut",
            checkpoint.size,
        )
    report.sort()
    return report


class _Verification:
    """A verification while it goes on."""

    def __init__(
        self,
        folder: Path,
        tree: TreeFolder,
        report: Report,
        check_file: CheckFile,
        succession: Succession,
    ) -> None:
        self._folder = folder
        self._tree = tree
        self._report = report
        self._check_file = check_file
        self._account = Account()
        self._reached: dict[str, int] = {}
        self._grown = GrowingTree()
        self._is_stored_wrong = False
        self._is_cut_short = False
        self._roots: dict[int, Hash] = {}
        self._succession = succession
        self.history = self._read_history()
        # What `key` events said, for who goes on from here.
        self._keys: list[tuple[int, Any]] = []
        self._noted: Path | None = None
        # Found before anything was read: of this verification alone.
        self._passing: list[Problem] = []

    def go_on_from(
        self, path: Path, ranges: list[Taken], checkpoint: Checkpoint, older: list[int]
    ) -> list[Taken]:
        """Go on from where an earlier verification got to; give the stretches that are left.

        That the tree still begins with what it looked at then, the root says in the end.
        """
        self._noted, self._passing = path, list(self._report.problems)
        noted, report = read_noted(path), self._report
        if noted is None:
            return ranges
        if noted.report.origin != checkpoint.origin:
            raise StoreError(
                f"{path} was noted of {noted.report.origin}, not of {checkpoint.origin}"
            )
        if noted.tree.size > checkpoint.size:
            report.find(
                f"{noted.tree.size:,} entries were verified before, and the newest checkpoint has {checkpoint.size:,}:"
                " the journal was cut, or an older copy put in its place", checkpoint.size,
            )  # fmt: skip
            return ranges
        if any(0 < size < noted.tree.size and size not in noted.roots for size in older):
            # Somebody asks for what was not asked then.
            return ranges
        self._grown, self._account, self._roots = noted.tree, noted.account, noted.roots
        for position, data in noted.keys:
            self._take_key(position, data)
        report.go_on_from(noted.report)
        report.resumed = noted.tree.size
        return list(_rest_of(ranges, noted))

    def _note(self, reached: dict[str, int]) -> None:
        """Note how far this got."""
        if self._noted is not None and not self._is_cut_short:
            found = [each for each in self._report.problems if each not in self._passing]
            report = msgspec.structs.replace(self._report, problems=found)
            noted = Noted(
                report=report, tree=self._grown, roots=self._roots, reached=reached,
                account=self._account, keys=self._keys,
            )  # fmt: skip
            write_noted(self._noted, noted)

    def _take_key(self, position: int, data: Any) -> None:
        self._keys.append((position, data))
        self._succession.take(position, data)

    def check_tiling(self, size: int) -> list[Taken]:
        """The ranges below the signed size, which have to tile each segment from its first byte."""
        reached: dict[str, int] = {}
        position = 0
        chosen = []
        for taken in self._tree.ranges():
            if taken.first + taken.size > size and position >= size:
                break
            if taken.first != position or taken.start != reached.get(taken.segment, 0):
                self._report.find(
                    f"tree/ranges steps over bytes of {taken.segment} at {reached.get(taken.segment, 0):,}"
                    if taken.first == position
                    else f"tree/ranges counts {taken.first:,}, want {position:,}",
                    position,
                )
                break
            if taken.end < taken.start:
                self._report.find(f"tree/ranges ends before it starts in {taken.segment}", position)
                break
            reached[taken.segment] = taken.end
            position += taken.size
            chosen.append(taken)
        if position != size and not self._report.problems:
            self._report.find(
                f"tree/ranges tells of {position:,} entries, the checkpoint of {size:,}", position
            )
        self._reached = reached
        return chosen

    def read(
        self,
        ranges: list[Taken],
        checkpoint: Checkpoint,
        older: list[int],
        workers: int | None,
        progress: Progress,
    ) -> None:
        """Read all that was sealed, put it together, and compare it with the tree and the signed root.

        The roots of the `older` sizes are found on the way.
        """
        report = self._report
        in_all, done = sum(each.end - each.start for each in ranges), 0
        wanted = sorted(set(older))
        reached = dict(self._reached)
        for each in reversed(ranges):
            reached[each.segment] = each.start
        noted_s = time.monotonic()
        for taken, looked in zip(ranges, self._look_at_all(ranges, in_all, workers), strict=False):
            self._put_together(taken, looked, wanted)
            done += taken.end - taken.start
            progress(done, in_all)
            reached[taken.segment] = taken.end
            if time.monotonic() - noted_s >= _NOTE_EVERY_S:
                self._note(reached)
                noted_s = time.monotonic()
            if report.is_broken and not looked.whole:
                # What follows would be wrong at every position.
                break
        else:
            if (
                not self._is_cut_short
                and self._grown.size == checkpoint.size
                and self._grown.root() != checkpoint.root
            ):
                report.find("the entries do not make the root that was signed")
            else:
                self._note(reached)
        self._finish()

    def _look_at_all(
        self, ranges: list[Taken], in_all: int, workers: int | None
    ) -> Iterator[Looked]:
        many = min(os.cpu_count() or 1, len(ranges)) if workers is None else workers
        if many <= 1 or (workers is None and in_all < _ALONE_BYTES):
            yield from (look(self._folder, each) for each in ranges)
            return
        yield from look_at_all(self._folder, ranges, many)

    def _put_together(self, taken: Taken, looked: Looked, wanted: list[int]) -> None:
        report = self._report
        for position, message, is_unread in looked.problems:
            report.find(message, position, is_unread=is_unread)
        size = len(looked.leaves) // HASH_BYTES
        self._compare(taken, looked, size)
        if looked.whole and size != taken.size:
            report.find(
                f"{taken.segment} has {size:,} entries between {taken.start:,} and {taken.end:,},"
                f" {taken.size:,} were sealed",
                taken.first + min(size, taken.size),
            )
        if not self._is_cut_short:
            self._grow(
                looked.leaves, [at for at in wanted if taken.first < at <= taken.first + size]
            )
        # What follows has no place in a tree without what could not be read.
        self._is_cut_short = self._is_cut_short or not looked.whole
        self._account.add(taken, looked)
        report.payloads += looked.payloads
        report.private += looked.private
        report.fragments += len(looked.fragments)
        report.fragment_bytes += sum(length for _, length, _ in looked.fragments)
        for position, event in looked.saves:
            report.files += 1
            try:
                problem = self._check_file(event)
            except StoreError as error:
                report.find(str(error), position, is_unread=True)
                continue
            if problem is not None:
                self._account.wrong_files.append((position, problem))
        for position, event in looked.told:
            if event.type == "key":
                self._take_key(position, event.data)

    def _grow(self, leaves: bytes, wanted: list[int]) -> None:
        """Add leaves, with a stop at each size whose root is wanted, and compare what follows with the stored levels."""
        first = self._grown.size
        edges = [first, *wanted, first + len(leaves) // HASH_BYTES]
        for start, end in pairwise(edges):
            part = leaves[(start - first) * HASH_BYTES : (end - first) * HASH_BYTES]
            for level, index, gained in self._grown.add(part):
                if level:
                    self._compare_level(level, index, gained)
            self._roots[end] = self._grown.root()

    def _compare_level(self, level: int, index: int, gained: bytes) -> None:
        """Levels above 0 follow from it, and are what others read."""
        if self._is_stored_wrong or self._report.is_broken:
            return
        try:
            stored = self._tree.read(level, index, len(gained) // HASH_BYTES)
        except (ProofError, StoreError) as error:
            self._is_stored_wrong = True
            self._report.find(str(error), is_unread=isinstance(error, StoreError))
            return
        if stored != gained:
            self._is_stored_wrong = True
            self._report.find(f"tree/{level} does not follow from its leaves")

    def _compare(self, taken: Taken, looked: Looked, size: int) -> None:
        """Compare a stretch with what was stored of it; the first that differs is named."""
        report = self._report
        common = min(size, taken.size)
        try:
            stored = self._tree.read(0, taken.first, taken.size)
            places = list(self._tree.places(taken.first, taken.first + taken.size))
        except (ProofError, CorruptError, StoreError) as error:
            report.find(str(error), taken.first, is_unread=isinstance(error, StoreError))
            return
        if stored[: common * HASH_BYTES] != looked.leaves[: common * HASH_BYTES]:
            # Where one line differs those behind it may stand elsewhere, too: that says nothing more.
            at = next(
                each
                for each in range(common)
                if stored[each * HASH_BYTES : (each + 1) * HASH_BYTES]
                != looked.leaves[each * HASH_BYTES : (each + 1) * HASH_BYTES]
            )
            place = f"{taken.segment} at {looked.offsets[at]:,}"
            report.find(f"the line in {place} is not the one that was sealed", taken.first + at)
            return
        for at, (known, offset) in enumerate(zip(places, looked.offsets, strict=False)):
            if known != (taken.segment, offset):
                report.find(
                    f"an entry stands at {offset:,}, and was sealed at {known[1]:,}",
                    taken.first + at,
                )
                return

    def _finish(self) -> None:
        report = self._report
        for message, position, is_unread in self._account.find_problems(self._is_same):
            report.find(message, position, is_unread=is_unread)
        report.erased = self._account.erased_and_gone
        report.lost = self._account.lost
        report.left_open = self._account.left_open
        report.unsealed = self._count_unsealed()

    def _is_same(self, one: int, other: int) -> bool:
        try:
            return self._tree.read(0, one, 1) == self._tree.read(0, other, 1)
        except ProofError:
            return False

    def _count_unsealed(self) -> int:
        reader, unsealed = Reader(self._folder), 0
        try:
            for segment in reader.segments():
                start = self._reached.get(segment.name, 0)
                if segment.size > start:
                    for batch in reader.scan_batches(segment.name, start, segment.size):
                        unsealed += sum(piece[2] is not None for piece in batch)
        except StoreError as error:
            self._report.find(str(error), is_unread=True)
        finally:
            reader.close()
        return unsealed

    # -- signatures --------------------------------------------------------------------------------

    def check_signature(self, note: Note) -> None:
        """Check who signed the newest checkpoint: a trusted key, one that the log itself names, or one that it was handed over to."""
        report = self._report
        keys = self._succession.keys_at(report.size)
        if not keys:
            report.find(
                "no key is known: none was given, and the journal names none", is_unread=True
            )
            return
        try:
            signed = verify_note(note, keys)
        except ProofError as error:
            report.find(f"the checkpoint: {error}")
            return
        if not signed:
            names = ", ".join(str(key) for key in keys[:3])
            report.find(f"the checkpoint is not signed by {names}")
            return
        by = signed[0].key
        if by.name != report.origin:
            report.find(f"the checkpoint is of {report.origin}, and signed by {by.name}")
        report.key = str(by)

    def check_witnesses(self, note: Note, checkpoint: Checkpoint, policy: Policy | None) -> None:
        """Find the newest checkpoint that enough witnesses signed; the log goes on signing while they are asked."""
        if policy is None:
            return
        report = self._report
        keys = [each.key for each in policy.witnesses]
        older = sorted(self.history, key=lambda each: -each[1].size)
        try:
            for found, each in ((note, checkpoint), *older):
                is_ours = (each.origin, self._roots.get(each.size)) == (report.origin, each.root)
                signed = verify_note(found, keys) if keys and is_ours else []
                if signed and policy.is_witnessed([by.key for by in signed]):
                    report.witnesses, report.witnessed = signed, each.size
                    break
        except ProofError as error:
            report.find(f"a checkpoint's witnesses: {error}")
        for cosigned in report.witnesses:
            if (cosigned.time_s or 0) * _NS_PER_S > report.looked_ns + _AHEAD_NS:
                report.find(f"{cosigned.key.name} signed in the future", is_unread=True)
        if not report.witnesses and policy.quorum is not None:
            report.find(f"no checkpoint has the quorum {policy.quorum}", is_unread=True)

    def check_history(self, checkpoint: Checkpoint) -> None:
        """Each checkpoint that was kept has to be a beginning of the newest."""
        try:
            for note, found in self.history:
                if self._check_older(found, checkpoint, "checkpoints.jsonl"):
                    # That it extends them is what counts; a signature of a key that is not known says nothing.
                    verify_note(note, self._succession.keys_at(found.size))
        except ProofError as error:
            self._report.find(f"checkpoints.jsonl: {error}")

    def check_since(self, since: Note | None, checkpoint: Checkpoint) -> None:
        """The newest checkpoint has to extend one that somebody kept."""
        if since is None:
            return
        report = self._report
        try:
            found = parse_checkpoint(since.text)
        except CorruptError as error:
            report.find(f"the older checkpoint: {error}")
            return
        keys = self._succession.keys_at(found.size)
        try:
            if keys and not verify_note(since, keys):
                report.find(
                    "the older checkpoint is not signed by the key of this log", is_unread=True
                )
                return
        except ProofError as error:
            report.find(f"the older checkpoint: {error}")
            return
        if self._check_older(found, checkpoint, "the older checkpoint"):
            report.proven_since = found.size

    def _check_older(self, found: Checkpoint, newest: Checkpoint, name: str) -> bool:
        report = self._report
        if found.origin != newest.origin:
            report.find(f"{name} is of {found.origin}, not of {newest.origin}")
            return False
        if found.size > newest.size:
            report.find(
                f"{name} has {found.size:,} entries, and the newest {newest.size:,}: the journal was cut,"
                " or an older copy put in its place", newest.size,
            )  # fmt: skip
            return False
        root = EMPTY_ROOT if found.size == 0 else self._roots.get(found.size)
        if root is None:
            # What is broken before it has been named.
            return False
        if root != found.root:
            report.find(
                f"the first {found.size:,} entries are not those of {name}: the history was rewritten"
            )
            return False
        return True

    def _read_history(self) -> list[tuple[Note, Checkpoint]]:
        """The checkpoints that were kept, as far as they can be read."""
        found: list[tuple[Note, Checkpoint]] = []
        try:
            found.extend(read_history(self._folder))
        except (CorruptError, StoreError) as error:
            self._report.find(str(error), is_unread=isinstance(error, StoreError))
        return found


def _rest_of(ranges: list[Taken], noted: Noted) -> Iterator[Taken]:
    """What of stretches was not looked at yet; one may have been put together of those that were and others."""
    size = noted.tree.size
    for each in ranges:
        if each.first >= size and each.start >= noted.reached.get(each.segment, 0):
            yield each
        elif each.end > (start := noted.reached.get(each.segment, 0)):
            yield Taken(each.segment, start, each.end, size, each.first + each.size - size)


def _report_removed(head: Checkpoint) -> Report:
    """What is to say where the signer signed a head, and the folder shows none."""
    report = Report(
        origin=head.origin, size=0, root=EMPTY_ROOT.hex(),
        looked_ns=time.time_ns(), witnesses=[], left_open=[], problems=[],
    )  # fmt: skip
    report.find(
        f"the signer signed {head.size:,} entries and the folder shows no checkpoint: it was removed",
        0,
    )
    return report


def _size_of(note: Note) -> int:
    try:
        return parse_checkpoint(note.text).size
    except CorruptError:
        # Named where it is compared.
        return 0

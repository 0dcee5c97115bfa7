"""Who seals a log: finds or makes its key, has fragments told, says that it lives, and seals again and again if asked to.

sealer = Sealer(folder, settings, lambda: log.recorder)
sealer.seal()
"""

import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Collection, Iterable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import msgspec

from whence.errors import CorruptError, StoreError, WhenceError
from whence.event import Event
from whence.journal.reader import Reader
from whence.proof import keyring
from whence.proof.erasing import (
    ERASED,
    Owner,
    carry_out,
    find_told,
    plan,
    read_intent,
    told_of,
    write_intent,
)
from whence.proof.folder import TreeFolder
from whence.proof.keyring import Signer
from whence.proof.notes import Note
from whence.proof.policies import Policy, parse_policy
from whence.proof.sealing import (
    LostBytes,
    Progress,
    Sealed,
    keep_checkpoint,
    read_checkpoint,
    seal_locked,
)
from whence.proof.settings import ProofSettings, read_proof_settings
from whence.proof.succession import announce
from whence.proof.witnessing import ask_all
from whence.recorder.recorder import Recorder
from whence.settings import Settings

ALIVE_AFTER_S = 3600.0
WITNESS_EVERY_S = 60.0

_EVERY_S = 1.0
_DAY_S = 86_400.0
_DAILY_AFTER_S = 60.0
"""A process that only records a line or two leaves the day's work to others."""
_FORK_WAITS_S = 2.0
_STOP_WAITS_S = 60.0
_TRY_AGAIN_S = 3600.0
_STALLED_AFTER_S = 60.0


class Erased(msgspec.Struct, frozen=True):
    """How many events lost their payload, and what could not be reached, in words."""

    size: int
    left: tuple[str, ...]


FAILURES = (WhenceError, OSError, RuntimeError, ValueError)
"""What may go wrong while others record: it is logged, and never theirs."""

_logger = logging.getLogger("whence.proof")


class Sealer:
    """Seals one log. `recorder` is asked for only where something is to be told in the journal."""

    def __init__(
        self,
        folder: Path,
        settings: ProofSettings,
        recorder: Callable[[], Recorder] | None,
        *,
        owners: Iterable[Owner] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._folder = folder
        self._owners = tuple(owners)
        self._settings = settings
        self._recorder = recorder
        self._clock = clock
        self._tree = TreeFolder(folder)
        self._sealed_s = clock()
        self._witnessed_s = 0.0
        self._witnessing: threading.Thread | None = None
        self._said, self._done_s, self._done_for_s = "", 0.0, 0.0
        # The size that was signed when somebody else's lock first stood in the way, and when that was.
        self._stalled: tuple[int, float] | None = None

    def signer(self) -> Signer:
        """The log's signer as its key is now; a new key, announced in the journal, where there is none yet.

        Raises:
            NotFoundError: there is none, and the log was sealed with one that is not here.
        """
        keys, shown = self._settings.key_folder, read_checkpoint(self._folder)
        origin = shown[1].origin if shown is not None else self._settings.origin
        found = keyring.find_signer(keys, self._folder, origin)
        if found is None and shown is not None:
            found = keyring.need_signer(keys, self._folder, origin)
        if found is None:
            found = keyring.make_key(keys, self._folder, origin)
            self._try_to_tell("key", announce(found.key.verifier()))
        return found

    def seal(
        self,
        *,
        wait: bool = False,
        is_forced: bool = False,
        progress: Progress = lambda _done, _in_all: None,
    ) -> Sealed | None:
        """Seal what there is by now; None where another process seals it and `wait` is not asked for.

        Fragments that are met are told in the journal. An erasure or a change of the key that was interrupted is finished first. Raises
        what `whence.proof.sealing.seal_locked` does.
        """
        with self._tree.locked(wait=wait) as is_ours:
            if not is_ours:
                return None
            self._finish_erasing()
            return self._seal_locked(is_forced=is_forced, progress=progress)

    def _seal_locked(
        self, *, is_forced: bool = False, progress: Progress = lambda _done, _in_all: None
    ) -> Sealed:
        signer = self.signer()
        if self._recorder is not None and keyring.is_rotating(self._settings.key_folder, signer):
            # The old key alone may have been retired by now, so what it signed alone would not be believed.
            return self._finish_rotation(signer)
        sealed = seal_locked(
            self._folder, self._tree, signer,
            is_forced=is_forced, progress=progress,
            tell=self._tell_fragment if self._recorder is not None else None,
        )  # fmt: skip
        if sealed.is_new:
            self._sealed_s = self._clock()
        return sealed

    def erase(self, events: Collection[Event], *, reason: str, by: str) -> Erased:
        """Erase the payloads of events that are recorded; the envelopes, and every proof, stay.

        Raises:
            ValueError: the reason is longer than the journal should keep.
            StoreError, CorruptError, ProofError: it could not be begun, or not finished: the next seal or erasure does.
        """
        if self._recorder is None:
            raise StoreError("an erasure is told in the journal, which is open for reading only")
        with self._tree.locked(wait=True):
            self._finish_erasing()
            size = self._seal_locked().checkpoint.size
            intent = plan(self._folder, events, size, reason=reason, by=by, owners=self._owners)
            if intent is None:
                return Erased(0, ())
            write_intent(self._folder, intent)
            return Erased(len(intent.ids), tuple(self._finish_erasing()))

    def _finish_erasing(self) -> list[str]:
        """Tell of the erasure in progress, seal that, and carry it out. The one path of a good day and a bad one."""
        intent = read_intent(self._folder) if self._recorder is not None else None
        if intent is None or intent.kept.keys() - {owner.name for owner in self._owners}:
            # Something is kept by who is not here: then it waits for `whence seal`, which knows all.
            return []
        known = find_told(self._folder, intent)
        for told in told_of(intent):
            if told["part"] not in known:
                self._tell(ERASED, told)
        self._seal_locked()
        return carry_out(self._folder, intent, self._owners)

    def rotate(self) -> Sealed:
        """Have a new key take the place of the log's: announced in the journal, and the next checkpoint signed by both.

        Interrupted, it is done again with the same new key. Raises what `seal` does.
        """
        if self._recorder is None:
            raise StoreError(
                "a new key is announced in the journal, which is open for reading only"
            )
        with self._tree.locked(wait=True):
            self._finish_erasing()
            # Who cannot write to the journal learns it before anything is begun that only they could end.
            self._tell("alive", {})
            self._seal_locked()
            signer = self.signer()
            keyring.begin_rotation(self._settings.key_folder, signer)
            return self._finish_rotation(signer)

    def _finish_rotation(self, old: Signer) -> Sealed:
        """Announce the key in waiting, and sign with both. The one path of a good day and a bad one."""
        key = keyring.begin_rotation(self._settings.key_folder, old)
        if key.verifier() == old.key.verifier():
            # It had taken its place already, and nothing but its waiting was left to be ended.
            keyring.finish_rotation(self._settings.key_folder, key)
            return self._seal_locked()
        self._tell("key", announce(key.verifier(), old.key))
        sealed = seal_locked(
            self._folder, self._tree, old, is_forced=True, also=[key], tell=self._tell_fragment
        )
        keyring.finish_rotation(self._settings.key_folder, key)
        return sealed

    def witness(self) -> Sealed | None:
        """Have the newest checkpoint signed by the witnesses of `[proof] policy`; None where there are none.

        A checkpoint that all of them signed already is not shown to them again.

        Raises:
            RollbackError: a witness knows more of this log, or another history of it; what others signed is kept all the same.
            StoreError, CorruptError: the policy cannot be read, or a checkpoint not kept.
        """
        if self._settings.policy is None:
            return None
        shown = read_checkpoint(self._folder)
        if shown is None:
            return None
        note, checkpoint = shown
        policy = read_policy(Path(self._settings.policy), self._folder)
        signed_by = {(each.name, each.key_id) for each in note.signatures}
        wanted = {(each.key.name, each.key.key_id) for each in policy.witnesses if each.url}
        if wanted <= signed_by:
            return Sealed(checkpoint, note, checkpoint.size)
        # A tree of its own: others of this process may seal meanwhile.
        tree = TreeFolder(self._folder)
        signatures, alarms = ask_all(policy, note, checkpoint, tree.consistency)
        known = {(each.name, each.key_id): each for each in (*note.signatures, *signatures)}
        signed = Note(note.text, tuple(known.values()))
        with tree.locked(wait=True):
            newest = read_checkpoint(self._folder)
            if newest is not None and newest[1] == checkpoint:
                keep_checkpoint(
                    self._folder, signed, int(self._clock() * 1e9), is_kept=bool(signatures)
                )
        if alarms:
            raise alarms[0]
        return Sealed(checkpoint, signed, checkpoint.size)

    def follow(
        self,
        stop: threading.Event,
        tell: Callable[[Sealed], None] = lambda _sealed: None,
        *,
        daily: Callable[[], None] = lambda: None,
        daily_after_s: float = 0.0,
        around: AbstractContextManager[object] = nullcontext(),
        every_s: float = _EVERY_S,
    ) -> None:
        """Seal every second if something changed, until `stop` is set. When nothing happens, say each hour that we live.

        `daily` is done after so many seconds and then once a day; `around` is held meanwhile. Witnesses are asked each minute, by a thread of its own:
        they can take their time. What goes wrong is logged once, and tried again.
        """
        self._said = ""
        self._done_s, self._done_for_s = self._clock(), daily_after_s
        while True:
            with around:
                self._go_on(tell)
                self._do_daily(daily)
            self._ask_witnesses()
            if stop.wait(every_s):
                return

    def _go_on(self, tell: Callable[[Sealed], None]) -> None:
        try:
            # A clock that was set back must not silence us.
            if abs(self._clock() - self._sealed_s) >= ALIVE_AFTER_S:
                self._try_to_tell("alive", {})
            sealed = self.seal()
            if sealed is not None and sealed.is_new:
                tell(sealed)
            self._watch_lock(is_held=sealed is None)
            self._said = ""
        except FAILURES as error:
            if str(error) != self._said:
                self._said = str(error)
                _logger.warning("cannot seal %s: %s", self._folder, error)

    def _watch_lock(self, *, is_held: bool) -> None:
        """Raise the alarm where somebody holds the lock and nothing is sealed: one who hangs, or who keeps others from it."""
        if not is_held:
            self._stalled = None
            return
        shown = read_checkpoint(self._folder)
        size, now = shown[1].size if shown is not None else 0, self._clock()
        if self._stalled is None or self._stalled[0] != size:
            self._stalled = size, now
        elif now - self._stalled[1] >= _STALLED_AFTER_S and self._is_something_new():
            raise StoreError(
                f"another process holds {self._tree.path / 'lock'}, and has sealed nothing for"
                f" {_STALLED_AFTER_S:.0f} seconds"
            )

    def _is_something_new(self) -> bool:
        reader, reached = Reader(self._folder), self._tree.reached()
        try:
            return any(each.size > reached.get(each.name, 0) for each in reader.segments())
        finally:
            reader.close()

    def _do_daily(self, daily: Callable[[], None]) -> None:
        now = self._clock()
        if abs(now - self._done_s) < self._done_for_s:
            return
        self._done_s = now
        try:
            daily()
            self._done_for_s = _DAY_S
        except FAILURES as error:
            self._done_for_s = _TRY_AGAIN_S
            _logger.warning("cannot do the day's work of %s: %s", self._folder, error)

    def _ask_witnesses(self) -> None:
        now, asking = self._clock(), self._witnessing
        if self._settings.policy is None or abs(now - self._witnessed_s) < WITNESS_EVERY_S:
            return
        if asking is None or not asking.is_alive():
            self._witnessed_s = now
            self._witnessing = threading.Thread(
                target=self._try_to_witness, name="whence-witnesses", daemon=True
            )
            self._witnessing.start()

    def _try_to_witness(self) -> None:
        try:
            self.witness()
        except FAILURES as error:
            _logger.warning("cannot have %s witnessed: %s", self._folder, error)

    def _tell_fragment(self, found: LostBytes) -> None:
        self._try_to_tell("fragment", msgspec.structs.asdict(found))

    def _tell(self, type: str, data: dict[str, Any]) -> None:
        if self._recorder is not None:
            self._recorder().emit_own(type, data)

    def _try_to_tell(self, type: str, data: dict[str, Any]) -> None:
        """Tell what is good to know; who may only read the journal seals all the same."""
        try:
            self._tell(type, data)
        except StoreError as error:
            _logger.warning("cannot tell of %s in the journal: %s", type, error)


def read_policy(path: Path, folder: Path) -> Policy:
    """Read a policy; a path that is not absolute is meant from the log's folder."""
    try:
        whole = folder / path.expanduser()
    except RuntimeError as error:
        raise StoreError(f"cannot find {path}: {error}") from error
    try:
        return parse_policy(whole.read_bytes())
    except OSError as error:
        raise StoreError(f"cannot read {whole}: {error.strerror}") from error
    except CorruptError as error:
        raise CorruptError(f"{whole}: {error}") from error


class Sealing:
    """Sealing that goes on in a thread of its own while a process records.

    A fork waits until the seal at hand is done, so that no child begins with a lock that nobody will ever give back. A child does not
    seal: the process that it came from does, or the next one.
    """

    def __init__(self, sealer: Sealer, daily: Callable[[], None] = lambda: None) -> None:
        self._sealer = sealer
        self._process = os.getpid()
        self._stop = threading.Event()
        # Held while it seals, and during a fork.
        self._busy = threading.Lock()
        self._is_fork_waited_for = False
        self._thread = threading.Thread(
            target=sealer.follow, args=(self._stop,), name="whence-sealer", daemon=True,
            kwargs={"around": self._busy, "daily": daily, "daily_after_s": _DAILY_AFTER_S},
        )  # fmt: skip
        self._thread.start()
        _all.add(self)

    def before_fork(self) -> None:
        """Wait for the seal at hand, for as long as a fork may take."""
        if self._process == os.getpid():
            self._is_fork_waited_for = self._busy.acquire(timeout=_FORK_WAITS_S)

    def after_fork(self) -> None:
        """Go on in the process that forked."""
        if self._is_fork_waited_for and self._process == os.getpid():
            self._is_fork_waited_for = False
            self._busy.release()

    def stop(self) -> None:
        """End the thread, which finishes the seal that it is at; a disk that hangs is not waited for without end."""
        if self._process == os.getpid():
            self._stop.set()
            self._thread.join(_STOP_WAITS_S)

    def finish(self) -> None:
        """Seal what was written since; what stands in the way is logged, and the next process seals it."""
        if self._process != os.getpid():
            return
        try:
            self._sealer.seal()
        except FAILURES as error:
            _logger.warning("cannot seal at the end: %s", error)


_all: "weakref.WeakSet[Sealing]" = weakref.WeakSet()


def _before_fork() -> None:
    for sealing in list(_all):
        sealing.before_fork()


def _after_fork() -> None:
    for sealing in list(_all):
        sealing.after_fork()


# Once for a process: what is registered can never be taken back, and would keep every log in memory.
os.register_at_fork(before=_before_fork, after_in_parent=_after_fork)


def begin_sealing(
    recorder: Recorder, settings: Settings, daily: Callable[[], None] = lambda: None
) -> Sealing | None:
    """Seal while a process records: always, never, or once the log was sealed with a key that is here; `[proof] seal` says which."""
    wanted = read_proof_settings(settings)
    if wanted.seal == "off" or (wanted.seal == "auto" and not _has_key(recorder.folder, wanted)):
        return None
    return Sealing(Sealer(recorder.folder, wanted, lambda: recorder), daily)


def _has_key(folder: Path, settings: ProofSettings) -> bool:
    """Whether the log was sealed before, with a key that this process can read."""
    try:
        shown = read_checkpoint(folder)
        if shown is None:
            return False
        return keyring.find_signer(settings.key_folder, folder, shown[1].origin) is not None
    except FAILURES as error:
        # Whoever seals is told; who only records goes on.
        _logger.info("not sealing %s: %s", folder, error)
        return False

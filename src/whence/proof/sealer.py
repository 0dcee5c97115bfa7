"""Who seals a log: finds or makes its key, has fragments told, says that it lives, and seals again and again if asked to.

sealer = Sealer(folder, settings, lambda: log.recorder)
sealer.seal()
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Collection, Iterable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import msgspec

from whence.errors import CorruptError, StoreError, WhenceError
from whence.event import Event
from whence.proof import keyring
from whence.proof.erasing import (
    ERASED,
    INTENT,
    Owner,
    carry_out,
    is_told,
    plan,
    read_intent,
    told_of,
    write_intent,
)
from whence.proof.folder import TreeFolder
from whence.proof.keyring import Signer
from whence.proof.notes import Note
from whence.proof.policies import Policy, parse_policy
from whence.proof.sealing import Progress, Sealed, keep_checkpoint, read_checkpoint, seal
from whence.proof.settings import ProofSettings, read_proof_settings
from whence.proof.succession import announce
from whence.proof.witnessing import ask_all
from whence.recorder.recorder import Recorder
from whence.settings import Settings

ALIVE_AFTER_S = 3600.0
WITNESS_EVERY_S = 60.0

_EVERY_S = 1.0
_DAY_S = 86_400.0
_FORK_WAITS_S = 2.0


class Erased(msgspec.Struct, frozen=True):
    """How many events lost their payload, and what could not be reached, in words."""

    size: int
    left: tuple[str, ...]


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
        self._signer: Signer | None = None
        self._sealed_s = clock()
        self._witnessed_s = 0.0
        self._said, self._done_s = "", 0.0

    def signer(self) -> Signer:
        """The log's signer; a new key, announced in the journal, where there is none yet.

        Raises:
            NotFoundError: there is none, and the log was sealed with one that is not here.
        """
        if self._signer is None:
            keys, shown = self._settings.key_folder, read_checkpoint(self._folder)
            origin = shown[1].origin if shown is not None else self._settings.origin
            found = keyring.find_signer(keys, self._folder, origin)
            if found is None and shown is not None:
                found = keyring.need_signer(keys, self._folder, origin)
            if found is None:
                found = keyring.make_key(keys, self._folder, origin)
                self._try_to_tell("key", announce(found.key.verifier()))
            self._signer = found
        return self._signer

    def seal(
        self,
        *,
        wait: bool = False,
        is_forced: bool = False,
        progress: Progress = lambda _done, _in_all: None,
    ) -> Sealed | None:
        """Seal what there is by now; fragments that were met are told in the journal, and that is sealed, too.

        An erasure or a change of the key that was interrupted is finished first. Raises what `whence.proof.sealing.seal` does.
        """
        if self._recorder is not None and os.path.exists(self._folder / "tree" / INTENT):
            self._finish_erasing()
        if self._recorder is not None and keyring.is_rotating(
            self._settings.key_folder, self.signer()
        ):
            # The old key alone may have been retired by now, so what it signed alone would not be believed.
            return self._finish_rotation()
        return self._seal(wait=wait, is_forced=is_forced, progress=progress)

    def erase(self, events: Collection[Event], *, reason: str, by: str) -> Erased:
        """Erase the payloads of events that are recorded; the envelopes, and every proof, stay.

        Raises:
            StoreError, CorruptError, ProofError: it could not be begun, or not finished: the next seal or erasure does.
        """
        if self._recorder is None:
            raise StoreError("an erasure is told in the journal, which is open for reading only")
        sealed = self.seal(wait=True)
        size = sealed.checkpoint.size if sealed is not None else 0
        with TreeFolder(self._folder).locked(wait=True):
            intent = plan(self._folder, events, size, reason=reason, by=by, owners=self._owners)
            if intent is None:
                return Erased(0, ())
            write_intent(self._folder, intent)
        return Erased(len(intent.ids), tuple(self._finish_erasing()))

    def _finish_erasing(self) -> list[str]:
        """Tell of the erasure in progress, seal that, and carry it out. The one path of a good day and a bad one."""
        intent = read_intent(self._folder)
        if intent is None or intent.kept.keys() - {owner.name for owner in self._owners}:
            # Something is kept by who is not here: then it waits for `whence seal`, which knows all.
            return []
        if not is_told(self._folder, intent):
            self._tell(ERASED, told_of(intent))
        self._seal(wait=True)
        with TreeFolder(self._folder).locked(wait=True):
            return carry_out(self._folder, intent, self._owners)

    def _seal(
        self,
        *,
        wait: bool = False,
        is_forced: bool = False,
        progress: Progress = lambda _done, _in_all: None,
    ) -> Sealed | None:
        sealed = seal(
            self._folder, self.signer(), wait=wait, is_forced=is_forced, progress=progress
        )
        if sealed is not None and sealed.fragments and self._recorder is not None:
            for each in sealed.fragments:
                self._try_to_tell("fragment", msgspec.structs.asdict(each))
            again = seal(self._folder, self.signer(), wait=wait)
            if again is not None:
                sealed = msgspec.structs.replace(
                    again, before=sealed.before, fragments=sealed.fragments
                )
        if sealed is not None and sealed.is_new:
            self._sealed_s = self._clock()
        return sealed

    def rotate(self) -> Sealed:
        """Have a new key take the place of the log's: announced in the journal, and the next checkpoint signed by both.

        Interrupted, it is done again with the same new key. Raises what `seal` does.
        """
        if self._recorder is None:
            raise StoreError(
                "a new key is announced in the journal, which is open for reading only"
            )
        self.seal(wait=True)
        keyring.begin_rotation(self._settings.key_folder, self.signer())
        return self._finish_rotation()

    def _finish_rotation(self) -> Sealed:
        """Announce the key in waiting, and sign with both. The one path of a good day and a bad one."""
        old = self.signer()
        key = keyring.begin_rotation(self._settings.key_folder, old)
        if key.verifier() == old.key.verifier():
            # It had taken its place already, and nothing but its waiting was left to be ended.
            keyring.finish_rotation(self._settings.key_folder, key)
            sealed = self._seal(wait=True)
            assert sealed is not None
            return sealed
        self._tell("key", announce(key.verifier(), old.key))
        sealed = seal(self._folder, old, wait=True, is_forced=True, also=[key])
        keyring.finish_rotation(self._settings.key_folder, key)
        self._signer = None
        assert sealed is not None
        return sealed

    def witness(self) -> Sealed | None:
        """Have the newest checkpoint signed by the witnesses of `[proof] policy`; None where there are none.

        Raises:
            RollbackError: a witness knows more of this log, or another history of it.
            StoreError, CorruptError: the policy cannot be read, or a checkpoint not kept.
        """
        if self._settings.policy is None:
            return None
        shown = read_checkpoint(self._folder)
        if shown is None:
            return None
        note, checkpoint = shown
        policy = read_policy(Path(self._settings.policy), self._folder)
        tree = TreeFolder(self._folder)
        signatures = ask_all(policy, note, checkpoint, tree.consistency)
        known = {(each.name, each.key_id): each for each in (*note.signatures, *signatures)}
        signed = Note(note.text, tuple(known.values()))
        with tree.locked(wait=True):
            newest = read_checkpoint(self._folder)
            if newest is not None and newest[1] == checkpoint:
                keep_checkpoint(
                    self._folder, signed, int(self._clock() * 1e9), is_kept=bool(signatures)
                )
        return Sealed(checkpoint, signed, checkpoint.size)

    def follow(
        self,
        stop: threading.Event,
        tell: Callable[[Sealed], None] = lambda _sealed: None,
        *,
        daily: Callable[[], None] = lambda: None,
        around: AbstractContextManager[object] = nullcontext(),
        every_s: float = _EVERY_S,
    ) -> None:
        """Seal every second if something changed, until `stop` is set. When nothing happens, say each hour that we live.

        `daily` is done at the beginning and once a day; `around` is held meanwhile. What goes wrong is logged once, and tried again.
        """
        self._said, self._done_s = "", 0.0
        while True:
            with around:
                self._go_on(tell, daily)
            if stop.wait(every_s):
                return

    def _go_on(self, tell: Callable[[Sealed], None], daily: Callable[[], None]) -> None:
        now = self._clock()
        try:
            if now - self._sealed_s >= ALIVE_AFTER_S:
                self._try_to_tell("alive", {})
            sealed = self.seal()
            if sealed is not None and sealed.is_new:
                tell(sealed)
            if now - self._done_s >= _DAY_S:
                self._done_s = now
                daily()
            if now - self._witnessed_s >= WITNESS_EVERY_S:
                self._witnessed_s = now
                self.witness()
            self._said = ""
        except WhenceError as error:
            if str(error) != self._said:
                self._said = str(error)
                _logger.warning("cannot seal %s: %s", self._folder, error)

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
    whole = folder / path.expanduser()
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

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer
        self._process = os.getpid()
        self._stop = threading.Event()
        # Held while it seals, and during a fork.
        self._busy = threading.Lock()
        self._is_fork_waited_for = False
        self._thread = threading.Thread(
            target=sealer.follow, args=(self._stop,), kwargs={"around": self._busy}, name="whence-sealer",
            daemon=True,
        )  # fmt: skip
        self._thread.start()
        os.register_at_fork(before=self._before_fork, after_in_parent=self._after_fork)

    def _before_fork(self) -> None:
        if self._process == os.getpid():
            self._is_fork_waited_for = self._busy.acquire(timeout=_FORK_WAITS_S)

    def _after_fork(self) -> None:
        if self._is_fork_waited_for and self._process == os.getpid():
            self._is_fork_waited_for = False
            self._busy.release()

    def stop(self) -> None:
        """End the thread, which finishes the seal that it is at."""
        if self._process == os.getpid():
            self._stop.set()
            self._thread.join()

    def finish(self) -> None:
        """Seal what was written since; what stands in the way is logged, and the next process seals it."""
        if self._process != os.getpid():
            return
        try:
            self._sealer.seal()
        except WhenceError as error:
            _logger.warning("cannot seal at the end: %s", error)


def begin_sealing(recorder: Recorder, settings: Settings) -> Sealing | None:
    """Seal while a process records: always, never, or once the log was sealed with a key that is here; `[proof] seal` says which."""
    wanted = read_proof_settings(settings)
    if wanted.seal == "off" or (wanted.seal == "auto" and not _has_key(recorder.folder, wanted)):
        return None
    return Sealing(Sealer(recorder.folder, wanted, lambda: recorder))


def _has_key(folder: Path, settings: ProofSettings) -> bool:
    """Whether the log was sealed before, with a key that this process can read."""
    try:
        shown = read_checkpoint(folder)
        if shown is None:
            return False
        return keyring.find_signer(settings.key_folder, folder, shown[1].origin) is not None
    except (WhenceError, OSError, RuntimeError) as error:
        # Whoever seals is told; who only records goes on.
        _logger.info("not sealing %s: %s", folder, error)
        return False

"""The signing keys, outside of every log: `~/.config/whence/keys`, or where `WHENCE_KEYS` or `[proof] keys` says.

    <origin>.key     the private key, a line, readable by its owner alone
    <origin>.head    the last head that it signed, a note; beside the key, where who writes the log need not reach
    <origin>.log     the folder of the log that it is for
    <origin>.next    the key that takes its place, while it is being changed

A name has its slashes written as `%2F`. The first seal of a log makes its key.
"""

import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from whence.errors import CorruptError, NotFoundError, ProofError, StoreError
from whence.proof.checkpoints import Checkpoint, parse_checkpoint
from whence.proof.files import open_file, replace_file, sync_folder
from whence.proof.keys import KEY_BYTES, SignerKey, check_key_name, parse_signer
from whence.proof.notes import Note, parse_note, verify_note

_RANDOM_BYTES = 8
_KEY_FILE_MAX = 4_096


class Signer:
    """The key of one log and the last head that it signed."""

    def __init__(self, folder: Path, key: SignerKey) -> None:
        self._folder = folder
        self.key = key

    @property
    def origin(self) -> str:
        """The log's name in its checkpoints, which is its key's."""
        return self.key.name

    def head(self) -> Checkpoint | None:
        """The last head that this key signed; None if it signed none.

        Raises:
            CorruptError, ProofError: what is kept is no head of ours.
        """
        signed = self.note()
        return parse_checkpoint(signed.text) if signed is not None else None

    def note(self) -> Note | None:
        """The same with all signatures: where the key was handed over, the new one's, too."""
        content = _read(_path(self._folder, self.origin, "head"))
        if content is None:
            return None
        note = parse_note(content)
        if not verify_note(note, [self.key.verifier()]):
            raise ProofError(f"the head beside the key of {self.origin} is not signed by it")
        return note

    def store(self, note: Note) -> None:
        """Keep a head that was just signed, before anybody sees it."""
        replace_file(_path(self._folder, self.origin, "head"), str(note).encode())


def find_folder(
    settings: Mapping[str, object], environment: Mapping[str, str] = os.environ
) -> Path:
    """Where keys are; StoreError where nothing says so, and there is no home."""
    said = environment.get("WHENCE_KEYS") or settings.get("keys")
    config = environment.get("XDG_CONFIG_HOME") or "~/.config"
    try:
        if isinstance(said, str) and said:
            return Path(said).expanduser()
        return Path(config).expanduser() / "whence" / "keys"
    except RuntimeError as error:
        raise StoreError(
            "nobody's home is known, where keys would be: name a folder in WHENCE_KEYS"
        ) from error


def find_signer(folder: Path, log: Path, origin: str | None) -> Signer | None:
    """The signer of a log by its origin, or by the folder that a key was made for; None if there is none.

    Raises:
        StoreError: the key cannot be read, or others than its owner can.
        CorruptError: it is no key.
    """
    if origin is None:
        origin = _find_origin(folder, log)
    if origin is None:
        return None
    path = _path(folder, origin, "key")
    content = _read(path)
    if content is None:
        return None
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise StoreError(
            f"{path} can be read by others than its owner: chmod 600, and think of a new key"
        )
    try:
        key = parse_signer(content.decode("utf-8", "replace").strip())
    except CorruptError as error:
        raise CorruptError(f"{path} holds no key: {error}") from error
    if key.name != origin:
        raise CorruptError(f"{path} holds the key of {key.name}")
    return Signer(folder, key)


def need_signer(folder: Path, log: Path, origin: str | None) -> Signer:
    """The same; NotFoundError where there is none."""
    signer = find_signer(folder, log, origin)
    if signer is None:
        raise NotFoundError(f"no key of {origin or log} in {folder}; the first seal makes one")
    return signer


def make_key(folder: Path, log: Path, origin: str | None) -> Signer:
    """Make a new key for a log, and keep it."""
    key = make_signer(origin or f"whence/{os.urandom(_RANDOM_BYTES).hex()}")
    keep_key(folder, log, key)
    return Signer(folder, key)


def begin_rotation(folder: Path, signer: Signer) -> SignerKey:
    """The key that is to take a signer's place: a new one, or the one of a change that was interrupted."""
    path = _path(folder, signer.origin, "next")
    content = _read(path)
    if content is not None:
        try:
            return parse_signer(content.decode("utf-8", "replace").strip())
        except CorruptError as error:
            raise CorruptError(f"{path} holds no key: {error}") from error
    key = make_signer(signer.origin)
    replace_file(path, f"{key.text}\n".encode())
    return key


def is_rotating(folder: Path, signer: Signer) -> bool:
    """Whether a change of the key was begun and not finished."""
    return os.path.exists(_path(folder, signer.origin, "next"))


def finish_rotation(folder: Path, key: SignerKey) -> None:
    """Put a new key in its place. The old one is gone: what it signed stays, and it signs nothing more."""
    replace_file(_path(folder, key.name, "key"), f"{key.text}\n".encode())
    path = _path(folder, key.name, "next")
    try:
        with suppress(FileNotFoundError):
            os.unlink(path)
    except OSError as error:
        raise StoreError(f"cannot remove {path}: {error.strerror}") from error


def keep_key(folder: Path, log: Path, key: SignerKey) -> None:
    """Write a key down, in place of one of that name."""
    try:
        made = [each for each in (folder, *folder.parents) if not each.exists()]
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for each in made:
            sync_folder(each.parent)
    except (OSError, ValueError) as error:
        raise StoreError(f"cannot make {folder} for the key: {error}") from error
    replace_file(_path(folder, key.name, "log"), f"{os.path.realpath(log)}\n".encode())
    replace_file(_path(folder, key.name, "key"), f"{key.text}\n".encode())


def make_signer(name: str) -> SignerKey:
    """Make a new key; ValueError if nothing can have that name."""
    try:
        return SignerKey(check_key_name(name), os.urandom(KEY_BYTES))
    except CorruptError as error:
        raise ValueError(str(error)) from error


def _find_origin(folder: Path, log: Path) -> str | None:
    wanted = os.path.realpath(log).encode()
    with suppress(OSError):
        for path in sorted(folder.glob("*.log")):
            if (_read(path) or b"").rstrip(b"\n") == wanted:
                content = _read(path.with_suffix(".key")) or b""
                with suppress(CorruptError):
                    return parse_signer(content.decode("utf-8", "replace").strip()).name
    return None


def _path(folder: Path, origin: str, kind: str) -> Path:
    return folder / f"{quote(origin, safe='')}.{kind}"


def _read(path: Path) -> bytes | None:
    try:
        with open_file(path) as file:
            return file.read(_KEY_FILE_MAX * 64)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise StoreError(f"cannot read {path!s:.200}: {error}") from error

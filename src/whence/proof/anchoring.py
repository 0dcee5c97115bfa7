"""Anchors outside: a checkpoint committed to a git repository, or stamped by a time-stamping authority (RFC 3161).

Both keep a head where who holds the log's key cannot change it: whoever has either has `--since-checkpoint`.
"""

import hashlib
import http.client
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import quote

from whence.errors import StoreError
from whence.proof.checkpoints import Checkpoint
from whence.proof.files import replace_file
from whence.proof.notes import Note

_TIMEOUT_S = 30.0
_ANSWER_MAX = 1024 * 1024
# A request of version 1 (RFC 3161, section 2.4.1) over a SHA-256, which asks for the certificate: DER around the 32 bytes.
_REQUEST_HEAD = bytes.fromhex("30390201013031300d060960864801650304020105000420")
_REQUEST_TAIL = bytes.fromhex("0101ff")
_GRANTED = bytes.fromhex("020100")


def anchor_in_git(repository: Path, note: Note, checkpoint: Checkpoint) -> Path:
    """Commit a checkpoint to a repository as `<origin>.note`, and return that file; nothing is pushed.

    Raises:
        StoreError: git said no, in its words.
    """
    path = repository / f"{quote(checkpoint.origin, safe='')}.note"
    replace_file(path, str(note).encode(), 0o644)
    message = f"{checkpoint.origin}: {checkpoint.size} entries"
    _git(repository, "add", "--", path.name)
    if _git(repository, "status", "--porcelain", "--", path.name):
        _git(repository, "commit", "--quiet", "--message", message, "--", path.name)
    return path


def anchor_in_time(url: str, folder: Path, note: Note, checkpoint: Checkpoint) -> Path:
    """Have a checkpoint stamped, and keep the note and the answer side by side in `anchors/`; return the answer's file.

    `openssl ts -verify -data <note> -in <answer> -CAfile <the authority's>` checks it.

    Raises:
        StoreError: no answer, or one that grants nothing.
    """
    content = str(note).encode()
    answer = _ask(url, make_request(content))
    # PKIStatusInfo begins with the status, and 0 is granted; the rest is for whoever verifies it.
    if _GRANTED not in answer[:16]:
        raise StoreError(f"{url} granted no time stamp")
    place = folder / "anchors"
    try:
        place.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise StoreError(f"cannot make {place}: {error.strerror}") from error
    replace_file(place / f"{checkpoint.size}.note", content)
    replace_file(place / f"{checkpoint.size}.tsr", answer)
    return place / f"{checkpoint.size}.tsr"


def make_request(content: bytes) -> bytes:
    """The request for a time stamp of some bytes."""
    return _REQUEST_HEAD + hashlib.sha256(content).digest() + _REQUEST_TAIL


def _ask(url: str, request: bytes) -> bytes:
    if not url.startswith(("http://", "https://")):
        raise StoreError(f"time stamps from {url!r}: want http or https")
    try:
        asked = urllib.request.Request(
            url, request, {"Content-Type": "application/timestamp-query"}
        )
        with urllib.request.urlopen(asked, timeout=_TIMEOUT_S) as response:
            return bytes(response.read(_ANSWER_MAX))
    except (OSError, http.client.HTTPException, ValueError, urllib.error.URLError) as error:
        raise StoreError(f"no time stamp from {url}: {error}") from error


def _git(repository: Path, *words: str) -> str:
    try:
        said = subprocess.run(
            ["git", "-C", str(repository), *words],
            check=False,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StoreError(f"cannot run git: {error}") from error
    if said.returncode:
        raise StoreError(
            f"git {words[0]} in {repository}: {said.stderr.strip() or said.stdout.strip()}"
        )
    return said.stdout

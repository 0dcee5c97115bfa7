"""Anchors outside: a real git repository, and a real time-stamping authority made of openssl."""

import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from whence.errors import StoreError
from whence.proof.anchoring import anchor_in_git, anchor_in_time
from whence.proof.checkpoints import Checkpoint
from whence.proof.keys import SignerKey
from whence.proof.notes import Note, parse_note, sign_note
from whence.proof.tree import hash_leaf

_KEY = SignerKey("whence/anchored", b"a" * 32)


def _head(size: int) -> tuple[Note, Checkpoint]:
    checkpoint = Checkpoint("whence/anchored", size, hash_leaf(str(size).encode()))
    return sign_note(str(checkpoint), [_KEY]), checkpoint


def _run(*words: str, cwd: Path) -> str:
    said = subprocess.run(words, cwd=cwd, capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    return said.stdout


def test_each_head_is_a_commit_and_the_same_head_is_none(tmp_path: Path) -> None:
    _run("git", "init", "--quiet", ".", cwd=tmp_path)
    for name, value in (
        ("user.name", "t"),
        ("user.email", "t@example.org"),
        ("commit.gpgsign", "false"),
    ):
        _run("git", "config", name, value, cwd=tmp_path)
    (tmp_path / "other").write_text("not ours\n")
    anchor_in_git(tmp_path, *_head(3))
    anchor_in_git(tmp_path, *_head(3))
    path = anchor_in_git(tmp_path, *_head(9))

    assert _run("git", "log", "--format=%s", cwd=tmp_path).splitlines() == [
        "whence/anchored: 9 entries", "whence/anchored: 3 entries",
    ]  # fmt: skip
    assert parse_note(path.read_bytes()) == _head(9)[0]
    assert "other" in _run("git", "status", "--porcelain", cwd=tmp_path)


def test_what_is_no_repository_is_told_in_gits_words(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="git add in"):
        anchor_in_git(tmp_path, *_head(1))
    with pytest.raises(StoreError, match="cannot write"):
        anchor_in_git(tmp_path / "nowhere", *_head(1))


_CONFIG = """
[tsa]
default_tsa = tsa_config
[tsa_config]
serial = ./serial
crypto_device = builtin
signer_cert = ./tsa.pem
certs = ./tsa.pem
signer_key = ./tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
accuracy = secs:1
"""


@pytest.fixture
def authority(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A time-stamping authority on a port of its own."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path / "tsa"
    folder.mkdir()
    (folder / "tsa.cnf").write_text(_CONFIG)
    (folder / "serial").write_text("01\n")
    _run(
        "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "tsa.key", "-out", "tsa.pem", "-days",
        "2", "-subj", "/CN=tsa", "-addext", "extendedKeyUsage=critical,timeStamping", cwd=folder,
    )  # fmt: skip

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = self.rfile.read(int(self.headers["Content-Length"]))
            (folder / "query").write_bytes(query if self.path == "/" else b"\x30\x00")
            subprocess.run(
                ["openssl", "ts", "-reply", "-config", "tsa.cnf", "-queryfile", "query", "-out", "reply"],
                cwd=folder, capture_output=True, check=self.path == "/",
            )  # fmt: skip
            content = (
                (folder / "reply").read_bytes()
                if self.path == "/"
                else b"\x30\x05\x30\x03\x02\x01\x02"
            )
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", folder
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_head_is_stamped_and_others_can_check_it(
    authority: tuple[str, Path], tmp_path: Path
) -> None:
    url, folder = authority
    log = tmp_path / ".whence"
    log.mkdir()
    answer = anchor_in_time(url, log, *_head(5))
    note = answer.with_suffix(".note")
    words = [
        "openssl",
        "ts",
        "-verify",
        "-data",
        str(note),
        "-in",
        str(answer),
        "-CAfile",
        "tsa.pem",
    ]

    assert "Verification: OK" in _run(*words, cwd=folder)
    note.write_bytes(note.read_bytes() + b"x")
    assert subprocess.run(words, cwd=folder, capture_output=True).returncode != 0


def test_an_authority_that_grants_nothing_leaves_nothing(
    authority: tuple[str, Path], tmp_path: Path
) -> None:
    url, _ = authority
    log = tmp_path / ".whence"
    log.mkdir()
    with pytest.raises(StoreError, match="granted no time stamp"):
        anchor_in_time(f"{url}/refuses", log, *_head(5))
    for wrong in ("http://127.0.0.1:1", "file:///etc/passwd", "nonsense"):
        with pytest.raises(StoreError, match="time stamp"):
            anchor_in_time(wrong, log, *_head(5))
    assert list(log.iterdir()) == []

"""`whence witness`: watches other logs, so that none of them can show two histories."""

import fcntl
import os
import stat
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from whence.cli.options import Where, verb

if TYPE_CHECKING:
    from whence.proof.keys import VerifierKey
    from whence.proof.witness import Witness

_PATIENCE_S = 30.0
_DIGITS_MAX = 8
_CONNECTIONS_MAX = 64


@verb(
    "whence witness --logs logs.txt --state ~/witness",
    "whence witness --logs logs.txt --state ~/witness --listen 0.0.0.0:8419",
    short_help="Watch other logs: sign that they only grow.",
)
@click.option("--logs", metavar="FILE", required=True, help="Public keys of the logs, one a line.")
@click.option(
    "--state", metavar="PATH", required=True, help="Where its key is, and what it signed last."
)
@click.option(
    "--listen",
    metavar="HOST:PORT",
    default="127.0.0.1:8419",
    help="Where it listens.  [default: 127.0.0.1:8419]",
)
@click.option(
    "--name", metavar="NAME", help="Its name, when its key is made.  [default: the host's]"
)
def command(where: Where, logs: str, state: str, listen: str, name: str | None) -> None:
    """Answer C2SP's tlog-witness: a log sends its checkpoint, and gets a signature if it only grew since the last one.

    The first start makes the key; what is printed is its public half, for the policies of those logs.
    """
    from whence.proof.witness import Witness

    host, _, port = listen.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65_535:
        raise click.UsageError(f"--listen is {listen!r}, want HOST:PORT")
    folder = Path(state).expanduser()
    key = _find_key(folder, name)
    _keep_for_us(folder)
    witness = Witness(folder, key, _read_logs(Path(logs)))
    server = _serve(witness, host.strip("[]"), int(port))
    from whence.proof.keys import COSIGNATURE

    address = f"http://{host}:{server.server_address[1]}"
    where.screen.show_now(f"witness {key.name} {key.verifier(COSIGNATURE)} {address}")
    try:
        server.serve_forever(poll_interval=0.2)
    finally:
        server.server_close()


def _serve(witness: "Witness", host: str, port: int) -> ThreadingHTTPServer:
    from whence.errors import StoreError, WhenceError
    from whence.proof.witness import REQUEST_BYTES_MAX

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = _PATIENCE_S

        def do_POST(self) -> None:
            length = self.headers.get("Content-Length", "")
            if self.path != "/add-checkpoint":
                self._answer(404, "want POST /add-checkpoint\n", "text/plain")
                return
            is_number = length.isascii() and length.isdecimal()
            if not is_number or len(length) > _DIGITS_MAX or int(length) > REQUEST_BYTES_MAX:
                self.close_connection = True
                self._answer(413 if is_number else 411, "want a length\n", "text/plain")
                return
            try:
                self._answer(*witness.add_checkpoint(self.rfile.read(int(length))))
            except WhenceError as error:
                # What it remembers cannot be read or kept: then it signs nothing.
                self._answer(500, f"{error}\n", "text/plain")

        def _answer(self, status: int, body: str, content_type: str) -> None:
            content = body.encode()
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args: Any) -> None:
            """Say nothing: what was signed stands in the state."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        places = threading.BoundedSemaphore(_CONNECTIONS_MAX)

        def process_request(self, request: Any, client_address: Any) -> None:
            # More than that wait at the door.
            if self.places.acquire(timeout=_PATIENCE_S):
                super().process_request(request, client_address)
            else:
                self.shutdown_request(request)

        def process_request_thread(self, request: Any, client_address: Any) -> None:
            try:
                super().process_request_thread(request, client_address)
            finally:
                self.places.release()

        def handle_error(self, *args: Any) -> None:
            """Say nothing: a peer that goes away is nobody's error."""

    try:
        server = Server((host, port), Handler)
    except OSError as error:
        raise StoreError(f"cannot listen on {host}:{port}: {error.strerror}") from error
    return server


def _keep_for_us(folder: Path) -> None:
    """Hold the state for as long as this process lives: two that serve it could sign two histories."""
    from whence.errors import ConflictError, StoreError

    try:
        fd = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise ConflictError(f"another witness serves {folder}") from error
    except OSError as error:
        raise StoreError(f"cannot lock {folder}: {error.strerror}") from error


def _find_key(folder: Path, name: str | None) -> Any:
    import socket

    from whence.errors import CorruptError, StoreError
    from whence.proof.files import replace_file
    from whence.proof.keyring import make_signer
    from whence.proof.keys import parse_signer

    path = folder / "witness.key"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.exists():
            if stat.S_IMODE(path.stat().st_mode) & 0o077:
                raise StoreError(f"{path} can be read by others than its owner: chmod 600")
            return parse_signer(path.read_text(encoding="utf-8").strip())
    except CorruptError as error:
        raise CorruptError(f"{path} holds no key: {error}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"cannot read {path}: {error}") from error
    key = make_signer(name or f"{socket.gethostname()}/witness")
    replace_file(path, f"{key.text}\n".encode())
    return key


def _read_logs(path: Path) -> "dict[str, list[VerifierKey]]":
    from whence.errors import CorruptError, NotFoundError, StoreError
    from whence.proof.keys import parse_verifier

    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError as error:
        raise NotFoundError(f"{path} does not exist") from error
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"cannot read {path}: {error}") from error
    found: dict[str, list[VerifierKey]] = {}
    for number, line in enumerate(lines, start=1):
        text = line.strip().removeprefix("log ").split(" ")[0]
        if text and not text.startswith("#"):
            try:
                key = parse_verifier(text)
            except CorruptError as error:
                raise CorruptError(f"{path}: line {number}: {error}") from error
            found.setdefault(key.name, []).append(key)
    return found

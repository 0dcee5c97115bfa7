"""Witnesses: ours and an independent one, live over HTTP; both sign what only grew, and neither a fork nor a rollback."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import witness_log
from hypothesis import given
from hypothesis import strategies as st

import whence
from whence.errors import CorruptError, ProofError, StoreError
from whence.proof import keyring
from whence.proof.checkpoints import Checkpoint
from whence.proof.folder import TreeFolder
from whence.proof.keyring import Signer
from whence.proof.keys import COSIGNATURE, SignerKey, VerifierKey, parse_verifier
from whence.proof.notes import Note, sign_note, verify_note
from whence.proof.policies import Policy
from whence.proof.policies import Witness as Named
from whence.proof.sealer import Sealer
from whence.proof.sealing import RollbackError, Sealed, seal
from whence.proof.settings import ProofSettings
from whence.proof.verifying import verify
from whence.proof.witness import Reply, Witness
from whence.proof.witnessing import Answer, Refusal, ask, ask_all, format_request, post

_ORIGIN = "whence/watched"
_W_KEY = SignerKey("witness.example/ours", b"w" * 32)


class Watched:
    """A log that grows and is sealed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / ".whence"
        self.signer: Signer = keyring.make_key(folder / "keys", self.folder, _ORIGIN)
        self.tree = TreeFolder(self.folder)

    @property
    def key(self) -> VerifierKey:
        return self.signer.key.verifier()

    def grow(self, many: int = 3) -> Sealed:
        with whence.open(self.folder) as log:
            for number in range(many):
                log.emit("ops", "claim_task", data={"number": number})
        sealed = seal(self.folder, self.signer)
        assert sealed is not None
        return sealed


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


Add = Callable[[bytes], Reply]


@contextmanager
def _live(add: Add) -> Iterator[str]:
    """Serve a witness on a port of its own; gives its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            reply = add(self.rfile.read(int(self.headers["Content-Length"])))
            content = reply.body.encode()
            self.send_response(reply.status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _ours(folder: Path, key: VerifierKey) -> tuple[Add, VerifierKey]:
    folder.mkdir(exist_ok=True)
    return Witness(folder, _W_KEY, {_ORIGIN: [key]}).add_checkpoint, _W_KEY.verifier(COSIGNATURE)


def _independent(folder: Path, key: VerifierKey) -> tuple[Add, VerifierKey]:
    """Somebody else's witness, written in another language."""
    folder.mkdir(exist_ok=True)
    state = folder / "state"
    witness_log.WitnessService.create_state(str(state))
    service = witness_log.WitnessService.new("witness.example/theirs", b"t" * 32, str(state))
    assert service.add_log(_ORIGIN, str(key))

    def add(body: bytes) -> Reply:
        status, text = service.handle_add_checkpoint(body.decode())
        return Reply(status, text)

    return add, parse_verifier(service.vkey())


@pytest.fixture(params=[_ours, _independent])
def witness(
    request: pytest.FixtureRequest, tmp_path: Path, watched: Watched
) -> Iterator[tuple[Named, Add]]:
    add, key = request.param(tmp_path / "witness", watched.key)
    with _live(add) as url:
        yield Named("W", key, url), add


def test_what_only_grew_is_signed_step_by_step(
    watched: Watched, witness: tuple[Named, Add]
) -> None:
    named, _ = witness
    for many in (1, 1, 300, 7):
        sealed = watched.grow(many)
        [signature] = ask(named, sealed.note, sealed.checkpoint, watched.tree.consistency)
        [signed] = verify_note(Note(sealed.note.text, (signature,)), [named.key])
        assert signed.time_s is not None
        # Asked again, it signs again.
        assert ask(named, sealed.note, sealed.checkpoint, watched.tree.consistency)


def test_a_fork_is_refused_and_an_alarm(
    watched: Watched, witness: tuple[Named, Add], tmp_path: Path
) -> None:
    named, _ = witness
    sealed = watched.grow()
    other = tmp_path / "other"
    shutil.copytree(watched.folder, other)
    ask(named, sealed.note, sealed.checkpoint, watched.tree.consistency)
    told = watched.grow()
    ask(named, told.note, told.checkpoint, watched.tree.consistency)

    with whence.open(other) as log:
        for number in range(9):
            log.emit("ops", "another history", data={"number": number})
    (tmp_path / "beside").mkdir()
    forked = seal(other, Signer(tmp_path / "beside", watched.signer.key))
    assert forked is not None
    assert forked.checkpoint.size > told.checkpoint.size
    with pytest.raises(RollbackError):
        ask(named, forked.note, forked.checkpoint, TreeFolder(other).consistency)


def test_a_fork_of_the_same_size_is_an_alarm(watched: Watched, witness: tuple[Named, Add]) -> None:
    named, _ = witness
    sealed = watched.grow()
    ask(named, sealed.note, sealed.checkpoint, watched.tree.consistency)
    forged = Checkpoint(_ORIGIN, sealed.checkpoint.size, watched.tree.hash(0, 1))
    note = sign_note(str(forged), [watched.signer.key])
    with pytest.raises(RollbackError, match="knows another history"):
        ask(named, note, forged, watched.tree.consistency)


def test_a_log_that_was_put_back_is_an_alarm(watched: Watched, witness: tuple[Named, Add]) -> None:
    named, _ = witness
    old, new = watched.grow(), watched.grow()
    ask(named, new.note, new.checkpoint, watched.tree.consistency)
    with pytest.raises(RollbackError, match="has seen"):
        ask(named, old.note, old.checkpoint, watched.tree.consistency)


def test_another_key_or_log_is_not_signed(watched: Watched, witness: tuple[Named, Add]) -> None:
    named, _ = witness
    sealed = watched.grow()
    stranger = SignerKey(_ORIGIN, b"x" * 32)
    for text, key in (
        (sealed.note.text, stranger),
        (
            sealed.note.text.replace(_ORIGIN, "whence/unknown"),
            SignerKey("whence/unknown", b"x" * 32),
        ),
    ):
        with pytest.raises(Refusal, match="answered 40"):
            ask(named, sign_note(text, [key]), sealed.checkpoint, watched.tree.consistency)


def test_a_witness_remembers_what_it_signed_after_a_restart(
    watched: Watched, tmp_path: Path
) -> None:
    sealed, folder = watched.grow(), tmp_path / "w"
    add, _ = _ours(folder, watched.key)
    assert add(format_request(0, [], sealed.note)).status == 200
    again, _ = _ours(folder, watched.key)
    assert again(format_request(0, [], sealed.note)) == Reply(
        409, f"{sealed.checkpoint.size}\n", "text/x.tlog.size"
    )

    # What it remembers was damaged: then it signs nothing more of it.
    [state] = folder.glob("*.note")
    state.write_bytes(b"damaged")
    with pytest.raises(CorruptError):
        again(format_request(sealed.checkpoint.size, [], sealed.note))


def test_of_many_at_once_none_is_signed_backward(watched: Watched, tmp_path: Path) -> None:
    heads = [watched.grow() for _ in range(8)]
    add, _ = _ours(tmp_path / "w", watched.key)
    assert add(format_request(0, [], heads[0].note)).status == 200
    first = heads[0].checkpoint.size
    replies: list[tuple[int, Reply]] = []

    def send(sealed: Sealed) -> None:
        proof = watched.tree.consistency(first, sealed.checkpoint.size)
        replies.append((sealed.checkpoint.size, add(format_request(first, proof, sealed.note))))

    threads = [threading.Thread(target=send, args=(head,)) for head in heads[1:] * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [reply.status for _, reply in replies].count(200) == 1
    assert {reply.status for _, reply in replies} == {200, 409}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400), (b"old 0\n", 400), (b"old 0\n\n", 400), (b"old 00\n\nx", 400), (b"old -1\n\nx", 400), (b"new 0\n\nx", 400),
        (b"old 0\nAAAA\n\nx", 400), (b"old 0\n\nnot a note\n", 400), (b"\xff\n\nx", 400), (b"x" * 1_100_001, 400),
        (b"old 0\n" + b"A" * 43 + b"=\n" * 64 + b"\nx", 400),
    ],
)  # fmt: skip
def test_what_is_no_request_is_refused(
    watched: Watched, tmp_path: Path, body: bytes, status: int
) -> None:
    add, _ = _ours(tmp_path / "w", watched.key)

    assert add(body).status == status


def test_wrong_sizes_and_proofs_are_told_apart(watched: Watched, tmp_path: Path) -> None:
    one, two = watched.grow(), watched.grow()
    add, _ = _ours(tmp_path / "w", watched.key)
    proof = watched.tree.consistency(one.checkpoint.size, two.checkpoint.size)
    old = one.checkpoint.size

    assert add(format_request(two.checkpoint.size + 1, [], two.note)).status == 400
    assert add(format_request(0, proof[:1], one.note)).status == 422
    assert add(format_request(0, [], one.note)).status == 200
    assert add(format_request(old, proof[:-1], two.note)).status == 422
    assert add(format_request(old, proof[::-1], two.note)).status == 422
    assert add(format_request(old, proof, two.note)).status == 200
    assert add(format_request(two.checkpoint.size, proof, two.note)).status == 422


@given(st.binary(max_size=300))
def test_no_bytes_make_a_witness_fail(body: bytes) -> None:
    witness = Witness(Path("/nowhere"), _W_KEY, {})

    assert witness.add_checkpoint(body).status in (400, 404)


# -- the client ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (200, "", ProofError), (200, "nonsense\n", CorruptError), (200, "\u2014 other AAAAAAA=\n", ProofError),
        (200, "\u2014 witness.example/ours AAAA", CorruptError), (500, "no", Refusal), (404, "no", Refusal), (302, "", Refusal),
        (409, "99999\n", RollbackError), (409, "another tree", Refusal), (409, "1\n", Refusal), (409, "", Refusal),
    ],
)  # fmt: skip
def test_answers_that_are_no_signature_are_told_apart(
    watched: Watched, status: int, body: str, error: type[Exception]
) -> None:
    sealed = watched.grow()
    named = Named("W", _W_KEY.verifier(COSIGNATURE), "http://w.example")
    with pytest.raises(error):
        ask(
            named,
            sealed.note,
            sealed.checkpoint,
            watched.tree.consistency,
            post=lambda *_: Answer(status, body),
        )


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1", "file:///etc/passwd", "ftp://x", "http://[", "nonsense"]
)
def test_where_nobody_answers_is_an_error(url: str) -> None:
    with pytest.raises(StoreError, match="witness at"):
        post(url, b"x")


def test_one_that_does_not_answer_stops_nobody(
    watched: Watched, witness: tuple[Named, Add], caplog: pytest.LogCaptureFixture
) -> None:
    named, _ = witness
    sealed = watched.grow()
    gone = Named("gone", SignerKey("gone", b"g" * 32).verifier(COSIGNATURE), "http://127.0.0.1:1")
    silent = Named("silent", SignerKey("silent", b"s" * 32).verifier(COSIGNATURE), None)
    policy = Policy((), (gone, silent, named), (), None)

    signatures, alarms = ask_all(policy, sealed.note, sealed.checkpoint, watched.tree.consistency)
    assert (len(signatures), alarms) == (1, [])
    assert "witness gone did not sign" in caplog.text


def test_a_sealer_has_its_heads_witnessed_and_a_verification_says_so(
    watched: Watched, witness: tuple[Named, Add], tmp_path: Path
) -> None:
    named, _ = witness
    watched.grow()
    policy = f"log {watched.key}\nwitness W {named.key} {named.url}\nquorum W\n"
    (watched.folder / "policy.txt").write_text(policy)
    settings = ProofSettings(keys=str(tmp_path / "keys"), policy="policy.txt")
    sealer = Sealer(watched.folder, settings, None)
    witnessed = sealer.witness()
    assert witnessed is not None

    from whence.proof.policies import parse_policy

    report = verify(watched.folder, policy=parse_policy(policy.encode()))
    assert report.is_verified, report.problems
    assert [each.key for each in report.witnesses] == [named.key]
    # What came since is exposed, and nothing is wrong with it.
    before = report.size
    watched.grow()
    report = verify(watched.folder, policy=parse_policy(policy.encode()))
    assert (report.is_verified, report.witnessed) == (True, before)
    assert report.size > before
    # Where nobody ever signed, the quorum is missed.
    (watched.folder / "checkpoints.jsonl").unlink()
    report = verify(watched.folder, policy=parse_policy(policy.encode()))
    assert [(each.message, each.is_unread) for each in report.problems] == [
        ("no checkpoint has the quorum W", True)
    ]


# -- the command -----------------------------------------------------------------------------------


def test_two_logs_of_one_team_watch_each_other(watched: Watched, tmp_path: Path) -> None:
    watched.grow()
    (tmp_path / "logs.txt").write_text(f"# ours\n{watched.key}\n")
    command = [
        sys.executable, "-m", "whence", "witness", "--logs", str(tmp_path / "logs.txt"), "--state",
        str(tmp_path / "state"), "--listen", "127.0.0.1:0", "--name", "team/b",
    ]  # fmt: skip
    lines = []
    for _ in range(2):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path) as server:
            assert server.stdout is not None
            try:
                words = server.stdout.readline().split()
                lines.append(words)
                policy = f"log {watched.key}\nwitness b {words[2]} {words[3]}\nquorum b\n"
                (watched.folder / "policy.txt").write_text(policy)
                (watched.folder / "whence.toml").write_text('[proof]\npolicy = "policy.txt"\n')
                said = subprocess.run(
                    [sys.executable, "-m", "whence", "-C", str(watched.folder), "seal"],
                    env={**os.environ, "WHENCE_KEYS": str(tmp_path / "keys")}, capture_output=True, text=True,
                )  # fmt: skip
                assert said.returncode == 0, said.stderr
                assert said.stdout.count("\u2014") == 2
                watched.grow()
            finally:
                server.send_signal(signal.SIGINT)
    # It is the same witness after a restart.
    assert lines[0][:3] == lines[1][:3] == ["witness", "team/b", lines[0][2]]
    assert (tmp_path / "state" / "witness.key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("words", "code"),
    [(["--listen", "nowhere"], 2), (["--listen", "127.0.0.1:99999"], 2), (["--logs", "none.txt"], 3), (["--logs", "bad.txt"], 1)],
)  # fmt: skip
def test_wrong_use_is_refused(tmp_path: Path, words: list[str], code: int) -> None:
    (tmp_path / "logs.txt").write_text("")
    (tmp_path / "bad.txt").write_text("nonsense\n")
    given_words = ["--logs", "logs.txt", "--state", "state", *words]
    said = subprocess.run(
        [sys.executable, "-m", "whence", "witness", *given_words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )

    assert (said.returncode, said.stdout) == (code, "")

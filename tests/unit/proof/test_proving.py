"""Proofs for others: one, a bundle that checks itself with nothing but Python, and the public view."""

import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

import whence
from whence.errors import NotFoundError, ProofError, StoreError
from whence.proof import keyring, standalone
from whence.proof.keys import SignerKey
from whence.proof.policies import parse_policy
from whence.proof.prooffile import parse_proof, verify_entry
from whence.proof.proving import Prover, write_bundle, write_tiles
from whence.proof.sealing import seal
from whence.proof.tiles import decode_entries
from whence.proof.tree import Hash, hash_leaf

_SIGNER = SignerKey("whence/proven", b"s" * 32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A sealed log with lines of every form."""
    with whence.open(tmp_path / ".whence") as log:
        for number in range(300):
            log.emit("ops", "claim_task", agent="ada", target=f"t{number}", data={"number": number})
        log.emit(
            "ops",
            "odd",
            data={"text": 'ü "quoted" \\ \u2028 \U0001f600', "n": 1.5e300, "deep": [[{"a": None}]]},
        )
        log.emit("ops", "short", data=1)
        log.emit("ops", "large", data={"text": "x" * 70_000})
        log.emit("ops", "private", data={"text": "x"}, private=True)
    keyring.keep_key(tmp_path / "keys", tmp_path / ".whence", _SIGNER)
    signer = keyring.need_signer(tmp_path / "keys", tmp_path / ".whence", "whence/proven")
    assert seal(tmp_path / ".whence", signer) is not None
    return tmp_path / ".whence"


def _bundle(folder: Path, positions: list[int]) -> Path:
    path, target = folder.parent / "b.zip", folder.parent / "bundle"
    write_bundle(path, Prover(folder), positions, _SIGNER.verifier())
    with zipfile.ZipFile(path) as bundle:
        bundle.extractall(target)
    return target


def _check(bundle: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """As somebody who has Python and nothing else."""
    return subprocess.run(
        [sys.executable, "-I", "-S", str(bundle / "check.py"), *words],
        capture_output=True,
        text=True,
    )


def test_each_event_has_a_proof_that_another_reads(folder: Path) -> None:
    prover = Prover(folder)
    policy = parse_policy(f"log {_SIGNER.verifier()}\nquorum none\n".encode())
    for position in (0, 1, 255, 256, 300, prover.checkpoint.size - 1):
        proven = prover.prove(position)
        read = parse_proof(str(proven.proof).encode())
        entry, said = standalone.read_line(proven.line)
        assert verify_entry(read, entry, policy).checkpoint == prover.checkpoint
        assert read.index == position
        assert said["w"]
    with pytest.raises(NotFoundError, match="not sealed yet"):
        prover.position("2026-01-01.0000", 0)


def test_a_bundle_is_proven_with_nothing_but_python(folder: Path) -> None:
    bundle = _bundle(folder, list(range(295, 306)))
    said = _check(bundle)

    assert (said.returncode, said.stderr) == (0, "")
    assert "PROVEN: 11 lines are in whence/proven" in said.stdout
    assert "compare it with one from elsewhere" in said.stdout
    assert "(private: never stored)" in said.stdout
    assert "given by you" in _check(bundle, "--key", str(_SIGNER.verifier())).stdout
    stranger = SignerKey("whence/proven", b"t" * 32)
    refused = _check(bundle, "--key", str(stranger.verifier()))
    assert (refused.returncode, "NOT PROVEN" in refused.stdout) == (1, True)


def test_the_same_proofs_make_the_same_bundle(folder: Path) -> None:
    paths = [folder.parent / name for name in ("one.zip", "two.zip")]
    for path in paths:
        write_bundle(path, Prover(folder), [3, 4], _SIGNER.verifier())

    assert paths[0].read_bytes() == paths[1].read_bytes()


@pytest.mark.parametrize("name", ["lines.jsonl", "proofs/000000.tlog-proof", "policy.txt"])
def test_no_flipped_bit_of_a_bundle_is_proven(folder: Path, name: str) -> None:
    bundle = _bundle(folder, [299, 301])
    content = (bundle / name).read_bytes()
    chance = Random(3)
    key = standalone.read_key(str(_SIGNER.verifier()))
    for at in chance.sample(range(len(content)), min(len(content), 150)):
        changed = bytearray(content)
        changed[at] ^= 1 << chance.randrange(8)
        (bundle / name).write_bytes(changed)
        if name == "policy.txt":
            # It may stand for another key, or for none: the lines are then not proven by it.
            continue
        with pytest.raises((standalone.RefusedError, UnicodeDecodeError)):
            standalone.check(bundle, key)


def test_lines_and_proofs_that_do_not_belong_together_are_not_proven(folder: Path) -> None:
    bundle = _bundle(folder, [10, 11])
    lines = (bundle / "lines.jsonl").read_bytes().splitlines(keepends=True)
    (bundle / "lines.jsonl").write_bytes(b"".join(lines[::-1]))
    assert _check(bundle).returncode == 1
    (bundle / "lines.jsonl").write_bytes(lines[0])
    assert "1 lines and 2 proofs" in _check(bundle).stdout
    (bundle / "policy.txt").unlink()
    assert _check(bundle).returncode == 1


_Change = Callable[[bytes], bytes]


@pytest.mark.parametrize(
    "change",
    [
        lambda line: line.replace(b'","data":', b'","data":1,"data":'),
        lambda line: line.replace(b',"salt":', b',"x":1,"salt":'),
        lambda line: line.replace(b'"agent":"ada",', b'"agent":"ada","agent":"ada",'),
        lambda line: line.replace(b'"id":', b'"id": '),
        lambda line: b"[" + line + b"]",
        lambda line: line[:-2],
        lambda line: b"{}",
        lambda line: b"1",
        lambda line: b"",
    ],
)
def test_a_line_that_is_written_another_way_is_refused(folder: Path, change: _Change) -> None:
    line = Prover(folder).prove(5).line
    entry, _ = standalone.read_line(line)
    try:
        other, _ = standalone.read_line(change(line))
    except standalone.RefusedError:
        return
    assert other != entry


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=200))
def test_its_signatures_are_those_of_everybody(seed: bytes, message: bytes) -> None:
    key = SignerKey("n", seed)
    public, signature = key.verifier().public, key.sign(message)

    assert standalone.is_signed(public, message, signature)
    assert not standalone.is_signed(public, message + b"x", signature)
    assert not standalone.is_signed(public, message, signature[:32] + bytes(32))
    assert not standalone.is_signed(public, message, bytes(64))
    # The scalar plus the order of the group is the same number, and refused (RFC 8032, section 5.1.7).
    scalar = int.from_bytes(signature[32:], "little") + standalone.ORDER
    if scalar < 2**256:
        assert not standalone.is_signed(
            public, message, signature[:32] + scalar.to_bytes(32, "little")
        )


@given(st.binary(max_size=100))
def test_no_bytes_make_it_fail_in_another_way(content: bytes) -> None:
    text = content.decode("utf-8", "replace")
    key = standalone.read_key(str(_SIGNER.verifier()))
    for read in (
        lambda: standalone.read_line(content), lambda: standalone.read_proof(text), lambda: standalone.read_key(text),
        lambda: standalone.read_checkpoint(text, key), lambda: standalone.read_checkpoint(f"a\n\n\u2014 {text}\n", key),
    ):  # fmt: skip
        try:
            read()
        except standalone.RefusedError:
            continue


def test_the_public_view_has_all_but_the_payloads_and_makes_the_same_root(
    folder: Path, tmp_path: Path
) -> None:
    public = tmp_path / "public"
    written = list(write_tiles(folder, public))
    again = list(write_tiles(folder, public))
    entries: list[bytes] = []
    for path in ("000", "001.p/50"):
        entries += decode_entries((public / "tile" / "entries" / path).read_bytes())
    leaves = b"".join(hash_leaf(entry) for entry in entries)

    assert len(written) == 6
    assert [path.name for path in again] == ["checkpoint"]
    assert leaves == b"".join(
        (public / "tile" / "0" / path).read_bytes() for path in ("000", "001.p/50")
    )
    assert (public / "checkpoint").read_bytes() == (folder / "checkpoint").read_bytes()
    everything = b"".join(path.read_bytes() for path in public.rglob("*") if path.is_file())
    assert b'"data":' not in everything
    assert b'"salt":' not in everything


def test_what_was_changed_is_not_proven(folder: Path, tmp_path: Path) -> None:
    prover = Prover(folder)
    [segment] = (folder / "journal").iterdir()
    segment.write_bytes(segment.read_bytes().replace(b'{"number":7}', b'{"number":8}'))
    with pytest.raises(ProofError):
        prover.prove(8)
    with pytest.raises(ProofError):
        list(write_tiles(folder, tmp_path / "public"))


def test_the_command_writes_a_proof_and_its_line(folder: Path, tmp_path: Path) -> None:
    def ask(*words: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "WHENCE_KEYS": str(tmp_path / "keys")}
        return subprocess.run(
            [sys.executable, "-m", "whence", "-C", str(folder), *words], cwd=tmp_path, env=environment,
            capture_output=True, text=True,
        )  # fmt: skip

    said = ask("prove", "@last", "-d", "out")
    proof, line = said.stdout.split()
    assert said.returncode == 0
    assert parse_proof((tmp_path / proof).read_bytes()).note == Prover(folder).note
    assert (tmp_path / line).read_bytes().endswith(b"}\n")
    assert ask("prove", "--bundle", "all.zip", "--task", "t7").returncode == 0
    assert ask("prove").returncode == 2
    assert ask("prove", "@last", "--bundle", "x.zip").returncode == 2
    assert ask("prove", "nobody").returncode == 3
    assert ask("prove", "--bundle", "none.zip", "--task", "t7", "--type", "none").returncode == 3
    assert ask("export", "--tlog", "public").returncode == 0
    with whence.open(folder) as log:
        log.emit("ops", "later")
    assert "not sealed yet" in ask("prove", "@last").stderr


def test_hashes_are_bytes() -> None:
    """The checker folds as the tree does."""
    leaf = Hash(bytes(32))

    assert standalone.find_root(leaf, 0, 1, []) == leaf


def test_a_view_of_another_log_and_one_that_was_altered_are_refused_and_torn_tiles_mended(
    folder: Path, tmp_path: Path
) -> None:
    public = tmp_path / "public"
    list(write_tiles(folder, public))
    good = {path: path.read_bytes() for path in public.rglob("*") if path.is_file()}
    for path, content in good.items():
        path.write_bytes(content if path.name == "checkpoint" else content[:-1])
    list(write_tiles(folder, public))
    assert {path: path.read_bytes() for path in public.rglob("*") if path.is_file()} == good

    other = tmp_path / "other" / ".whence"
    with whence.open(other) as log:
        log.emit("ops", "note")
    seal(other, keyring.make_key(tmp_path / "k", other, "whence/other"))
    with pytest.raises(StoreError, match="has the log whence/proven already"):
        list(write_tiles(other, public))
    for name in ("0", "1"):
        path = folder / "tree" / name
        content = path.read_bytes()
        path.write_bytes(bytes([content[0] ^ 1]) + content[1:])
        with pytest.raises(ProofError):
            list(write_tiles(folder, tmp_path / f"altered{name}"))
        assert not (tmp_path / f"altered{name}" / "checkpoint").exists()
        path.write_bytes(content)


def test_a_bundle_shows_a_line_as_one_line_whatever_it_holds(tmp_path: Path) -> None:
    folder = tmp_path / ".whence"
    signer = keyring.make_key(tmp_path / "keys", folder, "whence/proven")
    with whence.open(folder) as log:
        log.emit("ops", "note\n   7  boss  ops.approve", agent="e\x1b[2Kve→", data={"n": 10**5000})
    seal(folder, signer)
    bundle = tmp_path / "b.zip"
    write_bundle(bundle, Prover(folder), [1], signer.key.verifier())
    out = tmp_path / "out"
    with zipfile.ZipFile(bundle) as archive:
        archive.extractall(out)
    for encoding in ("utf-8", "ascii"):
        said = subprocess.run(
            [sys.executable, "-S", str(out / "check.py")], capture_output=True, text=True,
            env={**os.environ, "PYTHONIOENCODING": encoding},
        )  # fmt: skip
        assert (said.returncode, said.stderr) == (0, ""), said
        assert "\x1b" not in said.stdout
        assert not any(line.strip().startswith("7 ") for line in said.stdout.splitlines())
        assert "all of it in lines.jsonl" in said.stdout
    said = subprocess.run(
        [sys.executable, "-S", str(out / "check.py"), "--key", ""], capture_output=True, text=True
    )
    assert said.returncode == 1

"""Checks a bundle of proven lines with nothing but Python: what each line says, and that it is in the log that was signed.

    python3 check.py                 in the bundle's folder
    python3 check.py --key VKEY      by a key that you have from elsewhere, not by the bundle's own word

It is handed out with every bundle, so it uses no library, and it reads strictly: what is not exactly as it should be is refused. The
formats are those of C2SP (signed-note, tlog-checkpoint, tlog-proof), the tree is that of RFC 6962, signatures are Ed25519 (RFC 8032).
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import hmac
import json
import pathlib
import re
import sys
from typing import Any, Tuple

Point = Tuple[int, int, int, int]
Key = Tuple[str, bytes, bytes]

# -- Ed25519, RFC 8032, section 5.1: verification alone -------------------------------------------

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT_OF_MINUS_ONE = pow(2, (P - 1) // 4, P)


def add(one: Point, other: Point) -> Point:
    """Add two points in extended coordinates."""
    a = (one[1] - one[0]) * (other[1] - other[0]) % P
    b = (one[1] + one[0]) * (other[1] + other[0]) % P
    c = 2 * one[3] * other[3] * D % P
    d = 2 * one[2] * other[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def multiply(number: int, point: Point) -> Point:
    """Add a point to itself so many times."""
    found = (0, 1, 1, 0)
    while number > 0:
        if number & 1:
            found = add(found, point)
        point, number = add(point, point), number >> 1
    return found


def same(one: Point, other: Point) -> bool:
    """Whether two points are one."""
    return (one[0] * other[2] - other[0] * one[2]) % P == 0 and (
        one[1] * other[2] - other[1] * one[2]
    ) % P == 0


def find_x(y: int, sign: int) -> int | None:
    """The x of a point from its y; None if there is none."""
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P)
    if square % P == 0:
        return None if sign else 0
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P != 0:
        x = x * ROOT_OF_MINUS_ONE % P
    if (x * x - square) % P != 0:
        return None
    return P - x if x & 1 != sign else x


def read_point(raw: bytes) -> Point | None:
    """Read a point from its 32 bytes; None if they are none."""
    number = int.from_bytes(raw, "little")
    sign, y = number >> 255, number & ((1 << 255) - 1)
    x = find_x(y, sign)
    return None if x is None else (x, y, 1, x * y % P)


BASE_Y = 4 * pow(5, P - 2, P) % P
BASE_X = find_x(BASE_Y, 0) or 0
BASE = (BASE_X, BASE_Y, 1, BASE_X * BASE_Y % P)


def is_signed(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the owner of a public key signed a message."""
    if len(public) != 32 or len(signature) != 64:
        return False
    key, point = read_point(public), read_point(signature[:32])
    scalar = int.from_bytes(signature[32:], "little")
    if key is None or point is None or scalar >= ORDER:
        return False
    digest = hashlib.sha512(signature[:32] + public + message).digest()
    challenge = int.from_bytes(digest, "little") % ORDER
    return same(multiply(scalar, BASE), add(point, multiply(challenge, key)))


# -- texts ------------------------------------------------------------------------------------------


class RefusedError(Exception):
    """What is not as it should be."""


def need(is_so: object, message: str) -> None:
    """Refuse unless something is so."""
    if not is_so:
        raise RefusedError(message)


def read_base64(text: str) -> bytes:
    """Read base64 that is written the one way."""
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError:
        raise RefusedError(f"not base64: {text[:60]}") from None
    need(base64.b64encode(raw).decode() == text, f"not base64: {text[:60]}")
    return raw


def read_number(text: str) -> int:
    """Read a decimal number that is written the one way."""
    need(re.fullmatch("0|[1-9][0-9]{0,19}", text, re.ASCII), f"not a number: {text[:40]}")
    need(int(text) < 2**64, f"number is too large: {text}")
    return int(text)


def read_key(text: str) -> Key:
    """Read a verifier key: its name, its id and its 32 bytes."""
    parts = text.strip().split("+", 2)
    need(len(parts) == 3, "not a key: want name+id+base64")
    name, key_id, packed = parts
    raw = read_base64(packed)
    need(len(raw) == 33 and raw[0] == 1, f"key of {name} is no Ed25519 key")
    found = hashlib.sha256(name.encode() + b"\n" + raw).digest()[:4]
    need(found.hex() == key_id.lower(), f"key id of {name} does not fit")
    return name, found, raw[1:]


def read_checkpoint(note: str, key: Key) -> tuple[int, bytes]:
    """The root and size of a checkpoint that the key signed."""
    name, key_id, public = key
    text, parted, signatures = note.rpartition("\n\n")
    need(parted and signatures.endswith("\n"), "the checkpoint is no signed note")
    text += "\n"
    is_known = False
    for line in signatures[:-1].split("\n"):
        words = line.split(" ")
        need(len(words) == 3 and words[0] == "\u2014", f"not a signature: {line[:60]}")
        raw = read_base64(words[2])
        if (words[1], raw[:4]) == (name, key_id):
            need(is_signed(public, text.encode(), raw[4:]), f"the signature of {name} does not fit")
            is_known = True
    need(is_known, f"the checkpoint is not signed by {name}")
    lines = text.split("\n")
    need(len(lines) >= 4 and lines[-1] == "" and all(lines[:-1]), "not a checkpoint")
    need(lines[0] == name, f"the checkpoint is of {lines[0]}, not of {name}")
    root = read_base64(lines[2])
    need(len(root) == 32, "the root has not 32 bytes")
    return read_number(lines[1]), root


def read_proof(text: str) -> tuple[int, list[bytes], str]:
    """An entry's index, its path, and the checkpoint."""
    head, parted, note = text.partition("\n\n")
    lines = head.split("\n")
    need(parted and lines[0] == "c2sp.org/tlog-proof@v1", "not a proof")
    need(len(lines) > 1 and lines[1].startswith("index "), "the proof does not say which index")
    path = [read_base64(line) for line in lines[2:]]
    need(all(len(each) == 32 for each in path), "a hash of the proof has not 32 bytes")
    return read_number(lines[1][len("index ") :]), path, note


# -- the tree, RFC 6962, section 2.1 ----------------------------------------------------------------


def find_root(leaf: bytes, index: int, size: int, path: list[bytes]) -> bytes:
    """The root that a path leads to from a leaf."""
    need(index < size, f"index {index} is not in a tree of {size}")
    start, end, turns = 0, size, []
    while end - start > 1:
        middle = start + (1 << ((end - start - 1).bit_length() - 1))
        turns.append(index >= middle)
        start, end = (middle, end) if index >= middle else (start, middle)
    need(len(path) == len(turns), f"the proof has {len(path)} hashes, want {len(turns)}")
    found = leaf
    for is_right, other in zip(reversed(turns), path):
        pair = other + found if is_right else found + other
        found = hashlib.sha256(b"\x01" + pair).digest()
    return found


# -- lines ------------------------------------------------------------------------------------------

WITH_PAYLOAD = re.compile(rb'(.*?),"salt":"([A-Za-z0-9_-]{24})","data":(.*)\}', re.DOTALL)
WITHOUT = re.compile(rb'(.*),"commit":"[A-Za-z0-9_-]{43}"(?:,"blob":[0-9]+)?\}', re.DOTALL)
SHOWN = 200
KEYS = (
    "id time primitive type agent target parent trace status duration links private w n salt data commit blob"
).split()


def read_line(line: bytes) -> tuple[bytes, dict[str, Any]]:
    """The sealed entry of a line, and what the line says."""
    text = line.rstrip(b" ")
    pairs: list[list[tuple[str, Any]]] = []

    def keep(found: list[tuple[str, Any]]) -> dict[str, Any]:
        pairs.append(found)
        return dict(found)

    try:
        json.loads(text, object_pairs_hook=keep, parse_int=str)
    except (ValueError, RecursionError) as error:
        raise RefusedError(f"a line is no JSON: {error}") from None
    need(text.startswith(b"{") and pairs, "a line is no event")
    # The outermost object is read last.
    names = [name for name, _ in pairs[-1]]
    need(
        names == [key for key in KEYS if key in names], "a line has other keys, or in another order"
    )
    said = dict(pairs[-1])
    if "salt" not in said:
        need(WITHOUT.fullmatch(text), "a line has neither a payload nor a commitment")
        return text, said
    found = WITH_PAYLOAD.fullmatch(text)
    if found is None:
        raise RefusedError("a line is not written as lines are")
    envelope, salt, payload = found.groups()
    try:
        need(
            json.loads(payload, parse_int=str) == said["data"],
            "a line's payload is not what it seems",
        )
        need(json.loads(envelope + b"}", parse_int=str) == {k: v for k, v in said.items() if k not in ("salt", "data")},
             "a line's envelope is not what it seems")  # fmt: skip
    except ValueError:
        raise RefusedError("a line is not written as lines are") from None
    digest = hmac.new(salt, payload, "sha256").digest()
    commit = base64.urlsafe_b64encode(digest).rstrip(b"=")
    # As it stands there: what is shown is what was signed.
    said["data"] = payload.decode("utf-8")
    return envelope + b',"commit":"' + commit + b'"}', said


def check(folder: pathlib.Path, key: Key) -> list[str]:
    """Check every line of a bundle; return what to print."""
    lines = (folder / "lines.jsonl").read_bytes().split(b"\n")
    need(lines.pop() == b"", "lines.jsonl ends in the middle of a line")
    proofs = sorted((folder / "proofs").glob("*.tlog-proof"))
    need(lines and len(lines) == len(proofs), f"{len(lines)} lines and {len(proofs)} proofs")
    told = []
    for line, path in zip(lines, proofs):
        index, hashes, note = read_proof(path.read_bytes().decode("utf-8"))
        size, root = read_checkpoint(note, key)
        entry, said = read_line(line)
        leaf = hashlib.sha256(b"\x00" + entry).digest()
        need(
            find_root(leaf, index, size, hashes) == root,
            f"{path.name} does not lead to the signed root",
        )
        told.append(describe(index, said))
    return told


def describe(index: int, said: dict[str, Any]) -> str:
    """What a line says, on one line of a terminal, whatever it holds."""
    if "data" in said:
        payload = said["data"]
        payload = (
            payload if len(payload) <= SHOWN else f"{payload[:SHOWN]}... (all of it in lines.jsonl)"
        )
    elif said.get("private"):
        payload = "(private: never stored)"
    else:
        payload = "(payload not in this bundle)"
    words = [str(said[name]) for name in ("time", "agent", "primitive", "type") if name in said]
    text = f"{index:>10}  {'  '.join(words)}  {payload}"
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def main() -> int:
    """Check the bundle that this file lies in."""
    parser = argparse.ArgumentParser(
        description="Check that these lines are in the log that was signed."
    )
    parser.add_argument("--key", help="the log's public key, from elsewhere")
    given = parser.parse_args()
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")
    folder = pathlib.Path(__file__).resolve().parent
    try:
        own = next(
            line.split()[1]
            for line in (folder / "policy.txt").read_text(encoding="utf-8").splitlines()
            if line.startswith("log ")
        )
        key = read_key(own if given.key is None else given.key)
        told = check(folder, key)
    except (
        RefusedError,
        OSError,
        UnicodeError,
        StopIteration,
        KeyError,
        IndexError,
    ) as error:
        print(f"NOT PROVEN: {error}" if str(error) else f"NOT PROVEN: {type(error).__name__}")
        return 1
    print("\n".join(told))
    print(f"PROVEN: {len(told)} lines are in {key[0]}, at these positions and as they are shown.")
    print(
        f"The key was {'given by you' if given.key is not None else 'taken from this bundle: compare it with one from elsewhere'}:"
    )
    print(own if given.key is None else given.key)
    return 0


if __name__ == "__main__":
    sys.exit(main())

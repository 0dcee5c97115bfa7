"""Attacks on what was sealed: each with its verdict, and the first position that is wrong."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import whence
from tests.attack.conftest import BLOB, Case
from whence.errors import StoreError
from whence.line import decode_line
from whence.proof.folder import TreeFolder
from whence.proof.keyring import Signer
from whence.proof.notes import sign_note
from whence.proof.report import Report
from whence.proof.sealing import RollbackError, seal


def _first(report: Report) -> int | None:
    return next((each.position for each in report.problems if each.position is not None), None)


def _lines(content: bytes) -> list[bytes]:
    return content.split(b"\n")


def _position_of(case: Case, number: int) -> int:
    """The position of the event with a number in its payload, before anything was done to it."""
    lines = _lines(case.segment.read_bytes())[:-1]
    at = next(i for i, line in enumerate(lines) if f'"data":{{"number":{number}}}'.encode() in line)
    return at - sum(b'"torn' in line for line in lines[:at])


def _swap(content: bytes, one: int, other: int) -> bytes:
    lines = _lines(content)
    lines[one], lines[other] = lines[other], lines[one]
    return b"\n".join(lines)


def _without(content: bytes, at: int) -> bytes:
    lines = _lines(content)
    del lines[at]
    return b"\n".join(lines)


def _doubled(content: bytes, at: int) -> bytes:
    lines = _lines(content)
    return b"\n".join([*lines[:at], lines[at], *lines[at:]])


def _line_of(content: bytes, number: int) -> int:
    return next(
        at
        for at, line in enumerate(_lines(content))
        if f'"data":{{"number":{number}}}'.encode() in line
    )


def _strip(content: bytes, number: int) -> bytes:
    """A payload taken away as if it were erased: the sealed entry, padded, where its line was."""
    from whence.proof.entries import sealed_bytes

    lines = _lines(content)
    at = _line_of(content, number)
    lines[at] = sealed_bytes(lines[at], decode_line(lines[at])).ljust(len(lines[at]))
    return b"\n".join(lines)


def _make_private(content: bytes, number: int) -> bytes:
    """The same, as if it had been private from the beginning."""
    lines = _lines(_strip(content, number))
    at = _line_of(content, number)
    lines[at] = lines[at].rstrip(b" ").replace(b'"w":', b'"private":true,"w":', 1)
    return b"\n".join(lines)


_Edit = Callable[[bytes], bytes]
_EDITS: dict[str, tuple[_Edit, int | None]] = {
    "a payload is edited": (lambda c: c.replace(b'{"number":7}', b'{"number":8}', 1), 7),
    "an envelope is edited": (lambda c: c.replace(b'"target":"t7"', b'"target":"t8"', 1), 7),
    "a time is edited": (lambda c: c.replace(b'"time":"2', b'"time":"1', 1), None),
    "a line in the middle is deleted": (lambda c: _without(c, _line_of(c, 7)), 7),
    "two lines change places": (lambda c: _swap(c, _line_of(c, 7), _line_of(c, 8)), 7),
    "a line is slipped in": (lambda c: _doubled(c, _line_of(c, 7)), 8),
    "bytes are slipped in between salt and data": (
        lambda c: c.replace(b'","data":{"number":7}', b'","x":1,"data":{"number":7}', 1), 7,
    ),
    "a second key is slipped in": (
        lambda c: c.replace(b'"agent":"ada","target":"t7"', b'"agent":"ada","agent":"eve","target":"t7"', 1), 7,
    ),
    "a payload is stripped as if erased": (lambda c: _strip(c, 7), 7),
    "a payload is stripped as if private": (lambda c: _make_private(c, 7), 7),
    "payloads are swapped": (
        lambda c: c.replace(b'{"number":7}', b"{X}", 1).replace(b'{"number":8}', b'{"number":7}', 1).replace(b"{X}", b'{"number":8}', 1),
        7,
    ),
    "a newline is put in": (lambda c: c.replace(b'{"number":7}', b'{"number"\n7}', 1), 7),
    "spaces are put before a newline": (lambda c: c.replace(b'{"number":7}} \n', b'{"number":7}}  \n', 1), 8),
    "the tail is cut": (lambda c: b"\n".join(_lines(c)[:-6]) + b"\n", None),
    "the tail is cut in a line": (lambda c: c[:-20], None),
    "all is deleted": (lambda _: b"", 0),
    "the reported fragment is altered": (lambda c: c.replace(b'{"id":"torn', b'{"id":"TORN'), None),
    "the reported fragment is taken away": (lambda c: c.replace(b'{"id":"torn\n', b""), None),
}  # fmt: skip


@pytest.mark.parametrize("name", _EDITS)
def test_an_edit_of_the_journal_is_named(case: Case, name: str) -> None:
    change, number = _EDITS[name]
    wanted = None if number is None else _position_of(case, number) if number else 0
    case.edit(change)
    report = case.verify()

    assert report.is_broken
    assert not report.is_verified
    if wanted is not None:
        assert _first(report) == wanted


def test_a_segment_that_is_deleted_or_empty_is_named(case: Case) -> None:
    case.segment.unlink()
    report = case.verify()
    assert (_first(report), report.is_broken) == (0, True)
    assert "is gone" in report.problems[0].message


def test_a_blob_or_run_file_that_was_changed_or_is_gone_is_named(case: Case) -> None:
    [blob] = (case.folder / "blobs").iterdir()
    content = blob.read_bytes()
    blob.write_bytes(content.replace(b"bbb", b"bbc", 1))
    assert case.verify().is_broken
    blob.unlink()
    report = case.verify()
    assert report.is_broken
    assert "gone" in report.problems[0].message
    blob.write_bytes(content)
    assert case.verify().is_verified
    assert BLOB.encode() in content

    [file] = (case.folder / "runs").glob("*.json")
    content = file.read_bytes()
    file.write_bytes(content.replace(b"0.5", b"0.6"))
    assert "was changed" in case.verify().problems[0].message
    file.unlink()
    assert "is gone" in case.verify().problems[0].message


# -- the tree's own files ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["0", "1", "ranges", "entries"])
def test_one_flipped_bit_of_the_tree_is_never_verified(case: Case, name: str) -> None:
    path = case.folder / "tree" / name
    content = path.read_bytes() if path.exists() else b""
    for at in range(0, len(content), max(1, len(content) // 60)):
        changed = bytearray(content)
        changed[at] ^= 1 << at % 8
        path.write_bytes(changed)
        assert not case.verify().is_verified, f"{name} at {at}"
    path.write_bytes(content) if content else None
    assert case.verify().is_verified


def test_one_flipped_bit_of_the_journal_is_never_verified(case: Case) -> None:
    content = case.segment.read_bytes()
    torn = content.index(b'{"id":"torn')
    for at in range(0, len(content), 37):
        changed = bytearray(content)
        changed[at] ^= 1 << at % 8
        case.segment.write_bytes(changed)
        report = case.verify()
        assert not report.is_verified, f"at {at}, where the fragment is at {torn}"


def test_one_flipped_bit_of_the_checkpoint_is_never_verified(case: Case) -> None:
    path = case.folder / "checkpoint"
    content = path.read_bytes()
    for at in range(len(content)):
        changed = bytearray(content)
        changed[at] ^= 1 << at % 8
        path.write_bytes(changed)
        try:
            assert not case.verify().is_verified, f"at {at}"
        except (whence.WhenceError, StoreError):
            continue


def _ranges(case: Case) -> Path:
    return case.folder / "tree" / "ranges"


def test_a_forged_line_that_the_ranges_step_around_is_named(case: Case) -> None:
    content = case.segment.read_bytes()
    at = content.index(b"\n", len(content) // 4) + 1
    forged = content[:at].split(b"\n")[-2] + b"\n"
    case.segment.write_bytes(content[:at] + forged + content[at:])
    tree = TreeFolder(case.folder)
    rows = []
    for taken in tree.ranges():
        if taken.start < at < taken.end:
            before = content[taken.start : at].count(b"\n")
            rows.append(taken._replace(end=at, size=before))
            rows.append(
                taken._replace(
                    start=at + len(forged), end=taken.end + len(forged),
                    first=taken.first + before, size=taken.size - before,
                )
            )  # fmt: skip
        elif taken.start >= at:
            rows.append(
                taken._replace(start=taken.start + len(forged), end=taken.end + len(forged))
            )
        else:
            rows.append(taken)
    _ranges(case).write_text("".join(map(str, rows)))
    report = case.verify()

    assert report.is_broken
    assert "steps over bytes" in report.problems[0].message


def test_ranges_in_another_order_are_named(case: Case) -> None:
    lines = _ranges(case).read_text().splitlines(keepends=True)
    assert len(lines) > 1
    _ranges(case).write_text("".join(lines[::-1]))

    assert case.verify().is_broken


# -- histories --------------------------------------------------------------------------------------


def test_an_older_copy_of_the_whole_folder_is_seen_by_who_kept_a_checkpoint_and_by_the_signer(
    case: Case, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(case.folder, copy)
    with whence.open(case.folder) as log:
        log.emit("ops", "later")
    newer = case.seal()
    shutil.rmtree(case.folder)
    copy.rename(case.folder)

    # By itself it is a whole log, as it was.
    assert case.verify().is_verified
    assert "an older copy" in case.verify(since=newer).problems[0].message
    assert "an older copy" in case.verify(head=True).problems[0].message
    # And its signer signs nothing smaller, nor a fork of what it signed.
    with pytest.raises(RollbackError):
        seal(case.folder, case.signer)


def test_who_holds_the_key_can_rewrite_and_only_an_older_checkpoint_shows_it(case: Case) -> None:
    case.edit(lambda content: content.replace(b'{"number":7}', b'{"number":8}', 1))
    shutil.rmtree(case.folder / "tree")
    for name in ("checkpoint", "checkpoints.jsonl"):
        (case.folder / name).unlink()
    forged = Signer(case.folder / "elsewhere", case.signer.key)
    (case.folder / "elsewhere").mkdir()
    assert seal(case.folder, forged) is not None

    # As the documentation says: by itself it cannot be told from the truth.
    assert case.verify().is_verified
    report = case.verify(since=case.old)
    assert report.is_broken
    assert "the history was rewritten" in report.problems[0].message


def test_a_fork_is_seen_by_who_has_the_other_half(case: Case) -> None:
    other = case.folder.parent / "other"
    shutil.copytree(case.folder, other)
    with whence.open(case.folder) as log:
        log.emit("ops", "told to Ada")
    ada = case.seal()
    with whence.open(other) as log:
        log.emit("ops", "told to Bob")
        log.emit("ops", "and more")
    beside = case.folder.parent / "keys2"
    beside.mkdir()
    assert seal(other, Signer(beside, case.signer.key)) is not None

    from whence.proof.verifying import verify

    report = verify(other, keys=[case.vkey], since=ada)
    assert "the history was rewritten" in report.problems[0].message


def test_the_history_of_another_log_is_not_taken_for_this_one(case: Case, tmp_path: Path) -> None:
    from whence.proof import keyring

    other = tmp_path / "other"
    signer = keyring.make_key(case.keys, other, "whence/other")
    with whence.open(other) as log:
        log.emit("ops", "x")
    sealed = seal(other, signer)
    assert sealed is not None
    shutil.copy(other / "checkpoint", case.folder / "checkpoint")
    assert case.verify().is_broken
    with pytest.raises(RollbackError, match="is of whence/other"):
        seal(case.folder, case.signer)
    assert case.verify(since=sealed.note).is_broken


def test_a_key_of_somebody_elses_is_not_the_logs(case: Case) -> None:
    from whence.proof.keyring import make_signer

    stranger = make_signer("whence/attacked")
    note = case.new
    (case.folder / "checkpoint").write_bytes(str(sign_note(note.text, [stranger])).encode())
    assert "is not signed by" in case.verify().problems[0].message
    # Nor by the log's own word, which names the key that it had.
    assert case.verify(key=False).is_broken


def test_a_checkpoint_from_the_future_is_named(case: Case) -> None:
    from whence.proof.checkpoints import Checkpoint, parse_checkpoint

    now = parse_checkpoint(case.new.text)
    future = sign_note(str(Checkpoint(now.origin, now.size + 5, now.root)), [case.signer.key])
    (case.folder / "checkpoint").write_bytes(str(future).encode())

    assert "tells of" in case.verify().problems[0].message


def test_a_tree_that_is_longer_than_what_was_signed_is_cut_and_one_that_is_shorter_is_an_alarm(
    case: Case,
) -> None:
    tree = case.folder / "tree"
    for name in ("0", "entries"):
        with open(tree / name, "ab") as file:
            file.write(bytes(64))
    assert case.verify().is_verified
    assert seal(case.folder, case.signer) is not None
    assert case.verify().is_verified

    os.truncate(tree / "0", 64)
    assert case.verify().is_broken
    with pytest.raises(RollbackError, match="the key signed"):
        seal(case.folder, case.signer)


def test_what_was_sealed_and_is_gone_is_an_alarm_for_who_seals(case: Case) -> None:
    content = case.segment.read_bytes()
    os.truncate(case.segment, len(content) - 30)
    with pytest.raises(RollbackError, match="is shorter than it was"):
        seal(case.folder, case.signer)
    case.segment.unlink()
    with pytest.raises(RollbackError, match="is gone"):
        seal(case.folder, case.signer)


def test_a_clock_that_was_set_back_changes_no_verdict(case: Case) -> None:
    """Position is the order that is proven; time is what the writer claimed."""
    with whence.open(case.folder) as log:
        log.recorder.clock = lambda: 1_600_000_000 * 10**9
        log.emit("ops", "long ago")
    case.seal()

    assert case.verify(since=case.new).is_verified


def test_two_different_events_of_one_count_are_named(case: Case) -> None:
    """Somebody who can write, but not sign, appends a line under another writer's count before the seal."""
    lines = _lines(case.segment.read_bytes())
    line = next(each for each in lines if b'{"number":7}' in each)
    with open(case.segment, "ab") as file:
        file.write(line.replace(b'{"number":7}', b'{"number":9}') + b"\n")
        file.write(line + b"\n")
    case.seal()
    report = case.verify()

    assert report.is_broken
    assert "two different events" in report.problems[0].message


def test_events_that_writers_counted_and_no_line_holds_are_missing(case: Case) -> None:
    with whence.open(case.folder) as log:
        log.emit("ops", "first")
        log.emit("ops", "second")
        log.emit("ops", "third")
    # Before it is sealed, somebody takes a line away.
    case.edit(
        lambda content: b"\n".join(line for line in _lines(content) if b'"second"' not in line)
    )
    case.seal()
    report = case.verify()

    assert (report.is_broken, report.is_verified, report.lost) == (False, False, 1)

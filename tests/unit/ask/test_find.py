"""Searching raw lines finds what reading every payload would find."""

import json
import re
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import whence
from tests import reference
from tests.strategies import payload_bytes, payloads, texts
from whence.ask import find as finding
from whence.ask.find import find, find_literal, likely_lines, make_needle, texts_of
from whence.event import Event, decode_json, parse_time
from whence.journal.reader import Reader
from whence.query import Query

_encode = msgspec.json.Encoder().encode


def make_line(n: int, payload: bytes, **fields: Any) -> bytes:
    envelope = {
        "id": f"id-{n}",
        "time": "2026-11-20T19:27:35.104233123Z",
        "primitive": "bridge",
        "type": "send",
        "w": "w" * 12,
        "n": n,
        **fields,
    }
    return reference.encode_line(envelope, "s" * 24, payload)


def search(lines: list[bytes], text: str | None = None, **asked: Any) -> list[int]:
    notes: list[str] = []
    options = {key: asked.pop(key) for key in ("pattern", "ignore_case") if key in asked}
    with tempfile.TemporaryDirectory() as name:
        journal = Path(name) / "journal"
        journal.mkdir()
        (journal / "2026-11-20.0000.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))
        needle = make_needle(
            text, options.get("pattern"), ignore_case=options.get("ignore_case", False)
        )
        query, limit = asked.get("query", Query()), asked.get("limit")
        reader = Reader(Path(name))
        found = [event.n for event in find(reader, needle, query, limit=limit, note=notes.append)]
        reader.close()
    assert not notes
    return found


def leaves(payload: bytes) -> list[str]:
    """Every key, text and number of a payload, slowly."""

    def walk(value: Any) -> list[str]:
        if isinstance(value, dict):
            return [*value, *(text for part in value.values() for text in walk(part))]
        if isinstance(value, list):
            return [text for part in value for text in walk(part)]
        return [value if isinstance(value, str) else _encode(value).decode()]

    return walk(decode_json(payload))


strings = st.lists(st.text(st.sampled_from('aAbkKsSi"\\\n\x1b/é\u212aſİıu0')), max_size=5)


@given(kept=st.lists(strings.map(json.dumps), max_size=6), data=st.data())
@example(kept=['["\\u0041"]'], data=None)
def test_a_text_is_found_however_it_was_escaped(
    kept: list[str], data: st.DataObject | None
) -> None:
    payload = [text.encode() for text in kept]
    wanted = "A"
    if data is not None:
        spelt = st.booleans()
        payload = [
            raw if data.draw(spelt) else json.dumps(json.loads(raw), ensure_ascii=False).encode()
            for raw in payload
        ]
        wanted = data.draw(
            st.text(st.sampled_from('aAbkKsSi"\\\n\x1b/éu0'), min_size=1, max_size=3)
        )
    lines = [make_line(n, raw) for n, raw in enumerate(payload)]

    plain = [n for n, raw in enumerate(payload) if any(wanted in text for text in leaves(raw))]
    folded = [
        n
        for n, raw in enumerate(payload)
        if any(wanted.lower() in text.lower() for text in leaves(raw))
    ]

    assert search(lines, wanted) == plain[::-1]
    assert search(lines, wanted, ignore_case=True) == folded[::-1]


@pytest.mark.parametrize(("asked", "kept"), [("k", "\u212a"), ("s", "ſ"), ("i", "İ"), ("i", "ı")])
def test_letters_that_count_as_ascii_ones_are_found(asked: str, kept: str) -> None:
    lines = [make_line(0, f'["{kept}"]'.encode())]

    assert search(lines, pattern=asked, ignore_case=True) == [0]
    assert search(lines, asked, ignore_case=True) == ([0] if asked in kept.lower() else [])


@given(
    kept=st.lists(payload_bytes(), max_size=5),
    wanted=texts.filter(lambda text: text.strip() != ""),
    ignore_case=st.booleans(),
)
def test_texts_are_found_in_any_payload(kept: list[bytes], wanted: str, ignore_case: bool) -> None:
    """Numbers aside: they are found as they are written."""

    def holds(raw: bytes) -> bool:
        value = decode_json(raw)
        return any(
            (wanted.lower() in text.lower() if ignore_case else wanted in text)
            for text in texts_of(value)
            if not re.fullmatch(r"-?[0-9.e+-]+|true|false|null", text)
        )

    lines = [make_line(n, raw) for n, raw in enumerate(kept)]
    sure = {n for n, raw in enumerate(kept) if holds(raw)}

    found = search(lines, wanted, ignore_case=ignore_case)

    assert sure <= set(found)
    assert found == sorted(found, reverse=True)


@pytest.mark.parametrize(
    ("pattern", "literal"),
    [
        ("handover", "handover"),
        ("^Blocked on", "Blocked on"),
        ("colou?r", "colo"),
        ("ab*c", "a"),
        ("ab+c", "ab"),
        ("x{0}yz", "yz"),
        ("(never)?always", "always"),
        ("[never]always", "always"),
        (r"\bword\b", "word"),
        (r"\x41bc", ""),
        ("(?i)word", ""),
        ("one|other", ""),
        ("", ""),
    ],
)
def test_the_literal_of_a_pattern_is_what_every_match_holds(pattern: str, literal: str) -> None:
    assert find_literal(pattern) == literal


# Pieces from which patterns are put together, each with a text that it matches.
_PIECES = [
    ("a", "a"), ("b", "b"), ("ab", "ab"), ("a*", ""), ("a?b", "b"), ("[ab]", "b"), ("(ab)", "ab"),
    ("(ab)*", ""), ("a{0}", ""), ("a{2}", "aa"), ("b+", "bb"), (r"\.", "."), (".", "x"),
    ("[^]a]", "b"), ("(a[)]b)?", ""), (r"\(", "("), (" ", " "),
]  # fmt: skip


@given(st.lists(st.sampled_from(_PIECES), max_size=8))
def test_no_match_lacks_the_literal(pieces: list[tuple[str, str]]) -> None:
    pattern = "".join(pattern for pattern, _ in pieces)
    text = "".join(text for _, text in pieces)

    assert re.fullmatch(pattern, text)
    assert find_literal(pattern) in text


@given(st.lists(payloads.map(_encode), max_size=5), st.sampled_from(["^a", "b+", "\\d\\d", "^$"]))
def test_a_pattern_is_tried_on_each_value(kept: list[bytes], pattern: str) -> None:
    lines = [make_line(n, raw) for n, raw in enumerate(kept)]
    matching = [
        n for n, raw in enumerate(kept) if any(re.search(pattern, text) for text in leaves(raw))
    ]

    assert search(lines, pattern=pattern) == matching[::-1]


def test_envelopes_and_salts_are_not_searched() -> None:
    lines = [make_line(n, b'{"a":1}', agent="haiku-1", target="payments") for n in range(3)]

    assert search(lines, "haiku-1") == []
    assert search(lines, "ssss") == []
    assert search([*lines, make_line(3, b'["haiku-1"]', agent="haiku-1")], "haiku-1") == [3]


def test_keys_count_and_punctuation_does_not() -> None:
    lines = [make_line(0, b'{"reason":"need key","n":[1,2]}')]

    assert search(lines, "reason") == [0]
    assert search(lines, '":"') == []
    assert search(lines, "1,2") == []


def test_filters_and_limits_narrow_the_answer() -> None:
    lines = [make_line(n, b'["x"]', agent=f"agent-{n % 2}") for n in range(10)]

    assert search(lines, "x", query=Query(agent="agent-1"), limit=2) == [9, 7]
    assert search(lines, "x", limit=0) == []


def test_repeats_are_passed_over_and_what_is_no_event_is_named_too(tmp_path: Path) -> None:
    good = make_line(1, b'["x"]')
    fragment = b'half a line with x,"salt":"'
    glued = good + make_line(2, b'["x"]')
    torn = make_line(3, b'["nothing of the kind"]')[:-9]
    (tmp_path / "journal").mkdir()
    (tmp_path / "journal" / "2026-11-20.0000.jsonl").write_bytes(
        b"".join(line + b"\n" for line in (good, good, fragment, glued, torn))
    )
    notes: list[str] = []

    finds = find(Reader(tmp_path), make_needle("x", None), Query(), limit=None, note=notes.append)

    assert [event.n for event in finds] == [2, 1]
    fragment_at = 2 * len(good) + 2
    torn_at = fragment_at + len(fragment) + len(glued) + 2
    assert {note.partition(": ")[0] for note in notes} == {
        f"2026-11-20.0000 at {fragment_at}",
        f"2026-11-20.0000 at {torn_at}",
    }


@pytest.mark.parametrize("has_index", [False, True])
def test_damage_is_named_once_whoever_found_it(
    tmp_path: Path, has_index: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finding, "_CHUNK_BYTES", 10)
    with whence.open(tmp_path / ".whence") as log:
        kept = [log.emit("ops", "step", data={"word": "needle", "n": n}) for n in range(3)]
        segment = next((log.folder / "journal").iterdir())
        with segment.open("ab") as file:
            file.write(b"half a line\n")
        if has_index:
            log.catch_up()
        with segment.open("ab") as file:
            file.write(b"another half\n")
        log.warnings.clear()
        log._warned.clear()

        found = [event.id for event in log.find("needle")]

    assert found == kept[::-1]
    assert len(log.warnings) == 2
    assert ": 11 bytes are not an event" in log.warnings[1]
    assert ": 12 bytes are not an event" in log.warnings[0]


@pytest.mark.parametrize("has_index", [False, True])
@pytest.mark.parametrize("glue", [b"\n", b""])
def test_a_payload_in_a_blob_is_found_wherever_its_line_stands(
    tmp_path: Path, glue: bytes, has_index: bool
) -> None:
    with whence.open(tmp_path / ".whence") as log:
        log.emit("ops", "step", data={"word": "other", "in": {"it": 1}})
        large = log.emit("ops", "step", data={"text": "x" * 70_000 + "needle"})
        log.emit("ops", "step", data={"word": "other", "in": {"it": 1}})
    (segment,) = (log.folder / "journal").iterdir()
    text = segment.read_bytes()
    after_blob = text.index(b"}\n", text.index(b'"blob":')) + 1
    segment.write_bytes(text[:after_blob] + glue + text[after_blob + 1 :])

    with whence.open(tmp_path / ".whence") as log:
        if has_index:
            log.catch_up()

        assert [event.id for event in log.find("needle")] == [large]


def test_a_line_escaped_in_every_place_costs_no_more_than_reading_it() -> None:
    lines = [make_line(n, b'["\\u00e9 and more"]') for n in range(2_000)]
    needle = make_needle("é and", None)

    assert len(list(likely_lines(needle, b"".join(line + b"\n" for line in lines)))) == 2_000


@pytest.mark.parametrize(
    ("text", "pattern", "problem"),
    [
        (None, None, "a text or a pattern"),
        ("x", "x", "a text or a pattern"),
        ("", None, "is empty"),
        (None, "(", "is not a regular expression"),
        (None, "a{99999999999}", "is not a regular expression"),
        ("\ud800", None, "lone surrogate"),
    ],
)
def test_what_cannot_be_searched_for_is_refused(
    text: str | None, pattern: str | None, problem: str
) -> None:
    with pytest.raises(ValueError, match=problem):
        make_needle(text, pattern)


@pytest.mark.parametrize("day", ["2026-11-19", "9999-12-31"])
def test_a_segment_is_read_for_lines_of_the_day_after_its_own(tmp_path: Path, day: str) -> None:
    """A writer with an unsteady clock stays in the segment that it has."""
    journal = tmp_path / "journal"
    journal.mkdir()
    (journal / f"{day}.0000.jsonl").write_bytes(make_line(1, b'["x"]') + b"\n")
    reader = Reader(tmp_path)
    query = Query(since=parse_time("2026-11-20T19:00:00.000000000Z"))

    finds = find(reader, make_needle("x", None), query, limit=None, note=pytest.fail)

    assert [event.n for event in finds] == [1]
    reader.close()


def test_old_segments_are_not_read_for_a_recent_question(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    journal.mkdir()
    line = make_line(1, b'["x"]')
    (journal / "2026-11-20.0000.jsonl").write_bytes(line + b"\n")
    reader = Reader(tmp_path)

    def ask(since: str) -> list[Event]:
        query = Query(since=parse_time(since))
        return list(find(reader, make_needle("x", None), query, limit=None, note=pytest.fail))

    assert ask("2026-11-20T19:27:35.104233123Z")
    assert ask("2026-11-20T19:27:35.104233124Z") == []
    assert ask("2026-12-20T00:00:00.000000000Z") == []
    reader.close()

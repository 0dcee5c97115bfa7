"""From a caller's value to JSON bytes that are safe to keep.

Promises, whatever is given: one JSON value, valid UTF-8, no NaN or infinity, nested at most 100
levels, no white space around it; no secret that `redact.py` knows; the caller's object is not
changed; nothing is raised but `MemoryError` and what is no `Exception` (Ctrl-C).

What had to change is marked: the outermost object gets one more key, `$marks`, from JSON pointer
(RFC 6901) to words that say what happened there, separated by spaces:

| word | what happened |
|---|---|
| `nan`, `inf`, `-inf` | a float that JSON lacks became null |
| `redacted` | a secret, or a part of the text, became `[redacted]` |
| `repr` | a value that JSON cannot carry became its `repr` |
| `cut=<n>` | that text was longer: n characters, of which a part is kept |
| `hex` | an integer of more digits than Python reads became hexadecimal text |
| `surrogate` | lone surrogates became U+FFFD |
| `deep` | below 100 levels, so this became its `repr` |
| `cycle` | the value contains itself; the text is `#` and the pointer of the outer one |
| `key` | the key is not the caller's: it became text, lost a secret or met one like it |
| `unreadable` | reading the value raised an error, whose name stands there |
| `wrapped` | the whole payload was put here, since it was not an object or had a `$marks` |

`$marks` at the top is therefore always ours: a caller's object with that key is wrapped as
`{"value": …, "$marks": {"/value": "wrapped"}}`, and so is a list that needs a mark.

The normal day takes the fast path: a copy, one look at each key and value, one call of msgspec.
Whatever that look does not know takes the slow path, which is never wrong, only slower.
"""

import dataclasses
import datetime as dt
import decimal
import enum
import re
import sys
import uuid
from collections import deque
from collections.abc import Mapping
from itertools import islice, pairwise
from pathlib import PurePath
from typing import Any, Self

import msgspec

from whence.recorder.redact import (
    OPTION,
    REDACTED,
    RUN,
    RUNS,
    SCHEME_SIZE,
    SHORTEST,
    Redactor,
)

MARKS = "$marks"
MOST_LEVELS = 100
_MOST_TEXT = 1_000
_SEARCHED_TEXT = 5_000
_MOST_KEYS = 10_000
_LONGEST_KEY = 200
_FAST_LEVELS = 30
# Where a text under one of the first names a secret, it stands under one of the second.
_NAMING, _NAMED = (
    frozenset(spelled for key in keys.split() for spelled in (key, key.title(), key.upper()))
    for keys in ("name key header field", "value values")
)
_MOST_SPACES = 2
# Some words, as in `{"field": "password", "value": "too short"}`.
_SAID = re.compile(r"[A-Za-z]+(?: [A-Za-z]+)+[.!]?").fullmatch
_INF = float("inf")
_MINUS_INF = -_INF
_DEFAULT = Redactor()
_UNREADABLE = b'{"value":null,"$marks":{"/value":"wrapped unreadable"}}'

# Types that msgspec writes as they should be, and that hold no text of the caller's.
_NATIVE = (dt.date, dt.datetime, dt.time, dt.timedelta, decimal.Decimal, uuid.UUID)
# Types, and those derived from them, of which `str` says all there is.
_SPEAKING = (*_NATIVE, PurePath)
_NUMBERS = frozenset({int, bool, type(None)})
# As `json.dumps` spells them.
_FLOAT_KEYS = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
_EASY = _NUMBERS.union(_NATIVE)
_SEQUENCES: tuple[type[Any], ...] = (list, tuple, deque, set, frozenset)
_SURROGATES = re.compile("[\ud800-\udfff]")
_encode = msgspec.json.Encoder().encode


class Cut(str):
    """The beginning of a text that was longer, or its end; it is marked with the size of the whole."""

    __slots__ = ("size",)

    size: int

    @classmethod
    def start(cls, text: str, size: int, whole: int | None = None) -> str:
        """Return the first characters of `text`, or all of it if that is no more.

        `whole` is the size of what `text` itself is the beginning of.
        """
        whole = len(text) if whole is None else whole
        return text if whole <= size else cls._of(text[: size - 1] + "…", whole)

    @classmethod
    def end(cls, text: str, size: int) -> str:
        """Return the last characters of `text`, or all of it if that is no more."""
        return text if len(text) <= size else cls._of("…" + text[1 - size :], len(text))

    @classmethod
    def _of(cls, text: str, size: int) -> Self:
        cut = cls(text)
        cut.size = size
        return cut


class Payloads:
    """Encodes the payloads of one log. Share it between threads.

    Without a redactor nothing is searched for secrets; all else stays as promised.
    """

    def __init__(self, redactor: Redactor | None = _DEFAULT) -> None:
        self._redactor = redactor
        self._may_hold_secret = redactor.may_hold_secret if redactor else _never
        # Texts below this size hold no secret: no call is made for them.
        self._shortest = 0 if redactor and redactor.has_patterns else SHORTEST
        self._find_head = redactor.find_head if redactor and not redactor.has_patterns else None
        self._is_pair = redactor.is_pair if redactor else _never
        self._tail = redactor.tail if redactor else slice(0)
        self._tails = redactor.tails if redactor else frozenset[str]()
        named = (key for key in _NAMED if redactor and not redactor.is_secret_key(key))
        self._keys = _KnownKeys(frozenset(named))

    def cut(self, text: str, size: int) -> str:
        """Return the first characters of `text`, marked where it was longer, and free of secrets."""
        if len(text) <= size:
            return text
        # Searched before it is cut, or half a token would stay.
        start = text[:_SEARCHED_TEXT]
        return Cut.start(self.redact(start), size, len(text))

    def redact(self, text: str) -> str:
        """Replace the secrets in a text, as `encode` does."""
        return self._redactor.redact(text) if self._redactor else text

    def encode(self, data: object) -> bytes:
        """Return `data` as one JSON value, with marks where it had to change. Never raises."""
        find_head = self._find_head
        try:
            # The first level of `_copy` and `Redactor.may_hold_secret` once more, since each call
            # costs as much as a look at two keys.
            if type(data) is dict and find_head:
                plain = self._keys.plain
                copy = data.copy()
                for key, value in copy.items():
                    if key not in plain:
                        if key in self._keys.secret and type(value) in _NUMBERS:
                            continue
                        # Then it is `value`, and what stands beside it says no secret's name.
                        if key not in self._keys.named or not (
                            _NAMING.isdisjoint(copy) or self._keys.name_nothing(copy)
                        ):
                            break
                    kind = type(value)
                    if kind is str:
                        size = len(value)
                        if (
                            size >= SHORTEST
                            and (
                                RUN in value.encode().translate(RUNS).decode()
                                or ":" in value
                                or "=" in value
                                or ("-" in value and OPTION in value)
                                or (size < SCHEME_SIZE and value[0] in "Bb")
                            )
                            and find_head(value[::-1])
                        ):
                            break
                    elif kind is int or kind is bool:
                        continue
                    elif kind is float:
                        if not _MINUS_INF < value < _INF:
                            break
                    elif kind not in _EASY:
                        nested = self._copy(value, _FAST_LEVELS)
                        if nested is None:
                            break
                        copy[key] = nested
                else:
                    return _encode(copy)
            elif (copied := self._copy(data, _FAST_LEVELS)) is not None:
                return _encode(copied)
        except Exception:  # noqa: BLE001
            # Whatever it was, the slow path meets it again and marks it.
            pass
        try:
            return _encode(_Cleaner(self._redactor, self._keys).clean(data))
        except Exception:  # noqa: BLE001
            # Only a stack with no room left comes here.
            return _UNREADABLE

    def _copy(self, value: Any, levels: int) -> Any:
        """Copy a value of exact, plain types that needs no mark; None for every other.

        What is judged and encoded is the copy: no other thread can change it in between.
        """
        kind, shortest = type(value), self._shortest
        if kind is dict and levels:
            plain = self._keys.plain
            copy = value.copy()
            items: Any = copy.items()
        elif kind in (list, tuple) and levels:
            plain = None
            copy = list(value)
            items = enumerate(copy)
            if (
                len(copy) == 2
                and type(name := copy[0]) is str
                and name[self._tail] in self._tails
                and type(copy[1]) is str
                and self._is_pair(name, copy[1])
            ):
                return None
        elif kind is str:
            return None if self._may_hold_secret(value) else value
        elif kind is float:
            return value if _MINUS_INF < value < _INF else None
        else:
            return value if kind in _EASY else None
        for key, part in items:
            if plain is not None and key not in plain:
                if key in self._keys.secret and type(part) in _NUMBERS:
                    continue
                if key not in self._keys.named or not (
                    _NAMING.isdisjoint(copy) or self._keys.name_nothing(copy)
                ):
                    return None
            kind = type(part)
            if kind is str:
                if len(part) >= shortest and self._may_hold_secret(part):
                    return None
                # In a list it may be an option that names the next; most texts begin with a letter.
                if plain is None and part < "." and part[:2] == OPTION:
                    return None
            elif kind is float:
                if not _MINUS_INF < part < _INF:
                    return None
            elif kind not in _EASY:
                nested = self._copy(part, levels - 1)
                if nested is None:
                    return None
                copy[key] = nested
        return copy


class _KnownKeys:
    """Keys seen before that need no change, by what they mean: exact `str`, none of them `$marks`.

    What stands under `named` ones may be a secret by what stands beside them, so they never become
    plain; numbers pass as under a `secret` key.

    Sets that only grow or are emptied need no lock: an entry that gets lost costs time alone.
    """

    def __init__(self, named: frozenset[str]) -> None:
        self.named = named
        self.plain: set[str] = set()
        self.secret: set[str] = {*named}

    def name_nothing(self, items: dict[str, Any]) -> bool:
        """Whether all texts in `items` that name what stands beside them are plain as keys."""
        for key in _NAMING:
            if key in items and type(items[key]) is str and items[key] not in self.plain:
                return False
        return True

    def learn(self, key: str, secret: bool) -> None:
        keys = self.secret if secret else self.plain
        if len(key) <= _LONGEST_KEY and key != MARKS and key not in self.named:
            if len(keys) >= _MOST_KEYS:
                keys.clear()
            keys.add(key)


class _Cleaner:
    """Rebuilds one value as plain JSON types and notes each change. Used once."""

    def __init__(self, redactor: Redactor | None, keys: _KnownKeys) -> None:
        self._redactor = redactor
        self._keys = keys
        self._marks: dict[str, str] = {}
        # The containers that are being read, by identity, with the pointer of each.
        self._open: dict[int, str] = {}

    def clean(self, data: object) -> object:
        """Return `data` as it shall be written, marks included."""
        value = self._read(data, "", 1, False)
        if type(value) is dict and MARKS not in value:
            return {**value, MARKS: self._marks} if self._marks else value
        if type(value) is not dict and not self._marks:
            return value
        # Read again, as what it will be: a part of another object.
        self._marks = {"/value": "wrapped"}
        value = self._read(data, "/value", 2, False)
        return {"value": value, MARKS: self._marks}

    def _mark(self, pointer: str, word: str) -> None:
        marked = self._marks.get(pointer)
        self._marks[pointer] = f"{marked} {word}" if marked else word

    def _read(self, value: object, pointer: str, level: int, secret: bool) -> Any:
        """Return `value` in plain JSON types. `secret`: it stands below a key that names one."""
        try:
            return self._convert(value, pointer, level, secret)
        except Exception as error:  # noqa: BLE001
            self._mark(pointer, "unreadable")
            return type(error).__name__

    def _convert(self, value: Any, pointer: str, level: int, secret: bool) -> Any:
        # Asked of the type alone: `isinstance` would run code of the value's.
        kind = type(value)
        if value is None or kind is bool:
            return value
        if issubclass(kind, enum.Enum):
            return self._convert(value.value, pointer, level, secret)
        if issubclass(kind, str):
            if kind is Cut:
                self._mark(pointer, f"cut={value.size}")
            return self._clean_text(str.__str__(value), pointer, secret)
        if issubclass(kind, int):
            return self._clean_int(int.__int__(value), pointer)
        if issubclass(kind, float):
            return self._clean_float(float.__float__(value), pointer)
        if kind in _NATIVE:
            return self._clean_text(msgspec.to_builtins(value), pointer, secret)
        if issubclass(kind, _SPEAKING):
            return self._clean_text(str.__str__(str(value)), pointer, secret)
        plainer = _make_plainer(value, kind)
        if plainer is not value:
            return self._convert(plainer, pointer, level, secret)
        items = _list_items(value, kind)
        parts = _list_parts(value, kind) if items is None else None
        if items is None and parts is None:
            self._mark(pointer, "repr")
            return self._clean_repr(value, pointer, secret)
        if id(value) in self._open:
            self._mark(pointer, "cycle")
            return "#" + self._open[id(value)]
        if level > MOST_LEVELS:
            self._mark(pointer, "deep")
            return self._clean_repr(value, pointer, secret)
        self._open[id(value)] = pointer
        try:
            if items is not None:
                return self._clean_items(items, pointer, level + 1, secret)
            parts = parts or []
            named = self._find_named(parts) if issubclass(kind, (list, tuple)) else ()
            return [
                self._read(part, f"{pointer}/{index}", level + 1, secret or index in named)
                for index, part in enumerate(parts)
            ]
        finally:
            del self._open[id(value)]

    def _clean_items(
        self, items: list[tuple[object, object]], pointer: str, level: int, secret: bool
    ) -> dict[str, Any]:
        clean: dict[str, Any] = {}
        same: dict[str, int] = {}
        names = {
            key: _text_of(value)
            for key, value in items
            if type(key) is str and key in _NAMING and self._names_secret(value)
        }
        for key, value in items:
            wanted, changed, names_secret = self._judge_key(key)
            if names_secret:
                names_secret = not self._is_folder(wanted, value)
            elif names and wanted in _NAMED:
                names_secret = any(self._is_named(*name, value) for name in names.items())
            name = wanted
            while name in clean:
                same[wanted] = same.get(wanted, 1) + 1
                name = f"{wanted} ({same[wanted]})"
            below = f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}"
            clean[name] = self._read(value, below, level, secret or names_secret)
            if changed or name != wanted:
                self._mark(below, "key")
        return clean

    def _names_secret(self, value: object) -> bool:
        """Whether a text is the name of a secret, by the same rule as a key."""
        name = _text_of(value)
        if not name or len(name) > _LONGEST_KEY or name.count(" ") > _MOST_SPACES:
            return False
        # Judged as a key first, so that it is known as one.
        judged = self._judge_key(name)
        return judged[2] and self._redactor is not None and self._redactor.is_name(judged[0])

    def _is_named(self, key: str, name: str, value: object) -> bool:
        """Whether the text under `key` names a value beside it: what is said of a field does not count."""
        is_said = key.lower() == "field" and _SAID(_text_of(value))
        return not is_said and not self._is_folder(name, value)

    def _is_folder(self, name: str, value: object) -> bool:
        return self._redactor is not None and self._redactor.is_folder(name, _text_of(value))

    def _find_named(self, parts: list[Any]) -> set[int]:
        """The places of secrets that what stands before them names: raw headers, command lines."""
        if self._redactor is None:
            return set()
        texts = [_text_of(part) for part in parts]
        return {
            place
            for place, (name, value) in enumerate(pairwise(texts), start=1)
            if (len(texts) == 2 or name[:2] == OPTION)
            and value
            and self._redactor.is_pair(name, value)
        }

    def _judge_key(self, key: Any) -> tuple[str, bool, bool]:
        """Return a key as text, whether that is a change worth a mark, and if it names a secret."""
        if type(key) is str and key in self._keys.plain:
            return key, False, False
        try:
            name, changed = _name_key(key)
        except Exception as error:  # noqa: BLE001
            name, changed = type(error).__name__, True
        clean = _SURROGATES.sub("\ufffd", name)
        names_secret = False
        if self._redactor:
            clean = self._redactor.redact(clean)
            names_secret = self._redactor.is_secret_key(clean)
        if changed:
            clean = clean[:_MOST_TEXT]
        if type(key) is str and clean == key:
            self._keys.learn(key, names_secret)
        return clean, changed or clean != name, names_secret

    def _clean_text(self, text: str, pointer: str, secret: bool) -> str:
        if self._redactor and secret and text and not self._redactor.allows(text):
            self._mark(pointer, "redacted")
            return REDACTED
        if not text.isascii() and _SURROGATES.search(text):
            self._mark(pointer, "surrogate")
            text = _SURROGATES.sub("\ufffd", text)
        clean = self._redactor.redact(text) if self._redactor else text
        if clean is not text:
            self._mark(pointer, "redacted")
        return clean

    def _clean_int(self, value: int, pointer: str) -> int | str:
        try:
            # The limit on digits holds for whoever will read them, too; it is never below 640.
            if value.bit_length() > 2_000:
                str(value)
        except ValueError:
            self._mark(pointer, "hex")
            return hex(value)
        return value

    def _clean_float(self, value: float, pointer: str) -> float | None:
        if _MINUS_INF < value < _INF:
            return value
        self._mark(pointer, repr(value))
        return None

    def _clean_repr(self, value: object, pointer: str, secret: bool) -> str:
        whole = str.__str__(repr(value))
        # Searched before it is cut, or half a token would stay.
        text = self._clean_text(whole[:_SEARCHED_TEXT], pointer, secret)
        if len(whole) > _MOST_TEXT:
            self._mark(pointer, f"cut={len(whole)}")
        return text[:_MOST_TEXT]


def _never(*texts: str) -> bool:  # noqa: ARG001
    return False


def _text_of(value: object) -> str:
    """A value that is text, or the bytes of one, as text; "" for all else."""
    kind = type(value)
    if issubclass(kind, str):
        return str.__str__(value)
    return value.decode("latin-1") if isinstance(value, bytes) and kind is bytes else ""


def _make_plainer(value: Any, kind: type[Any]) -> Any:
    """Ask objects that know how to become plain Python values; the same object if it does not."""
    if issubclass(kind, msgspec.Raw):
        return msgspec.json.decode(value)
    if callable(getattr(kind, "model_dump", None)):
        return value.model_dump()
    # Never imported by us: whoever holds an array has it loaded.
    numpy = sys.modules.get("numpy")
    if issubclass(kind, getattr(numpy, "ndarray", ())):
        return value.tolist()
    if issubclass(kind, getattr(numpy, "generic", ())):
        item = value.item()
        return value if type(item) is kind else item
    return value


def _list_items(value: Any, kind: type[Any]) -> list[tuple[Any, Any]] | None:
    """List keys and values of what is written as an object; None for all else."""
    if issubclass(kind, dict):
        # In one step, so that another thread can change the dict at any moment.
        return list(dict.copy(value).items())
    if issubclass(kind, Mapping):
        return [(key, value[key]) for key in islice(value, len(value))]
    names: Any
    if issubclass(kind, msgspec.Struct):
        names = zip(kind.__struct_encode_fields__, kind.__struct_fields__, strict=True)
        tag = kind.__struct_config__
        items = [(name, getattr(value, field)) for name, field in names]
        if tag.tag_field is not None:
            items.insert(0, (tag.tag_field, tag.tag))
        return [(name, part) for name, part in items if part is not msgspec.UNSET]
    if dataclasses.is_dataclass(kind):
        names = [field.name for field in dataclasses.fields(kind)]
    elif hasattr(kind, "__attrs_attrs__"):
        names = [field.name for field in kind.__attrs_attrs__]
    elif issubclass(kind, tuple) and hasattr(kind, "_fields"):
        names = kind._fields
    else:
        return None
    return [(name, getattr(value, name)) for name in names if hasattr(value, name)]


def _list_parts(value: Any, kind: type[Any]) -> list[Any] | None:
    """List the parts of what is written as an array; None for all else. Sets are sorted."""
    for base in _SEQUENCES:
        if issubclass(kind, base):
            # The base's own iterator: a subclass may have one that never ends.
            parts = list(base.__iter__(value))
            if base in (set, frozenset):
                try:
                    parts.sort()
                except Exception:  # noqa: BLE001
                    return parts
            return parts
    return None


def _name_key(key: Any) -> tuple[str, bool]:
    """Spell a key as `json.dumps` would; what that refuses becomes its `repr`, a change."""
    kind = type(key)
    if issubclass(kind, enum.Enum):
        return _name_key(key.value)
    if issubclass(kind, str):
        return str.__str__(key), False
    if kind is bool or key is None:
        return {True: "true", False: "false", None: "null"}[key], False
    if issubclass(kind, int):
        return int.__repr__(key), False
    if issubclass(kind, float):
        text = float.__repr__(key)
        return _FLOAT_KEYS.get(text, text), False
    if kind in _NATIVE:
        return str(msgspec.to_builtins(key)), False
    if issubclass(kind, _SPEAKING):
        return str.__str__(str(key)), False
    return str.__str__(repr(key))[:_SEARCHED_TEXT], True

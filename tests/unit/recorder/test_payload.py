"""Any value becomes JSON that is safe to keep, and what had to change is marked."""

import collections
import copy
import dataclasses
import datetime as dt
import decimal
import enum
import json
import math
import sys
import threading
import types
import uuid
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import Stubborn, hostile_values, payloads
from whence.recorder.payload import MARKS, MOST_LEVELS, Payloads
from whence.recorder.redact import Redactor

TOKEN = "ghp_" + "a1" * 18
NAN = float("nan")


def decode(raw: bytes) -> Any:
    """Decode what must be one JSON value, by every reader there is."""
    assert raw == raw.strip()
    assert bytes(msgspec.json.decode(raw, type=msgspec.Raw)) == raw
    return json.loads(raw.decode("utf-8"), parse_constant=pytest.fail)


def encode(data: object, redactor: Redactor | None = Redactor()) -> Any:
    """Encode twice, so that both the slow path and the fast one are taken."""
    made = Payloads(redactor)
    raw = made.encode(data)
    assert made.encode(data) == raw
    return decode(raw)


def count_levels(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(count_levels, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(count_levels, value), default=0)
    return 0


class Colour(enum.Enum):
    RED = "red"
    ODD = NAN


class Level(enum.IntEnum):
    LOW = 1


@dataclasses.dataclass
class Account:
    user: str
    password: str
    more: Any = None


@dataclasses.dataclass(slots=True)
class Slotted:
    x: int = dataclasses.field(default=1)
    y: int = dataclasses.field(init=False)


class Login(msgspec.Struct, tag=True, rename="camel"):
    user_name: str
    api_key: str
    note: str | msgspec.UnsetType = msgspec.UNSET


class Pair(NamedTuple):
    user: str
    token: str


class Model:
    """What a pydantic model looks like to us."""

    def model_dump(self) -> dict[str, Any]:
        return {"user": "bob", "token": "t"}


class Attrs:
    """What a class of attrs looks like to us."""

    __attrs_attrs__ = (types.SimpleNamespace(name="user"), types.SimpleNamespace(name="secret"))
    user = "bob"
    secret = "s"


class Moment(dt.datetime):
    pass


class Name(str):
    __slots__ = ()

    def __str__(self) -> str:
        raise RuntimeError("no text")


class Big(int):
    pass


class Share(float):
    pass


class Endless(list[int]):
    def __iter__(self) -> Iterator[int]:
        while True:
            yield 1


class Liar(Mapping[str, int]):
    def __getitem__(self, key: str) -> int:
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        while True:
            yield "a"

    def __len__(self) -> int:
        return 2


class Shapeless(Stubborn):
    """Also lies about its class."""

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        raise RuntimeError("no class")

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)


class Key:
    def __repr__(self) -> str:
        return "Key(" + "k" * 2_000 + ")"


@given(payloads.filter(lambda value: not (isinstance(value, dict) and MARKS in value)))
def test_what_json_can_carry_comes_back_as_it_was(value: Any) -> None:
    assert encode(value) == value
    assert encode(value, None) == value


@given(hostile_values)
def test_any_value_becomes_one_json_value_and_is_not_changed(value: Any) -> None:
    before = repr_safely(value)
    decode(Payloads().encode(value))

    assert repr_safely(value) == before


def repr_safely(value: object) -> str:
    try:
        return repr(value)
    except (RuntimeError, RecursionError, ValueError):
        return ""


@given(payloads)
def test_the_value_given_is_not_changed(value: Any) -> None:
    given_value = {"password": "x", "value": value, "x": NAN, "text": TOKEN}
    before = copy.deepcopy({**given_value, "x": 1})
    Payloads().encode(given_value)

    assert {**given_value, "x": 1} == before


@pytest.mark.parametrize(
    ("data", "value", "marks"),
    [
        ({"x": NAN}, {"x": None}, {"/x": "nan"}),
        ({"x": [1, math.inf, -math.inf]}, {"x": [1, None, None]}, {"/x/1": "inf", "/x/2": "-inf"}),
        ({"a/b": {"~": NAN}}, {"a/b": {"~": None}}, {"/a~1b/~0": "nan"}),
        ({"x": Share("nan")}, {"x": None}, {"/x": "nan"}),
        ({"x": "\ud800-\udfff"}, {"x": "\ufffd-\ufffd"}, {"/x": "surrogate"}),
        ({"x": b"ab"}, {"x": "b'ab'"}, {"/x": "repr"}),
        ({"x": 1j}, {"x": "1j"}, {"/x": "repr"}),
        ({"x": len}, {"x": "<built-in function len>"}, {"/x": "repr"}),
        ({"x": 10**5_000}, {"x": hex(10**5_000)}, {"/x": "hex"}),
        ({"x": Stubborn()}, {"x": "RuntimeError"}, {"/x": "repr unreadable"}),
        ({"x": Shapeless()}, {"x": "RuntimeError"}, {"/x": "repr unreadable"}),
        ({"x": Colour.ODD}, {"x": None}, {"/x": "nan"}),
        ({"x": Liar()}, {"x": "KeyError"}, {"/x": "unreadable"}),
        ({"password": "x"}, {"password": "[redacted]"}, {"/password": "redacted"}),
        ({"t": f"a {TOKEN}!"}, {"t": "a [redacted]!"}, {"/t": "redacted"}),
        ({"t": f"\ud800 {TOKEN}"}, {"t": "\ufffd [redacted]"}, {"/t": "surrogate redacted"}),
        ({"x": f"{TOKEN}".encode()}, {"x": "b'[redacted]'"}, {"/x": "repr redacted"}),
        ({TOKEN: 1}, {"[redacted]": 1}, {"/[redacted]": "key"}),
        ({"\ud800": 1}, {"\ufffd": 1}, {"/\ufffd": "key"}),
        ({(1, 2): NAN}, {"(1, 2)": None}, {"/(1, 2)": "nan key"}),
        ({1: "a", "1": "b"}, {"1": "a", "1 (2)": "b"}, {"/1 (2)": "key"}),
        ({b"\xff": 1, Stubborn: 2}, {"b'\\xff'": 1, repr(Stubborn): 2}, None),
    ],
)
def test_what_had_to_change_is_marked(
    data: Any, value: dict[str, Any], marks: dict[str, str] | None
) -> None:
    clean = encode(data)
    found = clean.pop(MARKS)

    assert clean == value
    assert found == marks or (marks is None and set(found.values()) == {"key"})


@pytest.mark.parametrize(
    ("data", "encoded"),
    [
        (NAN, {"value": None, MARKS: {"/value": "wrapped nan"}}),
        ([1, NAN], {"value": [1, None], MARKS: {"/value": "wrapped", "/value/1": "nan"}}),
        (TOKEN, {"value": "[redacted]", MARKS: {"/value": "wrapped redacted"}}),
        ({MARKS: 1}, {"value": {MARKS: 1}, MARKS: {"/value": "wrapped"}}),
        (
            {MARKS: {"/x": "nan"}, "x": NAN},
            {
                "value": {MARKS: {"/x": "nan"}, "x": None},
                MARKS: {"/value": "wrapped", "/value/x": "nan"},
            },
        ),
        ({"value": [NAN]}, {"value": [None], MARKS: {"/value/0": "nan"}}),
        ({"a": {MARKS: 1}}, {"a": {MARKS: 1}}),
        ([{MARKS: 1}], [{MARKS: 1}]),
    ],
)
def test_marks_at_the_top_are_always_ours(data: Any, encoded: Any) -> None:
    assert encode(data) == encoded


@pytest.mark.parametrize(
    ("data", "encoded"),
    [
        (None, None),
        (True, True),
        ("text", "text"),
        (-0.0, -0.0),
        (10**300, 10**300),
        (Big(7), 7),
        (Share(0.5), 0.5),
        (Name("n"), "n"),
        (Level.LOW, 1),
        (Colour.RED, "red"),
        ((1, (2,)), [1, [2]]),
        ({3, 1, 2}, [1, 2, 3]),
        (frozenset("ba"), ["a", "b"]),
        (collections.deque([1, 2]), [1, 2]),
        (Endless([1, 2]), [1, 2]),
        (collections.OrderedDict(a=1), {"a": 1}),
        (collections.Counter("aa"), {"a": 2}),
        (types.MappingProxyType({"a": 1}), {"a": 1}),
        (collections.ChainMap({"a": 1}), {"a": 1}),
        (Account("bob", "", 1), {"user": "bob", "password": "", "more": 1}),
        (Slotted(), {"x": 1}),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (decimal.Decimal("1.50"), "1.50"),
        (dt.date(2026, 1, 2), "2026-01-02"),
        (dt.datetime(2026, 1, 2, 3, 4, tzinfo=dt.UTC), "2026-01-02T03:04:00Z"),
        (Moment(2026, 1, 2, 3, 4, tzinfo=dt.UTC), "2026-01-02 03:04:00+00:00"),
        (dt.timedelta(days=1), "P1D"),
        (PurePosixPath("/a/b"), "/a/b"),
        (msgspec.Raw(b'{"a": [1]}'), {"a": [1]}),
        ({None: 1, True: 2, 2: 3, 0.5: 4}, {"null": 1, "true": 2, "2": 3, "0.5": 4}),
        ({NAN: 1, math.inf: 2, -math.inf: 3}, {"NaN": 1, "Infinity": 2, "-Infinity": 3}),
        ({Level.LOW: 1, Name("n"): 2}, {"1": 1, "n": 2}),
        ({dt.date(2026, 1, 2): 1, PurePosixPath("/a"): 2}, {"2026-01-02": 1, "/a": 2}),
        ({Moment(2026, 1, 2): 1}, {"2026-01-02 00:00:00": 1}),
    ],
)
def test_values_of_python_become_sensible_json_without_marks(data: Any, encoded: Any) -> None:
    assert encode(data) == encoded


@pytest.mark.parametrize(
    ("data", "encoded"),
    [
        (Account("bob", "x"), {"user": "bob", "password": "[redacted]", "more": None}),
        (Login("bob", "x"), {"type": "Login", "userName": "bob", "apiKey": "[redacted]"}),
        (Pair("bob", "x"), {"user": "bob", "token": "[redacted]"}),
        (Model(), {"user": "bob", "token": "[redacted]"}),
        (Attrs(), {"user": "bob", "secret": "[redacted]"}),
        ({"a": [{"b": Account("bob", "x")}]}, None),
        ({"secret": ["x", {"y": ("z", 1, None, True, 0.5)}]}, None),
        (
            {"secret": ["x", {"y": ["z", 1]}]},
            {"secret": ["[redacted]", {"y": ["[redacted]", 1]}]},
        ),
        ({"token": uuid.UUID(int=1)}, {"token": "[redacted]"}),
        ({"token": b"x"}, {"token": "[redacted]"}),
        ({"token": Colour.RED}, {"token": "[redacted]"}),
        ({"cookie": PurePosixPath("/x")}, {"cookie": "[redacted]"}),
        ({"args": {"Authorization": "Bearer x"}}, {"args": {"Authorization": "[redacted]"}}),
    ],
)
def test_secrets_are_found_inside_everything(data: Any, encoded: Any) -> None:
    clean = encode(data)
    marks = clean.pop(MARKS)

    assert encoded is None or clean == encoded
    assert '"x"' not in json.dumps(clean)
    assert all("redacted" in words for words in marks.values())


@pytest.mark.parametrize(
    "text",
    [
        TOKEN,
        f"a long sentence with {TOKEN} in it",
        "Bearer abc-12",
        "these words, then pwd='a b'",
        "PASSWORD=hunter2",
        "X-Api-Key: abcd",
        "ftp://bob:pw@x",
        "login --db-password x",
    ],
)
def test_a_secret_is_found_in_texts_below_keys_that_are_known_to_be_harmless(text: str) -> None:
    made = Payloads()
    made.encode({"x": "", "y": {"x": ""}, "z": [""]})
    clean = Redactor().redact(text)

    assert clean != text
    assert decode(made.encode({"x": text})) == {"x": clean, MARKS: {"/x": "redacted"}}
    assert decode(made.encode({"y": {"x": text}}))["y"] == {"x": clean}
    assert decode(made.encode({"z": [text]}))["z"] == [clean]
    assert decode(made.encode([text]))["value"] == [clean]


@pytest.mark.parametrize(
    ("data", "redacted"),
    [
        ({"name": "password", "value": "x"}, ["/value"]),
        ({"headers": [{"name": "Authorization", "value": "x"}]}, ["/headers/0/value"]),
        ({"env": [{"name": "A", "value": "x"}, {"name": "DB_PASSWORD", "value": "y"}]}, ["/env/1/value"]),
        ({"a": 1, "Key": "apiKey", "Value": "x"}, ["/Value"]),
        ({"header": "cookie", "values": ["x", {"y": "z"}]}, ["/values/0", "/values/1/y"]),
        ({"field": "API key", "value": b"x"}, ["/value"]),
        ({"name": b"token", "value": "x"}, ["/value"]),
        ({"key": "k-1", "name": "secret", "value": "x"}, ["/value"]),
        ({"raw": [["Accept", "x"], ["Authorization", "Bearer x"]]}, ["/raw/1/1"]),
        ({"raw": (("x-api-key", "x"), ("password", "hunter2"))}, ["/raw/0/1", "/raw/1/1"]),
        ({"raw": [(b"authorization", b"Bearer x")]}, ["/raw/0/1"]),
        (["Authorization", "Bearer x"], ["/value/1"]),
        ({"args": ["login", "--password", "x", "-v", "--token", "y"]}, ["/args/2", "/args/5"]),
        ({"command": "login --password x -v"}, ["/command"]),
        ({"name": "SECRET_KEY_BASE", "value": "x"}, ["/value"]),
        ({"name": "password_2", "value": "x"}, ["/value"]),
        ({"name": "password", "value": "correct horse"}, ["/value"]),
        ({"field": "password", "value": "hunter"}, ["/value"]),
        ({"pwd": "x", "env": {"PWD": "hunter2", "DB_PWD": "/x"}}, ["/pwd", "/env/PWD", "/env/DB_PWD"]),
    ],
)  # fmt: skip
def test_a_secret_is_known_by_what_stands_beside_it(data: Any, redacted: list[str]) -> None:
    marks = encode(data)[MARKS]

    assert [place for place, words in marks.items() if "redacted" in words] == redacted


@pytest.mark.parametrize(
    "data",
    [
        {"name": "token_count", "value": 3},
        {"name": "token", "value": [1, 0.5, None, True, ""]},
        {"name": "cpu", "value": "x", "key": None, "field": 5, "header": ["password"]},
        {"name": "password", "label": "x"},
        {"value": "x", "values": ["y"]},
        {"name": "the password that we all forgot", "value": "x"},
        {"name": "password " * 30, "value": "x"},
        {"fields": ["password", "email"], "tags": ["secret", "token", "v2"]},
        {"args": ["--password", "--verbose"], "more": ["login", "--tokens", "x"]},
        {"pairs": [["password", 5], ["zealot-1", "task-1"]]},
        {"pwd": "/home/x", "env": {"PWD": "C:\\x"}, "more": [{"name": "PWD", "value": "~/x"}]},
        {"name": "Secret Garden", "value": "book"},
        {"key": "token_bucket", "value": "refill"},
        {"name": "password reset", "value": "sent"},
        {"Field": "password", "Value": "too short"},
    ],
)
def test_what_only_looks_like_a_pair_stays(data: Any) -> None:
    assert encode(data) == data


def test_a_name_is_judged_each_time() -> None:
    """Also where the one before, with the same keys, was let go."""
    made = Payloads()

    for name in ("cpu", "cpu", "password", "cpu", "token"):
        value = decode(
            made.encode({"name": name, "value": "x", "more": {"name": name, "value": "y"}})
        )
        assert (MARKS in value) == (name != "cpu")


_WORDS = st.sampled_from(
    "name key value values password token cpu x1 --password --tokens Authorization a".split()
)


@given(
    st.recursive(
        st.one_of(_WORDS, st.just(1)),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3), st.dictionaries(_WORDS, inner, max_size=4)
        ),
        max_leaves=8,
    ),
    st.booleans(),
)
def test_what_was_met_before_changes_no_answer(data: Any, met: bool) -> None:
    """Whatever is known by then, the fast path lets nothing go that the slow one replaces."""
    made = Payloads()
    made.encode(dict.fromkeys("name key value values password token cpu a".split(), 1))
    if met:
        made.encode(data)

    assert made.encode(data) == Payloads().encode(data)


def test_a_user_may_call_every_value_a_secret() -> None:
    assert encode({"value": "x"}, Redactor(keys=["value"]))["value"] == "[redacted]"
    assert encode({"name": "password", "value": "x"}, None) == {"name": "password", "value": "x"}
    allowing = Redactor(allow=["token_type"])
    assert encode({"name": "tokenType", "value": "bearer"}, allowing)["value"] == "bearer"


@pytest.mark.parametrize("value", [5, 0.5, True, None, ""])
def test_numbers_and_what_is_empty_stay_beside_a_key_that_names_a_secret(value: Any) -> None:
    assert encode({"token_count": value}) == {"token_count": value}


def test_a_float_that_json_lacks_is_marked_beside_such_a_key_too() -> None:
    made = Payloads()
    made.encode({"token_count": 1})

    assert decode(made.encode({"token_count": NAN}))[MARKS] == {"/token_count": "nan"}


def test_a_key_seen_before_is_judged_by_its_new_value() -> None:
    made = Payloads()
    first = decode(made.encode({"text": "harmless", "token": 1}))
    second = decode(made.encode({"text": TOKEN, "token": "x"}))
    third = decode(made.encode({"text": "harmless", "token": 2}))

    assert MARKS not in first
    assert second[MARKS] == {"/text": "redacted", "/token": "redacted"}
    assert MARKS not in third


def test_without_a_redactor_secrets_stay_and_all_else_holds() -> None:
    assert encode({"password": TOKEN, "x": NAN}, None) == {
        "password": TOKEN,
        "x": None,
        MARKS: {"/x": "nan"},
    }


def test_further_patterns_and_keys_hold_for_payloads() -> None:
    redactor = Redactor(keys=["pin"], patterns=[r"emp-\d+"], allow=["token_type", "open"])

    assert encode({"a": "emp-1", "b": ["emp-2"], "pin": "1", "token_type": "x"}, redactor) == {
        "a": "[redacted]",
        "b": ["[redacted]"],
        "pin": "[redacted]",
        "token_type": "x",
        MARKS: {"/a": "redacted", "/b/0": "redacted", "/pin": "redacted"},
    }
    assert encode({"secret": "open"}, redactor) == {"secret": "open"}


def test_long_reprs_are_cut_and_the_full_length_is_kept() -> None:
    clean = encode({"x": b"a" * 2_000, Key(): 1})

    assert clean["x"] == "b'" + "a" * 998
    assert clean[MARKS]["/x"] == "repr cut=2003"
    assert max(map(len, clean)) == 1_000


def test_a_token_across_the_cut_of_a_repr_does_not_stay() -> None:
    data = b"a " * 490 + TOKEN.encode() + b"c" * 2_000
    clean = encode({"x": data, "y": {data: 1}})

    assert TOKEN[:8] not in json.dumps(clean)


@pytest.mark.parametrize("around", ["list", "dict", "in a dict"])
def test_nothing_is_nested_deeper_than_the_limit(around: str) -> None:
    deep: Any = 1
    for _ in range(MOST_LEVELS + 50):
        deep = {"d": deep} if around == "dict" else [deep]
    clean = encode({"a": deep} if around == "in a dict" else deep)

    assert count_levels(clean) == MOST_LEVELS
    assert [words.split()[0] for words in clean[MARKS].values()][-1] == "deep"


@pytest.mark.parametrize("levels", [29, 30, 31, 32, MOST_LEVELS])
def test_what_is_within_the_limit_stays_whole(levels: int) -> None:
    deep: Any = []
    for _ in range(levels - 1):
        deep = [deep]

    assert encode(deep) == deep


def test_a_cycle_points_at_the_outer_value() -> None:
    data: dict[str, Any] = {"a": [1]}
    data["a"].append(data)
    data["a"].append(data["a"])
    shared = [1]
    data["b"] = [shared, shared]

    assert encode(data) == {
        "a": [1, "#", "#/a"],
        "b": [[1], [1]],
        MARKS: {"/a/1": "cycle", "/a/2": "cycle"},
    }


def test_each_of_many_keys_that_become_alike_keeps_its_value() -> None:
    keys = [f"ghp_{number:036d}" for number in range(30)]
    clean = encode({key: number for number, key in enumerate(keys)})
    marks = clean.pop(MARKS)

    assert sorted(clean.values()) == list(range(30))
    assert set(marks.values()) == {"key"}


def test_more_keys_than_are_remembered_are_still_judged() -> None:
    made = Payloads()
    for number in range(20_500):
        made.encode({f"key-{number}": 1})

    assert decode(made.encode({"key-1": 1, "key-20499": 2})) == {"key-1": 1, "key-20499": 2}


def test_a_stack_with_no_room_left_is_no_error() -> None:
    made = Payloads()

    def descend(left: int) -> bytes:
        return descend(left - 1) if left else made.encode({"new": [{"x": [NAN]}]})

    # Below some depth no call at all is possible; from there up, each must return.
    limit = sys.getrecursionlimit()
    seen = 0
    for depth in range(limit, 0, -1):
        try:
            raw = descend(depth)
        except RecursionError:
            assert not seen
            continue
        decode(raw)
        seen += 1
        if seen == 60:
            return


def test_other_threads_may_change_the_value_meanwhile() -> None:
    data: dict[str, Any] = {"list": [1], "dict": {"a": 1}, "set": {1}}
    stop = threading.Event()

    def change() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            data[f"k{number % 50}"] = number
            data.pop(f"k{(number * 7) % 50}", None)
            data["list"].append(number) if number % 40 else data["list"].clear()
            data["dict"][str(number % 30)] = NAN if number % 3 else 1
            data["dict"].pop(str((number * 7) % 30), None)
            data["set"] ^= {number % 20}

    thread = threading.Thread(target=change)
    thread.start()
    try:
        made = Payloads()
        for _ in range(300):
            assert "unreadable" not in str(decode(made.encode(data)).get(MARKS))
    finally:
        stop.set()
        thread.join()


def test_arrays_of_numpy_become_lists_and_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    class Array:
        def tolist(self) -> list[float]:
            return [1.0, NAN]

    class Generic:
        def __init__(self, item: Any) -> None:
            self._item = item

        def item(self) -> Any:
            return self._item or self

        def __repr__(self) -> str:
            return "longdouble"

    numpy = types.ModuleType("numpy")
    numpy.__dict__.update(ndarray=Array, generic=Generic)
    monkeypatch.setitem(sys.modules, "numpy", numpy)

    assert encode({"a": Array(), "n": Generic(7), "s": Generic(None)}) == {
        "a": [1.0, None],
        "n": 7,
        "s": "longdouble",
        MARKS: {"/a/1": "nan", "/s": "repr"},
    }


def test_ctrl_c_is_not_swallowed() -> None:
    class Slow:
        def __repr__(self) -> str:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Payloads().encode(Slow())


@given(st.dictionaries(st.sampled_from(["a", "b", MARKS, "value"]), st.sampled_from([1, NAN])))
def test_from_the_marks_the_payload_can_be_told_from_its_wrapping(data: dict[str, Any]) -> None:
    clean = encode(data)
    marks = clean.get(MARKS, {})
    if "wrapped" in marks.get("/value", "").split():
        clean = clean["value"]
    else:
        clean.pop(MARKS, None)

    assert clean == {key: None if value != value else value for key, value in data.items()}

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whence.runs.digest import canonical, digest

_plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def _shuffle(value: object) -> object:
    """The same with the keys of every object in the opposite order."""
    if isinstance(value, dict):
        return {key: _shuffle(item) for key, item in reversed(value.items())}
    return [_shuffle(item) for item in value] if isinstance(value, list) else value


@given(_plain)
def test_equal_values_have_one_text_whatever_the_order_of_their_keys(value: object) -> None:
    assert canonical(_shuffle(value)) == canonical(value)


@given(_plain)
def test_what_is_written_is_json_and_written_again_the_same(value: object) -> None:
    text = canonical(value)

    assert canonical(json.loads(text)) == text


@given(_plain, _plain)
def test_two_texts_are_equal_only_for_equal_values(one: object, other: object) -> None:
    if canonical(one) == canonical(other):
        assert digest(one) == digest(other)
        assert repr(json.loads(canonical(one))) == repr(json.loads(canonical(other)))
    else:
        assert digest(one) != digest(other)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": 1, "a": [True, None, "é"]}, rb'{"a":[true,null,"\u00e9"],"b":1}'),
        (1.0, b"1.0"),
        (-0.0, b"-0.0"),
        (1e16, b"1e+16"),
        (math.nan, b'"NaN"'),
        ({"a": [math.inf, -math.inf, 0.1]}, b'{"a":["Infinity","-Infinity",0.1]}'),
        ("\ud800", rb'"\ud800"'),
        (2**70, b"1180591620717411303424"),
    ],
)
def test_values_are_written_as_documented(value: object, text: bytes) -> None:
    assert canonical(value) == text


def test_a_digest_is_the_sha_256_of_that_text() -> None:
    assert digest({}) == "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"


def test_what_is_not_plain_is_refused() -> None:
    with pytest.raises(TypeError):
        canonical({"a": {1, 2}})


def test_what_contains_itself_or_is_endlessly_deep_is_refused() -> None:
    cycle: list[object] = []
    cycle.append(cycle)
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]

    with pytest.raises(ValueError, match="itself"):
        canonical(cycle)
    with pytest.raises(ValueError, match="too deep"):
        canonical(deep)

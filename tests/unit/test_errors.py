"""Errors tell apart what a caller would do differently, and all share one base."""

import inspect

import pytest

from whence import errors
from whence.errors import NotFoundError, PhraseError, WhenceError

_CLASSES = [value for value in vars(errors).values() if inspect.isclass(value)]


@pytest.mark.parametrize(
    "kind",
    [kind for kind in _CLASSES if issubclass(kind, Exception)],
    ids=lambda kind: kind.__name__,
)
def test_every_error_can_be_caught_as_one(kind: type[Exception]) -> None:
    assert issubclass(kind, WhenceError)
    assert str(kind("what was found")) == "what was found"


def test_errors_mean_different_things() -> None:
    """Only the base is a base: catching one kind never catches another."""
    kinds = [kind for kind in _CLASSES if issubclass(kind, WhenceError) and kind is not WhenceError]

    assert len(kinds) == 7
    assert all(WhenceError in kind.__bases__ for kind in kinds)


def test_a_reference_that_names_nothing_brings_candidates() -> None:
    error = NotFoundError("no task named task-abd", (name for name in ["task-abc", "task-abe"]))

    assert str(error) == "no task named task-abd"
    assert error.candidates == ("task-abc", "task-abe")
    assert NotFoundError("nothing like it").candidates == ()


def test_a_phrase_not_understood_is_also_a_wrong_value() -> None:
    with pytest.raises(ValueError, match="try `2h ago`"):
        raise PhraseError("try `2h ago`")

"""Errors as exit codes and words."""

import pytest

from whence import errors
from whence.cli.failures import describe, exit_code


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.CorruptError("x"), 1),
        (errors.ProofError("x"), 1),
        (errors.ConflictError("x"), 1),
        (errors.WhenceError("x"), 1),
        (errors.PhraseError("x"), 2),
        (ValueError("x"), 2),
        (errors.NotFoundError("x"), 3),
        (errors.StoreError("x"), 3),
        (errors.FormatError("x"), 3),
    ],
)
def test_each_error_has_its_exit_code(error: Exception, code: int) -> None:
    assert exit_code(error) == code


def test_a_bug_of_ours_has_none() -> None:
    assert exit_code(KeyError("x")) is None


def test_candidates_stand_below_the_message() -> None:
    error = errors.NotFoundError("nothing is called 'task-1'", ["task-11", "task-12"])

    assert describe(error) == ["nothing is called 'task-1'", "  task-11", "  task-12"]


def test_candidates_that_are_not_listed_are_counted() -> None:
    error = errors.NotFoundError("'01a1' is ambiguous", ["01a1-1"], is_ambiguous=True, more=3)

    assert describe(error) == ["'01a1' is ambiguous", "  01a1-1", "  … 3 more"]

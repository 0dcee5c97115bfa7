"""Colours: on or off, the text itself is the same."""

import re
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whence.draw import Role, Style, status_role

roles: st.SearchStrategy[Role] = st.sampled_from(get_args(Role))


@given(text=st.text(st.characters(exclude_categories=["C"])), role=roles)
def test_colours_only_wrap_the_text(text: str, role: Role) -> None:
    assert Style().paint(text, role) == text
    assert re.sub("\x1b\\[[0-9;]*m", "", Style(on=True).paint(text, role)) == text


def test_what_has_no_role_or_no_text_gets_no_codes() -> None:
    assert Style(on=True).paint("text", None) == "text"
    assert Style(on=True).paint("", "bad") == ""


@pytest.mark.parametrize(
    ("status", "role"),
    [("success", "good"), ("error", "bad"), ("blocked", "warning"), (None, None), ("odd", None)],
)
def test_each_status_has_its_role(status: str | None, role: Role | None) -> None:
    assert status_role(status) == role

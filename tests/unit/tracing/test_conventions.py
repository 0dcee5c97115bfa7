from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whence.event import check_text
from whence.tracing import conventions
from whence.tracing.conventions import NAME_MAX, read

_NAMES = [*conventions._PLACES, "traceloop.entity.name", "traceloop.span.kind"]
_ANYTHING = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(),
    st.just("\ud800"), st.just("x" * 1000), st.just("  "), st.lists(st.text()),
)  # fmt: skip


@pytest.mark.parametrize(
    ("attributes", "agent", "target"),
    [
        ({"gen_ai.agent.name": "Math Tutor", "gen_ai.request.model": "m-4"}, "Math Tutor", "m-4"),
        ({"gen_ai.agent.id": "asst_5"}, "asst_5", None),
        ({"gen_ai.tool.name": "search", "gen_ai.request.model": "m-4"}, None, "search"),
        ({"gen_ai.data_source.id": "docs", "gen_ai.request.model": "m-4"}, None, "docs"),
        ({"gen_ai.request.model": "m-4", "gen_ai.response.model": "m-4-0613"}, None, "m-4"),
        # Older names, and those of others.
        ({"gen_ai.workflow.name": "triage"}, "triage", None),
        ({"llm.request.model": "m-3"}, None, "m-3"),
        ({"agent.name": "scout", "tool.name": "grep"}, "scout", "grep"),
        ({"llm.model_name": "m-4"}, None, "m-4"),
        ({"traceloop.span.kind": "agent", "traceloop.entity.name": "scout"}, "scout", None),
        ({"traceloop.span.kind": "tool", "traceloop.entity.name": "grep"}, None, "grep"),
        ({"traceloop.span.kind": "task", "traceloop.entity.name": "step"}, None, None),
        ({"http.request.method": "GET"}, None, None),
    ],
)
def test_agent_and_target_are_found_under_every_name(
    attributes: dict[str, Any], agent: str | None, target: str | None
) -> None:
    said = read(attributes)

    assert (said.agent, said.target) == (agent, target)


@pytest.mark.parametrize(
    ("input_name", "output_name"),
    [
        ("gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"),
        ("gen_ai.usage.prompt_tokens", "gen_ai.usage.completion_tokens"),
        ("llm.usage.prompt_tokens", "llm.usage.completion_tokens"),
        ("llm.token_count.prompt", "llm.token_count.completion"),
    ],
)
def test_tokens_have_one_name_whoever_counted_them(input_name: str, output_name: str) -> None:
    said = read({input_name: 0, output_name: 21, "gen_ai.system": "openai"})

    assert said.usage == {"input_tokens": 0, "output_tokens": 21, "provider": "openai"}


def test_a_newer_name_wins_over_an_older_one() -> None:
    attributes = {"gen_ai.system": "old", "gen_ai.provider.name": "new"}

    assert read(attributes).usage == {"provider": "new"}
    assert read(dict(reversed(attributes.items()))).usage == {"provider": "new"}


def test_what_is_not_as_the_conventions_say_is_passed_over() -> None:
    """The next name is asked instead."""
    attributes = {
        "gen_ai.agent.name": 7,
        "agent.name": "scout",
        "gen_ai.usage.input_tokens": True,
        "gen_ai.usage.prompt_tokens": 9,
    }
    said = read(attributes)

    assert said.agent == "scout"
    assert said.usage == {"input_tokens": 9}


@given(st.dictionaries(st.sampled_from(_NAMES), _ANYTHING))
def test_whatever_the_values_are_names_can_stand_in_an_envelope(attributes: dict[str, Any]) -> None:
    said = read(attributes)

    for name in (said.agent, said.target):
        assert name is None or len(check_text("name", name)) <= NAME_MAX

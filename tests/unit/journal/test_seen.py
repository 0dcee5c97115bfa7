from hypothesis import given
from hypothesis import strategies as st

from whence.journal.seen import Seen

_counts = st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 40)), max_size=120)


@given(counts=_counts)
def test_it_answers_as_a_set_would(counts: list[tuple[str, int]]) -> None:
    seen: Seen = Seen()
    model: set[tuple[str, int]] = set()

    for w, n in counts:
        assert seen.add(w, n) == ((w, n) not in model)
        model.add((w, n))

    missing = {w: [n for gap in gaps for n in gap] for w, gaps in seen.missing().items()}
    for w in {w for w, _ in model}:
        own = {n for other, n in model if other == w}
        assert missing.get(w, []) == sorted(set(range(max(own))) - own)
    assert all(missing.values())


@given(counts=_counts, at=st.integers(0, 120))
def test_it_goes_on_where_it_was_kept(counts: list[tuple[str, int]], at: int) -> None:
    whole, first = Seen(), Seen()
    answers = [whole.add(w, n) for w, n in counts]

    again = [first.add(w, n) for w, n in counts[:at]]
    second = Seen.load(first.dump())
    again += [second.add(w, n) for w, n in counts[at:]]

    assert again == answers
    assert second.dump() == whole.dump()


@given(number=st.integers(1, 500))
def test_lines_in_order_cost_one_range(number: int) -> None:
    seen = Seen()

    for n in range(number):
        seen.add("w", n)

    assert seen.dump() == {"w": [[0, number]]}
    assert seen.missing() == {}

"""Micro-batches: whole groups within a budget of tokens, and equally many on every rank."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trainer.runs import a_run_config
from trainer.forward.ids import Ids
from trainer.grpo.microbatches import micro_batches, row_tokens, split_to

GROUPS = st.lists(
    st.tuples(st.integers(1, 40), st.lists(st.integers(0, 12), min_size=2, max_size=4)), min_size=1, max_size=12
)


def ids(shape):
    prompt, completions = shape
    return Ids([1] * prompt, [[1] * length for length in completions])


@given(GROUPS, st.integers(1, 120), st.booleans())
def test_a_micro_batch_holds_whole_groups_in_order_within_its_budget(shapes, budget, shared):
    groups = [ids(shape) for shape in shapes]
    parts = micro_batches(groups, a_run_config(micro_tokens=budget, shared_prompt=shared))
    assert [number for part in parts for number in part] == list(range(len(groups)))
    sizes = [sum(row_tokens(groups[number], shared=shared) for number in part) for part in parts]
    assert all(size <= budget or len(part) == 1 for size, part in zip(sizes, parts, strict=True))
    following = [row_tokens(groups[part.start], shared=shared) for part in parts[1:]]
    assert all(size + after > budget for size, after in zip(sizes, following, strict=False)), "no part could take more"


@pytest.mark.parametrize(("shared", "tokens"), [(True, 10 + 3 + 4), (False, 2 * 10 + 3 + 4)])
def test_a_shared_prompt_is_counted_once(shared, tokens):
    assert row_tokens(ids((10, [3, 4])), shared=shared) == tokens


def test_without_a_budget_micro_groups_decide_however_long_they_are():
    groups = [ids((length, [length, 1])) for length in (1, 30, 1, 1, 1)]
    assert micro_batches(groups, a_run_config(micro_groups=2)) == [range(0, 2), range(2, 4), range(4, 5)]


@given(st.integers(1, 12), st.data())
def test_ranks_with_fewer_micro_batches_cut_theirs_until_all_have_as_many(groups, data):
    parts = micro_batches([ids((1, [1, 1]))] * groups, a_run_config(micro_groups=data.draw(st.integers(1, groups))))
    count = data.draw(st.integers(len(parts), groups))
    cut = split_to(parts, count)
    assert len(cut) == count and [number for part in cut for number in part] == list(range(groups))


def test_more_micro_batches_than_groups_are_refused():
    with pytest.raises(ValueError, match="1 groups cannot be 2 micro-batches"):
        split_to([range(0, 1)], 2)

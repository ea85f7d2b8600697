"""Good/Same/Bad with the exact sign test, and agreement: known answers and laws."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from abtest.preference import cohen_kappa, fleiss_kappa, preference

COUNTS = st.integers(0, 300)


def test_nine_good_and_one_bad_of_ten_is_a_known_answer() -> None:
    found = preference(9, 0, 1)
    assert found.value == pytest.approx(0.8)
    assert found.p_value == pytest.approx(22 / 1024)  # 2 · (1 + 10) / 2^10
    assert (found.low, found.high) == (pytest.approx(2 * 0.5549839 - 1), pytest.approx(2 * 0.9974714 - 1))


def test_the_papers_counts_are_resolved() -> None:
    found = preference(147, 126, 27)  # 49 : 42 : 9 % of 300 samples, RELATE §4.3
    assert found.value == pytest.approx(0.4)
    assert found.low is not None and found.low > 0.3 and found.p_value < 1e-20


@given(good=COUNTS, same=COUNTS, bad=COUNTS)
def test_the_sign_test_is_the_binomial_test_and_swapping_sides_only_swaps_the_sign(
    good: int, same: int, bad: int
) -> None:
    found, swapped = preference(good, same, bad), preference(bad, same, good)
    if good + bad:
        assert found.p_value == pytest.approx(binomtest(good, good + bad).pvalue)
    assert found.p_value == pytest.approx(swapped.p_value)
    if found.value is None or swapped.value is None:
        assert good + same + bad == 0
        return
    assert found.low is not None and found.high is not None and swapped.high is not None
    assert found.value == -swapped.value and found.low == pytest.approx(-swapped.high)
    assert -1 <= found.low <= found.value <= found.high <= 1


def test_negative_counts_and_unequal_answers_are_refused() -> None:
    with pytest.raises(ValueError, match="must not be negative"):
        preference(-1, 0, 0)
    with pytest.raises(ValueError, match="same items"):
        cohen_kappa(["a"], [])
    with pytest.raises(ValueError, match="two or more"):
        fleiss_kappa([["a"]])


def test_cohens_kappa_of_the_textbook_example() -> None:
    table = {("yes", "yes"): 20, ("yes", "no"): 5, ("no", "yes"): 10, ("no", "no"): 15}
    answers = [pair for pair, number in table.items() for _ in range(number)]
    assert cohen_kappa([one for one, _ in answers], [other for _, other in answers]) == pytest.approx(0.4)


def test_fleiss_kappa_of_the_textbook_example() -> None:
    table = """
        0 0 0 0 14 | 0 2 6 4 2 | 0 0 3 5 6 | 0 3 9 2 0 | 2 2 8 1 1
        7 7 0 0 0 | 3 2 6 3 0 | 2 5 3 2 2 | 6 5 2 1 0 | 0 2 2 3 7"""
    rows = [list(map(int, row.split())) for line in table.strip().splitlines() for row in line.split("|")]
    items = [[answer for answer, number in enumerate(row) for _ in range(number)] for row in rows]
    assert fleiss_kappa(items) == pytest.approx(0.210, abs=5e-4)


@given(st.lists(st.sampled_from(["good", "same", "bad"]), min_size=1))
def test_full_agreement_is_one_and_agreement_by_chance_alone_is_nothing(answers: list[str]) -> None:
    expected = pytest.approx(1.0) if len(set(answers)) > 1 else None
    assert cohen_kappa(answers, answers) == expected
    assert fleiss_kappa([[answer] * 3 for answer in answers]) == expected
    assert cohen_kappa([], []) is fleiss_kappa([]) is None

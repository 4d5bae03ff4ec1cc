"""The signed-rank test against SciPy and against all sign flips counted out; Holm by hand."""

from itertools import product

import numpy as np
import pytest
from scipy import stats

from understudy.evaluation.paired import holm, signed_rank


def counted_out(differences: np.ndarray) -> float:
    """p from all 2^n signs: how many rank sums lie at least as far from the middle."""
    moved = differences[differences != 0]
    ranks = stats.rankdata(np.abs(moved))
    middle = ranks.sum() / 2
    sums = np.array([np.dot(signs, ranks) for signs in product((0, 1), repeat=len(moved))])
    return float((np.abs(sums - middle) >= abs(ranks[moved > 0].sum() - middle) - 1e-9).mean())


@pytest.mark.parametrize("seed", range(4))
def test_small_samples_are_exact(seed: int) -> None:
    random = np.random.default_rng(seed)
    differences = random.normal(0.3, 1, 9)
    assert signed_rank(differences) == pytest.approx(counted_out(differences), abs=1e-12)
    assert signed_rank(differences) == pytest.approx(stats.wilcoxon(differences, method="exact").pvalue, abs=1e-12)
    tied = random.integers(-2, 5, 10).astype(float)  # zeros and equal sizes
    assert signed_rank(tied) == pytest.approx(counted_out(tied), abs=1e-12)


def test_many_subjects_agree_with_scipy() -> None:
    differences = np.random.default_rng(0).normal(0.1, 1, 80)
    assert signed_rank(differences) == pytest.approx(stats.wilcoxon(differences, method="approx").pvalue, abs=1e-12)


def test_five_subjects_that_all_gain_have_the_smallest_p_there_is() -> None:
    gains = np.array([0.1, 0.2, 0.3, 0.4, 0.5])
    assert signed_rank(gains) == signed_rank(-gains) == 2 / 2**5
    assert signed_rank(np.r_[gains, np.nan, 0.0]) == 2 / 2**5  # neither counts


def test_nothing_moved_and_nobody_counts() -> None:
    assert signed_rank(np.zeros(7)) == 1
    assert signed_rank(np.full(7, 0.1 + 0.2 - 0.3)) == 1  # rounding is no difference
    assert signed_rank(np.full(7, np.nan)) is None and signed_rank(np.empty(0)) is None


def test_holm_steps_down() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, None, 0.6, 0.02]) == [1.0, None, 1.0, pytest.approx(0.06)]
    assert holm([None, None]) == [None, None] and holm([]) == [] and holm([0.3]) == [0.3]

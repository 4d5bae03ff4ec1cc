"""A curve that still rises is told from one that has converged, whatever single checks do."""

import numpy as np
import pytest

from understudy.evaluation.utility.convergence import still_rising


def curve(*scores: float) -> list[tuple[int, float]]:
    return [(10 * (i + 1), score) for i, score in enumerate(scores)]


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ((0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.81, 0.815), True),  # 0.8125 after 0.75
        ((0.1, 0.5, 0.7, 0.79, 0.80, 0.80, 0.80, 0.80, 0.805, 0.81), False),  # the best is the last, by little
        ((0.1, 0.5, 0.7, 0.8, 0.8, 0.8, 0.8, 0.7, 0.75, 0.8), True),
        ((0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.7, 0.6), False),  # falls
        ((0.1, 0.9), True),
        ((0.9,), False),  # nothing can be said
        ((), False),
    ],
)
def test_the_last_fifth_against_the_fifth_before(scores: tuple[float, ...], expected: bool) -> None:
    assert still_rising([curve(*scores)]) is expected


def test_repeats_are_averaged_and_scores_that_are_missing_do_not_count() -> None:
    up, down = curve(0.5, 0.6, 0.7), curve(0.7, 0.6, 0.5)
    assert still_rising([up]) and not still_rising([down]) and not still_rising([up, down])
    assert not still_rising([curve(0.5, np.nan, 0.5), curve(0.5, 0.1, 0.5)])


def test_checks_before_fine_tuning_do_not_count() -> None:
    scores = curve(0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.8, 0.8, 0.8)
    assert still_rising([scores]) and not still_rising([scores], after=70)

"""A curve that still rises, or that fell, is told from one that has converged, whatever single checks do."""

import numpy as np
import pytest

from understudy.evaluation.utility.convergence import trend


def curve(*scores: float) -> list[tuple[int, float]]:
    return [(10 * (i + 1), score) for i, score in enumerate(scores)]


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ((0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.81, 0.815), "rose"),  # 0.8125 after 0.75
        ((0.1, 0.5, 0.7, 0.79, 0.80, 0.80, 0.80, 0.80, 0.805, 0.81), ""),  # the best is the last, by little
        ((0.1, 0.5, 0.7, 0.8, 0.8, 0.8, 0.8, 0.7, 0.75, 0.8), "rose"),
        ((0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.7, 0.6), "fell"),
        ((0.5, 0.9, 0.5, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6), "fell"),  # early
        ((0.6, 0.615, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6), ""),  # a single check wavers
        ((0.1, 0.9), "rose"),
        ((0.9,), ""),  # nothing can be said
        ((), ""),
    ],
)
def test_the_last_fifth_against_the_others(scores: tuple[float, ...], expected: str) -> None:
    assert trend([curve(*scores)]) == expected


def test_repeats_are_averaged_and_scores_that_are_missing_do_not_count() -> None:
    up, down = curve(0.5, 0.6, 0.7), curve(0.7, 0.6, 0.5)
    assert [trend(curves) for curves in ([up], [down], [up, down])] == ["rose", "fell", ""]
    assert trend([curve(0.5, np.nan, 0.5), curve(0.5, 0.1, 0.5)]) == ""


def test_checks_before_fine_tuning_do_not_count() -> None:
    scores = curve(0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.8, 0.8, 0.8)
    assert trend([scores]) == "rose" and trend([scores], after=70) == ""

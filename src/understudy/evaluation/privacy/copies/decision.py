"""Scale and threshold: the views on one scale, what is too near on it, and the verdict on each case.

On the scale the median of strangers is 0 and the level that a share ``rate`` of them exceeds is 1. The highest of its
views speaks for a case, and what is too near is calibrated on exactly that, so that many views raise the threshold and
not the false alarms. Each stranger is put on a scale that the others set, as the cases that are judged are: those who
set a scale do not exceed it, and others do, from each of several views. So the rate is met closely where all are alike
(1.5 to 2.2 % of cases at 1 % and 56 strangers of one case each, where 1 / 57 is the smallest share there can be), but
not guaranteed.
**Source**: the maximum over tests of Westfall and Young, Resampling-based multiple testing (1993); p-values as in
conformal prediction, with the strangers as the calibration set and each left out once, as in the jackknife.
**Checked** in tests/evaluation/privacy/copies/test_detector.py.
"""

from copy import copy
from dataclasses import dataclass

import numpy as np

from understudy.core.errors import UnderstudyError
from understudy.core.seed import derive
from understudy.evaluation.privacy.calibration import COPY, Reference, Threshold, calibrate
from understudy.evaluation.privacy.copies.cases import Near

LEAST_SPREAD = 1e-3
MOST_GROUPS = 100  # of strangers that are left out of the scale together: one subject each, up to so many


@dataclass(frozen=True)
class Found:
    """What the detector says of N cases.

    Attributes:
        case: (N,) the nearest training case, as the view sees it that speaks for the case.
        scores: of each view, (N,).
        nearness: (N,) on the common scale: 1 is what a view alone grants strangers.
        p: (N,) share of strangers at least as near, each subject counting once.
        flagged: (N,) nearer than the calibration allows.
    """

    case: np.ndarray
    scores: dict[str, np.ndarray]
    nearness: np.ndarray
    p: np.ndarray
    flagged: np.ndarray


class Scale:
    """Puts the scores of several views on one scale."""

    def __init__(self, scores: dict[str, np.ndarray], subjects: np.ndarray, rate: float) -> None:
        """Learn the scale from the scores (N,) of strangers and their subjects (N,)."""
        self.rate, self.levels = rate, {}
        for name, values in scores.items():
            middle, spread = _level(values, subjects, rate)
            others = (sum(_level(values[~mine], subjects[~mine], rate)) - middle for mine in _groups(subjects))
            if min([spread, *others]) > LEAST_SPREAD:  # else strangers show nothing to this view, or just one does
                self.levels[name] = middle, spread
        self.names = tuple(self.levels)

    def __call__(self, scores: dict[str, np.ndarray]) -> np.ndarray:
        """Return the scores on the common scale (views, N); -inf from a view that did not look."""
        n = len(next(iter(scores.values())))
        blind = np.full(n, -np.inf)
        return np.stack(
            [(scores[k] - middle) / spread if k in scores else blind for k, (middle, spread) in self.levels.items()]
        )

    def with_level(self, name: str, values: np.ndarray, subjects: np.ndarray) -> "Scale":
        """Return the scale with the level of one of its views learned anew, from scores (N,) of other strangers."""
        other = copy(self)
        middle, spread = _level(values, subjects, self.rate)
        other.levels = self.levels | ({name: (middle, max(spread, LEAST_SPREAD))} if name in self.levels else {})
        return other

    def of_others(self, scores: dict[str, np.ndarray], subjects: np.ndarray) -> np.ndarray:
        """Return (views, N) the strangers on scales that the other subjects set."""
        scaled = self(scores)
        if len(self.names) == 1:  # one view needs no scale
            return scaled
        for mine in _groups(subjects):
            for row, name in enumerate(self.names):
                middle, spread = _level(scores[name][~mine], subjects[~mine], self.rate)
                scaled[row, mine] = (scores[name][mine] - middle) / max(spread, LEAST_SPREAD)
        return scaled


def _groups(subjects: np.ndarray) -> list[np.ndarray]:
    """Return masks (N,) of the cases of each subject, or of MOST_GROUPS groups of subjects; none if there is one."""
    names, inverse = np.unique(subjects, return_inverse=True)
    group = inverse * min(len(names), MOST_GROUPS) // len(names)
    return [group == one for one in range(group.max() + 1)] if len(names) > 1 else []


def _level(values: np.ndarray, subjects: np.ndarray, rate: float) -> tuple[float, float]:
    """Return the median of strangers, and how far above it the level lies that a share ``rate`` of them exceeds."""
    reference = Reference(values, subjects, "")
    middle = reference.quantiles(0.5)[0]
    return middle, reference.quantiles(1 - rate)[0] - middle


class Verdicts:
    """Scale and threshold, calibrated on strangers."""

    def __init__(
        self, seen: dict[str, Near], subjects: np.ndarray, note: str, rate: float, draws: int, seed: int
    ) -> None:
        """Calibrate.

        Args:
            seen: what each view saw of N strangers' cases.
            subjects: (N,) the subject of each.
            note: who they are.
            rate: of false alarms per case.
            draws: resamples of subjects for the interval of the threshold.
            seed: of the resamples.
        """
        scores = {name: near.score for name, near in seen.items()}
        self.scale = Scale(scores, subjects, rate)
        if not self.scale.names:
            raise UnderstudyError(
                "real cases that differ were expected to calibrate on, and those of all subjects look alike: run "
                "`understudy check` on the real cohort"
            )
        self.threshold: Threshold = calibrate(
            Reference(self.scale.of_others(scores, subjects).max(0), subjects, note),
            rate,
            draws,
            derive(seed, "copies", "threshold"),
        )

    def with_level(self, name: str, values: np.ndarray, subjects: np.ndarray) -> "Verdicts":
        """Return the same verdicts with another level of one view; see :meth:`Scale.with_level`."""
        other = copy(self)
        other.scale = self.scale.with_level(name, values, subjects)
        return other

    def judge(self, seen: dict[str, Near]) -> Found:
        """Judge cases by what each view saw of them."""
        scores = {name: near.score for name, near in seen.items()}
        scaled = self.scale(scores)
        first = next(iter(seen.values()))
        speaks, nearness = scaled.argmax(0), scaled.max(0)
        cases = np.stack([seen[name].case if name in seen else first.case for name in self.scale.names])
        flagged = nearness > self.threshold.value
        if "pixels" in seen:
            flagged |= seen["pixels"].first >= COPY
        return Found(
            np.take_along_axis(cases, speaks[None], 0)[0], scores, nearness, p_values(nearness, self.threshold), flagged
        )


def p_values(nearness: np.ndarray, threshold: Threshold) -> np.ndarray:
    """Return for each case (1 + n times the share of strangers at least as near) / (1 + n), n the strangers.

    Subjects are counted and not cases: ten slices of one stranger are no ten strangers.
    """
    order, weights = np.sort(threshold.reference.r), threshold.reference.weights()
    above = np.append(weights[np.argsort(threshold.reference.r, kind="stable")][::-1].cumsum()[::-1], 0.0)
    n = threshold.reference.n_subjects
    p: np.ndarray = (1 + n * above[np.searchsorted(order, nearness, side="left")]) / (1 + n)
    return p

"""From the scores of several matchers to a decision: one scale, one threshold, a p-value for each case.

On the scale the median of unseen cases is 0, and the mean of their highest tenth is 1: a level nearer to the threshold
would hang on the one or two nearest of few subjects. The nearness of a case is its highest scaled score. The threshold
is calibrated on that maximum, so that more matchers raise the threshold and not the false positives. Each unseen case
is put on the scale that the other subjects set, as a judged case is: a subject that sets its own scale does not exceed
it. The rate is met closely where all cases are alike (1.4 to 1.8 % of cases at 1 %, 56 subjects of one case each and
one to six matchers, where 1 / 57 is the smallest possible share), but it is not guaranteed.
**Source**: the maximum over tests of Westfall and Young, Resampling-based multiple testing (1993); p-values as in
conformal prediction, unseen subjects being the calibration set, each left out once, as in the jackknife.
**Checked** in tests/evaluation/privacy/copies/test_decision.py.
"""

from copy import copy
from dataclasses import dataclass

import numpy as np

from understudy.core.errors import UnderstudyError
from understudy.core.seed import derive
from understudy.core.statistics import Sample, by_subject
from understudy.evaluation.privacy.calibration import COPY, ReferenceScores, Threshold, calibrate
from understudy.evaluation.privacy.copies.cases import NearestTwo

HIGHEST = 0.1  # share of unseen cases whose mean is 1 on the scale
MIN_SPREAD = 1e-3
MAX_GROUPS = 100  # of subjects left out of the scale together: one subject each, up to so many


class AlikeError(UnderstudyError):
    """The unseen cases are all alike to every matcher, so that none can be calibrated."""


@dataclass(frozen=True)
class CopyScores:
    """How near each of N cases lies to the training cases, and which are flagged; all are (N,)."""

    case: np.ndarray  # the nearest training case, by the matcher whose scaled score is the highest
    scores: dict[str, np.ndarray]  # of each matcher
    nearness: np.ndarray  # the highest scaled score; 1 is the mean of the highest tenth of unseen cases
    p: np.ndarray  # conformal p-value, each subject counting once
    flagged: np.ndarray  # nearer than the calibration allows


class ScoreScale:
    """Puts the scores of several matchers on one scale."""

    def __init__(self, scores: dict[str, np.ndarray], subjects: np.ndarray) -> None:
        """Learn the scale from the scores (N,) of unseen cases and their subjects (N,)."""
        self.levels: dict[str, tuple[float, float]] = {}
        for name, values in scores.items():
            middle, spread = _level(values, subjects)
            others = (sum(_level(values[~mine], subjects[~mine])) - middle for mine in _groups(subjects))
            if min([spread, *others]) > MIN_SPREAD:  # else unseen cases are all alike to it, but for one at most
                self.levels[name] = middle, spread
        self.names = tuple(self.levels)

    def __call__(self, scores: dict[str, np.ndarray]) -> np.ndarray:
        """Return the scores on the common scale (matchers, N); -inf from a matcher without scores."""
        absent = np.full(len(next(iter(scores.values()))), -np.inf)
        levels = self.levels.items()
        return np.stack([(scores[k] - middle) / spread if k in scores else absent for k, (middle, spread) in levels])

    def with_level(self, name: str, values: np.ndarray, subjects: np.ndarray) -> "ScoreScale":
        """Return the scale with the level of one of its matchers learned anew, from scores (N,) of other cases."""
        other = copy(self)
        middle, spread = _level(values, subjects)
        other.levels = self.levels | ({name: (middle, max(spread, MIN_SPREAD))} if name in self.levels else {})
        return other

    def of_others(self, scores: dict[str, np.ndarray], subjects: np.ndarray) -> np.ndarray:
        """Return (matchers, N) unseen cases, each on the scale that the other subjects set."""
        scaled = self(scores)
        if len(self.names) == 1:  # one matcher needs no scale
            return scaled
        number = by_subject(subjects).number
        for mine in _groups(number):
            for row, name in enumerate(self.names):
                middle, spread = _level(scores[name][~mine], number[~mine])
                scaled[row, mine] = (scores[name][mine] - middle) / max(spread, MIN_SPREAD)
        return scaled


def _groups(subjects: np.ndarray) -> list[np.ndarray]:
    """Return masks (N,) of the cases of each subject, or of MAX_GROUPS groups of subjects; none if there is one."""
    names, number, _ = by_subject(subjects)
    group = number * min(len(names), MAX_GROUPS) // len(names)
    return [group == one for one in range(group.max() + 1)] if len(names) > 1 else []


def _level(values: np.ndarray, subjects: np.ndarray) -> tuple[float, float]:
    """Return the median of cases, and how far above it the mean of their highest tenth lies."""
    sample = Sample.of(values, subjects)
    middle = sample.quantile(0.5)
    return middle, sample.mean_of_highest(HIGHEST) - middle


class CopyDecision:
    """Scale and threshold, calibrated at a rate of false positives per case, on what matchers found for N unseen cases.

    ``draws`` resamples of the unseen cases' subjects (N,) give the threshold's interval; the note says who they are.
    """

    def __init__(
        self, matched: dict[str, NearestTwo], subjects: np.ndarray, note: str, rate: float, draws: int, seed: int
    ) -> None:
        one_of_two = {"pixels"} if "whole" in matched else set()  # the one sees all that the other sees
        scores = {name: near.score for name, near in matched.items() if name not in one_of_two}
        self.scale = ScoreScale(scores, subjects)
        if not self.scale.names:
            raise AlikeError(
                "real cases that differ were expected to calibrate on, and those of all subjects look alike: run "
                "`understudy check` on the real cohort"
            )
        reference = ReferenceScores(self.scale.of_others(scores, subjects).max(0), subjects, note)
        self.threshold: Threshold = calibrate(reference, rate, draws, derive(seed, "copies", "threshold"))

    def with_level(self, name: str, values: np.ndarray, subjects: np.ndarray) -> "CopyDecision":
        """Return the same decision with another level of one matcher; see :meth:`ScoreScale.with_level`."""
        other = copy(self)
        other.scale = self.scale.with_level(name, values, subjects)
        return other

    def decide(self, matched: dict[str, NearestTwo]) -> CopyScores:
        """Score cases and flag them, by what each matcher found."""
        scores = {name: near.score for name, near in matched.items()}
        scaled = self.scale(scores)
        first = next(iter(matched.values()))
        highest, nearness = scaled.argmax(0), scaled.max(0)
        cases = np.stack([matched[name].case if name in matched else first.case for name in self.scale.names])
        flagged = nearness > self.threshold.value
        if "pixels" in matched:
            flagged |= matched["pixels"].first >= COPY
        nearest = np.take_along_axis(cases, highest[None], 0)[0]
        return CopyScores(nearest, scores, nearness, p_values(nearness, self.threshold), flagged)


def p_values(nearness: np.ndarray, threshold: Threshold) -> np.ndarray:
    """Return for each case (1 + n times the share of unseen cases at least as near) / (1 + n), n the unseen subjects.

    Subjects count, not cases: ten slices of one subject are not ten subjects.
    """
    order, weights = np.sort(threshold.reference.r), threshold.reference.weights()
    above = np.append(weights[np.argsort(threshold.reference.r, kind="stable")][::-1].cumsum()[::-1], 0.0)
    n = threshold.reference.n_subjects
    p: np.ndarray = (1 + n * above[np.searchsorted(order, nearness, side="left")]) / (1 + n)
    return p

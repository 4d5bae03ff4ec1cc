"""The detector: learns the training cases, learns from strangers what is too near, and judges cases.

Views are put on one scale, on which the median of strangers is 0 and the level that a share ``rate`` of them exceeds is
1. The highest of its views speaks for a case, and what is too near is calibrated on exactly that, so that many views
raise the threshold and not the false alarms (Westfall and Young's maximum). Strangers are the control subjects; where
these are few, training subjects join them, each fold judged by an encoder that learned the other folds.
**Checked** in tests/evaluation/privacy/copies/test_detector.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from understudy.core.errors import UnderstudyError
from understudy.core.seed import derive, rng
from understudy.evaluation.privacy.calibration import COPY, Reference, Threshold, calibrate
from understudy.evaluation.privacy.copies.cases import Cases
from understudy.evaluation.privacy.copies.disguises import Disguise
from understudy.evaluation.privacy.copies.encoder import learn
from understudy.evaluation.privacy.copies.near import Near, joined
from understudy.evaluation.privacy.copies.views import Gallery, by_embedding, look

FIRM = 50  # control subjects from which on they calibrate alone
FOLDS = 3
STRANGERS = 2000  # most training cases that take part in the calibration
LEAST_CASES = 32  # from which an encoder can learn, whichever fold is left out
LEAST_SPREAD = 1e-3


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
        levels = {}
        for name, values in scores.items():
            reference = Reference(values, subjects, name)
            middle, top = reference.quantiles(0.5)[0], reference.quantiles(1 - rate)[0]
            if top - middle > LEAST_SPREAD:  # else strangers show nothing to this view, and it cannot be calibrated
                levels[name] = (middle, top - middle)
        self.names, self.levels = tuple(levels), levels

    def __call__(self, scores: dict[str, np.ndarray]) -> np.ndarray:
        """Return the scores on the common scale (views, N); -inf from a view that did not look."""
        n = len(next(iter(scores.values())))
        blind = np.full(n, -np.inf)
        return np.stack(
            [(scores[k] - middle) / spread if k in scores else blind for k, (middle, spread) in self.levels.items()]
        )


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
            Reference(self.scale(scores).max(0), subjects, note), rate, draws, derive(seed, "copies", "threshold")
        )

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


@dataclass(frozen=True)
class Detector:
    """A gallery with an encoder, and verdicts that strangers have calibrated.

    Attributes:
        gallery: the training cases.
        verdicts: scale and threshold.
        seen: what each view saw of the strangers that calibrated it: the first ``apart`` as they are, then by folds.
        subjects: (N,) whose these are.
        control: the control subjects' cases.
    """

    gallery: Gallery
    verdicts: Verdicts
    seen: dict[str, Near]
    subjects: np.ndarray
    control: Cases
    note: str

    def judge(self, cases: Cases) -> Found:
        """Return what is known of cases; their own subjects, where they have one, are left out of the gallery."""
        return self.verdicts.judge(look(cases, self.gallery))


@dataclass(frozen=True)
class Settings:
    """What a detector is made with: views, disguises that the encoder learns, its updates, and the false-alarm rate."""

    views: tuple[str, ...]
    disguises: Sequence[Disguise]
    updates: int
    rate: float
    draws: int


def build(training: Cases, control: Cases, settings: Settings, seed: int) -> Detector:
    """Train the detector and calibrate it.

    Args:
        training: what may have been copied.
        control: cases of subjects that nobody has seen; may be empty.
        settings: see there.
        seed: of encoders, folds and resamples.
    """
    everyone = torch.ones(len(training), dtype=torch.bool)
    gallery = _gallery(training, everyone, settings, seed, "all")
    parts, subjects, notes = [], [], []
    if len(control):
        parts.append(look(control, gallery))
        subjects.append(control.subjects.numpy())
        notes.append(f"control subjects ({len(control)} cases) against training cases")
    if len(np.unique(control.subjects)) < FIRM:
        for fold, rows in enumerate(folds(training.subjects.numpy(), seed)):
            others = everyone.clone()
            others[torch.from_numpy(np.isin(training.subjects.numpy(), np.unique(training.subjects.numpy()[rows])))] = (
                False
            )
            parts.append(look(training[rows], _gallery(training, others, settings, seed, fold)))
            subjects.append(training.subjects.numpy()[rows])
        n = sum(map(len, subjects[-FOLDS:]))
        notes.append(f"training subjects ({n} cases, cross-fitted) against the other training subjects")
    seen = {name: joined([part[name] for part in parts]) for name in parts[0]}
    whose, note = np.concatenate(subjects), ", joined, being few, by ".join(notes)
    return Detector(
        gallery, Verdicts(seen, whose, note, settings.rate, settings.draws, seed), seen, whose, control, note
    )


def _gallery(cases: Cases, known: torch.Tensor, settings: Settings, seed: int, name: str | int) -> Gallery:
    """Return the gallery with an encoder that has learned the known cases, in as many updates as is their share."""
    encoder = None
    if "embedding" in settings.views and _fewest(cases.subjects.numpy()) >= LEAST_CASES:
        updates = max(1, round(settings.updates * float(known.float().mean())))
        encoder = learn(
            cases.images[known], cases.subjects[known], settings.disguises, updates, derive(seed, "copies", name)
        )
    return Gallery(cases, encoder, known, settings.views)


def _fewest(subjects: np.ndarray) -> int:
    """Return how many cases are left at least, whichever fold of subjects is left out."""
    counts = np.sort(np.unique(subjects, return_counts=True)[1])
    return int(counts[: len(counts) - -(-len(counts) // FOLDS)].sum())


def folds(subjects: np.ndarray, seed: int) -> list[np.ndarray]:
    """Return the rows of each fold of subjects; at most STRANGERS rows in all."""
    names = rng(seed, "copies", "folds").permutation(np.unique(subjects))
    rows = np.arange(len(subjects))
    if len(rows) > STRANGERS:
        rows = np.sort(rng(seed, "copies", "strangers").choice(rows, STRANGERS, replace=False))
    return [rows[np.isin(subjects[rows], names[fold::FOLDS])] for fold in range(min(FOLDS, len(names)))]


@dataclass(frozen=True)
class LeftOut:
    """A detector whose encoder has not learned one family of disguises, nor the cases of one fold of subjects."""

    gallery: Gallery
    verdicts: Verdicts

    def embedded(self, cases: Cases) -> dict[str, Near]:
        """Return what its encoder sees of cases."""
        return {"embedding": by_embedding(cases, self.gallery)}


def left_out(detector: Detector, family: str, settings: Settings, seed: int) -> LeftOut:
    """Return a detector whose encoder has not learned a family, calibrated on control subjects and one fold.

    What the other views see does not depend on the encoder, and is taken from the detector; the candidates for
    registration that its own encoder named stay among them.

    Args:
        detector: the whole detector.
        family: of disguises.
        settings: the detector's.
        seed: the detector's.
    """
    training = detector.gallery.cases
    rows = folds(training.subjects.numpy(), seed)[0]
    known = torch.from_numpy(~np.isin(training.subjects.numpy(), np.unique(training.subjects.numpy()[rows])))
    ways = [one for one in settings.disguises if one.family != family]
    gallery = _gallery(training, known, replace(settings, disguises=ways), derive(seed, "left out", family), 0)
    part = slice(
        0, len(detector.control) + (len(rows) if len(detector.seen["pixels"].case) > len(detector.control) else 0)
    )
    seen = {name: near[part] for name, near in detector.seen.items()}
    looked = [by_embedding(cases, gallery) for cases in (detector.control, training[rows]) if len(cases)]
    seen["embedding"] = joined(looked)[part]
    return LeftOut(gallery, Verdicts(seen, detector.subjects[part], detector.note, settings.rate, settings.draws, seed))

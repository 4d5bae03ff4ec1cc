"""The detector: learns the training cases, learns from strangers what is too near, and judges cases.

Strangers are the control subjects; where these are few, training subjects join them, each fold judged by an encoder
that learned the other folds and compared with the other training subjects. Training subjects are each other's nearest,
so that the nearest come in pairs: up to twice the rate is to be expected then, as for the jackknife+ (Barber et al.,
arXiv:1905.02928), without its guarantee. The audit says what came of it, on subjects of its own.
**Checked** in tests/evaluation/privacy/copies/test_detector.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from understudy.core.seed import derive, rng
from understudy.evaluation.privacy.calibration import FIRM
from understudy.evaluation.privacy.copies.cases import Cases, Near, joined
from understudy.evaluation.privacy.copies.decision import Found, Verdicts
from understudy.evaluation.privacy.copies.encoder import learn, side_by_side
from understudy.evaluation.privacy.copies.matchers import Gallery, by_embedding, look
from understudy.evaluation.privacy.copies.transforms import Disguise

FOLDS = 3
STRANGERS = 2000  # most training cases that take part in the calibration
LEAST_CASES = 32  # from which an encoder can learn, whichever fold is left out
LEFT_OUT = 1 / 3  # share of the updates that an encoder has where a family of disguises is left out


@dataclass(frozen=True)
class Detector:
    """A gallery with an encoder, and verdicts that strangers have calibrated.

    Attributes:
        gallery: the training cases.
        verdicts: scale and threshold.
        subjects: (N,) of the cases that calibrated it: the control cases, then fold by fold.
        control: the control subjects' cases.
    """

    gallery: Gallery
    verdicts: Verdicts
    subjects: np.ndarray
    control: Cases

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
    few = len(np.unique(control.subjects)) < FIRM
    fold_rows = folds(training.subjects.numpy(), seed) if few else []
    everyone = torch.ones(len(training), dtype=torch.bool)
    known = [everyone, *(_without(training, rows) for rows in fold_rows)]
    lessons = [Lesson(one, settings.disguises, derive(seed, "copies", i)) for i, one in enumerate(known)]
    gallery, *others = galleries(training, lessons, settings)
    parts = [look(control, gallery)] if len(control) else []
    parts += [look(training[rows], one) for rows, one in zip(fold_rows, others, strict=True)]
    seen = {name: joined([part[name] for part in parts]) for name in parts[0]}
    crossed = np.concatenate([*fold_rows, np.empty(0, np.int64)]).astype(np.int64)
    subjects = np.concatenate([control.subjects.numpy(), training.subjects.numpy()[crossed]])
    notes = [f"control subjects ({len(control)} cases) against training cases"] * bool(len(control))
    if few:
        notes.append(f"training subjects ({len(crossed)} cases, cross-fitted) against the other training subjects")
    note = ", joined, being few, by ".join(notes)
    verdicts = Verdicts(seen, subjects, note, settings.rate, settings.draws, seed)
    return Detector(gallery, verdicts, subjects, control)


@dataclass(frozen=True)
class Lesson:
    """What one encoder learns: which training cases (a mask), which disguises; and its seed and share of updates."""

    known: Tensor
    disguises: Sequence[Disguise]
    seed: int
    share: float = 1.0


def galleries(cases: Cases, lessons: Sequence[Lesson], settings: Settings) -> list[Gallery]:
    """Return a gallery of the cases for each lesson, with an encoder that has learned it, if there are cases enough."""
    if "embedding" not in settings.views or _fewest(cases.subjects.numpy()) < LEAST_CASES:
        return [Gallery(cases, None, one.known, settings.views) for one in lessons]
    jobs = []
    for one in lessons:
        updates = max(1, round(settings.updates * one.share * float(one.known.float().mean())))
        learned = cases[one.known]
        jobs.append(partial(learn, learned.images, learned.subjects, one.disguises, updates, one.seed))
    pairs = zip(lessons, side_by_side(jobs), strict=True)
    return [Gallery(cases, encoder, one.known, settings.views) for one, encoder in pairs]


def _without(cases: Cases, rows: np.ndarray) -> Tensor:
    """Return a mask (M,) of the cases whose subjects have none of these rows."""
    return ~torch.isin(cases.subjects, cases.subjects[torch.from_numpy(rows)])


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


def left_out(detector: Detector, families: Sequence[str], settings: Settings, seed: int) -> dict[str, LeftOut]:
    """Return for each family a detector whose encoder has not learned it.

    What the other views see does not depend on the encoder: they and the threshold are the detector's, except that
    candidates for registration that its own encoder named stay among them. The level of the view embedding is learned
    anew, from control subjects and, where these are few, one fold.

    Args:
        detector: the whole detector, with an encoder.
        families: of disguises.
        settings: the detector's.
        seed: the detector's.
    """
    training, control = detector.gallery.cases, detector.control
    rows = folds(training.subjects.numpy(), seed)[0]
    known, lessons = _without(training, rows), []
    for family in families:
        ways = [one for one in settings.disguises if one.family != family]
        lessons.append(Lesson(known, ways, derive(seed, "left out", family), LEFT_OUT))
    strangers = [control] if len(control) else []
    if len(detector.subjects) > len(control):
        strangers.append(training[rows])
    whose, found = np.concatenate([one.subjects.numpy() for one in strangers]), {}
    for family, gallery in zip(families, galleries(training, lessons, settings), strict=True):
        score = joined([by_embedding(cases, gallery) for cases in strangers]).score
        found[family] = LeftOut(gallery, detector.verdicts.with_level("embedding", score, whose))
    return found

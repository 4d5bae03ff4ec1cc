"""How near is too near: the reference scores of real cases, and the threshold that unseen subjects calibrate.

Each subject counts once, however many cases it has: a case weighs 1 / (subjects * cases of its subject). Intervals come
from resampling whole subjects.
**Source** for the exact interval of a share: Clopper, Pearson, Biometrika 26 (1934).
**Checked** in tests/evaluation/privacy/test_calibration.py (by hand, and coverage on simulated subjects).
"""

from dataclasses import dataclass

import numpy as np
import torch
from scipy import stats

from understudy.core.cohort import Cohort
from understudy.core.disclosure import MIN_SUBJECTS
from understudy.core.errors import UnderstudyError
from understudy.core.seed import rng
from understudy.core.statistics import Sample, by_subject, percentile_interval
from understudy.evaluation.nearest import UnitRows, exact_r, nearest
from understudy.evaluation.privacy.copies.registration import blur
from understudy.evaluation.privacy.pearson import ImageVectors

MIN_CALIBRATION = 50  # subjects; fewer are called weak, and training subjects join them
COPY = 1 - 1e-6  # r of a copy up to gain and offset; flagged whatever the control subjects say
BLURRED, BLUR = 500, 2 / 64  # training cases that are blurred, and the width as a share of the side
REFERENCE_CASES = 2000  # training cases that are compared with the other training subjects
PAIRS = 64  # of neighbouring slices, read at once


@dataclass(frozen=True)
class ReferenceScores:
    """Highest r of real cases to training cases of other subjects: how near they lie without copying."""

    r: np.ndarray  # (n,)
    subjects: np.ndarray  # (n,) the subject of each case
    note: str  # what was compared with what

    @property
    def n_subjects(self) -> int:
        """Number of subjects behind the reference."""
        return len(np.unique(self.subjects))

    def weights(self) -> np.ndarray:
        """Return (n,) weights that add up to 1, the same for every subject."""
        return by_subject(self.subjects).weights

    def quantiles(self, q: float, draws: int = 0, seed: int = 0) -> tuple[float, np.ndarray]:
        """Return the subject-weighted quantile q in (0, 1], 1: the highest, and that of ``draws`` resamples each."""
        sample = Sample.of(self.r, self.subjects)
        resamples = sample.resamples(draws, rng(seed, "privacy", "subjects"))
        return sample.quantile(q), np.array([sample.quantile(q, weights) for weights in resamples])

    def share_above(self, threshold: float) -> float:
        """Return the subject-weighted share of cases above a threshold."""
        return float(self.weights()[self.r > threshold].sum())


@dataclass(frozen=True)
class Threshold:
    """The r above which a case is flagged, the same from resampled subjects, and whose nearness set it."""

    value: float
    resampled: np.ndarray
    reference: ReferenceScores
    rate: float

    def flags(self, r: np.ndarray) -> np.ndarray:
        """Return a mask (n,) of what is nearer than the calibration allows, or a copy."""
        return (r > self.value) | (r >= COPY)

    def flagged_interval(self, r: np.ndarray, copies: int) -> tuple[float, float]:
        """Return the 95 % range of the number flagged, had other subjects set the threshold; ``copies`` always are."""
        counts = np.maximum(len(r) - np.searchsorted(np.sort(r), self.resampled, side="right"), copies)
        return percentile_interval(counts)


def calibrate(reference: ReferenceScores, rate: float, draws: int, seed: int) -> Threshold:
    """Set the threshold at which a share ``rate`` of unseen subjects' cases, each subject counting once, is flagged.

    ``draws`` resamples of subjects give the threshold's spread. UnderstudyError where the reference is empty.
    """
    if not len(reference.r):
        raise UnderstudyError("at least one case of an unseen subject was expected to calibrate on, found none")
    value, resampled = reference.quantiles(1 - rate, draws, seed)
    return Threshold(value, resampled, reference, rate)


def clopper_pearson(k: int, n: int) -> tuple[float, float]:
    """Return the exact 95 % interval of a share k / n."""
    low = 0.0 if k == 0 else float(stats.beta.ppf(0.025, k, n - k + 1))
    return low, 1.0 if k == n else float(stats.beta.ppf(0.975, k + 1, n - k))


def order_interval(r: np.ndarray, q: float) -> tuple[float | None, float | None]:
    """Return the 95 % interval of a quantile from order statistics, for independent cases.

    An end is None where no case reaches so far: fewer than 368 cases say how low a 99 % quantile may lie, not how high.
    """
    low, high = stats.binom.ppf((0.025, 0.975), len(r), q).astype(int)  # of cases below the quantile
    ends = [None, *np.sort(r).tolist(), None]
    return ends[low], ends[high + 1]


def training_rows(real: Cohort, synthetic: Cohort) -> tuple[np.ndarray, str]:
    """Return the rows of the real cohort that the generator saw, and a note on how they are known.

    The synthetic cohort's ``trained_on`` names the subjects; the training split is taken where it names none of these.
    """
    seen = synthetic.subjects_seen()
    rows = np.flatnonzero(np.isin(real.column("subject_id"), sorted(seen)))
    if len(rows):
        note = "compared with the real cases of every subject that the generator, or what screened its cases, has seen"
        if seen - set(real.subjects()):
            note = f"{note} and that this real cohort holds: it has seen others, and copies of them are not looked for"
        return rows, note
    note = "compared with the training split, because the synthetic cohort does not record subjects of this real cohort"
    return real.rows("train"), f"{note} that it was trained on"


def learned_rows(real: Cohort, synthetic: Cohort, rows: np.ndarray) -> np.ndarray:
    """Return those of the rows that were seen whose subjects the generator learned from; all where nobody is named.

    Whoever was seen otherwise, as the validation subjects of a network that screened, is neither a member nor unseen.
    """
    learned = rows[np.isin(real.column("subject_id")[rows], sorted(synthetic.subjects_learned()))]
    return learned if len(learned) else rows


def control_reference(real: Cohort, rows: np.ndarray, memory_mib: int) -> ReferenceScores:
    """Return the highest r of each control case to the training rows; empty without a control split."""
    control = real.rows("control")
    subjects = real.column("subject_id")[control]
    if not len(control):
        return ReferenceScores(np.empty(0), subjects, "the real cohort has no control split")
    found = nearest(ImageVectors(real, control), ImageVectors(real, rows), memory_mib=memory_mib)
    return ReferenceScores(found.r, subjects, f"control subjects ({len(control)} cases) against training cases")


def training_reference(real: Cohort, rows: np.ndarray, memory_mib: int, seed: int) -> ReferenceScores:
    """Return the highest r of at most REFERENCE_CASES training cases to the cases of the other training subjects."""
    subjects = real.column("subject_id")
    if len(np.unique(subjects[rows])) < 2:
        return ReferenceScores(np.empty(0), subjects[:0], "only one training subject")
    chosen = rows
    if len(rows) > REFERENCE_CASES:
        chosen = np.sort(rng(seed, "privacy", "reference").choice(rows, REFERENCE_CASES, replace=False))
    query, target, own, whose = ImageVectors(real, chosen), ImageVectors(real, rows), subjects[chosen], subjects[rows]
    found = nearest(query, target, query_groups=own, target_groups=whose, memory_mib=memory_mib)
    return ReferenceScores(found.r, own, f"training subjects ({len(own)} cases) against the other training subjects")


def calibration_reference(control: ReferenceScores, training: ReferenceScores) -> ReferenceScores:
    """Return how near unseen subjects lie to training cases, from MIN_CALIBRATION subjects if there are so many.

    Control subjects alone where they are enough. Where they are few, training subjects, each against the others, join
    them: they too are compared with subjects other than themselves, only one fewer of them.
    """
    if control.n_subjects >= MIN_CALIBRATION or not len(training.r):
        return control
    if not len(control.r):
        return training
    note = f"{control.note}, joined, being few, by {training.note}"
    subjects = np.concatenate([control.subjects, training.subjects])
    return ReferenceScores(np.concatenate([control.r, training.r]), subjects, note)


def next_slices(real: Cohort, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return pairs (p,), (p,) of slices of one subject that follow each other, counted within ``rows``.

    A slice without a number stands in no pair.
    """
    subjects, slices = real.column("subject_id")[rows], real.column("slice_index")[rows]
    known = np.flatnonzero(slices != "")
    order = known[np.lexsort((slices[known].astype(float), subjects[known]))]
    same = np.flatnonzero(subjects[order][:-1] == subjects[order][1:])
    return order[same], order[same + 1]


def neighbour_reference(real: Cohort, rows: np.ndarray) -> ReferenceScores:
    """Return r of each training slice to the next of the same subject in the cohort; empty without slice numbers."""
    first, second = (rows[side] for side in next_slices(real, rows))
    subjects = real.column("subject_id")[first]
    if not len(first):
        return ReferenceScores(np.empty(0), subjects, "no two slices of one subject with a slice number")
    one, other = ImageVectors(real, first), ImageVectors(real, second)
    starts = range(0, len(first), PAIRS)
    r = np.concatenate([exact_r(one.block(i, i + PAIRS), other.block(i, i + PAIRS)) for i in starts])
    note = f"each training slice against the next of the same subject ({len(r)} pairs)"
    return ReferenceScores(r, subjects, note)


def reverse_reference(real: Cohort, synthetic: Cohort, memory_mib: int) -> ReferenceScores:
    """Return the highest r of each synthetic case to a control case, which no generator saw; empty without any."""
    control = real.rows("control")
    if len(real.subjects("control")) < MIN_SUBJECTS:
        return ReferenceScores(np.empty(0), np.empty(0, np.int64), f"fewer than {MIN_SUBJECTS} control subjects")
    images = ImageVectors(synthetic, synthetic.rows())
    found = nearest(images, ImageVectors(real, control), memory_mib=memory_mib)
    return ReferenceScores(found.r, np.arange(len(synthetic)), "synthetic cases against control cases")


def blurred_reference(real: Cohort, rows: np.ndarray, memory_mib: int, seed: int) -> ReferenceScores:
    """Return the highest r of blurred training cases to the training cases: where a blurred copy would lie.

    At most BLURRED cases; the real cohort has images.
    """
    assert real.images is not None
    chosen = np.sort(rng(seed, "privacy", "blurred").choice(rows, min(BLURRED, len(rows)), replace=False))
    images = torch.from_numpy(real.encoding.encode_images(np.asarray(real.images[chosen])))
    vectors = UnitRows(blur(images, BLUR).flatten(1).numpy())
    found = nearest(vectors, ImageVectors(real, rows), memory_mib=memory_mib)
    note = f"{len(chosen)} training cases, blurred by {BLUR:g} of the side, against the training cases"
    return ReferenceScores(found.r, real.column("subject_id")[chosen], note)

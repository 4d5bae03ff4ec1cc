"""The copy detector: trains encoders on the training cases, calibrates the decision on unseen subjects, flags cases.

Unseen subjects are the control subjects. Where these are few, training subjects join them, cross-fitted: each fold is
matched by an encoder that learned the other folds, against the other training subjects. Training subjects are each
other's nearest, so that the nearest come in pairs: up to twice the rate is to be expected then, as for the jackknife+
(Barber et al., arXiv:1905.02928), without its guarantee. The audit (canaries/) measures the rate on other subjects.
**Checked** in tests/evaluation/privacy/copies/test_detector.py.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from threading import BoundedSemaphore

import numpy as np
import torch
from torch import Tensor

from understudy.core.progress import progress
from understudy.core.seed import derive, rng
from understudy.core.statistics import by_subject
from understudy.evaluation.cache import NOTHING_KEPT, Cache
from understudy.evaluation.privacy.calibration import MIN_CALIBRATION
from understudy.evaluation.privacy.copies.cases import NearestTwo, SmallCases, joined
from understudy.evaluation.privacy.copies.decision import CopyDecision, CopyScores
from understudy.evaluation.privacy.copies.encoder import Lesson
from understudy.evaluation.privacy.copies.kept import learned, learned_pairs
from understudy.evaluation.privacy.copies.matchers import ReferenceSet, match, match_whole
from understudy.evaluation.privacy.copies.pairs import QUERIES, PairLesson, pair_updates
from understudy.evaluation.privacy.copies.transforms import Transformation
from understudy.training.parallel import in_parallel

FOLDS = 3
MAX_CALIBRATION_CASES = 2000  # training cases that join the calibration
MIN_CASES = 32  # from which an encoder can learn, whichever fold is left out
MOST_CHANNELS = 4  # of which all queries of a pair network are held in memory
LEFT_OUT, MOST_LEFT_OUT = 1 / 3, 500  # share of the updates where a family of transformations is left out; the most


@dataclass(frozen=True)
class CopyDetector:
    """The reference set with its encoder, and a calibrated decision."""

    reference_set: ReferenceSet
    decision: CopyDecision
    subjects: np.ndarray  # (N,) of the cases that calibrated it: the control cases, then fold by fold
    control: SmallCases

    def decide(self, cases: SmallCases) -> CopyScores:
        """Match cases and decide; a case's own subject, where it has one, is left out of the reference set."""
        return self.decision.decide(match(cases, self.reference_set))


@dataclass(frozen=True)
class DetectorSettings:
    """What a detector is made with."""

    matchers: tuple[str, ...]
    transformations: Sequence[Transformation]  # what the encoder learns to recognise copies in
    updates: int  # batches that the encoder learns from
    rate: float  # of false positives
    draws: int  # resamples of subjects
    cache: Cache = NOTHING_KEPT  # where encoders and what is matched are kept


@dataclass(frozen=True)
class EncoderTask:
    """What one encoder learns."""

    cases: SmallCases  # M, of a reference set
    known: Tensor  # mask (M,) of those that it learns
    transformations: Sequence[Transformation]
    seed: int
    share: float = 1.0  # of the updates

    def updates(self, whole: int) -> int:
        """Return in how many updates it learns, of so many for all cases; of fewer cases in fewer."""
        return max(1, round(whole * self.share * float(self.known.float().mean())))


def build(
    training: SmallCases,
    control: SmallCases,
    settings: DetectorSettings,
    seed: int,
    beside: Sequence[EncoderTask] = (),
) -> tuple[CopyDetector, *tuple[ReferenceSet, ...]]:
    """Train the detector on what may have been copied, and calibrate it on cases of control subjects, maybe none.

    With it come the reference sets of the tasks ``beside``, whose networks learn at the same time.
    """
    few = len(np.unique(control.subjects)) < MIN_CALIBRATION
    fold_rows = folds(training.subjects.numpy(), seed) if few else []
    everyone = torch.ones(len(training), dtype=torch.bool)
    known = [everyone, *(_without(training, rows) for rows in fold_rows)]
    ways, seeds = settings.transformations, (derive(seed, "copies", i) for i in range(len(known)))
    tasks = [EncoderTask(training, one, ways, own) for one, own in zip(known, seeds, strict=True)]
    made = reference_sets([*tasks, *beside], settings)
    (reference_set, *others), made_beside = made[: len(tasks)], made[len(tasks) :]
    parts = [match(control, reference_set)] if len(control) else []
    parts += [match(training[rows], one) for rows, one in zip(fold_rows, others, strict=True)]
    matched = {name: joined([part[name] for part in parts]) for name in parts[0]}
    crossed = np.concatenate([*fold_rows, np.empty(0, np.int64)]).astype(np.int64)
    subjects = np.concatenate([control.subjects.numpy(), training.subjects.numpy()[crossed]])
    notes = [f"control subjects ({len(control)} cases) against training cases"] * bool(len(control))
    if few:
        notes.append(f"training subjects ({len(crossed)} cases, cross-fitted) against the other training subjects")
    note = ", joined, being few, by ".join(notes)
    decision = CopyDecision(matched, subjects, note, settings.rate, settings.draws, seed)
    return CopyDetector(reference_set, decision, subjects, control), *made_beside


def reference_sets(tasks: Sequence[EncoderTask], settings: DetectorSettings) -> list[ReferenceSet]:
    """Return a reference set for each task, with its networks if there are enough cases; all learn at the same time.

    Volumes need none: two measures of so many voxels tell copies apart, and an encoder would see them in 96 views.
    """
    sets = [ReferenceSet(one.cases, None, one.known, settings.matchers, settings.cache) for one in tasks]
    teaching = {i: one for i, one in enumerate(tasks) if _teaches(one.cases, settings)}
    pairs_at_once = BoundedSemaphore(max(1, torch.get_num_threads() // 2))  # pairs are most of what is in memory
    updates = 0
    for one in teaching.values():
        known, number = int(one.known.sum()), one.updates(settings.updates)
        updates += number + pair_updates(known, _queries(one.cases, number))
        _ = one.cases.in_contrast  # made once, for all that share the cases
    with progress("networks of the copy detector", updates, "updates") as update:
        jobs = [partial(_with_networks, sets[i], one, settings, pairs_at_once) for i, one in teaching.items()]
        for i, learned in zip(teaching, in_parallel(jobs, partial(update, advance=1)), strict=True):
            sets[i] = learned
    return sets


def _teaches(cases: SmallCases, settings: DetectorSettings) -> bool:
    """Return whether networks learn from these cases."""
    return "whole" in settings.matchers and cases.images.ndim == 4 and _fewest(cases.subjects.numpy()) >= MIN_CASES


def _queries(cases: SmallCases, updates: int) -> int:
    """Return from how many queries a pair network learns beside an encoder; fewer of many channels."""
    return min(QUERIES * MOST_CHANNELS // max(cases.images.shape[1], MOST_CHANNELS), 2 * updates)


def _with_networks(
    reference_set: ReferenceSet,
    task: EncoderTask,
    settings: DetectorSettings,
    pairs_at_once: BoundedSemaphore,
    done: Callable[[], None],
) -> ReferenceSet:
    """Return a reference set with the encoder of a task, and with the pair network that learns from what it finds."""
    cache, number, cases = reference_set.cache, task.updates(settings.updates), task.cases
    known = cases if bool(task.known.all()) else cases[task.known]
    lesson = Lesson(known.images, known.subjects, task.transformations, number, task.seed)
    encoded = replace(reference_set, encoder=learned(cache, lesson, done))
    del known, lesson
    queries = _queries(cases, number)
    pair_lesson = PairLesson(cases.images, encoded.targets, task.transformations, task.seed, queries)
    with pairs_at_once:
        return replace(encoded, pairs=learned_pairs(cache, pair_lesson, done))


def _without(cases: SmallCases, rows: np.ndarray) -> Tensor:
    """Return a mask (M,) of the cases whose subjects have none of these rows."""
    return ~torch.isin(cases.subjects, cases.subjects[torch.from_numpy(rows)])


def _fewest(subjects: np.ndarray) -> int:
    """Return how many cases are left at least, whichever fold of subjects is left out."""
    counts = np.sort(by_subject(subjects).counts)
    return int(counts[: len(counts) - -(-len(counts) // FOLDS)].sum())


def folds(subjects: np.ndarray, seed: int) -> list[np.ndarray]:
    """Return the rows of each fold of subjects; at most MAX_CALIBRATION_CASES rows in all."""
    names = rng(seed, "copies", "folds").permutation(np.unique(subjects))
    rows = np.arange(len(subjects))
    if len(rows) > MAX_CALIBRATION_CASES:
        rows = np.sort(rng(seed, "copies", "strangers").choice(rows, MAX_CALIBRATION_CASES, replace=False))
    return [rows[np.isin(subjects[rows], names[fold::FOLDS])] for fold in range(min(FOLDS, len(names)))]


@dataclass(frozen=True)
class LeftOutDetector:
    """A detector whose encoder has not learned one family of transformations, nor the cases of one fold of subjects."""

    reference_set: ReferenceSet
    decision: CopyDecision

    def again(self, cases: SmallCases) -> dict[str, NearestTwo]:
        """Match cases by what depends on the encoder."""
        return {"whole": match_whole(cases, self.reference_set)}


def left_out(
    detector: CopyDetector, families: Sequence[str], settings: DetectorSettings, seed: int
) -> dict[str, LeftOutDetector]:
    """Return for each family a detector whose encoder has not learned it.

    Settings and seed are those of the whole detector, which has an encoder. The other matchers do not depend on the
    encoder: they and the threshold are the whole detector's. The level of the matcher whole is learned anew, from
    control subjects and, where these are few, one fold.
    """
    training, control = detector.reference_set.cases, detector.control
    rows = folds(training.subjects.numpy(), seed)[0]
    known, tasks, share = _without(training, rows), [], min(LEFT_OUT, MOST_LEFT_OUT / settings.updates)
    for family in families:
        learned = [one for one in settings.transformations if one.family != family]
        tasks.append(EncoderTask(training, known, learned, derive(seed, "left out", family), share))
    unseen = [control] if len(control) else []
    if len(detector.subjects) > len(control):
        unseen.append(training[rows])
    subjects, found = np.concatenate([one.subjects.numpy() for one in unseen]), {}
    for family, reference_set in zip(families, reference_sets(tasks, settings), strict=True):
        score = joined([match_whole(cases, reference_set) for cases in unseen]).score
        found[family] = LeftOutDetector(reference_set, detector.decision.with_level("whole", score, subjects))
    return found

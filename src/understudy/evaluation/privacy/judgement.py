"""Which synthetic cases are copies: by the detector, which unseen subjects calibrate; also of the label maps.

**Checked** in tests/evaluation/privacy/test_judgement.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from understudy.core.cohort import Cohort
from understudy.core.disclosure import MIN_SUBJECTS
from understudy.core.seed import derive
from understudy.core.statistics import by_subject
from understudy.evaluation.cache import NOTHING_KEPT, Cache
from understudy.evaluation.nearest import Nearest
from understudy.evaluation.privacy.calibration import MIN_CALIBRATION, ReferenceScores, Threshold
from understudy.evaluation.privacy.canaries.audit import AuditPlan, AuditResult, MapAudit, run, run_on_maps
from understudy.evaluation.privacy.config import PrivacyConfig
from understudy.evaluation.privacy.copies.cases import small_cases
from understudy.evaluation.privacy.copies.decision import AlikeError, CopyScores
from understudy.evaluation.privacy.copies.detector import (
    CopyDetector,
    DetectorSettings,
    EncoderTask,
    build,
    folds,
    reference_sets,
)
from understudy.evaluation.privacy.copies.label_maps import MapDetector, RealMaps, alike_maps, not_compared
from understudy.evaluation.privacy.copies.matchers import ReferenceSet, match
from understudy.evaluation.privacy.copies.transforms import Transformation, available
from understudy.evaluation.privacy.swap import SwapTest, swap_test

REASONS = {
    "lesions": "no label maps, or too few lesions of unseen subjects to calibrate it",
}
Networks = tuple[nn.Module | None, nn.Module | None]  # encoder and pair network of a reference set
TINY = 1e-9  # by which an exact copy exceeds any threshold
ALIKE = "unseen subjects are all alike to it"  # the reason of every other matcher


@dataclass(frozen=True)
class CopyResult:
    """Copies among the cases of one synthetic cohort."""

    scores: CopyScores | None  # of each case; None where fewer than five subjects could calibrate them
    threshold: Threshold | None  # of the nearness
    skipped: list[str]  # which checks were left out, and why


@dataclass(frozen=True)
class CopyEvidence:
    """All that the search found about one synthetic cohort; every file of the results is made from it."""

    name: str  # how its results are called, "" where it is the only synthetic cohort
    cohort: Cohort  # the synthetic one
    rows: np.ndarray  # of the real cohort, that were searched
    learned: np.ndarray  # those of them from which the generator learned: the members
    subjects: int  # in the rows
    found: Nearest  # of each synthetic case by Pearson's r; its index counts within ``rows``
    copies: CopyResult  # which cases are too near, by all matchers
    maps: CopyResult | str  # the same of the label maps; or why they were not compared
    swap: SwapTest | str  # flags with unseen subjects in the place of trained ones; or why there are none
    control: ReferenceScores  # control subjects against the training cases
    training: ReferenceScores  # training subjects against the other training subjects
    neighbour: ReferenceScores  # neighbouring slices of one training subject
    blurred: ReferenceScores  # training cases, blurred, against the training cases: how near a blurred copy lies
    reverse: ReferenceScores  # synthetic cases against the control cases
    threshold: Threshold | None  # the r that is too near; None where fewer than five subjects could set it
    config: PrivacyConfig
    note: str  # how the training cases are known

    @property
    def flagged(self) -> np.ndarray:
        """Mask (n,) of the flagged synthetic cases; none where nothing could be calibrated."""
        return self.copies.scores.flagged if self.copies.scores else np.zeros(len(self.found.r), bool)

    @property
    def nearest(self) -> np.ndarray:
        """The training case (n,) nearest to each synthetic case, within ``rows``: by all matchers, else by r."""
        return self.copies.scores.case if self.copies.scores else self.found.index

    @property
    def prefix(self) -> str:
        """First part of the results' names."""
        return prefix(self.name)


def prefix(name: str) -> str:
    """Return ``privacy.`` or, where several cohorts are judged, ``privacy.NAME.``."""
    return f"privacy.{name}." if name else "privacy."


def numbers(real: Cohort) -> np.ndarray:
    """Return the subject of each real case as a whole number (n,)."""
    return by_subject(real.column("subject_id")).number


def settings(real: Cohort, cases: int, config: PrivacyConfig, cache: Cache = NOTHING_KEPT) -> DetectorSettings:
    """Return what the detector of so many training cases is made with."""
    learned = [one for name, one in _transformations(real).items() if name != "exact"]
    updates = config.updates_for(cases, alone=len(real.subjects("control")) >= MIN_CALIBRATION)
    return DetectorSettings(config.matchers, learned, updates, config.false_positive_rate, config.bootstrap, cache)


def _transformations(real: Cohort) -> dict[str, Transformation]:
    """Return the transformations that a copy of a case of this cohort can have."""
    return available(real.encoding.image_channels, len(real.size))


class CopyDetectors:
    """The detector of copies for each set of training cases; each is built when it is first needed."""

    def __init__(self, real: Cohort, config: PrivacyConfig, seed: int, cache: Cache = NOTHING_KEPT) -> None:
        """Build nothing yet."""
        self.real, self.config, self.seed, self.cache = real, config, seed, cache
        self.built: dict[bytes, CopyDetector | None] = {}
        self.swapped: dict[bytes, Networks] = {}

    def of(self, rows: np.ndarray, learned: np.ndarray | None = None) -> CopyDetector | None:
        """Return the detector of copies of these rows; None where it needs more subjects.

        The networks of the swap test of the rows that a generator learned, by default all, learn at the same time.
        """
        key = rows.tobytes()
        if key not in self.built:
            self.built[key] = self._build(rows, rows if learned is None else learned)
        return self.built[key]

    def _build(self, rows: np.ndarray, learned: np.ndarray) -> CopyDetector | None:
        subjects, control = numbers(self.real), self.real.rows("control")
        calibrating = {*subjects[control], *subjects[rows]}
        if len(set(subjects[rows])) < 2 or len(calibrating) < MIN_SUBJECTS:
            return None
        training, others = (small_cases(self.real, part, subjects[part]) for part in (rows, control))
        made = settings(self.real, len(rows), self.config, self.cache)
        task = self._swap_task(learned, made.transformations)
        share = settings(self.real, len(learned), self.config).updates / made.updates
        tasks = [replace(task, share=share)] if task else []
        detector, *beside = build(training, others, made, self.seed, tasks)
        self.swapped |= {learned.tobytes(): (one.encoder, one.pairs) for one in beside}
        return detector

    def both_sides(self, rows: np.ndarray) -> ReferenceSet | None:
        """Return the reference set of the swap test: cases that a generator learned, and those of unseen subjects.

        An encoder has learned both sides alike. None where either has too few subjects.
        """
        made, key = settings(self.real, len(rows), self.config, self.cache), rows.tobytes()
        task = self._swap_task(rows, made.transformations)
        if task is None:
            return None
        if key not in self.swapped:
            (one,) = reference_sets([task], made)
            self.swapped[key] = one.encoder, one.pairs
        encoder, pairs = self.swapped[key]
        return ReferenceSet(task.cases, encoder, task.known, self.config.matchers, self.cache, pairs)

    def _swap_task(self, rows: np.ndarray, ways: Sequence[Transformation]) -> EncoderTask | None:
        subjects = numbers(self.real)
        others = np.concatenate([self.real.rows(split) for split in self.config.non_members])
        others = np.sort(others[~np.isin(subjects[others], subjects[rows])])
        if min(len(np.unique(subjects[part])) for part in (rows, others)) < MIN_SUBJECTS:
            return None
        pool = np.concatenate([rows, others])
        cases = small_cases(self.real, pool, subjects[pool])
        everybody = torch.ones(len(cases), dtype=torch.bool)
        return EncoderTask(cases, everybody, ways, derive(self.seed, "swap"))

    def audit(self, rows: np.ndarray) -> AuditResult | str:
        """Audit the detector of copies of these rows on the test subjects; or say why not."""
        detector = self.of(rows)
        test, subjects = self.real.rows("test"), numbers(self.real)
        others = self.real.rows("validation")
        if detector is None:
            return f"not audited: at least {MIN_SUBJECTS} real subjects calibrate the detector"
        if len(set(subjects[test])) < MIN_SUBJECTS:
            return f"not audited: {MIN_SUBJECTS} test subjects are needed as non-members"
        c, seen = self.config, detector.reference_set.cases.subjects.numpy()
        others = others[~np.isin(subjects[others], seen)]
        return run(
            detector,
            small_cases(self.real, test, subjects[test]),
            _transformations(self.real),
            settings(self.real, len(detector.reference_set.cases), c, self.cache),
            AuditPlan(c.audit_copies, c.audit_low_prevalence, c.audit_among, c.audit_left_out, c.audit_transformations),
            self.seed,
            small_cases(self.real, others, subjects[others]) if len(others) else None,
        )


def judge_images(synthetic: Cohort, detector: CopyDetector | None) -> CopyResult:
    """Decide by the detector which cases of a synthetic cohort are copies; without one, say why not."""
    if detector is None:
        few = f"two trained subjects, and {MIN_SUBJECTS} real ones in all, are needed to say how near unseen ones lie"
        return CopyResult(None, None, [f"the detector: {few}"])
    cases = small_cases(synthetic, synthetic.rows())
    beside = {"pixels"} if "whole" in detector.decision.scale.names else set()  # whole sees all that pixels sees
    missing = sorted(set(detector.reference_set.matchers) - set(detector.decision.scale.names) - beside)
    skipped = [f"the matcher {name}: {REASONS.get(name, ALIKE)}" for name in missing]
    learned = "whole" in detector.reference_set.matchers and len(synthetic.size) == 2  # volumes need no encoder
    if learned and detector.reference_set.encoder is None:
        skipped.append("the encoder of the matcher whole: too few training cases to learn from")
    if cases.labels is None and "lesions" in detector.decision.scale.names:
        skipped.append(f"the matcher lesions: {REASONS['lesions']}")
    return CopyResult(detector.decide(cases), detector.decision.threshold, skipped)


def judge_maps(real: Cohort, synthetic: Cohort, rows: np.ndarray, config: PrivacyConfig, seed: int) -> CopyResult | str:
    """Judge the label maps of a synthetic cohort; or say why not."""
    if why := not_compared(real, synthetic):
        return f"skipped: {why}"
    assert real.labels is not None and synthetic.labels is not None
    equal = RealMaps(real.labels[rows]).copied(synthetic.labels)
    real, synthetic = alike_maps(real, synthetic)
    detector = map_detector(real, rows, config, seed)
    if isinstance(detector, str):
        return detector
    assert synthetic.labels is not None
    return CopyResult(
        detector.decide(synthetic.labels, synthetic.rows(), equal), detector.decision.threshold, skipped=[]
    )


def map_detector(real: Cohort, rows: np.ndarray, config: PrivacyConfig, seed: int) -> MapDetector | str:
    """Return what judges label maps by those of some rows; or say why there is none."""
    assert real.labels is not None
    subjects, unseen, note = numbers(real), real.rows("control"), "the label maps of control subjects"
    if len(set(subjects[unseen])) < MIN_CALIBRATION:
        unseen = np.concatenate([unseen, *(rows[fold] for fold in folds(subjects[rows], seed))])
        note += ", joined, being few, by those of training subjects against the other training subjects"
    if len(set(subjects[unseen])) < MIN_SUBJECTS or len(set(subjects[rows])) < 2:
        return f"withheld: fewer than {MIN_SUBJECTS} real subjects to say how alike the maps of unseen subjects are"
    rate, draws = config.false_positive_rate, config.bootstrap
    try:
        return MapDetector(real.labels, rows, unseen, subjects, note, rate, draws, seed)
    except AlikeError:
        return "skipped: the label maps of unseen subjects are all alike to this measure"


def audit_maps(real: Cohort, rows: np.ndarray, config: PrivacyConfig, seed: int) -> MapAudit | str:
    """Audit what judges label maps on those of the test subjects; or say why not."""
    test, subjects = real.rows("test"), numbers(real)
    if real.labels is None:
        return "not audited: the real cohort has no label maps"
    if len(set(subjects[test])) < MIN_SUBJECTS:
        return f"not audited: {MIN_SUBJECTS} test subjects are needed as non-members"
    detector = map_detector(real, rows, config, seed)
    if isinstance(detector, str):
        return f"not audited: {detector}"
    return run_on_maps(detector, real.labels, rows, test, subjects, config.audit_copies, seed)


def judge_swapped(synthetic: Cohort, rows: np.ndarray, detectors: CopyDetectors, seen: np.ndarray) -> SwapTest | str:
    """Test whether flags fall on the subjects whom the generator learned more than on unseen ones; or say why not.

    ``rows`` are those of the former, among the rows ``seen`` that the detector searches; unseen are the subjects of the
    splits ``non_members``.
    """
    detector = detectors.of(seen, rows)
    reference_set = detectors.both_sides(rows) if detector else None
    if detector is None or reference_set is None:
        return f"withheld: fewer than {MIN_SUBJECTS} trained or unseen subjects to swap"
    scores = detector.decision.decide(match(small_cases(synthetic, synthetic.rows()), reference_set))
    beyond = scores.nearness - detector.decision.threshold.value
    excess = np.where(scores.flagged, np.maximum(beyond, TINY), beyond)
    subjects, members = reference_set.cases.subjects.numpy(), np.unique(numbers(detectors.real)[rows])
    others, draws = np.setdiff1d(subjects, members), detectors.config.bootstrap
    return swap_test(excess, subjects[scores.case], members, others, detectors.seed, draws)

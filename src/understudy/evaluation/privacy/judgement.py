"""Which synthetic cases are copies: the detector where cases are images of two dimensions, Pearson's r alone elsewhere.

**Checked** in tests/evaluation/privacy/test_judgement.py, tests/evaluation/privacy/copies.
"""

from dataclasses import dataclass

import numpy as np
import torch

from understudy.core.cohort import PATIENTS_OWN, Cohort
from understudy.core.disclosure import MIN_SUBJECTS
from understudy.core.seed import derive
from understudy.evaluation.nearest import Nearest
from understudy.evaluation.privacy.calibration import Reference, Threshold, calibrate
from understudy.evaluation.privacy.canaries.audit import Audit, Plan, run
from understudy.evaluation.privacy.config import PrivacyConfig
from understudy.evaluation.privacy.copies.cases import small_cases
from understudy.evaluation.privacy.copies.decision import Found, Scale, Verdicts, p_values
from understudy.evaluation.privacy.copies.detector import Detector, Settings, build, folds
from understudy.evaluation.privacy.copies.lesions import similar_maps, small_maps
from understudy.evaluation.privacy.copies.transforms import available


@dataclass(frozen=True)
class Judged:
    """What is known of copies among the cases of one synthetic cohort.

    Attributes:
        found: of each case; None where fewer than five subjects could calibrate it.
        threshold: of its nearness.
        skipped: which checks were left out, and why.
    """

    found: Found | None
    threshold: Threshold | None
    skipped: list[str]

    @property
    def flagged(self) -> np.ndarray:
        """Mask (n,) of flagged cases; empty where nothing could be calibrated."""
        return self.found.flagged if self.found else np.zeros(0, bool)


def numbers(real: Cohort) -> np.ndarray:
    """Return the subject of each real case as a whole number (n,)."""
    return np.unique(real.column("subject_id"), return_inverse=True)[1]


def settings(real: Cohort, cases: int, config: PrivacyConfig) -> Settings:
    """Return what the detector of so many training cases is made with."""
    ways = available(real.encoding.image_channels)
    learned = [way for name, way in ways.items() if name != "exact"]
    return Settings(config.views, learned, config.updates_for(cases), config.false_alarm_rate, config.bootstrap)


class Detectors:
    """The detector of copies for each set of training cases; built when it is first asked for."""

    def __init__(self, real: Cohort, config: PrivacyConfig, seed: int) -> None:
        """Build nothing yet."""
        self.real, self.config, self.seed = real, config, seed
        self.built: dict[bytes, Detector | None] = {}

    def of(self, rows: np.ndarray) -> Detector | None:
        """Return the detector of copies of these rows; None where it needs images of two dimensions, or subjects."""
        key = rows.tobytes()
        if key not in self.built:
            self.built[key] = self._build(rows)
        return self.built[key]

    def _build(self, rows: np.ndarray) -> Detector | None:
        subjects, control = numbers(self.real), self.real.rows("control")
        strangers = {*subjects[control], *subjects[rows]}
        if len(self.real.size) != 2 or len(set(subjects[rows])) < 2 or len(strangers) < MIN_SUBJECTS:
            return None
        training, others = (small_cases(self.real, part, subjects[part]) for part in (rows, control))
        return build(training, others, settings(self.real, len(rows), self.config), self.seed)

    def audit(self) -> Audit | str:
        """Audit the detector that was built last on the test subjects; or say why not."""
        detector = list(self.built.values())[-1] if self.built else None
        test, subjects = self.real.rows("test"), numbers(self.real)
        if detector is None:
            few = f"and at least {MIN_SUBJECTS} real subjects calibrate the detector"
            return f"not audited: copies are planted in images of two dimensions, {few}"
        if len(set(subjects[test])) < MIN_SUBJECTS:
            return f"not audited: {MIN_SUBJECTS} test subjects are needed as strangers"
        c = self.config
        return run(
            detector,
            small_cases(self.real, test, subjects[test]),
            available(self.real.encoding.image_channels),
            settings(self.real, len(detector.gallery.cases), c),
            Plan(c.audit_copies, c.audit_few, c.audit_among, c.audit_left_out),
            self.seed,
        )


def judge_images(synthetic: Cohort, detector: Detector) -> Judged:
    """Judge every case of a synthetic cohort by the detector."""
    cases = small_cases(synthetic, synthetic.rows())
    missing = sorted(set(detector.gallery.views) - set(detector.verdicts.scale.names))
    skipped = [f"the view {name}: {REASONS[name]}" for name in missing]
    if cases.labels is None and "lesions" in detector.verdicts.scale.names:
        skipped.append(f"the view lesions: {REASONS['lesions']}")
    return Judged(detector.judge(cases), detector.verdicts.threshold, skipped)


REASONS = {
    "embedding": "too few training cases to learn from",
    "lesions": "no label maps, or too few lesions among strangers to calibrate it",
    "aligned": "strangers are all alike to it",
    "detail": "strangers are all alike to it",
    "bent": "strangers are all alike to it",
    "patches": "strangers are all alike to it",
    "pixels": "strangers are all alike to it",
}


def judge_by_r(found: Nearest, strangers: Reference, config: PrivacyConfig, seed: int) -> Judged:
    """Judge cases by their highest Pearson r alone.

    Args:
        found: the nearest training case of each.
        strangers: highest r of cases of other subjects.
        config: the settings.
        seed: of the resamples.
    """
    skipped = [
        f"the views {', '.join(v for v in config.views if v != 'pixels')}: they look at images of two dimensions"
    ]
    if strangers.n_subjects < MIN_SUBJECTS:
        return Judged(None, None, skipped)
    threshold = calibrate(strangers, config.false_alarm_rate, config.bootstrap, seed)
    p, flagged = p_values(found.r, threshold), threshold.flags(found.r)
    return Judged(Found(found.index, {"pixels": found.r}, found.r, p, flagged), threshold, skipped)


def judge_maps(real: Cohort, synthetic: Cohort, rows: np.ndarray, config: PrivacyConfig, seed: int) -> Judged | str:
    """Judge the label maps of a synthetic cohort; or say why not."""
    if real.labels is None or synthetic.labels is None:
        return "skipped: one of the cohorts has no label maps"
    if len(real.size) != 2:
        return "skipped: label maps of two dimensions are compared"
    if synthetic.label_source in PATIENTS_OWN:
        return f"skipped: the label maps are of the source {synthetic.label_source!r}, and repeat patients' by design"
    subjects, control = numbers(real), real.rows("control")
    fold = np.concatenate([*folds(subjects[rows], seed), np.empty(0, np.int64)]).astype(np.int64)
    strangers = np.concatenate([control, rows[fold]])
    targets, whose = small_maps(real, rows), torch.from_numpy(subjects[rows])
    if len(set(subjects[strangers])) < MIN_SUBJECTS or len(set(subjects[rows])) < 2:
        return f"withheld: fewer than {MIN_SUBJECTS} real subjects to say how alike strangers are"
    calibrating = similar_maps(small_maps(real, strangers), targets, whose, torch.from_numpy(subjects[strangers]))
    own = torch.full((len(synthetic),), -1)
    seen = similar_maps(small_maps(synthetic, synthetic.rows()), targets, whose, own)
    whose_strangers, name = subjects[strangers], "label maps"
    if not Scale({name: calibrating.score}, whose_strangers, config.false_alarm_rate).names:
        return "skipped: strangers' label maps are all alike to this measure"
    verdicts = Verdicts(
        {name: calibrating}, whose_strangers, "strangers' label maps", config.false_alarm_rate,
        config.bootstrap, derive(seed, "label maps"),
    )  # fmt: skip
    return Judged(verdicts.judge({name: seen}), verdicts.threshold, [])

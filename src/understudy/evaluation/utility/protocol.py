"""``evaluate utility``: segmenters trained on synthetic or on real cases only, tested on real subjects.

**Source**: Akbar et al., Brain tumor segmentation using synthetic MR images (Sci Data 11:259, 2024): synthetic only
against real only, repeated over segmenter seeds, slices of a test subject stacked before scoring.
**Differs**: both sides make the same number of updates with the same settings and seeds; on both sides the weights
are chosen on the same real validation subjects, which a user of synthetic data alone would not have: the ratio says
what synthetic cases teach, not what choosing without real cases would cost. Intervals resample seeds and subjects.
The test subjects are read once by each segmenter, after its weights were chosen.
**Checked** in tests/evaluation/utility/test_protocol.py (a toy cohort end to end, same seed, a planted leak).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from understudy.core.cohort import Cohort
from understudy.core.provenance import Provenance
from understudy.core.seed import derive
from understudy.core.stage import finished, output_folder
from understudy.evaluation.guard import leak_note, open_pair, short_names
from understudy.evaluation.progress import progress_bar
from understudy.evaluation.utility.config import UtilityConfig
from understudy.evaluation.utility.findings import Outcome, Side, write_findings
from understudy.evaluation.utility.scores import confusion, dice, mean_over_classes
from understudy.tasks.segmentation import CohortCases, Segmenter, train_segmenter


@dataclass(frozen=True)
class SubjectCases:
    """Real cases that are scored by subject."""

    cases: CohortCases
    number: np.ndarray  # (n,) of each case's subject
    subjects: list[str]
    classes: int
    labels: np.ndarray = field(repr=False)

    def counts(self, segmenter: Segmenter) -> np.ndarray:
        """Return voxel counts (subjects, K, K) of a segmenter's predictions."""
        predicted = segmenter.predict_cases(self.cases)
        return confusion(predicted, self.labels, self.number, len(self.subjects), self.classes)

    def score(self, segmenter: Segmenter) -> float:
        """Return the mean Dice over classes, then subjects, 0..1; NaN where nothing counts."""
        scores = mean_over_classes(dice(self.counts(segmenter)))
        return float(scores[np.isfinite(scores)].mean()) if np.isfinite(scores).any() else float("nan")


def evaluate_utility(
    real: Path, synthetic: list[Path], out: Path, seed: int, config: UtilityConfig | None = None
) -> Path:
    """Compare what segmenters learn from synthetic cohorts with what they learn from real cases.

    Args:
        real: folder of the real cohort, with the splits train, validation and test.
        synthetic: folders of synthetic cohorts; all their cases are training cases.
        out: results folder to make.
        seed: of weights, order, augmentation and resampling.
        config: settings, the same on every side; the defaults where None.

    Returns:
        ``out``.

    Raises:
        UsageError: cohorts that do not fit, or an output of another request.
        UnderstudyError: a leak, too few subjects, no label maps.
    """
    config = config or UtilityConfig()
    splits = ("train", "validation", "test")
    cohort, others = open_pair(Path(real), [Path(path) for path in synthetic], splits=splits, labels=True)
    inputs = {"real": cohort.id, "synthetic": ",".join(other.id for other in others)}
    provenance = Provenance("evaluate utility", config.model_dump(mode="json"), seed, inputs)
    if finished(out, "results.json", provenance):
        return out
    with output_folder(out) as folder:
        sides = _sides(cohort, others)
        validation, test = subject_cases(cohort, "validation"), subject_cases(cohort, "test")
        with progress_bar("updates") as progress:
            task = progress.add_task("", total=len(sides) * config.repeats * config.updates)
            outcomes = {}
            for side in sides:
                progress.update(task, description=f"segmenters on {side.name}")
                outcomes[side.name] = _repeat(side, validation, test, config, seed, lambda: progress.advance(task))
        write_findings(folder, cohort, sides, outcomes, test.subjects, len(validation.subjects), config, provenance)
    return out


def subject_cases(cohort: Cohort, split: str) -> SubjectCases:
    """Return the cases of a split of a cohort with label maps, numbered by subject."""
    rows, subjects = cohort.rows(split), cohort.subjects(split)
    number = np.searchsorted(subjects, cohort.column("subject_id")[rows])
    labels = np.empty((0,)) if cohort.labels is None else cohort.labels[rows]
    classes = len(cohort.scheme) if cohort.scheme else 0
    return SubjectCases(CohortCases(cohort, rows, cohort.encoding), number, subjects, classes, labels)


def _sides(real: Cohort, others: list[Cohort]) -> list[Side]:
    """Return what segmenters are trained on: the real training split, then each synthetic cohort as a whole."""
    rows = real.rows("train")
    sides = [Side("real", "", CohortCases(real, rows, real.encoding), len(real.subjects("train")), "")]
    for name, other in zip(short_names(others), others, strict=True):
        generator = str(other.provenance.get("config", {}).get("generator", ""))
        cases = CohortCases(other, other.rows(), real.encoding)
        sides.append(Side(name, generator, cases, len(other.subjects()), leak_note(other)))
    return sides


def _repeat(
    side: Side,
    validation: SubjectCases,
    test: SubjectCases,
    config: UtilityConfig,
    seed: int,
    advance: Callable[[], None],
) -> Outcome:
    """Train ``config.repeats`` segmenters on one side; repeat r has the same seed on every side."""
    outcome = Outcome()
    for repeat in range(config.repeats):
        own = derive(seed, "segmenter", repeat)
        segmenter = train_segmenter(side.cases, test.classes, config, own, validation.score, advance)
        outcome.counts.append(test.counts(segmenter))
        outcome.curves.append(segmenter.curve)
    return outcome

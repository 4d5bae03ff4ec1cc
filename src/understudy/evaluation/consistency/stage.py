"""``evaluate consistency``: a segmenter that learned real cases reads each synthetic image; does it find the label map?

It learns the **train** split and is chosen on **validation**. Beside the synthetic cases stand real pairs of the
**control** split, which neither weights nor choice have seen: what consistency a true pair has. Control is there for
calibration; **test** is for utility and is never read here. Where there is no control split, ``reference=validation``
takes the cases that chose the weights, which is optimistic, and the results say so.
**Not covered**: a segmenter is no radiologist; it may misread what it never saw, and agrees with a wrong map that it
would have drawn itself. Its architecture is not the one that measures utility (config.py). No weights are kept.
**Checked** in tests/evaluation/consistency/test_stage.py (known answers, a poisoned test split, nothing half-written).
"""

from pathlib import Path

import numpy as np

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError
from understudy.core.progress import progress
from understudy.core.provenance import Provenance
from understudy.core.seed import derive
from understudy.core.stage import finished
from understudy.evaluation.consistency.config import ConsistencyConfig
from understudy.evaluation.consistency.report import ConsistencyFindings, Side
from understudy.evaluation.consistency.scores import case_scores
from understudy.evaluation.folder import results_folder
from understudy.evaluation.guard import leak_note, open_pair, short_names
from understudy.tasks.segmentation import CohortCases, Segmenter, subject_cases, train_segmenter

MINIMUM = 2  # subjects of each split


def evaluate_consistency(
    real: Path, synthetic: list[Path], out: Path, seed: int, config: ConsistencyConfig | None = None
) -> Path:
    """Compare the label map of each synthetic case with what a segmenter trained on real cases finds in its image.

    The real cohort has the splits train, validation and control; the seed is that of weights, order, augmentation and
    resampling. Returns `out`, with results.json, tables, curves, cases.csv (a row per synthetic case) and
    internal/seen.json.

    Raises:
        UsageError: cohorts that do not fit, or an output of another request.
        UnderstudyError: a leak, too few subjects, no images or label maps.
    """
    config = config or ConsistencyConfig()
    if config.reference == "control":
        _refuse_without_control(Cohort.open(real))
    splits = dict.fromkeys(("train", "validation", config.reference), MINIMUM)
    cohort, others = open_pair(real, synthetic, splits=splits, labels=True, classes=config.classes)
    inputs = {"real": cohort.id, "synthetic": ",".join(other.id for other in others)}
    provenance = Provenance("evaluate consistency", config.model_dump(mode="json"), seed, inputs)
    if finished(out, "results.json", provenance):
        return Path(out)
    with (
        results_folder(out, cohort) as folder,
        progress("segmenter", config.updates + len(others) + 1, "steps") as update,
    ):
        validation = subject_cases(cohort, "validation")
        cases = CohortCases(cohort, cohort.rows("train"), cohort.encoding)
        own = derive(seed, "agreement", "segmenter")
        judges = {"validation": validation.score}
        segmenter = train_segmenter(cases, validation.classes, config, own, judges, lambda: update(advance=1))
        update(description="images")
        sides = []
        for name, one in zip(["real", *short_names(others)], [cohort, *others], strict=True):
            sides.append(_side(segmenter, name, one, cohort, config))
            update(advance=1)
        ConsistencyFindings(cohort, sides[0], sides[1:], segmenter, config, provenance).write(folder)
    return Path(out)


def _side(segmenter: Segmenter, name: str, cohort: Cohort, real: Cohort, config: ConsistencyConfig) -> Side:
    """Read the images of one cohort, of the real one the reference split, all with the real cohort's encoding."""
    itself = cohort is real
    rows: np.ndarray = cohort.rows(config.reference) if itself else cohort.rows()
    classes = len(real.scheme) if real.scheme else 0
    scores = case_scores(segmenter, CohortCases(cohort, rows, real.encoding), classes)
    optimistic = "these cases chose the segmenter's weights, so it agrees with them more than with unseen ones"
    note = (optimistic if config.reference == "validation" else "") if itself else leak_note(cohort)
    return Side(name, cohort, rows, scores, note)


def _refuse_without_control(real: Cohort) -> None:
    found = len(real.subjects("control"))
    if real.kind == "real" and found < MINIMUM:
        raise UnderstudyError(
            f"real pairs are read from at least {MINIMUM} control subjects, and {real.path.name} has {found}: import "
            "it with --split train=...,validation=...,control=...,test=..., or --set reference=validation"
        )

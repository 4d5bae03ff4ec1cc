"""``evaluate interrater``: how far two annotators of the same images agree: the ceiling beside a segmenter's scores.

The scores, their rule for empty maps and the stacking of slices are those of ``evaluate utility`` (tasks/overlap.py,
utility/surface.py), with the label maps of ``--other`` in the place of predicted ones. All of them are the same when
the raters change places, but precision and recall, which change places too. By default on the **test** split, on which
segmenters are measured. **Not covered**: a segmenter that learned from one rater can agree with that rater more than
the other rater does; two raters are no sample of raters, and the interval is over subjects only.
**Checked** in tests/evaluation/interrater/test_stage.py (by hand, raters swapped, few subjects withheld).
"""

from pathlib import Path

import numpy as np

from understudy.core.provenance import Provenance
from understudy.core.stage import finished
from understudy.evaluation.folder import results_folder
from understudy.evaluation.interrater.config import InterraterConfig
from understudy.evaluation.interrater.pairing import Pairing, pair
from understudy.evaluation.interrater.report import InterraterFindings
from understudy.evaluation.utility.segmentation import MapOutcome, MapScores, map_scores, scored_names
from understudy.evaluation.utility.surface import contiguous_stacks, described, surface_scores
from understudy.tasks.overlap import confusion


def evaluate_interrater(real: Path, other: Path, out: Path, seed: int, config: InterraterConfig | None = None) -> Path:
    """Score one rater's label maps against another's, subject by subject.

    Those of `real` are the reference, as in ``evaluate utility``; `other` is a cohort of the same images with another
    rater's. The seed is that of resampling. Returns `out`, with results.json, tables and internal/per_subject.csv.

    Raises:
        UsageError: cohorts that do not fit, or an output of another request.
        UnderstudyError: no label maps, too few common subjects, or images that differ.
    """
    config = config or InterraterConfig()
    pairing = pair(Path(real), Path(other), config.split, config.classes)
    inputs = {"real": pairing.real.id, "other": pairing.other.id}
    provenance = Provenance("evaluate interrater", config.model_dump(mode="json"), seed, inputs)
    if finished(out, "results.json", provenance):
        return Path(out)
    outcome, unit = _compare(pairing, config.tolerance)
    names, scores = scored_names(pairing.real), map_scores(config.tolerance, unit)
    with results_folder(out, pairing.real) as folder:
        InterraterFindings(pairing, names, scores, outcome, config, provenance).write(folder)
    return Path(out)


def _compare(pairing: Pairing, tolerance: float) -> tuple[MapOutcome, str]:
    """Return the one reading of the other's label maps, and the unit of its distances."""
    real, rows, subjects = pairing.real, pairing.rows, pairing.subjects
    number = np.searchsorted(subjects, real.column("subject_id")[rows])
    reference, labels = (c.labels[r] for c, r in ((real, rows), (pairing.other, pairing.others)))  # type: ignore[index]
    classes = len(real.scheme) if real.scheme else 0
    cut, unit = contiguous_stacks(real, rows, number)
    counts = confusion(labels, reference, number, len(subjects), classes)
    surfaces = surface_scores(labels, reference, cut, len(subjects), classes, tolerance)
    outcome = MapOutcome(classes=classes - 1, within=described(cut), readings=[MapScores.of(counts, *surfaces)])
    return outcome, unit

"""PUBLIC files of the privacy evaluation: the table of thresholds and the curves, over at least five subjects each.

**Checked** in tests/evaluation/privacy/test_stage.py.
"""

from pathlib import Path
from typing import Any

import numpy as np

from understudy.evaluation.folder import PUBLIC_MINIMUM, write_curve, write_table
from understudy.evaluation.privacy.calibration import Reference, clopper_pearson
from understudy.evaluation.privacy.evidence import Evidence

FIXED = (0.9, 0.95, 0.98, 0.99)  # thresholds shown beside the calibrated ones
BINS = 40
HEADER = ("cohort", "threshold", "r", "synthetic_above", "share", "share_low", "share_high", "share_of_strangers",
          "n_synthetic", "n_subjects")  # fmt: skip


def write_thresholds(folder: Path, evidence: list[Evidence]) -> None:
    """Write tables/privacy_thresholds.csv: how many cases lie above several r.

    Args:
        folder: the results folder.
        evidence: one for each synthetic cohort; left out where fewer than five training subjects stand behind it.
    """
    rows = [row for e in evidence if e.subjects >= PUBLIC_MINIMUM for row in _thresholds(e)]
    write_table(folder, "privacy_thresholds", HEADER, rows)


def _thresholds(e: Evidence) -> list[list[Any]]:
    levels = [(f"fixed {level}", level) for level in FIXED]
    if e.threshold:
        calibrated = (f"nearer than {100 - 100 * e.config.false_alarm_rate:g} % of strangers", e.threshold.value)
        levels = [calibrated, ("nearer than any stranger", e.threshold.reference.quantiles(1.0)[0]), *levels]
    rows: list[list[Any]] = []
    for name, level in levels:
        n, above = len(e.found.r), int((e.found.r > level).sum())
        reference = e.threshold.reference if e.threshold else None
        strangers, subjects = (reference.share_above(level), reference.n_subjects) if reference else ("", "")
        share = (above / n, *clopper_pearson(above, n))
        rows.append([e.name or "synthetic", name, level, above, *share, strangers, n, subjects])
    return rows


def write_curves(folder: Path, evidence: list[Evidence]) -> None:
    """Write the share of cases by highest r, in bins: synthetic cases and references of five subjects or more.

    Args:
        folder: the results folder.
        evidence: one for each synthetic cohort; left out where fewer than five training subjects stand behind it.
    """
    for e in evidence:
        if e.subjects < PUBLIC_MINIMUM:
            continue
        references = {"control subjects": e.control, "training subjects, to the others": e.training,
                      "neighbouring slices of one subject": e.neighbour}  # fmt: skip
        shown = {"synthetic": Reference(e.found.r, np.arange(len(e.found.r)), "")}
        shown |= {name: reference for name, reference in references.items() if reference.n_subjects >= PUBLIC_MINIMUM}
        lowest = min(float(reference.r.min()) for reference in shown.values())
        edges = np.linspace(min(np.floor(lowest * 20) / 20, 0.95), 1, BINS + 1)
        middle = ((edges[1:] + edges[:-1]) / 2).tolist()
        shares = {name: np.histogram(x.r, edges, weights=x.weights())[0].tolist() for name, x in shown.items()}
        series = {name: (middle, share) for name, share in shares.items()}
        file = f"privacy-{e.name}" if e.name else "privacy"
        x_label, y_label = "highest Pearson r to a training image", f"share of cases, {BINS} bins"
        write_curve(folder, file, "How near each case lies to its nearest training image", x_label, y_label, series)

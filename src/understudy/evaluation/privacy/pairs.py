"""INTERNAL files of the privacy evaluation: the nearest real case of each synthetic case, and the worst pairs drawn.

**Checked** in tests/evaluation/privacy/test_stage.py.
"""

from pathlib import Path

import numpy as np

from understudy.core.cohort import Cohort
from understudy.evaluation.folder import internal, write_rows
from understudy.evaluation.privacy.evidence import Evidence

COLUMNS = ("synthetic_cohort", "synthetic_case", "real_case", "subject", "r", "flagged")


def write_pairs(folder: Path, real: Cohort, evidence: list[Evidence]) -> None:
    """Write internal/pairs.csv, one row per synthetic case in the order of its cohort."""
    cases, subjects = real.column("case_id"), real.column("subject_id")
    rows = []
    for e in evidence:
        for name, row, r, flag in zip(
            e.cohort.column("case_id"), e.rows[e.found.index], e.found.r, e.flagged, strict=True
        ):
            rows.append([e.cohort.id, name, cases[row], subjects[row], f"{r:.6f}", int(flag)])
    write_rows(internal(folder) / "pairs.csv", COLUMNS, rows)


def write_gallery(folder: Path, real: Cohort, evidence: list[Evidence], n: int) -> None:
    """Write internal/gallery.npz: the n pairs of the highest r over all synthetic cohorts, images float32 in [0, 1]."""
    cohort = np.concatenate([np.full(len(e.found.r), i) for i, e in enumerate(evidence)])
    case = np.concatenate([np.arange(len(e.found.r)) for e in evidence])
    r = np.concatenate([e.found.r for e in evidence])
    worst = np.argsort(-r, kind="stable")[:n]
    pairs = [(evidence[i], j) for i, j in zip(cohort[worst], case[worst], strict=True)]
    arrays: dict[str, np.ndarray] = {"r": r[worst], "channel_names": np.array([c.name for c in real.encoding.channels])}
    arrays["synthetic"] = np.array([_image(e.cohort, j) for e, j in pairs], np.float32)
    arrays["real"] = np.array([_image(real, e.rows[e.found.index[j]]) for e, j in pairs], np.float32)
    if real.labels is not None and real.scheme:
        arrays["real_labels"] = np.array([real.labels[e.rows[e.found.index[j]]] for e, j in pairs], np.uint8)
        arrays["label_names"] = np.array(real.scheme.names)
        if all(e.cohort.labels is not None for e in evidence):
            arrays["synthetic_labels"] = np.array([_label(e.cohort, j) for e, j in pairs], np.uint8)
    np.savez(internal(folder) / "gallery.npz", **arrays)  # type: ignore[arg-type]


def _image(cohort: Cohort, row: int) -> np.ndarray:
    """Return (C, *S) in [0, 1]."""
    assert cohort.images is not None
    return (cohort.encoding.encode_images(np.asarray(cohort.images[row : row + 1]))[0] + 1) / 2


def _label(cohort: Cohort, row: int) -> np.ndarray:
    assert cohort.labels is not None
    return np.asarray(cohort.labels[row])

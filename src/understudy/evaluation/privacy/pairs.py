"""INTERNAL files of the privacy evaluation: the nearest real case of each synthetic case, and the worst pairs drawn.

**Checked** in tests/evaluation/privacy/test_stage.py.
"""

from pathlib import Path

import numpy as np

from understudy.core.cohort import Cohort
from understudy.evaluation.folder import internal, write_rows
from understudy.evaluation.privacy.evidence import Evidence

COLUMNS = ("synthetic_cohort", "synthetic_case", "real_case", "subject", "r")


def write_pairs(folder: Path, real: Cohort, evidence: list[Evidence]) -> None:
    """Write internal/pairs.csv, one row per synthetic case in the order of its cohort."""
    views = list(dict.fromkeys(view for e in evidence if e.copies.found for view in e.copies.found.scores))
    cases, subjects, rows = real.column("case_id"), real.column("subject_id"), []
    for e in evidence:
        found, near = e.copies.found, e.nearest
        blank = [""] * (len(views) + 2)
        for i, name in enumerate(e.cohort.column("case_id")):
            seen = [f"{found.scores[v][i]:.4f}" if v in found.scores else "" for v in views] if found else []
            judged = [*seen, f"{found.nearness[i]:.4f}", f"{found.p[i]:.5f}"] if found else blank
            row = e.rows[near[i]]
            flag = int(e.flagged[i])
            rows.append([e.cohort.id, name, cases[row], subjects[row], f"{e.found.r[i]:.6f}", *judged, flag])
    write_rows(internal(folder) / "pairs.csv", (*COLUMNS, *views, "nearness", "p_value", "flagged"), rows)


def write_gallery(folder: Path, real: Cohort, evidence: list[Evidence], n: int) -> None:
    """Write internal/gallery.npz: the n nearest pairs over all synthetic cohorts, images float32 in [0, 1]."""
    cohort = np.concatenate([np.full(len(e.found.r), i) for i, e in enumerate(evidence)])
    case = np.concatenate([np.arange(len(e.found.r)) for e in evidence])
    r = np.concatenate([e.found.r for e in evidence])
    near = np.concatenate([e.copies.found.nearness if e.copies.found else e.found.r for e in evidence])
    worst = np.argsort(-near, kind="stable")[:n]
    pairs = [(evidence[i], j) for i, j in zip(cohort[worst], case[worst], strict=True)]
    arrays: dict[str, np.ndarray] = {
        "r": r[worst],
        "nearness": near[worst],
        "channel_names": np.array([c.name for c in real.encoding.channels]),
    }
    arrays["synthetic"] = np.array([_image(e.cohort, j) for e, j in pairs], np.float32)
    arrays["real"] = np.array([_image(real, e.rows[e.nearest[j]]) for e, j in pairs], np.float32)
    if real.labels is not None and real.scheme:
        arrays["real_labels"] = np.array([real.labels[e.rows[e.nearest[j]]] for e, j in pairs], np.uint8)
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

"""Files of the results: PUBLIC thresholds and curves, INTERNAL nearest pairs and the images of the worst pairs.

Public ones stand on at least five subjects each.
**Checked** in tests/evaluation/privacy/test_curves.py.
"""

from pathlib import Path
from typing import Any

import numpy as np

from understudy.core.cohort import Cohort
from understudy.core.disclosure import MIN_SUBJECTS, internal
from understudy.evaluation.folder import write_curve, write_rows, write_table
from understudy.evaluation.privacy.calibration import ReferenceScores, Threshold, clopper_pearson
from understudy.evaluation.privacy.copies.decision import CopyScores
from understudy.evaluation.privacy.judgement import CopyEvidence

FIXED = (0.9, 0.95, 0.98, 0.99)  # thresholds shown beside the calibrated ones
BINS = 25
FINER = 4  # steps of the tail in each of these bins
HEADER = ("cohort", "threshold", "r", "synthetic_above", "share", "share_low", "share_high", "share_of_unseen",
          "n_synthetic", "n_subjects")  # fmt: skip
COLUMNS = ("synthetic_cohort", "synthetic_case", "real_case", "subject", "r")


def write_thresholds(folder: Path, evidence: list[CopyEvidence]) -> None:
    """Write tables/privacy_thresholds.csv: how many cases lie above several r; of five training subjects or more."""
    rows = [row for e in evidence if e.subjects >= MIN_SUBJECTS for row in _thresholds(e)]
    write_table(folder, "privacy_thresholds", HEADER, rows)


def _thresholds(e: CopyEvidence) -> list[list[Any]]:
    levels: list[tuple[str, float]] = []
    if e.threshold:
        share = 100 - 100 * e.config.false_positive_rate
        levels.append((f"nearer than {share:g} % of unseen subjects", e.threshold.value))
        levels.append(("nearer than any unseen subject", e.threshold.reference.quantiles(1.0)[0]))
    if e.control.n_subjects >= MIN_SUBJECTS:
        levels.append(("nearer than any control subject", e.control.quantiles(1.0)[0]))
    levels += [(f"fixed {level}", level) for level in FIXED]
    rows: list[list[Any]] = []
    for name, level in levels:
        n, above = len(e.found.r), int((e.found.r > level).sum())
        reference = e.threshold.reference if e.threshold else None
        unseen, subjects = (reference.share_above(level), reference.n_subjects) if reference else ("", "")
        shares = (above / n, *clopper_pearson(above, n))
        rows.append([e.name or "synthetic", name, level, above, *shares, unseen, n, subjects])
    return rows


def write_curves(folder: Path, evidence: list[CopyEvidence]) -> None:
    """Write the share of cases over the highest r, in bins, and the share at least as near; by matchers, too.

    A synthetic cohort is left out where fewer than five training subjects stand behind it.
    """
    for e in evidence:
        if e.subjects >= MIN_SUBJECTS:
            _write_curves(folder, e, f"-{e.name}" if e.name else "")


def _write_curves(folder: Path, e: CopyEvidence, suffix: str) -> None:
    shown = _shown(e)
    lowest = min(float(reference.r.min()) for reference in shown.values())
    edges = np.linspace(min(np.floor(lowest * 20) / 20, 0.95), 1, BINS * FINER + 1)
    middle, shares, tails = (edges[FINER::FINER] + edges[:-FINER:FINER]) / 2, {}, {}
    for name, reference in shown.items():
        share, tails[name] = _share_and_tail(reference, edges)
        shares[name] = (middle.tolist(), share.reshape(BINS, FINER).sum(1).tolist())
    mark = [{"x": e.threshold.value, "name": "flagged above"}] if e.threshold else []
    x_label = "highest Pearson r to a training image"
    write_curve(folder, f"privacy{suffix}", "How near each case lies to its nearest training image", x_label,
                f"share of cases, {BINS} bins", shares, vertical=mark)  # fmt: skip
    write_curve(folder, f"privacy-tail{suffix}", "The nearest cases: how many lie at least so near", x_label,
                "share of cases at least so near", tails, vertical=mark, y_scale="log")  # fmt: skip
    if e.copies.scores and e.copies.threshold:
        _write_nearness(folder, e.copies.scores, e.copies.threshold, suffix)


def _write_nearness(folder: Path, found: CopyScores, threshold: Threshold, suffix: str) -> None:
    """Write the tail of the nearness by all matchers, of synthetic cases and of unseen subjects."""
    both = {
        "synthetic": ReferenceScores(found.nearness, np.arange(len(found.nearness)), ""),
        "unseen subjects": threshold.reference,
    }
    top = max(float(reference.r.max()) for reference in both.values())
    edges, tails = np.linspace(0, np.nextafter(max(top, 1.5), np.inf), BINS * FINER + 1), {}
    for name, reference in both.items():
        _, tails[name] = _share_and_tail(reference, edges)
    write_curve(folder, f"privacy-nearness{suffix}", "How near by all matchers: how many cases lie at least so near",
                "nearness (1: the mean of the highest tenth of unseen cases)", "share of cases at least so near", tails,
                vertical=[{"x": threshold.value, "name": "flagged above"}], y_scale="log")  # fmt: skip


def _share_and_tail(reference: ReferenceScores, edges: np.ndarray) -> tuple[np.ndarray, tuple[Any, Any]]:
    """Return the share of cases in each bin, the lowest in the first, and x and y of the share at least so near."""
    share = np.histogram(np.maximum(reference.r, edges[0]), edges, weights=reference.weights())[0]
    at_least = share[::-1].cumsum()[::-1]
    return share, (edges[:-1][at_least > 0].tolist(), at_least[at_least > 0].tolist())


def _shown(e: CopyEvidence) -> dict[str, ReferenceScores]:
    """Return the synthetic cases and the references of five subjects or more, by the names on the curves."""
    references = {
        "control subjects": e.control,
        "training subjects, to the others": e.training,
        "neighbouring slices of one subject": e.neighbour,
        "training cases, blurred": e.blurred,
    }
    shown = {"synthetic": ReferenceScores(e.found.r, np.arange(len(e.found.r)), "")}
    if len(e.reverse.r):
        shown["synthetic, to control subjects"] = e.reverse
    return shown | {name: x for name, x in references.items() if x.n_subjects >= MIN_SUBJECTS}


def write_pairs(folder: Path, real: Cohort, evidence: list[CopyEvidence]) -> None:
    """Write internal/pairs.csv, one row per synthetic case in the order of its cohort."""
    matchers = list(dict.fromkeys(matcher for e in evidence if e.copies.scores for matcher in e.copies.scores.scores))
    cases, subjects, rows = real.column("case_id"), real.column("subject_id"), []
    for e in evidence:
        found, near = e.copies.scores, e.nearest
        blank = [""] * (len(matchers) + 2)
        for i, name in enumerate(e.cohort.column("case_id")):
            scores = [f"{found.scores[v][i]:.4f}" if v in found.scores else "" for v in matchers] if found else []
            judged = [*scores, f"{found.nearness[i]:.4f}", f"{found.p[i]:.5f}"] if found else blank
            row = e.rows[near[i]]
            own = [e.cohort.id, name, cases[row], subjects[row], f"{e.found.r[i]:.6f}"]
            copied = "" if isinstance(e.maps, str) or e.maps.scores is None else int(e.maps.scores.flagged[i])
            rows.append([*own, *judged, int(e.flagged[i]), copied])
    judged_by = (*matchers, "nearness", "p_value", "flagged", "label_map_flagged")
    write_rows(internal(folder) / "pairs.csv", (*COLUMNS, *judged_by), rows)


def write_worst_pairs(folder: Path, real: Cohort, evidence: list[CopyEvidence], n: int) -> None:
    """Write internal/worst_pairs.npz: the n nearest pairs over all synthetic cohorts, images float32 in [0, 1]."""
    cohort = np.concatenate([np.full(len(e.found.r), i) for i, e in enumerate(evidence)])
    case = np.concatenate([np.arange(len(e.found.r)) for e in evidence])
    r = np.concatenate([e.found.r for e in evidence])
    near = np.concatenate([e.copies.scores.nearness if e.copies.scores else e.found.r for e in evidence])
    worst = np.argsort(-near, kind="stable")[:n]
    pairs = [(evidence[i], j) for i, j in zip(cohort[worst], case[worst], strict=True)]
    arrays: dict[str, np.ndarray] = {"r": r[worst], "nearness": near[worst]}
    arrays["channel_names"] = np.array([c.name for c in real.encoding.channels])
    arrays["synthetic"] = np.array([_image(e.cohort, j) for e, j in pairs], np.float32)
    arrays["real"] = np.array([_image(real, e.rows[e.nearest[j]]) for e, j in pairs], np.float32)
    if real.labels is not None and real.scheme:
        arrays["real_labels"] = np.array([real.labels[e.rows[e.nearest[j]]] for e, j in pairs], np.uint8)
        arrays["label_names"] = np.array(real.scheme.names)
        if all(e.cohort.labels is not None for e in evidence):
            arrays["synthetic_labels"] = np.array([_label(e.cohort, j) for e, j in pairs], np.uint8)
    np.savez(internal(folder) / "worst_pairs.npz", **arrays)  # type: ignore[arg-type]


def _image(cohort: Cohort, row: int) -> np.ndarray:
    """Return (C, *S) in [0, 1]."""
    assert cohort.images is not None
    return (cohort.encoding.encode_images(np.asarray(cohort.images[row : row + 1]))[0] + 1) / 2


def _label(cohort: Cohort, row: int) -> np.ndarray:
    assert cohort.labels is not None
    return np.asarray(cohort.labels[row])

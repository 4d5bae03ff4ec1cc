"""What is left of a cohort's variety when cases are removed: by class, by lesion size, by class column.

The size of a class in a case is its number of voxels. Terciles are cut at the sizes of the cohort before: small is up
to the first, large above the second; a case without the class has no size and is counted as absent.
**Checked** in tests/release/test_coverage.py against counts by hand.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from understudy.core.cohort import Cohort

BLOCK = 256  # cases read at once
TERCILES = ("small", "medium", "large")
DISPROPORTION = 0.5  # of the share kept overall; below it a warning


def class_sizes(cohort: Cohort) -> np.ndarray:
    """Return the number of voxels of each foreground class in each case, int64 (N, K - 1); (N, 0) without maps."""
    classes = len(cohort.scheme) if cohort.scheme else 1
    if cohort.labels is None:
        return np.zeros((len(cohort), 0), np.int64)
    sizes = np.zeros((len(cohort), classes), np.int64)
    for start in range(0, len(cohort), BLOCK):
        for i, labels in enumerate(np.asarray(cohort.labels[start : start + BLOCK])):
            sizes[start + i] = np.bincount(labels.ravel(), minlength=classes)
    return sizes[:, 1:]


def coverage(cohort: Cohort, kept: np.ndarray) -> dict[str, Any]:
    """Return counts before and after, as plain data.

    Args:
        cohort: before.
        kept: bool (N,).

    Returns:
        {"cases": counts, "classes": {name: {"present", "absent", "terciles", "bins"}}, "columns": {name: counts}}, with
        counts = {"before", "after", "share"}, share None where there was none before.
    """
    sizes = class_sizes(cohort)
    names = cohort.scheme.names[1 : 1 + sizes.shape[1]] if cohort.scheme else ()
    told: dict[str, Any] = {"cases": _counts(np.ones(len(kept), bool), kept), "classes": {}, "columns": {}}
    for k, name in enumerate(names):
        told["classes"][name] = _class_coverage(sizes[:, k], kept)
    for name, values in zip(cohort.classes, cohort.class_matrix().T, strict=True):
        told["columns"][name] = _counts(values > 0, kept)
    return told


def _class_coverage(sizes: np.ndarray, kept: np.ndarray) -> dict[str, Any]:
    present = sizes > 0
    told: dict[str, Any] = {"present": _counts(present, kept), "absent": _counts(~present, kept)}
    told |= {"terciles": {}, "bins": []}
    if not present.any():
        return told
    low, high = np.quantile(sizes[present], (1 / 3, 2 / 3), method="inverted_cdf").tolist()
    parts = (present & (sizes <= low), (sizes > low) & (sizes <= high), sizes > high)
    for name, part in zip(TERCILES, parts, strict=True):
        ends = {"from_voxels": int(sizes[part].min()), "to_voxels": int(sizes[part].max())} if part.any() else {}
        told["terciles"][name] = {**ends, **_counts(part, kept)}
    edge = 1
    while edge <= sizes.max():
        inside = (sizes >= edge) & (sizes < 2 * edge)
        told["bins"].append({"from_voxels": edge, "to_voxels": 2 * edge - 1, **_counts(inside, kept)})
        edge *= 2
    return told


def _counts(part: np.ndarray, kept: np.ndarray) -> dict[str, Any]:
    before, after = int(part.sum()), int((part & kept).sum())
    return {"before": before, "after": after, "share": after / before if before else None}


def coverage_warnings(told: dict[str, Any]) -> list[str]:
    """Return sentences about classes, small lesions and class columns that are dropped disproportionately.

    Args:
        told: what :func:`coverage` returned.
    """
    overall, found = told["cases"]["share"], []
    for name, one in told["classes"].items():
        share, small = one["present"]["share"], one["terciles"].get("small", {"share": None})["share"]
        if share is not None and share < DISPROPORTION * overall:
            found.append(
                f"cases with {name} are dropped disproportionately: {_percent(share)} kept, {_percent(overall)} of all"
            )
        if small is not None and small < DISPROPORTION * share:
            found.append(
                f"small lesions are dropped disproportionately: {_percent(small)} kept of the third of cases with the "
                f"smallest {name}, {_percent(share)} of all cases with {name}: a lower threshold keeps more hard cases"
            )
    for name, one in told["columns"].items():
        if one["share"] is not None and one["share"] < DISPROPORTION * overall:
            shares = f"{_percent(one['share'])} kept, {_percent(overall)} of all"
            found.append(f"cases of class {name} are dropped disproportionately: {shares}")
    return found


def size_sentence(told: dict[str, Any]) -> str:
    """Return a sentence on how the smallest and the largest lesions fared, for the class whose small ones fared worst.

    Args:
        told: what :func:`coverage` returned.
    """
    measured: list[tuple[float, str]] = [
        (one["terciles"]["small"]["share"] / (one["present"]["share"] or 1), name)
        for name, one in told["classes"].items()
        if one["terciles"]
    ]
    if not measured:
        return "No label map holds a lesion, so there is no distribution of sizes to compare."
    name = min(measured)[1]
    small, large = (_tercile(told["classes"][name]["terciles"], wanted) for wanted in (TERCILES, TERCILES[::-1]))
    if small is large:
        return f"All cases with {name} are of one size, and {small['after']} of {small['before']} are kept."
    return (
        f"Of the {small['before']} cases with the smallest {name} (up to {small['to_voxels']} voxels) "
        f"{small['after']} are kept ({_percent(small['share'])}), of the {large['before']} with the largest "
        f"(from {large['from_voxels']}) {large['after']} ({_percent(large['share'])})."
    )


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _tercile(terciles: dict[str, Any], wanted: Sequence[str]) -> dict[str, Any]:
    """Return the first of some terciles that holds a case; ties of size can empty others."""
    found: dict[str, Any] = next(terciles[name] for name in wanted if terciles[name]["before"])
    return found

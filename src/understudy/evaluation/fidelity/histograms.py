"""Histograms of label statistics that may be published: no bin stands on fewer than five real subjects.

Bins begin as a fixed frame that depends on the size of the images alone, never on the extremes of real cases. Then
neighbours are joined, from the left, until each bin holds cases of at least five real subjects; what is left over joins
the last one. Synthetic cases are counted in the same bins. With fewer than five subjects there is no histogram.
**Checked** in tests/evaluation/fidelity/test_histograms.py (sums, five subjects a bin, frames without data).
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from understudy.evaluation.fidelity.labels import AXES, Described
from understudy.evaluation.folder import PUBLIC_MINIMUM

COMPONENTS = (*range(1, 10), 17, 33, 65)  # where a bin begins: more than 8 share one, more than 32 share the last


def frame(statistic: str, size: Sequence[int], bins: int, voxel: float = 1.0) -> np.ndarray:
    """Return the edges of the bins of a statistic before any are joined.

    Args:
        statistic: one of labels.statistic_names.
        size: spatial size of a case.
        bins: about how many.
        voxel: smallest volume, in the unit of volumes.
    """
    if statistic == "volume":
        return np.asarray(voxel * 2 ** np.linspace(0, math.ceil(math.log2(math.prod(size))), bins + 1) * (1 - 1e-9))
    if statistic == "components":
        return np.array(COMPONENTS) - 0.5
    if statistic.startswith("extent"):
        side = size[AXES[-len(size) :].index(statistic.split()[1])]
        return np.arange(0, side + math.ceil(side / bins), math.ceil(side / bins)) + 0.5
    return np.linspace(0, 1, bins + 1)


def joined(edges: np.ndarray, values: np.ndarray, subjects: np.ndarray) -> np.ndarray | None:
    """Join neighbouring bins until each holds values of five subjects.

    Args:
        edges: (bins + 1,).
        values: (n,) of real cases.
        subjects: (n,) whose they are.

    Returns:
        The edges that are left, or None where fewer than five subjects stand behind all of them.
    """
    place = (np.searchsorted(edges, values, side="right") - 1).clip(0, len(edges) - 2)
    kept, members = [0], set()
    for bin_ in range(len(edges) - 1):
        members |= set(subjects[place == bin_].tolist())
        if len(members) >= PUBLIC_MINIMUM:
            kept.append(bin_ + 1)
            members = set()
    if len(kept) == 1:
        return None
    kept[-1] = len(edges) - 1
    return np.asarray(edges[kept])


def class_histograms(
    name: str, k: int, real: Described, others: Sequence[Described], size: Sequence[int], bins: int
) -> dict[str, Any] | None:
    """Return the histograms of one class as plain data.

    Args:
        name: the class.
        k: its place among the classes beside the background.
        real: real cases.
        others: synthetic cases, volumes in the same unit.
        size: spatial size of a case.
        bins: about how many bins before they are joined.

    Returns:
        {"title", "panels": [{"name", "x_label", "scale", "edges", "series": [{"name", "counts"}]}]}: counts of cases in
        each bin; None where fewer than five real subjects have the class.
    """
    have, panels = real.present[:, k], []
    voxel = float(real.voxel_mm.min()) if real.voxel_mm is not None and real.unit.startswith("mm") else 1.0
    for f, statistic in enumerate(real.statistics):
        edges = joined(frame(statistic, size, bins, voxel), real.values[have, k, f], real.subjects[have])
        if edges is None:
            return None
        series = [
            {"name": side.name, "counts": counts(edges, side.values[side.present[:, k], k, f]).tolist()}
            for side in (real, *others)
        ]
        scale = "log" if statistic in ("volume", "components") else "linear"
        panel = {"name": statistic, "x_label": real.unit_of(statistic), "scale": scale, "edges": edges.tolist()}
        panels.append({**panel, "series": series})
    return {"title": f"Label maps: {name}", "panels": panels}


def counts(edges: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Count values (n,) in bins with these edges; what lies outside belongs to the first or the last."""
    inside = (np.searchsorted(edges, values, side="right") - 1).clip(0, len(edges) - 2)
    return np.bincount(inside, minlength=len(edges) - 1)

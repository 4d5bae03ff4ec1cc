"""Statistics of label maps, case by case and class by class: how much, how many, how far, where, of what shape.

For each class of a case, from its voxels (unit cubes with centres c_i, V of them):

- **volume** V, in voxels (pixels in 2D), or in mm3 (mm2) where every spacing is known.
- **components**: connected ones, voxels that share a face, an edge or a corner being connected.
- **extent** along each axis: the side of the bounding box, in voxels.
- **location** along each axis: the centroid, 0..1 of the image's side, or of the side of the box around all labelled
  voxels of the case (``location=labelled``, for maps that hold the anatomy, not the lesion alone).
- **elongation** 1 - sqrt(l_min / l_max), l the eigenvalues of C = cov(c) + I / 12, the inertia of the cubes about their
  centroid: 0 for a ball or cube, 1 - b / a for a box with the longest side a and the shortest b.
- **compactness** tr(C of a ball of volume V) / tr(C), the ball having tr = d r^2 / (d + 2): 1 for a ball, lower the
  farther the voxels lie from their centroid, be they stretched or scattered.

**Source**: Zunic, Hirota and Rosin, A Hu moment invariant as a shape circularity measure (Pattern Recognition 43,
2010), for compactness, here in any dimension. Extents, elongation and compactness are in voxels, not mm: synthetic
cases have no spacing, and both sets come from one import.
**Histograms** of these statistics may be published: no bin stands on fewer than five real subjects. Bins begin as a
fixed frame that depends on the size of the images alone, never on the extremes of real cases. Then neighbours are
joined, from the left, until each bin holds cases of at least five real subjects; what is left over joins the last one.
Synthetic cases are counted in the same bins. With fewer than five subjects there is no histogram.
**Checked** in tests/evaluation/fidelity/test_label_maps.py (a ball, boxes, two components, known centroids, spacing;
sums, five subjects a bin, frames without data).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import ndimage

from understudy.core.cohort import Cohort
from understudy.core.disclosure import MIN_SUBJECTS

AXES = ("depth", "height", "width")


@dataclass(frozen=True)
class Described:
    """Statistics of one cohort's label maps.

    Attributes:
        statistics: names of the F statistics.
        subjects: (n,) whose the cases are.
        values: (n, K - 1, F) statistics of each class beside the background; NaN where a case lacks the class.
        voxel_mm: (n,) volume of a voxel in mm3 (of a pixel in mm2), or None where a spacing is missing.
    """

    name: str
    statistics: list[str]
    subjects: np.ndarray
    values: np.ndarray
    voxel_mm: np.ndarray | None
    unit: str

    @property
    def present(self) -> np.ndarray:
        """Which cases have which classes, bool (n, K - 1)."""
        return np.isfinite(self.values[:, :, 0])

    def unit_of(self, statistic: str) -> str:
        """Return the unit of a statistic, "" for a plain number."""
        if statistic == "volume":
            return self.unit
        return _grid_unit(len(self.statistics) // 2 - 2) if statistic.startswith("extent") else ""


def _grid_unit(dims: int) -> str:
    return "pixels" if dims == 2 else "voxels"


def statistic_names(dims: int) -> list[str]:
    """Return the names of the F statistics in order; volume comes first."""
    axes = AXES[-dims:]
    along = [f"{what} {axis}" for what in ("extent", "location") for axis in axes]
    return ["volume", "components", *along, "elongation", "compactness"]


def describe(name: str, cohort: Cohort, rows: np.ndarray, classes: int, location: str) -> Described:
    """Return the statistics of the label maps of some cases, of K classes, read one by one."""
    labels: np.ndarray = cohort.labels  # type: ignore[assignment]
    found = [case_statistics(np.asarray(labels[row]), classes, location) for row in rows]
    statistics = statistic_names(len(cohort.size))
    shape = (len(rows), classes - 1, len(statistics))
    spacings = [cohort.spacing_mm(int(row)) for row in rows]
    known = [math.prod(spacing) for spacing in spacings if spacing is not None]
    voxel_mm = np.array(known) if len(known) == len(rows) else None
    values, unit = np.array(found).reshape(shape), _grid_unit(len(cohort.size))
    return Described(name, statistics, cohort.column("subject_id")[rows], values, voxel_mm, unit)


def case_statistics(label_map: np.ndarray, classes: int, location: str = "image") -> np.ndarray:
    """Return the statistics (K - 1, F) of the classes beside the background of one map (*S), values 0..K-1."""
    boxes = ndimage.find_objects(label_map, max_label=classes - 1)
    there = [box for box in boxes if box is not None]
    low, high = np.zeros(label_map.ndim), np.array(label_map.shape, float)
    if location == "labelled" and there:
        low = np.min([[side.start for side in box] for box in there], axis=0).astype(float)
        high = np.max([[side.stop for side in box] for box in there], axis=0).astype(float)
    found = np.full((classes - 1, len(statistic_names(label_map.ndim))), np.nan)
    for k, box in enumerate(boxes):
        if box is not None:
            found[k] = _class_statistics(label_map[box] == k + 1, [side.start for side in box], low, high)
    return found


def _class_statistics(mask: np.ndarray, start: Sequence[int], low: np.ndarray, high: np.ndarray) -> list[float]:
    """Statistics of a class from its mask, cut to its bounding box, which begins at `start`; location within a box."""
    dims, points = mask.ndim, np.argwhere(mask).astype(float)
    volume = len(points)
    components = ndimage.label(mask, ndimage.generate_binary_structure(dims, dims))[1]
    centroid = points.mean(0) + 0.5 + start
    centred = points - points.mean(0)
    inertia = centred.T @ centred / volume + np.eye(dims) / 12
    spread = np.linalg.eigvalsh(inertia)
    radius = (volume * math.gamma(dims / 2 + 1)) ** (1 / dims) / math.sqrt(math.pi)
    ball = dims * radius**2 / (dims + 2)
    shape = [1 - math.sqrt(spread[0] / spread[-1]), ball / float(np.trace(inertia))]
    return [volume, components, *mask.shape, *((centroid - low) / (high - low)).tolist(), *shape]


def in_common_unit(real: Described, others: Sequence[Described]) -> tuple[Described, list[Described]]:
    """Bring volumes to mm where every case of every set has a spacing; otherwise all stay in voxels.

    Synthetic cases have none of their own. They take the real one where that is the same in all cases (but for the last
    of the six digits in which spacings are written), since they lie on the same grid.
    """
    own = real.voxel_mm
    shared = float(own[0]) if own is not None and np.ptp(own) <= 1e-5 * own[0] else None
    taken = [None if shared is None else np.full(len(other.values), shared) for other in others]
    sizes = [own, *(o.voxel_mm if o.voxel_mm is not None else size for o, size in zip(others, taken, strict=True))]
    if any(size is None for size in sizes):
        return real, list(others)
    first, *rest = (_in_mm(one, size) for one, size in zip((real, *others), sizes, strict=True) if size is not None)
    return first, rest


def _in_mm(one: Described, voxel_mm: np.ndarray) -> Described:
    values = one.values.copy()
    values[:, :, 0] *= voxel_mm[:, None]
    return replace(one, values=values, voxel_mm=voxel_mm, unit="mm2" if one.unit == "pixels" else "mm3")


COMPONENTS = (*range(1, 10), 17, 33, 65)  # where a bin begins: more than 8 share one, more than 32 share the last


def frame(statistic: str, size: Sequence[int], bins: int, voxel: float = 1.0) -> np.ndarray:
    """Return the edges of the bins of a statistic, about so many, before any are joined.

    `size`: spatial size of a case; `voxel`: smallest volume, in the unit of volumes.
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
    """Join neighbouring bins of edges (bins + 1,) until each holds values of five subjects; return the edges left.

    The values (n,) are those of real cases of subjects (n,); None where fewer than five stand behind all of them.
    """
    place, kept, members = _places(edges, values), [0], set()
    for bin_ in range(len(edges) - 1):
        members |= set(subjects[place == bin_].tolist())
        if len(members) >= MIN_SUBJECTS:
            kept.append(bin_ + 1)
            members = set()
    if len(kept) == 1:
        return None
    kept[-1] = len(edges) - 1
    return np.asarray(edges[kept])


def class_histograms(
    name: str, k: int, real: Described, others: Sequence[Described], size: Sequence[int], bins: int
) -> dict[str, Any] | None:
    """Return the histograms of class k beside the background, {"title", "panels": [...]} of :func:`write_histograms`.

    Series are counts of cases in each bin, with volumes in one unit; bins: about how many before they are joined. None
    where fewer than five real subjects have the class.
    """
    have, panels = real.present[:, k], []
    voxel = float(real.voxel_mm.min()) if real.voxel_mm is not None and real.unit.startswith("mm") else 1.0
    for f, statistic in enumerate(real.statistics):
        edges = joined(frame(statistic, size, bins, voxel), real.values[have, k, f], real.subjects[have])
        if edges is None:
            return None
        values = [(one.name, one.values[one.present[:, k], k, f]) for one in (real, *others)]
        series = [{"name": name, "counts": counts(edges, v).tolist()} for name, v in values]
        scale = "log" if statistic in ("volume", "components") else "linear"
        panel = {"name": statistic, "x_label": real.unit_of(statistic), "scale": scale, "edges": edges.tolist()}
        panels.append({**panel, "series": series})
    return {"title": f"Label maps: {name}", "panels": panels}


def counts(edges: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Count values (n,) in bins with these edges; what lies outside belongs to the first or the last."""
    return np.bincount(_places(edges, values), minlength=len(edges) - 1)


def _places(edges: np.ndarray, values: np.ndarray) -> np.ndarray:
    return (np.searchsorted(edges, values, side="right") - 1).clip(0, len(edges) - 2)

"""RTSTRUCT: closed contours in millimetres become a label map on the grid of a series.

A voxel belongs to a structure if its centre lies inside: crossed an odd number of times by the contours of its slice
(even-odd rule), so that a contour within another is a hole, and the seam of a keyhole is none. A centre on a contour
belongs to one side alone: areas that meet share no voxel and leave none out.
Contours stand on slices. Where they were drawn on slices of another series, each slice of the grid takes the nearest
contours, up to half the distance at which contours lie; nothing is interpolated.
**Source**: DICOM PS3.3, C.8.8.5 and C.8.8.6 (Structure Set, ROI Contour).
**Differs** from skimage.draw.polygon2mask, which counts both borders in, and knows no holes.
**Checked** in tests/data/dicom/test_structures.py (plastimatch's RTSTRUCT, areas of polygons) and
test_hostile_annotations.py.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from understudy.core.errors import UnderstudyError
from understudy.data.dicom.annotation import (
    BEYOND,
    Annotation,
    Canvas,
    Overlap,
    chosen,
    items,
    refers_to,
    refuse_cut,
)
from understudy.data.dicom.grid import Grid
from understudy.data.dicom.opening import reading
from understudy.data.geometry import ASIDE, LPS_TO_RAS

FLAT = 0.1  # voxels, across slices, within which the points of one contour lie
ON_SLICE = 0.1  # voxels, across slices, within which a contour lies on a slice
MOST_ROIS = 65535
CROSSINGS = 1_000_000  # of edges and rows, worked on at once

OPEN = "contours that enclose nothing (points, open lines, fewer than three points) are left out"
NO_CONTOURS = "structures without any closed contour are left out"
TWICE = "contours that stand twice on one slice are taken once"
GAPS = "structures have slices without contours between slices with contours: these stay empty"
NEAREST = "contours were drawn on other slices than the images': each slice takes the nearest"
A_LITTLE_OFF = "contours lie a fraction of a slice beside the images, which is taken as rounding"


@dataclass(frozen=True)
class Contour:
    """A closed contour in one plane: points (N, 2) in voxels along i and j, at ``level`` along k."""

    points: np.ndarray
    level: float


def read(dataset: Any, grid: Grid, classes: Mapping[str, int] | None = None, overlap: Overlap = "refuse") -> Annotation:
    """Draw the structures of an RTSTRUCT on a grid.

    Args:
        dataset: the file, as pydicom reads it.
        grid: of the series it was drawn on.
        classes: ``spelled`` name of a structure -> value, from ``annotation.classes_of``; None: structures are
            numbered from 1 in the order of the file.
        overlap: what is done where structures of two classes overlap.

    Raises:
        UnderstudyError: the file is damaged, belongs to another frame of reference or place, has contours across the
            slices, or structures overlap.
    """
    with reading("an RTSTRUCT", "structures"):
        refuse_cut(dataset, "an RTSTRUCT")
        named = refers_to(dataset)
        images = {uid for uid, _ in grid.instances}
        rois = _rois(dataset, grid, bool(named & images))
        taken = chosen({n: label for n, (label, _) in enumerate(rois, 1)}, classes)
        remarks: list[str] = []
        drawn = {n: _contours(rois[n - 1][1], grid, remarks) for n in taken.values}
        remarks += [NO_CONTOURS] * any(not contours for contours in drawn.values())
        levels = [contour.level for contours in drawn.values() for contour in contours]
        slices = _Slices(levels, grid.size[2], bool(named) and not named & images)
        canvas = Canvas(grid, taken.values.values(), overlap)
        for n, contours in drawn.items():
            for k, outlines in slices.assigned(contours):
                box, mask = _boxed(outlines, grid.size[:2])
                canvas.lay(taken.values[n], mask, (*box, k))
        _refuse_elsewhere(drawn, canvas, grid)
        return canvas.annotation(taken, [*remarks, *slices.remarks, *_beyond(drawn, grid)])


def _rois(dataset: Any, grid: Grid, named: bool) -> list[tuple[str, Any]]:
    """Name and contour item of each structure of the grid's frame of reference, in the order of the file.

    Where one of the two does not say its frame of reference, the file must name the images.
    """
    contours: dict[int, Any] = {}
    for item in items(dataset, "ROIContourSequence"):
        number = int(item.ReferencedROINumber)
        if number in contours:
            raise UnderstudyError(
                "an RTSTRUCT holds the contours of one structure twice: it is damaged; export it again"
            )
        contours[number] = item
    found, elsewhere, numbers = [], 0, set()
    declared = items(dataset, "StructureSetROISequence")
    for item in declared:
        number = int(item.ROINumber)
        if number in numbers:
            raise UnderstudyError("an RTSTRUCT gives two structures one number: it is damaged; export it again")
        numbers.add(number)
        frame = str(item.get("ReferencedFrameOfReferenceUID") or dataset.get("FrameOfReferenceUID") or "")
        if frame == grid.frame_of_reference if frame and grid.frame_of_reference else named:
            found.append((str(item.get("ROIName") or ""), contours.get(number)))
        else:
            elsewhere += 1
    if not found and elsewhere:
        raise UnderstudyError(
            "an RTSTRUCT was drawn in another frame of reference than the images it would be put on (or says none, and "
            "names none of the images): it belongs to another series or study; export it for this one"
        )
    if not declared or not contours or set(contours) - numbers:
        raise UnderstudyError(
            "an RTSTRUCT has no structures, no contours, or contours of a structure that it does not declare: it is "
            "damaged; export it again, or remove it"
        )
    if len(declared) > MOST_ROIS:
        raise UnderstudyError(f"an RTSTRUCT declares {len(declared)} structures, and at most {MOST_ROIS} are read")
    return found


def _contours(item: Any, grid: Grid, remarks: list[str]) -> list[Contour]:
    """The closed contours of a structure in voxels of the grid."""
    found = []
    inverse = np.linalg.inv(grid.affine) @ LPS_TO_RAS
    for contour in items(item, "ContourSequence") if item is not None else []:
        points = _points(contour)
        kind = str(contour.get("ContourGeometricType") or "").strip().upper()
        if kind not in ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR") or len(points) < 3:
            remarks.append(OPEN)
            continue
        voxels = points @ inverse[:3, :3].T + inverse[:3, 3]
        levels = voxels[:, 2]
        if np.ptp(levels) > FLAT:
            raise UnderstudyError(
                "an RTSTRUCT has contours that are not parallel to the slices of the images (drawn on another plane): "
                "export it as contours on these slices, or as a SEG"
            )
        found.append(Contour(voxels[:, :2], float(levels.mean())))
    return found


def _points(contour: Any) -> np.ndarray:
    """Points (N, 3) in mm left, posterior, superior, from the text of the file: pydicom's own numbers take 50 times
    as much memory.
    """
    element = contour.get_item("ContourData")
    value = element.value if element is not None else None
    if isinstance(value, bytes):
        value = value.strip(b" \0").split(b"\\") if value.strip(b" \0") else []
    numbers = np.asarray([] if value is None else value, dtype=np.float64).ravel()
    claimed = contour.get("NumberOfContourPoints")
    if len(numbers) % 3 or (claimed is not None and 3 * int(claimed) != len(numbers)):
        raise UnderstudyError(
            f"an RTSTRUCT has a contour of {len(numbers)} coordinates that says another number of points: it is cut "
            "short or damaged; export it again"
        )
    if not np.isfinite(numbers).all() or (len(numbers) and np.abs(numbers).max() > 1e6):
        raise UnderstudyError(
            "an RTSTRUCT has contours with coordinates that are not finite, or a kilometre away: it is damaged; export "
            "it again"
        )
    return numbers.reshape(-1, 3)


class _Slices:
    """Which contours each slice takes: those on it, or, where all were drawn on other slices, the nearest."""

    def __init__(self, levels: list[float], count: int, of_others: bool) -> None:
        self.count = count
        self.remarks: list[str] = []
        off = max((abs(level - round(level)) for level in levels), default=0.0)
        self.apart = 0.0
        if off > ON_SLICE or (of_others and _apart(levels) > 1 + ON_SLICE):
            self.apart = max(1.0, _apart(levels))
            self.remarks.append(NEAREST)
        elif off > ASIDE:
            self.remarks.append(A_LITTLE_OFF)

    def assigned(self, contours: list[Contour]) -> Iterator[tuple[int, list[np.ndarray]]]:
        """Yield each slice that has contours, with their points."""
        planes: dict[float, list[np.ndarray]] = defaultdict(list)
        for contour in contours:
            planes[round(contour.level / FLAT) * FLAT if self.apart else round(contour.level)].append(contour.points)
        levels = sorted(planes)
        for level in levels:
            planes[level] = self._once(planes[level])
        if not self.apart:
            if any(after - before > 1 for before, after in zip(levels, levels[1:], strict=False)):
                self.remarks.append(GAPS)
            yield from ((int(level), planes[level]) for level in levels if 0 <= level < self.count)
            return
        for k in range(self.count) if levels else []:
            after = bisect_left(levels, k)
            nearest = min(levels[max(after - 1, 0) : after + 1], key=lambda level: abs(level - k))
            if abs(nearest - k) <= self.apart / 2 + FLAT:
                yield k, planes[nearest]

    def _once(self, outlines: list[np.ndarray]) -> list[np.ndarray]:
        """The outlines of one slice, without those that stand twice (two would cancel each other)."""
        once = {outline.tobytes(): outline for outline in outlines}
        if len(once) < len(outlines):
            self.remarks.append(TWICE)
        return list(once.values())


def _apart(levels: list[float]) -> float:
    """The least distance of two planes of contours, in slices; 1 where there is one plane."""
    steps = np.diff(np.unique(np.round(np.array(levels) / FLAT) * FLAT))
    return float(steps.min()) if len(steps) else 1.0


def _boxed(outlines: list[np.ndarray], size: tuple[int, int]) -> tuple[tuple[slice, slice], np.ndarray]:
    """A part (I, J) of a slice beyond which nothing lies inside, and what lies inside there."""
    points = np.concatenate(outlines)
    low = np.clip(np.floor(points.min(0)), 0, size).astype(int)
    high = np.clip(np.ceil(points.max(0)) + 1, low, size).astype(int)
    box = slice(low[0], high[0]), slice(low[1], high[1])
    return box, inside(outlines, (int(high[0] - low[0]), int(high[1] - low[1])), (int(low[0]), int(low[1])))


def inside(outlines: list[np.ndarray], size: tuple[int, int], corner: tuple[int, int] = (0, 0)) -> np.ndarray:
    """Return which voxel centres (I, J), from a corner on, lie inside closed outlines, by the even-odd rule.

    A centre is crossed by each edge that spans its row (lower end counted, upper end not) at or before it.

    Args:
        outlines: points (N, 2) each, in voxels along i and j.
        size: (I, J) of the result.
        corner: i and j of its first voxel.
    """
    crossings = np.zeros((size[1], size[0] + 1), bool)
    for outline in outlines:
        ends = np.stack([outline, np.roll(outline, -1, 0)], 1)  # (N, 2, 2): edge, end, axis
        falling = ends[:, 0, 1] > ends[:, 1, 1]
        ends[falling] = ends[falling][:, ::-1]  # from the lower row up, so that a seam there and back is one line
        first, last = np.clip(np.ceil(ends[:, :, 1]) - corner[1], 0, size[1]).astype(int).T
        for start, stop in _blocks(last - first):
            rows = (last - first)[start:stop]
            edge = np.repeat(np.arange(start, stop), rows)
            row = np.arange(len(edge)) - np.repeat(np.cumsum(rows) - rows, rows) + first[edge]
            (x0, y0), (x1, y1) = ends[edge, 0].T, ends[edge, 1].T
            at = x0 + (row + corner[1] - y0) / (y1 - y0) * (x1 - x0)
            column = np.clip(np.ceil(at) - corner[0], 0, size[0]).astype(int)
            odd = np.bincount(row * (size[0] + 1) + column, minlength=crossings.size) % 2 == 1
            crossings ^= odd.reshape(crossings.shape)
    return np.logical_xor.accumulate(crossings[:, :-1], axis=1).T


def _blocks(rows: np.ndarray) -> Iterator[tuple[int, int]]:
    """Cut edges into blocks that cross at most ``CROSSINGS`` rows, or hold one edge."""
    total, start = np.cumsum(rows), 0
    while start < len(rows):
        done = total[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(total, done + CROSSINGS, side="right")))
        yield start, stop
        start = stop


def _beyond(drawn: dict[int, list[Contour]], grid: Grid) -> list[str]:
    """Whether a contour reaches outside the grid by more than a voxel."""
    outside = (
        contour.points.min() < -1.5
        or (contour.points.max(0) > np.array(grid.size[:2]) + 0.5).any()
        or not -1.5 < contour.level < grid.size[2] + 0.5
        for contours in drawn.values()
        for contour in contours
    )
    return [BEYOND] if any(outside) else []


def _refuse_elsewhere(drawn: dict[int, list[Contour]], canvas: Canvas, grid: Grid) -> None:
    """Refuse contours of which not one lies within the grid."""
    contours = [contour for found in drawn.values() for contour in found]
    apart = all(
        (contour.points.max(0) < -0.5).any()
        or (contour.points.min(0) > np.array(grid.size[:2]) - 0.5).any()
        or not -1 < contour.level < grid.size[2]
        for contour in contours
    )
    if contours and apart and not canvas.array.any():
        raise UnderstudyError(
            "an RTSTRUCT has contours, and none of them lies within the images it would be put on: it belongs to "
            "another series; export it for this one"
        )

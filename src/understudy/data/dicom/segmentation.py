"""SEG: frames of segments become a label map on the grid of a series.

Where a frame lies says its geometry (plane position and orientation); only a SEG without any is placed by the images
that it refers to. A frame whose pixels are voxels of the grid, in any order of axes, is copied; where frames lie
otherwise (other spacing, tilted, between slices), the SEG becomes a volume of its own, and each voxel of the grid takes
the nearest of it. Slices without a frame are empty.
**Source**: DICOM PS3.3, A.51 and C.8.20 (BINARY, FRACTIONAL, LABELMAP).
**Differs** from highdicom's own volumes: sparse slices do not change the spacing, nothing is asked of the file that is
not used here, and a fractional segment counts from a half on.
**Checked** in tests/data/dicom/test_segmentation.py (SEG made by highdicom) and test_hostile_annotations.py.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from understudy.core.errors import UnderstudyError
from understudy.data.dicom.annotation import (
    BEYOND,
    Annotation,
    Canvas,
    ChosenSegments,
    Overlap,
    chosen,
    instances,
    items,
    refuse_cut,
)
from understudy.data.dicom.grid import Grid
from understudy.data.dicom.opening import reading
from understudy.data.dicom.segment_frames import Frame, frames_of, kind_of, stored_frames
from understudy.data.formats.decoded import MOST_SIDE, MOST_VALUES
from understudy.data.geometry import APART, ASIDE
from understudy.data.resampling import between, onto_grid, shared, whole_steps

HALF = 0.5  # of the highest fractional value, from which on a voxel belongs to a segment
SAME_SPACING = 0.05  # of the grid's, by which the distance of slices may differ that the file says
REGULAR = 0.2  # slices, by which frames of a SEG on its own grid may lie beside it

FRACTIONAL = "fractional segments: a probability or an occupancy of a half and more counts as the segment"
RESAMPLED = "segments lie on another grid than the images, and each voxel takes the nearest of theirs"
A_LITTLE_OFF = "segments lie a fraction of a voxel beside the images, which is taken as rounding"
BY_REFERENCE = "segments do not say where they lie, and are put on the images that they refer to"
CONTRADICTION = "segments refer to other slices than those they lie on, and are taken where they lie"


def read(dataset: Any, grid: Grid, classes: Mapping[str, int] | None = None, overlap: Overlap = "refuse") -> Annotation:
    """Put the segments of a SEG on a grid.

    Args:
        dataset: the file, as pydicom reads it.
        grid: of the series it was drawn on.
        classes: ``spelled`` label of a segment -> value, from ``annotation.classes_of``; None: the segment numbers.
        overlap: what is done where segments of two classes overlap.

    Raises:
        UnderstudyError: the file is damaged, belongs to another frame of reference or place, or segments overlap.
    """
    with reading("a SEG", "segments"):
        refuse_cut(dataset, "a SEG")
        kind = kind_of(dataset)
        pixels = _Pixels(dataset, kind, classes)
        frames = frames_of(dataset, kind)
        _refuse_other_space(dataset, grid, frames)
        remarks = [FRACTIONAL] if kind == "FRACTIONAL" else []
        if frames[0].affine is None:
            frames = _placed_by_reference(frames, grid, pixels.size)
            remarks.append(BY_REFERENCE)
        else:
            remarks += [CONTRADICTION] * _contradicted(frames, grid)
        own = grid if _on_grid(frames, grid, pixels.size) else _own_grid(frames, grid, pixels.size)
        canvas = Canvas(own, pixels.taken.values.values(), overlap)
        remarks += _lay(frames, pixels, canvas, own)
        if own is not grid:
            remarks += [RESAMPLED, *_resample(canvas, own, grid)]
        return canvas.annotation(pixels.taken, remarks)


def _segments(dataset: Any, kind: str) -> dict[int, str]:
    """Segment number -> label. Segment 0 of a LABELMAP is what belongs to none."""
    found: dict[int, str] = {}
    for item in items(dataset, "SegmentSequence"):
        number = int(item.SegmentNumber)
        if number in found or not 0 <= number < 2**16:
            raise UnderstudyError("a SEG gives two segments one number, or a number beyond 65535: export it again")
        found[number] = str(item.get("SegmentLabel") or "")
    if kind == "LABELMAP":
        found.pop(0, None)
    if not found or 0 in found:
        raise UnderstudyError("a SEG has no segments, or a segment 0: it is damaged; export it again, or remove it")
    return found


def _refuse_other_space(dataset: Any, grid: Grid, frames: list[Frame]) -> None:
    """Refuse another frame of reference; where one of the two is not said, the images must be named."""
    frame, ours = str(dataset.get("FrameOfReferenceUID") or ""), {uid for uid, _ in grid.instances}
    named = any(uid in ours for one in frames for uid, _ in one.sources)
    for series in items(dataset, "ReferencedSeriesSequence"):
        named = named or bool(instances(series, "ReferencedInstanceSequence") & ours)
    if (frame != grid.frame_of_reference) if frame and grid.frame_of_reference else not named:
        raise UnderstudyError(
            "a SEG was drawn in another frame of reference than the images it would be put on (or says none, and names "
            "none of the images): it belongs to another series or study; export it for this one"
        )


class _Referred:
    """Which slices of a grid a frame refers to."""

    def __init__(self, grid: Grid) -> None:
        self.table: dict[str, dict[int, int]] = defaultdict(dict)
        for k, (uid, number) in enumerate(grid.instances):
            self.table[uid][number] = k

    def slices(self, frame: Frame) -> set[int]:
        """Return the slices; the whole instance where no frame of it is named."""
        return {
            k for uid, asked in frame.sources for number, k in self.table.get(uid, {}).items() if asked in (0, number)
        }


def _placed_by_reference(frames: list[Frame], grid: Grid, size: tuple[int, int]) -> list[Frame]:
    """Frames that do not say where they lie, put on the one slice that each refers to."""
    placed, referred = [], _Referred(grid)
    for frame in frames:
        slices = referred.slices(frame)
        if len(slices) != 1 or size != grid.size[:2]:
            raise UnderstudyError(
                "a SEG does not say where its frames lie, and does not refer to one image of the same size for each: "
                "it cannot be put on the images; export it again with plane positions"
            )
        affine = grid.affine.copy()
        affine[:, 3] += affine[:, 2] * slices.pop()
        placed.append(replace(frame, affine=affine))
    return placed


class _Pixels:
    """The pixels of a SEG, as classes."""

    def __init__(self, dataset: Any, kind: str, classes: Mapping[str, int] | None) -> None:
        self.dataset, self.kind = dataset, kind
        self.size = (int(dataset.Columns), int(dataset.Rows))
        self.segments = _segments(dataset, kind)
        self.taken: ChosenSegments = chosen(self.segments, classes)
        self.top = float(dataset.get("MaximumFractionalValue") or 0) if kind == "FRACTIONAL" else 1.0
        if not self.top > 0:
            raise UnderstudyError("a FRACTIONAL SEG does not say which value is the whole: export it again")

    def masks(self, frames: list[Frame]) -> Iterator[tuple[Frame, int, np.ndarray]]:
        """Decode one frame after the other: a class, and where it is (columns, rows)."""
        values = self.taken.values
        wanted = {frame.number for frame in frames if self.kind == "LABELMAP" or frame.segment in values}
        half = HALF * self.top
        for number, stored in stored_frames(self.dataset, wanted):
            if self.kind != "LABELMAP":
                yield frames[number], values[frames[number].segment], half <= stored.T
                continue
            there = set(np.unique(stored).tolist()) - {0}
            if there - set(self.segments):
                raise UnderstudyError("a SEG has pixels of a segment that it does not declare: export it again")
            yield from ((frames[number], values[one], np.equal(stored.T, one)) for one in sorted(there & set(values)))


def _lattice(frame: Frame, grid: Grid, size: tuple[int, int], tolerance: float) -> np.ndarray | None:
    """Whole steps (4, 4) from (column, row, 0, 1) of a frame to voxels of a grid, or None where it lies otherwise."""
    assert frame.affine is not None
    step = between(grid.affine, frame.affine)
    step[:3, 2] = np.rint(np.abs(step[:3, :2])).sum(1) == 0  # a frame has no third axis: the one that is left
    return whole_steps(step, (*size, 1), tolerance)


def _contradicted(frames: list[Frame], grid: Grid) -> bool:
    """Whether a frame refers to one slice, and lies on another."""
    inverse, referred = np.linalg.inv(grid.affine), _Referred(grid)
    for frame in frames:
        slices = referred.slices(frame)
        if len(slices) == 1 and frame.affine is not None:
            level = (inverse @ frame.affine)[2, 3]
            if abs(level - slices.pop()) > APART:
                return True
    return False


def _on_grid(frames: list[Frame], grid: Grid, size: tuple[int, int]) -> bool:
    """Whether all frames are voxels of a grid, no two of one segment fall together, and slices are not said to lie
    closer or further apart.
    """
    found = set()
    for frame in frames:
        steps = _lattice(frame, grid, size, APART - 1e-3)
        if steps is None:
            return False
        across = int(np.flatnonzero(steps[:3, 2])[0])
        found.add((frame.segment, across, int(steps[across, 3])))
    said, apart = frames[0].between, float(np.linalg.norm(grid.affine[:3, across]))
    another = said > 0 and abs(said - apart) > SAME_SPACING * apart and _regular(_places(frames)[:, 2], said)
    return len(found) == len(frames) and not another


def _places(frames: list[Frame]) -> np.ndarray:
    """Where frames begin, (N, 3): columns, rows and millimetres across, from the first frame."""
    affines = np.array([frame.affine for frame in frames])
    return np.linalg.solve(affines[0, :3, :3], (affines[:, :3, 3] - affines[0, :3, 3]).T).T


def _regular(levels: np.ndarray, spacing: float) -> bool:
    """Whether slices at these levels in mm lie whole spacings apart."""
    return bool(spacing > 0 and np.abs(levels / spacing - np.rint(levels / spacing)).max() <= REGULAR)


def _own_grid(frames: list[Frame], grid: Grid, size: tuple[int, int]) -> Grid:
    """The grid that the frames of a SEG make by themselves."""
    affines, places = np.array([frame.affine for frame in frames]), _places(frames)
    if np.abs(affines[:, :3, :3] - affines[0, :3, :3]).max() > 1e-3 or np.abs(places[:, :2]).max() > APART:
        raise UnderstudyError(
            "a SEG lies on another grid than the images, with frames that are tilted or shifted against each other, "
            "and cannot be resampled: export it on the grid of the images"
        )
    levels = places[:, 2] - places[:, 2].min()
    across = np.abs(np.linalg.inv(grid.affine)[:3, :3] @ affines[0, :3, 2]).argmax()
    steps = np.diff(np.unique(np.round(levels, 3)))
    least = float(steps.min() if len(steps) else np.linalg.norm(grid.affine[:3, across]))
    spacing = next((one for one in (frames[0].between, least) if _regular(levels, one)), None)
    if spacing is None:
        raise UnderstudyError(
            "a SEG lies on another grid than the images, and its slices are not equally far apart: export it on the "
            "grid of the images"
        )
    if len({(frame.segment, round(level / spacing)) for frame, level in zip(frames, levels, strict=True)}) < len(
        frames
    ):
        raise UnderstudyError("a SEG has two frames of one segment in one place: it is damaged; export it again")
    depth = round(float(levels.max() / spacing)) + 1
    if depth > MOST_SIDE or depth * size[0] * size[1] > MOST_VALUES:
        raise UnderstudyError(
            f"a SEG would be a volume of {size[0]} x {size[1]} x {depth} voxels, and at most {MOST_VALUES:,} are read: "
            "it is damaged, or must be cut into smaller ones"
        )
    affine = affines[int(levels.argmin())].copy()
    affine[:3, 2] *= spacing
    return Grid(affine, (*size, depth), grid.frame_of_reference, ())


def _lay(frames: list[Frame], pixels: _Pixels, canvas: Canvas, grid: Grid) -> list[str]:
    """Lay all frames on a grid of whose voxels they are, and tell what a user should know."""
    drawn, kept = 0, 0
    for frame, value, mask in pixels.masks(frames):
        steps = _lattice(frame, grid, pixels.size, APART)
        assert steps is not None
        lattice = np.rint(np.linalg.inv(steps))
        taken, put, order = shared(lattice, (*pixels.size, 1), grid.size)
        part = mask[..., None][taken].transpose(order)
        canvas.lay(value, part, put)
        drawn, kept = drawn + int(mask.sum()), kept + int(part.sum())
    _refuse_elsewhere(drawn, kept)
    aside = any(_lattice(frame, grid, pixels.size, ASIDE) is None for frame in frames)
    return [A_LITTLE_OFF] * aside + [BEYOND] * (kept < drawn)


def _resample(canvas: Canvas, own: Grid, grid: Grid) -> list[str]:
    """Put a label map from its own grid on the images'."""
    drawn = np.argwhere(canvas.array[0])
    step = between(grid.affine, own.affine)
    places = drawn @ step[:3, :3].T + step[:3, 3]
    inside = ((places > -1) & (places < np.array(grid.size))).all(1)
    _refuse_elsewhere(len(drawn), int(inside.sum()))
    canvas.array = onto_grid(canvas.array, own.affine, grid, order=0)
    return [] if inside.all() else [BEYOND]


def _refuse_elsewhere(drawn: int, kept: int) -> None:
    if drawn and not kept:
        raise UnderstudyError(
            "a SEG has segments, and none of them lies within the images it would be put on: it belongs to another "
            "series; export it for this one"
        )

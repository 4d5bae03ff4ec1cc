"""Series: instances become volumes, sorted by where their slices lie, never by file name or instance number.

Within a series, slices of one size, spacing, direction and frame of reference are one stack. Where several lie in one
place, ``MARKS`` (echo, time, b-value ...) tell volumes apart, and at last the order of instance numbers, if the places
repeat in it as a whole. What cannot be one volume has a ``problem``: missing or doubled slices, no reason to sort.
**Source**: DICOM PS3.3, C.7.6.2.1.1 (position and orientation).
**Differs** from dcm2niix, which resamples stacks of uneven distance, drops the shear of tilted ones whose header does
not name the tilt, and takes the distance of the first two slices for all: uneven ones are refused, tilted ones keep
their true, sheared affine, and the distance is the mean.
**Checked** in tests/data/dicom/test_series.py, and against dcm2niix in benchmarks/dicom_judge.py.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from understudy.data.dicom.grid import Grid
from understudy.data.dicom.instance import MARKS, ImageFrame, Instance
from understudy.data.geometry import LPS_TO_RAS, NO_THICKNESS, sound

SAME = 1e-3  # how far directions may differ within a stack (0.06 degrees)
UNEVEN = 0.05  # share of the slice distance by which a slice may lie off its place
DOUBLED = 0.01  # mm below which two slices lie in one place
TILTED = 0.01  # how far the step from slice to slice leaves the normal, as a share (0.6 degrees)
PLANES = 32  # directions in a series from which on it is not sorted any further
SCOUT = 9  # slices: a series of several planes with a stack as short as this is a localizer

TILT = "slices are sheared (gantry tilt): voxels stay as scanned, and the affine says how they lie"
NO_FRAMES_PLACE = "multi-frame images do not say where each frame lies: frames are taken as slices in their order"
LOCALIZERS = "slices of localizers (scouts)"
CROSSED = "slices of series in several planes (scouts, rotating scans)"
COPIES = "second copies of a file"
MISSING = "slices are missing or lie at uneven distances"
TWICE = "two slices lie in one place, and nothing tells them apart"
DRIFT = "slices do not lie behind one another"


@dataclass(frozen=True, slots=True)
class Slice:
    """A frame of an instance."""

    instance: Instance
    frame: ImageFrame


@dataclass(frozen=True)
class Volume:
    """Slices that belong together, from the first to the last along their normal; or one picture without a place.

    Attributes:
        slices: in order.
        grid: where the voxels lie; None where the files do not say.
        problem: why it cannot be read as a volume, without a name or value; blank where it can.
        remarks: what a user should know of it.
        parts: how many volumes its series holds, of which this is number ``part`` from 0.
    """

    slices: tuple[Slice, ...]
    grid: Grid | None
    problem: str = ""
    remarks: tuple[str, ...] = ()
    part: int = 0
    parts: int = 1

    @property
    def first(self) -> Instance:
        """The instance of the first slice: what all of them share."""
        return self.slices[0].instance

    @property
    def files(self) -> tuple[Instance, ...]:
        """Its instances, once each, in order."""
        return tuple({id(one.instance): one.instance for one in self.slices}.values())

    @property
    def stored(self) -> tuple[int, ...]:
        """Spatial size: (I, J, K) on a grid, (H, W) of a picture, (F, H, W) of frames without a place."""
        pixels = self.first.pixels
        assert pixels is not None
        if self.grid is not None:
            return self.grid.size
        return (len(self.slices), pixels.rows, pixels.columns)[len(self.slices) == 1 :]

    @property
    def spacing_mm(self) -> tuple[float, ...] | None:
        """Spacing of a picture without a place (H, W); None where it is not said."""
        spacing = self.slices[0].frame.spacing
        return spacing if len(self.slices) == 1 else None


def volumes(instances: Iterable[Instance]) -> tuple[list[Volume], Counter[str]]:
    """Sort images into volumes, series by series in the order of their first file; and count what is passed over."""
    passed: Counter[str] = Counter()
    by_series: dict[tuple[str, str], list[Instance]] = defaultdict(list)
    for one in instances:
        by_series[one.study, one.series or str(one.file)].append(one)
    out: list[Volume] = []
    for members in by_series.values():
        out += _of_series(_once(members, passed), passed)
    return out, +passed


def _once(members: list[Instance], passed: Counter[str]) -> list[Instance]:
    """Drop second copies: files of one SOP instance UID that are equal to the byte."""
    files = Counter(one.sop for one in members)
    kept: dict[tuple[str, str], Instance] = {}
    for number, one in enumerate(members):
        twin = bool(one.sop) and files[one.sop] > 1
        key = (one.sop, _digest(one) if twin else str(number))
        passed[COPIES] += key in kept
        kept.setdefault(key, one)
    return list(kept.values())


def _digest(one: Instance) -> str:
    with one.file.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _of_series(members: list[Instance], passed: Counter[str]) -> list[Volume]:
    out: list[Volume] = []
    placed: list[Slice] = []
    for one in members:
        if all(frame.placed for frame in one.frames) and one.frames:
            placed += [Slice(one, frame) for frame in one.frames]
        else:
            remarks = (NO_FRAMES_PLACE,) if len(one.frames) > 1 else ()
            out.append(Volume(tuple(Slice(one, frame) for frame in one.frames), None, remarks=remarks))
    stacks = _stacks([one for one in placed if "LOCALIZER" not in one.instance.image_type])
    passed[LOCALIZERS] += len(placed) - sum(map(len, stacks))
    if _several_planes(stacks):
        passed[CROSSED] += sum(map(len, stacks))
        stacks = []
    found = [volume for stack in stacks for volume in _told_apart(stack)]
    return [*out, *(replace(volume, part=part, parts=len(found)) for part, volume in enumerate(found))]


def _stacks(placed: Sequence[Slice]) -> list[list[Slice]]:
    """Slices of one size, spacing, frame of reference and direction."""
    alike: dict[tuple[object, ...], list[list[Slice]]] = defaultdict(list)
    for one in placed:
        pixels, frame = one.instance.pixels, one.frame
        assert pixels is not None and frame.spacing is not None
        key = (pixels.rows, pixels.columns, pixels.channels, one.instance.frame_of_reference)
        near = alike[(*key, *(round(side, 3) for side in frame.spacing))]
        for stack in near:
            if len(near) > PLANES or _apart(stack[0].frame, frame) <= SAME:
                stack.append(one)
                break
        else:
            near.append([one])
    return [stack for near in alike.values() for stack in near]


def _apart(one: ImageFrame, other: ImageFrame) -> float:
    pairs = zip(one.directions or (), other.directions or (), strict=True)
    return max((abs(a - b) for a, b in pairs), default=0.0)


def _several_planes(stacks: list[list[Slice]]) -> bool:
    """Whether a series is a localizer: stacks that are not parallel, one of them short."""
    normals = [_normal(stack[0].frame) for stack in stacks]
    crossed = any(abs(float(a @ b)) < 0.99 for a, b in combinations(normals[: PLANES + 1], 2))
    return crossed and min(map(len, stacks)) <= SCOUT


def _normal(frame: ImageFrame) -> np.ndarray:
    row, column = np.array(frame.directions).reshape(2, 3)
    normal = np.cross(row, column)
    return normal / np.sqrt(normal @ normal)


def _told_apart(stack: list[Slice]) -> list[Volume]:
    """One stack's volumes: by the first mark, or two together, that leaves one slice at each place."""
    at = _places(stack)
    repeats = int(np.bincount(at).max())
    if repeats == 1:
        return [_volume(stack)]
    marked = [[one.frame.marks[m] for one in stack] for m in range(len(MARKS))]
    keys = [list(values) for values in marked]
    keys += [list(zip(a, b, strict=True)) for a, b in combinations(marked, 2)]
    for key in keys:
        parts = _parts(key, at)
        if len(parts) == repeats:
            return [_volume([stack[k] for k in part]) for part in parts]
    parts = _in_turn(stack, at, repeats)
    if parts:
        return [_volume([stack[k] for k in part]) for part in parts]
    return [Volume(tuple(stack), None, TWICE)]


def _places(stack: list[Slice]) -> np.ndarray:
    """The number of each slice's place along the normal, from 0; slices within ``DOUBLED`` share one."""
    depth = _depths(stack)
    order = np.argsort(depth, kind="stable")
    out = np.empty(len(stack), np.int64)
    out[order] = np.concatenate([[0], np.cumsum(np.diff(depth[order]) > DOUBLED)])
    return out


def _depths(stack: list[Slice]) -> np.ndarray:
    return np.array([one.frame.position for one in stack]) @ _normal(stack[0].frame)


def _parts(key: list[object], at: np.ndarray) -> list[list[int]]:
    """Slices by their mark, in the order of the marks' first slices; none where a place comes twice in one of them."""
    parts: dict[object, list[int]] = defaultdict(list)
    for k, value in enumerate(key):
        parts[value].append(k)
    if any(len(set(at[part].tolist())) < len(part) for part in parts.values()):
        return []
    return [parts[value] for value in sorted(parts, key=_by_size)]


def _by_size(value: object) -> tuple[float, str]:
    """Numbers by their size, texts by their letters."""
    try:
        return float(str(value)), ""
    except ValueError:
        return 0.0, str(value)


def _in_turn(stack: list[Slice], at: np.ndarray, repeats: int) -> list[list[int]]:
    """Volumes one after the other by instance number, where every place comes once in each."""
    numbers = [(one.instance.number, one.frame.number) for one in stack]
    places = int(at.max()) + 1
    if len(stack) != places * repeats or len(set(numbers)) != len(numbers):
        return []
    order = sorted(range(len(stack)), key=numbers.__getitem__)
    parts = [order[start : start + places] for start in range(0, len(stack), places)]
    return parts if all(len(set(at[part].tolist())) == places for part in parts) else []


def _volume(stack: list[Slice]) -> Volume:
    """Slices in the order of their places, on their grid."""
    depth = _depths(stack)
    order = np.argsort(depth, kind="stable")
    ordered = tuple(stack[k] for k in order)
    first, last = ordered[0].frame, ordered[-1].frame
    step = _normal(first) * (first.step or 1.0)
    problem = ""
    remarks = (NO_THICKNESS,) if len(stack) == 1 and first.step is None else ()
    if len(stack) > 1:
        start, end = np.array(first.position), np.array(last.position)
        step = (end - start) / (len(stack) - 1)
        expected = start + np.arange(len(stack))[:, None] * step
        off = np.array([one.frame.position for one in ordered]) - expected
        apart = float(np.sqrt(step @ step))
        along = np.abs(off @ _normal(first)).max()
        if along > UNEVEN * apart or np.ptp(np.diff(depth[order])) > 2 * UNEVEN * apart:
            problem = MISSING
        elif np.sqrt((off**2).sum(1)).max() > UNEVEN * apart + DOUBLED:
            problem = DRIFT
        elif float(_normal(first) @ step) < apart * np.cos(TILTED):
            remarks = (TILT,)
    grid = _grid(ordered, step)
    if not problem and not sound(grid.affine):
        problem = DRIFT
    return Volume(ordered, None if problem else grid, problem, remarks)


def _grid(ordered: tuple[Slice, ...], step: np.ndarray) -> Grid:
    first, instance = ordered[0].frame, ordered[0].instance
    assert instance.pixels is not None and first.spacing is not None
    row, column = np.array(first.directions).reshape(2, 3)
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1] = row * first.spacing[1], column * first.spacing[0]
    affine[:3, 2], affine[:3, 3] = step, first.position
    return Grid(
        LPS_TO_RAS @ affine,
        (instance.pixels.columns, instance.pixels.rows, len(ordered)),
        instance.frame_of_reference,
        tuple((one.instance.sop, one.frame.number) for one in ordered),
    )

"""Distances between the surfaces of two label maps per subject and class: HD, HD95, ASSD, NSD.

A subject is cut into **contiguous stacks**, and no distance is measured from one to another: a volume is a stack;
slices that lie one step apart by their slice index and their affines form a stack; any other slice is a stack of its
own. So missing slices are not bridged, and slices without a known step are measured within themselves. The surface of a
mask are its voxels with a face on another voxel; the edge of the image counts as another, the cut ends of a stack of
slices do not, since what lies beyond is not known. Distances of all stacks of a subject are pooled. **Rule** for empty
maps (overlap.py) in each stack: where only one map has the class, each of its surface voxels counts the diagonal of the
stack's field of view, the greatest distance that two of its voxels can have.
**Source**: HD95 is the greater of the two directed 95th percentiles, ASSD the mean over the voxels of both surfaces;
NSD of Nikolov et al., 2018 (arXiv 1809.04430), here the share of the voxels of both surfaces within the tolerance, not
of their areas. All as in MONAI. **Differs** from MONAI 1.6, which gives nan or inf where one map is empty.
**Checked** in tests/evaluation/utility/test_surface.py (MONAI to 1e-6 where it is right, but for the single precision
of its percentile; by hand where it is not).
"""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from understudy.core.cohort import Cohort

SURFACES = ("hd", "hd95", "assd", "nsd")
Distances = tuple[np.ndarray, np.ndarray]  # from predicted to reference surface voxels and the other way round


@dataclass(frozen=True)
class Stack:
    """Cases of a subject, given by its number, that are one block of space: a volume, or neighbouring slices.

    The spacing (3,) is along D, H, W; the cases are a range of positions.
    """

    subject: int
    cases: slice
    spacing: tuple[float, ...]
    volume: bool


def contiguous_stacks(cohort: Cohort, rows: np.ndarray, number: np.ndarray) -> tuple[list[Stack], str]:
    """Cut subjects, numbered case by case (n,), into stacks.

    Returns them and the unit of their spacing: mm where every case has one, else pixels or voxels.
    """
    spacings = [cohort.spacing_mm(int(row)) for row in rows]
    volume, found, start = len(cohort.size) == 3, [], 0
    unit = "mm" if None not in spacings else "voxels" if volume else "pixels"
    for i in range(1, len(rows) + 1):
        if unit == "mm" and not volume and i < len(rows) and _neighbours(cohort, int(rows[i - 1]), int(rows[i])):
            continue
        spacing = (spacings[start] if unit == "mm" else None) or (1.0,) * len(cohort.size)
        if not volume:
            affine = cohort.affine(int(rows[start]))
            step = 1.0 if affine is None or i == start + 1 else float(np.linalg.norm(affine[:3, 0]))
            spacing = (step, *spacing)
        found.append(Stack(int(number[start]), slice(start, i), spacing, volume))
        start = i
    return found, unit


def described(cut: list[Stack]) -> str:
    """Say what stacks there are: ``4 stack(s) of slices, 2 lone slice(s)``."""
    lone = sum(not stack.volume and stack.cases.stop == stack.cases.start + 1 for stack in cut)
    volumes = sum(stack.volume for stack in cut)
    kinds = ((volumes, "volume(s)"), (len(cut) - volumes - lone, "stack(s) of slices"), (lone, "lone slice(s)"))
    return ", ".join(f"{n} {kind}" for n, kind in kinds if n)


def surface_scores(
    predicted: np.ndarray, reference: np.ndarray, cut: list[Stack], subjects: int, classes: int, tolerance: float
) -> tuple[np.ndarray, np.ndarray]:
    """Score the surfaces of each foreground class and, where there are several, of all of them as one.

    Label maps are (n, *S) with values 0..K-1, cut into stacks; the tolerance of NSD is in the unit of their spacing.
    Returns (subjects, classes, 4) in the order of ``SURFACES``: distances, lower is better, and NSD in 0..1, higher is
    better; NaN where both maps are empty. And in how many stacks (subjects, classes) only one map has the class.
    """
    wanted = [*range(1, classes), *([0] if classes > 2 else [])]  # 0: anything but the background
    gathered: dict[tuple[int, int], list[Distances]] = defaultdict(list)
    one_sided = np.zeros((subjects, len(wanted)), int)
    for stack in cut:
        maps = [a[stack.cases][0] if stack.volume else a[stack.cases] for a in (predicted, reference)]
        for k, label in enumerate(wanted):
            masks = [a == label if label else a > 0 for a in maps]
            there = sum(bool(mask.any()) for mask in masks)
            one_sided[stack.subject, k] += there == 1
            if there:
                gathered[stack.subject, k].append(distances(masks[0], masks[1], stack.spacing, stack.volume))
    scores = np.full((*one_sided.shape, len(SURFACES)), np.nan)
    for place, parts in gathered.items():
        scores[place] = _summary([np.concatenate(side) for side in zip(*parts, strict=True)], tolerance)
    return scores, one_sided


def distances(predicted: np.ndarray, reference: np.ndarray, spacing: tuple[float, ...], volume: bool) -> Distances:
    """Measure from each surface voxel of one mask (D, H, W) to the nearest of the other, both ways; one is not empty.

    `volume`: whether D ends where the masks end; otherwise they are slices cut out of a volume.
    """
    box = ndimage.find_objects((predicted | reference).astype(np.uint8))[0]
    box = box if volume else (slice(None), *box[1:])
    one, other = (_surface(mask[box], volume) for mask in (predicted, reference))
    if not (one.any() and other.any()):
        diagonal = float(np.linalg.norm((np.array(predicted.shape) - 1) * spacing))
        return np.full(one.sum(), diagonal), np.full(other.sum(), diagonal)
    to_other, to_one = (ndimage.distance_transform_edt(~mask, sampling=spacing) for mask in (other, one))
    return to_other[one], to_one[other]


def _surface(mask: np.ndarray, volume: bool) -> np.ndarray:
    if volume:
        return mask & ~ndimage.binary_erosion(mask)
    padded = np.pad(mask, ((1, 1), (0, 0), (0, 0)), mode="edge")
    return mask & ~ndimage.binary_erosion(padded)[1:-1]


def _summary(sides: list[np.ndarray], tolerance: float) -> list[float]:
    everything = np.concatenate(sides)
    hd95 = max(float(np.percentile(side, 95)) for side in sides if len(side))
    return [float(everything.max()), hd95, float(everything.mean()), float((everything <= tolerance).mean())]


def _neighbours(cohort: Cohort, below: int, above: int) -> bool:
    """Return whether two slices lie one step apart in one volume of one subject."""
    affine, next_affine = cohort.affine(below), cohort.affine(above)
    index, next_index = cohort.slice_index(below), cohort.slice_index(above)
    same = all(cohort.entry(name, below) == cohort.entry(name, above) for name in ("subject_id", "spacing"))
    if not same or index is None or next_index is None or affine is None or next_affine is None:
        return False
    affine[:, 3] += affine[:, 0]
    near = np.allclose(affine, next_affine, rtol=0, atol=1e-3 * float(np.linalg.norm(affine[:3, 0])))
    return near and next_index == index + 1

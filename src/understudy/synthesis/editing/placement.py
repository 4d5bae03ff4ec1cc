"""Places of lesions: a step away, the same place relative to another body, or any place where the rules hold.

Every place in the image where a lesion fits is found at once: the correlation of its mask with what is not allowed
counts the voxels that would be wrong, and is 0 there. **Source**: own; Platscher et al. (2010.02745) place generated
masks in anatomy without saying how. **Checked** in tests/synthesis/editing/test_placement.py against every place.
"""

from collections.abc import Callable, Sequence

import numpy as np
from scipy import ndimage, signal

from understudy.core.errors import UsageError
from understudy.synthesis.editing.lesions import CannotBeMet, Lesion

Place = Callable[[Lesion, np.ndarray], Lesion]  # from a lesion and where it may lie, bool (*S), to where it shall lie


def translated(lesion: Lesion, vector: Sequence[float], unit: str = "voxel") -> Lesion:
    """Return a lesion moved by (dims,) "voxel" or "mm" along the array axes (else UsageError), to whole voxels."""
    if len(vector) != lesion.classes.ndim:
        raise UsageError(f"a move names {lesion.classes.ndim} axes, one number each; found {len(vector)}")
    steps = np.asarray(vector, float) / (lesion.spacing if unit == "mm" else 1.0)
    return lesion.translated_by(np.rint(steps))


def places(lesion: Lesion, allowed: np.ndarray) -> np.ndarray:
    """Return all places where a lesion may lie, given where in the image it is ``allowed``, bool (*S).

    They are positions of its box's first voxel, int64 (m, dims), in the order of the array; CannotBeMet where m = 0.
    """
    found = np.zeros((0, allowed.ndim), np.int64)
    if all(side <= n for side, n in zip(lesion.classes.shape, allowed.shape, strict=True)):
        mirrored = np.flip(lesion.mask).astype(np.float64)
        wrong = signal.fftconvolve((~allowed).astype(np.float64), mirrored, mode="valid")
        found = np.argwhere(wrong < 0.5)
    if not len(found):
        raise CannotBeMet("no place", f"a lesion of {lesion.voxels} voxels fits nowhere where it may lie")
    return found


def anywhere(generator: np.random.Generator) -> Place:
    """Return the rule that a lesion lies at a random place out of all where it may."""

    def place(lesion: Lesion, allowed: np.ndarray) -> Lesion:
        found = places(lesion, allowed)
        return lesion.translated_by(found[generator.integers(len(found))] - np.array(lesion.corner))

    return place


def nearest(lesion: Lesion, allowed: np.ndarray) -> Lesion:
    """Lay a lesion as near to where it lies as it may (in mm, or voxels); raises CannotBeMet where it fits nowhere."""
    steps = places(lesion, allowed) - np.array(lesion.corner)
    return lesion.translated_by(steps[np.argmin(np.square(steps * np.array(lesion.spacing)).sum(1))])


def centred_at(centre: Sequence[float] | np.ndarray) -> Place:
    """Return the rule that a lesion's centroid lies at this position of the image."""
    return lambda lesion, allowed: lesion.centred(_checked(centre, allowed.ndim))


def _checked(centre: Sequence[float] | np.ndarray, dims: int) -> Sequence[float] | np.ndarray:
    if len(centre) != dims:
        raise UsageError(f"a place names {dims} axes, one number each; found {len(centre)}")
    return centre


def body_box(labels: np.ndarray, lesion: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Return the lowest and the highest edge of the body's box in a label map (*S), float (dims,) each.

    The body is all that is no background; where there is only background and ``lesion`` (classes), it is the image.
    """
    anatomy = (labels > 0) & ~np.isin(labels, lesion)
    whole = [slice(0, n) for n in labels.shape]
    box = ndimage.find_objects((labels > 0).astype(np.uint8))[0] if anatomy.any() else whole
    return np.array([b.start - 0.5 for b in box]), np.array([b.stop - 0.5 for b in box])


def relative_place(
    centre: np.ndarray, origin: tuple[np.ndarray, np.ndarray], target: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    """Return the position that is to the target's box as a position is to the box of its origin; float (dims,)."""
    (low, high), (new_low, new_high) = origin, target
    return new_low + (centre - low) / (high - low) * (new_high - new_low)

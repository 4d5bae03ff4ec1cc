"""Where voxels lie: one order of axes for all formats, whether two pictures lie in one place, and the plane of slices.

A **stored affine** maps array indices (i, j, k, 1) of a file, in the file's own order, to millimetres right, anterior,
superior. ``turned`` brings arrays to one order, the nearest without resampling: axial (superior, posterior, left), so
that a slice displays upright with the patient's right on the left, as radiologists look at it; coronal (posterior,
inferior, left) and sagittal (left, inferior, posterior) are for slices of those planes. An axis of length 1 makes a
picture 2D. Two pictures are compared in voxels of each axis, as they are stored, before anything is turned.
**Differs** from nibabel's canonical order (right, anterior, superior first to last), which displays lying on its side.
**Checked** in tests/data/test_geometry.py and tests/data/formats/test_nifti.py (all 48 orientations).
"""

import nibabel.orientations as orientations
import numpy as np

from understudy.core.errors import UnderstudyError

AXES: dict[str, str] = {"axial": "SPL", "coronal": "PIL", "sagittal": "LIP"}  # across slices, down rows, along columns
APART = 0.5  # voxels, along any axis, from which on two pictures lie in different places
ASIDE = 0.05  # voxels, from which on it is told
THICK = 1.5  # slices this many times as far apart as pixels were scanned in that plane
SMALLEST, LARGEST = 1e-7, 1e7  # mm, sizes of voxels that are believed
RIGHT_ANGLE = 0.001  # cosine from which on two axes are not at right angles
OBLIQUE = 0.766  # cosine of 40 degrees, by which an axis may lie off the nearest axis of the body
HALFWAY = "volumes lie more than 40 degrees oblique: each axis counts as the nearest, which may not be that of the next"
SHEARED = "the axes of volumes are not at right angles: voxel sizes are taken along the axes"
NO_THICKNESS = "the thickness of single slices is not known: 1 mm is taken"
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])  # of DICOM and ITK, to right, anterior, superior
PARALLEL = 0.02  # how far from whole numbers the axes of one picture may be in those of another


def turn(affine: np.ndarray, plane: str = "axial") -> np.ndarray:
    """Return nibabel's orientation (3, 2) that brings stored axes to those of a plane."""
    return orientations.ornt_transform(orientations.io_orientation(affine), orientations.axcodes2ornt(AXES[plane]))


def axis_codes(affine: np.ndarray | None) -> str:
    """Return where the stored axes run to, such as ``LPS``: left, posterior, superior; blank without an affine."""
    return "" if affine is None else "".join(orientations.aff2axcodes(affine))


def turned_size(size: tuple[int, ...], affine: np.ndarray | None, plane: str = "axial") -> tuple[int, ...]:
    """Return the spatial size after :func:`turned`; that of a picture without an affine stays."""
    if affine is None:
        return size
    full = np.array(size)[np.argsort(turn(affine, plane)[:, 0])]
    return tuple(full[_kept(full.tolist())].tolist())


def turned(
    array: np.ndarray, affine: np.ndarray | None, plane: str = "axial"
) -> tuple[np.ndarray, np.ndarray | None, tuple[float, ...] | None]:
    """Turn an array (C, i, j, k) to (C, *S): the array, its affine over (d, h, w, 1), its spacing in mm."""
    if affine is None:
        return array, None, None
    change = turn(affine, plane)
    order = np.concatenate([[[0, 1]], change + [1, 0]])
    affine = affine @ orientations.inv_ornt_aff(change, array.shape[1:])
    array = orientations.apply_orientation(array, order)
    spacing = voxel_sizes(affine)
    keep = _kept(array.shape[1:])
    if len(keep) == 2:  # the axis of length 1 goes to the front, so that 2D indices are (0, h, w)
        first = next(axis for axis in range(3) if axis not in keep)
        array = np.moveaxis(array, first + 1, 0)[0]
        affine = affine[:, [first, *keep, 3]]
    return np.ascontiguousarray(array), affine, tuple(spacing[keep].tolist())


def _kept(size: tuple[int, ...]) -> list[int]:
    """The axes that stay: two of three where one has length 1."""
    single = [axis for axis in range(3) if size[axis] == 1]
    return [axis for axis in range(3) if axis not in single[:1]]


def onto(affine: np.ndarray, other: np.ndarray) -> np.ndarray | None:
    """Return nibabel's orientation that puts the axes of ``other`` in the order of ``affine``'s, by their directions.

    None where the axes of the two are not parallel.
    """
    first, second = (a[:3, :3] / voxel_sizes(a) for a in (affine, other))
    share = np.linalg.solve(first, second)  # columns: axes of other in those of affine
    change = np.column_stack([np.abs(share).argmax(0), np.sign(share[np.abs(share).argmax(0), range(3)])])
    whole = np.zeros((3, 3))
    whole[change[:, 0].astype(int), range(3)] = change[:, 1]
    return change if len(set(change[:, 0])) == 3 and np.abs(share - whole).max() <= PARALLEL else None


def moved_onto(affine: np.ndarray, array: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Put the axes of an array (C, i, j, k) with the affine ``other`` in the order of ``affine``'s, where parallel."""
    change = onto(affine, other)
    if change is None:
        return array, other
    order = np.concatenate([[[0, 1]], change + [1, 0]])
    moved = orientations.apply_orientation(array, order)
    return moved, other @ orientations.inv_ornt_aff(change, array.shape[1:])


def voxels_apart(affine: np.ndarray, other: np.ndarray, size: tuple[int, ...]) -> float:
    """Return how far the corners of two pictures of one stored size lie apart, in voxels of the first, at worst."""
    return float(np.abs(np.linalg.solve(affine[:3, :3], _corners_apart(affine, other, size).T)).max())


def _corners_apart(affine: np.ndarray, other: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """How far the eight corners (8, 3) of one picture lie in the other from where they lie in the first, in mm."""
    corners = [[i, j, k, 1.0] for i in (0, size[0] - 1) for j in (0, size[1] - 1) for k in (0, size[2] - 1)]
    return np.asarray(np.array(corners) @ (other - affine)[:3].T)


def bare(affine: np.ndarray) -> bool:
    """Tell whether an affine says nothing: spacing 1 and origin 0 along the axes, as from a writer given no header."""
    return bool(np.array_equal(np.abs(affine), np.eye(4)))


def refuse_elsewhere(
    affine: np.ndarray | None, other: np.ndarray | None, size: tuple[int, ...], where: str, mute: bool = False
) -> bool:
    """Refuse two pictures of one case and stored size (I, J, K) that lie in different places of the body.

    Returns whether they lie a little aside (more than ``ASIDE`` voxels), which is told; nothing is compared where one
    of the two is not known. ``mute`` says that the second was written without a header (:func:`bare`).

    Raises:
        UnderstudyError: a corner lies more than ``APART`` voxels, along an axis of the first, from where the first has
            it, in the second, ``where``.
    """
    if affine is None or other is None:
        return False
    away = voxels_apart(affine, other, size)
    if away > APART and mute and not bare(affine):
        raise UnderstudyError(
            f"{where} has no geometry of its own (spacing 1, origin 0: its writer was given no header), and the image "
            "it belongs to has one: copy the image's header into it, or give --same-grid if it lies on the image "
            "voxel by voxel"
        )
    if away > APART:
        mm = np.sqrt((_corners_apart(affine, other, size) ** 2).sum(1)).max()
        raise UnderstudyError(
            f"{where} lies {mm:.3g} mm away ({away:.3g} voxels) from the image it belongs to, by "
            "the affines in the files: they must cover the same place; resample one to the other, or give --same-grid "
            "if the header is wrong and it lies on the image voxel by voxel"
        )
    return away > ASIDE


def scanned_plane(affine: np.ndarray | None, size: tuple[int, ...]) -> str | None:
    """Return the plane whose slices lie ``THICK`` times as far apart as pixels do; None where no axis stands out."""
    if affine is None or len(size) != 3:
        return None
    spacing = voxel_sizes(affine)
    across = int(spacing.argmax())
    if spacing[across] < THICK * np.delete(spacing, across).max():
        return None
    world = int(orientations.io_orientation(affine)[across, 0])
    return ("sagittal", "coronal", "axial")[world]


def voxel_sizes(affine: np.ndarray) -> np.ndarray:
    """Return the length of a step along each stored axis, in mm (3)."""
    return np.asarray(np.sqrt((affine[:3, :3] ** 2).sum(0)))


def sound(affine: np.ndarray) -> bool:
    """Tell whether an affine can be inverted: finite, of believable voxel sizes, with axes that are not parallel."""
    if not np.isfinite(affine).all() or np.abs(affine).max() > LARGEST:
        return False
    sizes = voxel_sizes(affine)
    return bool(sizes.min() >= SMALLEST and abs(np.linalg.det(affine[:3, :3] / sizes)) > RIGHT_ANGLE)


def halfway(affine: np.ndarray) -> tuple[str, ...]:
    """Return the remark on axes that lie nearly halfway between two axes of the body, if some do."""
    along = np.abs(affine[:3, :3] / voxel_sizes(affine))
    return (HALFWAY,) if along.max(0).min() < OBLIQUE else ()


def sheared(affine: np.ndarray) -> tuple[str, ...]:
    """Return the remark on axes that are not at right angles, if they are not."""
    along = affine[:3, :3] / voxel_sizes(affine)
    return (SHEARED,) if np.abs(along.T @ along - np.eye(3)).max() > RIGHT_ANGLE else ()

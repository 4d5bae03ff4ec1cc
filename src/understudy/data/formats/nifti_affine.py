"""Where a NIfTI volume lies: one affine out of sform, qform and pixdim, in mm, and what to say where they disagree.

A file may hold two affines: the sform (three rows) and the qform (a turn, an origin, and pixdim, the voxel sizes).

- Only one is there, or both agree within ``ASIDE`` voxels: the sform, else the qform. With both codes 0 the file does
  not say where it lies (``placed`` is False), and the affine is the format's default order.
- The sform has voxel sizes of 1 and pixdim has others, or the sform is bare (sizes 1, origin 0) beside a qform: its
  writer was given no header, so qform or pixdim count, with a remark.
- The qform has no turn and no origin: the sform counts, with a remark.
- The two turn the axes differently: refused, since left and right may be at stake.
- Else the one whose voxel sizes are those of pixdim, with a remark: a sform of other sizes leads into a template.

**Source**: NIfTI-1.1 (nifti1.h, methods 1 to 3).
**Differs**: nibabel takes the sform; ITK 5.4 takes the sform if its code says scanner and its voxel sizes are those of
pixdim, else the qform. Metres and microns are converted, as ITK does and nibabel does not.
**Checked** in tests/data/formats/test_nifti_affine.py.
"""

from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.spatialimages import HeaderDataError

from understudy.core.errors import UnderstudyError
from understudy.data.geometry import (
    ASIDE,
    LARGEST,
    NO_THICKNESS,
    SMALLEST,
    bare,
    sheared,
    sound,
    voxel_sizes,
    voxels_apart,
)

UNIT_SFORM = "the sform has voxel sizes of 1 and qform or pixdim have true ones: qform and pixdim are used"
BARE_SFORM = "the sform says nothing (sizes 1, origin 0) beside a qform that does: the qform is used"
BARE_QFORM = "the qform says nothing (no turn, origin 0) beside a sform that does: the sform is used"
TEMPLATE_SFORM = "sform and qform disagree, and pixdim has the voxel sizes of the qform: the qform is used"
TWO_FORMS = "sform and qform place volumes differently, with one orientation and voxel size: the sform is used"
BROKEN_SFORM = "the sform cannot be inverted: the qform is used"
BROKEN_QFORM = "the qform cannot be read: the sform is used"
SIZES = "the voxel sizes of sform and pixdim disagree: those of the sform are used"
UNITS = {1: (1000.0, "metres are converted to mm"), 3: (0.001, "microns are converted to mm")}
NO_UNIT = "the unit of length is none that NIfTI knows: mm is taken"
SAME = 0.01  # share by which voxel sizes may differ


@dataclass(frozen=True)
class NiftiPlace:
    """Where a volume lies.

    Attributes:
        affine: (4, 4), stored indices (i, j, k, 1) to millimetres right, anterior, superior.
        placed: whether the file says so; where False, ``affine`` is the format's default.
        remarks: what was decided.
    """

    affine: np.ndarray
    placed: bool
    remarks: tuple[str, ...] = ()


@np.errstate(invalid="ignore", over="ignore")  # what is no number is told apart below
def placement(found: nib.Nifti1Header, size: tuple[int, ...], file: Path) -> NiftiPlace:
    """Return where a volume of the size (I, J, K) lies, by its header.

    Raises:
        UnderstudyError: no affine of the file can be inverted, or sform and qform turn the axes differently.
    """
    sizes, remarks = _pixdim(found, size)
    placed = bool(found["sform_code"] > 0 or found["qform_code"] > 0)
    affine: np.ndarray | None
    if placed:
        affine, said = _stated(found, sizes, size, file)
        remarks += said
    else:
        affine = _default(size, sizes)
    if affine is None:
        raise UnderstudyError(
            f"{file} has an affine that cannot be inverted (by its sform, qform and voxel sizes): repair its header"
        )
    factor, said = _unit(found)
    return NiftiPlace(np.diag([factor, factor, factor, 1.0]) @ affine, placed, remarks + said + sheared(affine))


def _pixdim(found: nib.Nifti1Header, size: tuple[int, ...]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Voxel sizes (3), NaN where they cannot be; an axis of length 1 may have none."""
    sizes = np.array(found["pixdim"][1:4], np.float64)
    sizes[~((sizes >= SMALLEST) & (sizes <= LARGEST))] = np.nan
    single = np.isnan(sizes) & (np.array(size) == 1)
    sizes[single] = 1.0
    return sizes, (NO_THICKNESS,) if single.any() else ()


def _stated(
    found: nib.Nifti1Header, sizes: np.ndarray, size: tuple[int, ...], file: Path
) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """The affine by the codes that are set, or None where it cannot be inverted; and remarks."""
    sform = np.asarray(found.get_sform(), np.float64) if found["sform_code"] > 0 else None
    has_qform = found["qform_code"] > 0
    qform = _qform(found, sizes) if has_qform else None
    if sform is None or not sound(sform):
        return qform, () if sform is None or qform is None else (BROKEN_SFORM,)
    if qform is not None:
        return _chosen(sform, qform, sizes, size, file)
    said = (BROKEN_QFORM,) if has_qform else ()
    if not _differ(sform, sizes, size):
        return sform, said
    if _unit_sizes(sform):
        return sform @ np.diag([*sizes, 1.0]), (*said, UNIT_SFORM)
    return sform, (*said, SIZES)


def _chosen(
    sform: np.ndarray, qform: np.ndarray, sizes: np.ndarray, size: tuple[int, ...], file: Path
) -> tuple[np.ndarray, tuple[str, ...]]:
    """One of two affines, by the rules above."""
    if voxels_apart(qform, sform, size) <= ASIDE:
        return sform, ()
    if _unit_sizes(sform) and _differ(sform, sizes, size):
        return qform, (UNIT_SFORM,)
    if bare(sform):
        return qform, (BARE_SFORM,)
    if np.array_equal(np.abs(qform), np.diag([*sizes, 1.0])):
        return sform, (BARE_QFORM, *((SIZES,) if _differ(sform, sizes, size) else ()))
    if not _one_orientation(sform, qform, size):
        raise UnderstudyError(
            f"{file} has a sform and a qform that turn its axes differently, so that left and right cannot be told "
            "for sure: set both to the right one (or the code of the wrong one to 0) and import again"
        )
    return (qform, (TEMPLATE_SFORM,)) if _differ(sform, sizes, size) else (sform, (TWO_FORMS,))


def _one_orientation(first: np.ndarray, second: np.ndarray, size: tuple[int, ...]) -> bool:
    """Tell whether each axis longer than 1 goes, by and large, where it goes in the other: within 45 degrees."""
    cosines = (first[:3, :3] / voxel_sizes(first) * (second[:3, :3] / voxel_sizes(second))).sum(0)
    return bool((cosines > np.sqrt(0.5))[np.array(size) > 1].all())


def _unit_sizes(affine: np.ndarray) -> bool:
    """Tell whether all voxel sizes are 1."""
    return bool(np.abs(voxel_sizes(affine) - 1).max() < 1e-6)


def _differ(affine: np.ndarray, sizes: np.ndarray, size: tuple[int, ...]) -> bool:
    """Tell whether voxel sizes differ from those of pixdim (where it has some), along axes longer than 1."""
    return bool((np.abs(voxel_sizes(affine) - sizes) > SAME * sizes)[np.array(size) > 1].any())


def _qform(found: nib.Nifti1Header, sizes: np.ndarray) -> np.ndarray | None:
    """The qform, or None where it cannot be read; a third axis is mirrored where pixdim[0] is below 0."""
    if np.isnan(sizes).any() or np.isnan(found["pixdim"][0]):
        return None
    clean = found.copy()
    clean["pixdim"][:4] = [-1 if found["pixdim"][0] < 0 else 1, *sizes]
    try:
        qform = np.asarray(clean.get_qform(), np.float64)
    except (HeaderDataError, ValueError):
        return None
    return qform if sound(qform) else None


def _default(size: tuple[int, ...], sizes: np.ndarray) -> np.ndarray | None:
    """The affine of a file whose codes are 0: left, anterior, superior around the centre, as nibabel has it."""
    if np.isnan(sizes).any():
        return None
    affine = np.diag([-sizes[0], sizes[1], sizes[2], 1.0])
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(size) - 1) / 2)
    return affine


def _unit(found: nib.Nifti1Header) -> tuple[float, tuple[str, ...]]:
    """Millimetres in a unit of length of the file; a file that names none means mm, as all take it."""
    code = int(found["xyzt_units"]) & 7
    if code in UNITS:
        factor, said = UNITS[code]
        return factor, (said,)
    return 1.0, () if code in (0, 2) else (NO_UNIT,)

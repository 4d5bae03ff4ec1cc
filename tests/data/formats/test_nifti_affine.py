"""Which of sform, qform and pixdim counts, in which unit, and what is said."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from understudy.core.errors import UnderstudyError
from understudy.data.formats import nifti_affine as told
from understudy.data.formats.nifti_affine import NiftiPlace, placement
from understudy.data.geometry import SHEARED

SIZE = (20, 24, 6)
TRUE = np.diag([-1.25, -1.25, 10.0, 1.0])
TRUE[:3, 3] = (40, 30, -20)


def form(sizes: tuple[float, ...], origin: tuple[float, ...] = (40, 30, -20)) -> np.ndarray:
    affine = np.diag([*sizes, 1.0])
    affine[:3, 3] = origin
    return affine


def made(
    sform: np.ndarray | None = None, qform: np.ndarray | None = None, size: tuple[int, ...] = SIZE
) -> nib.Nifti1Header:
    header = nib.Nifti1Header()
    header.set_data_shape(size)
    header["pixdim"][:4] = (1, 1.25, 1.25, 10)
    if qform is not None:
        header.set_qform(qform, 1)
    if sform is not None:
        header.set_sform(sform, 2)
    return header


def place(header: nib.Nifti1Header, size: tuple[int, ...] = SIZE) -> NiftiPlace:
    return placement(header, (*size, 1)[:3], Path("a.nii"))


@pytest.mark.parametrize(("sform", "qform", "expected", "remarks"), [
    (TRUE, TRUE, TRUE, ()),
    (TRUE, None, TRUE, ()),
    (None, TRUE, TRUE, ()),
    (form((-1.2500001, -1.25, 10)), TRUE, TRUE, ()),
    (form((-1, -1, 1), (0, 0, 0)), TRUE, TRUE, (told.UNIT_SFORM,)),
    (form((1, 1, 1), (0, 0, 0)), TRUE, TRUE, (told.UNIT_SFORM,)),
    (form((-1, -1, 1)), None, TRUE, (told.UNIT_SFORM,)),
    (form((-1, -1, 1), (0, 0, 0)), form((-1, -1, 1)), form((-1, -1, 1)), (told.BARE_SFORM,)),
    (TRUE, form((1.25, 1.25, 10), (0, 0, 0)), TRUE, (told.BARE_QFORM,)),
    (form((-1.4, -1.4, 9)), TRUE, TRUE, (told.TEMPLATE_SFORM,)),
    (form((-1.4, -1.4, 9)), None, form((-1.4, -1.4, 9)), (told.SIZES,)),
    (form((-1.25, -1.25, 10), (40, 31, -20)), TRUE, form((-1.25, -1.25, 10), (40, 31, -20)), (told.TWO_FORMS,)),
    (np.diag([0, 0, 0, 1.0]), TRUE, TRUE, (told.BROKEN_SFORM,)),
    (form((-1.25, -1.25, float("nan"))), TRUE, TRUE, (told.BROKEN_SFORM,)),
])  # fmt: skip
def test_one_of_two_is_chosen(
    sform: np.ndarray | None, qform: np.ndarray | None, expected: np.ndarray, remarks: tuple[str, ...]
) -> None:
    found = place(made(sform, qform))
    assert found.remarks == remarks
    assert found.placed
    if remarks == (told.UNIT_SFORM,) and qform is None:
        assert np.allclose(found.affine[:3, :3], expected[:3, :3])
    else:
        assert np.allclose(found.affine, expected, atol=1e-5)


def test_both_agree_or_only_one_is_there_as_nibabel_has_it() -> None:
    for header in (made(TRUE), made(None, TRUE), made(TRUE, TRUE), made()):
        assert np.allclose(place(header).affine, header.get_best_affine())


@pytest.mark.parametrize("sizes", [(1.25, -1.25, 10), (-1.25, 1.25, 10), (-1.25, -1.25, -10)])
def test_forms_that_turn_axes_differently_are_refused(sizes: tuple[float, ...]) -> None:
    with pytest.raises(UnderstudyError, match="left and right cannot be told for sure"):
        place(made(form(sizes), TRUE))


def test_axes_that_change_places_are_refused() -> None:
    with pytest.raises(UnderstudyError, match="turn its axes differently"):
        place(made(TRUE[:, [1, 0, 2, 3]], TRUE))


def test_a_single_slice_may_go_either_way_across() -> None:
    size = (20, 24, 1)
    assert place(made(form((-1.25, -1.25, -10)), TRUE, size), size).remarks == ()


@pytest.mark.parametrize(("unit", "factor"), [("meter", 1000), ("micron", 0.001), ("mm", 1), ("unknown", 1)])
def test_units(unit: str, factor: float) -> None:
    header = made(TRUE)
    header.set_xyzt_units(unit, "sec")
    found = place(header)
    assert np.allclose(found.affine[:3], TRUE[:3] * factor)
    assert found.affine[3].tolist() == [0, 0, 0, 1]
    assert len(found.remarks) == (factor != 1)


def test_a_unit_that_there_is_not() -> None:
    header = made(TRUE)
    header["xyzt_units"] = 5
    assert place(header).remarks == (told.NO_UNIT,)


def test_no_code_is_no_place() -> None:
    found = place(made())
    assert not found.placed
    assert np.allclose(np.abs(found.affine.diagonal()), [1.25, 1.25, 10, 1])


@pytest.mark.parametrize("wrong", [0, -1.25, np.nan, np.inf, 1e30, 1e-30])
@pytest.mark.parametrize("axis", [1, 3])
def test_voxel_sizes_that_cannot_be(wrong: float, axis: int) -> None:
    header = made()
    header["pixdim"][axis] = wrong
    with pytest.raises(UnderstudyError, match="cannot be inverted"):
        place(header)
    turned = made(None, TRUE)
    turned["pixdim"][axis] = wrong
    with pytest.raises(UnderstudyError, match="cannot be inverted"):
        place(turned)
    both = made(TRUE, TRUE)
    both["pixdim"][axis] = wrong
    assert place(both).remarks == (told.BROKEN_QFORM,)
    assert np.allclose(place(both).affine, TRUE)


@pytest.mark.parametrize("size", [(20, 24, 1), (20, 24)])
def test_a_single_slice_without_a_thickness(size: tuple[int, ...]) -> None:
    header = made(None, TRUE, size)
    header["pixdim"][3] = 0
    found = place(header, size)
    assert found.remarks == (told.NO_THICKNESS,)
    assert np.allclose(np.abs(found.affine.diagonal()), [1.25, 1.25, 1, 1])


@pytest.mark.parametrize(("qfac", "third"), [(1, 10), (0, 10), (-1, -10), (-3, -10)])
def test_qfac(qfac: float, third: float) -> None:
    header = made(None, TRUE)
    header["pixdim"][0] = qfac
    assert place(header).affine[2, 2] == pytest.approx(third)


@pytest.mark.parametrize("field", ["quatern_b", "qoffset_x"])
@pytest.mark.parametrize("wrong", [np.nan, np.inf, 7.0])
def test_a_qform_that_cannot_be_read(field: str, wrong: float) -> None:
    header = made(None, TRUE)
    header[field] = wrong
    if (field, wrong) == ("qoffset_x", 7.0):
        assert place(header).affine[0, 3] == 7
        return
    with pytest.raises(UnderstudyError, match="cannot be inverted"):
        place(header)


def test_axes_that_are_not_at_right_angles() -> None:
    slanted = TRUE.copy()
    slanted[0, 1] = 0.2
    found = place(made(slanted))
    assert SHEARED in found.remarks
    assert np.allclose(found.affine, slanted)

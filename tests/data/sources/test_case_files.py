"""One case from its files: what one side does not say is never agreement; planes; depths; files off by rounding."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.labels import LabelScheme
from understudy.data.formats.decoded import Header
from understudy.data.geometry import HALFWAY
from understudy.data.listing import Item
from understudy.data.options import FileOptions
from understudy.data.sources.case_files import (
    ASIDE,
    DRAWN_ON,
    NO_PLACE,
    TURNED_ALONE,
    case_headers,
    chosen_plane,
    depth_remarks,
    joint_size,
    joint_type,
    read_item,
)

RANDOM = np.random.default_rng(0)
VOLUME = RANDOM.integers(0, 200, (4, 6, 5)).astype(np.int16)
MASK = (VOLUME > 100).astype(np.uint8)
HOME = np.array([[-1.2, 0, 0, 100], [0, 1.0, 0, 50], [0, 0, 1.5, -30], [0, 0, 0, 1]])
SCHEME = LabelScheme(("background", "lesion"), (0, 1))


def saved(file: Path, array: np.ndarray, affine: np.ndarray | None, codes: int = 2) -> Path:
    image = nib.Nifti1Image(array, affine)
    image.header.set_sform(affine, codes), image.header.set_qform(affine, codes)
    image.to_filename(file)
    return file


def item(folder: Path, affine: np.ndarray | None, codes: int = 2, array: np.ndarray = MASK) -> Item:
    """An image at HOME, and its label map with another affine."""
    image, labels = saved(folder / "a.nii", VOLUME, HOME), saved(folder / "b.nii", array, affine, codes)
    return Item("a", "a", (image,), labels)


def read(one: Item, **more: Any) -> Any:
    case_headers(one, more.get("same_grid", False))
    return next(read_item(one, 1, "int16", SCHEME, **more))


def moved(axis: int, voxels: float) -> np.ndarray:
    affine = HOME.copy()
    affine[:3, 3] += voxels * HOME[:3, axis]
    return affine


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_label_map_may_lie_off_by_rounding_and_no_more(tmp_path: Path, axis: int) -> None:
    exact = read(item(tmp_path, HOME))
    assert exact.remarks == () and np.array_equal(exact.labels, (exact.image[0] > 100).astype(np.uint8))
    assert exact.stored_axes == "LAS"
    assert read(item(tmp_path, moved(axis, 0.01))).remarks == ()
    assert read(item(tmp_path, moved(axis, 0.3))).remarks == (ASIDE,)
    with pytest.raises(UnderstudyError, match=r"b.nii lies .* mm away .0.7 voxels"):
        read(item(tmp_path, moved(axis, 0.7)))


def test_a_label_map_in_another_order_of_axes_lies_on_its_image(tmp_path: Path) -> None:
    flipped = MASK[::-1].transpose(2, 0, 1)
    affine = HOME.copy()
    affine[:, 3] += affine[:, 0] * 3
    affine[:, 0] *= -1
    reading = read(item(tmp_path, affine[:, [2, 0, 1, 3]], array=np.ascontiguousarray(flipped)))
    assert np.array_equal(reading.labels, (reading.image[0] > 100).astype(np.uint8))


@pytest.mark.parametrize(("affine", "codes", "says"), [
    (np.diag([-1.0, -1, 1, 1]), 2, "has no geometry of its own .spacing 1, origin 0"),
    (None, 0, "has no geometry of its own .in NIfTI: sform and qform codes 0"),
])  # fmt: skip
def test_a_label_map_without_a_place_is_taken_only_when_asked(
    tmp_path: Path, affine: np.ndarray | None, codes: int, says: str
) -> None:
    one = item(tmp_path, affine, codes)
    with pytest.raises(UnderstudyError, match=says):
        read(one)
    reading = read(one, same_grid=True)
    assert np.array_equal(reading.labels, (reading.image[0] > 100).astype(np.uint8))
    assert np.array_equal(reading.affine, read(item(tmp_path, HOME)).affine)


def test_a_picture_beside_a_volume_that_says_where_it_lies_is_refused(tmp_path: Path) -> None:
    image = saved(tmp_path / "a.nii", VOLUME[:, :, :1], HOME)
    Image.fromarray(MASK[:, :, 0]).save(tmp_path / "b.png")
    for files in (Item("a", "a", (image,), tmp_path / "b.png"), Item("a", "a", (tmp_path / "b.png",), image)):
        with pytest.raises(UnderstudyError, match="b.png does not say how it is oriented .*PNG, TIFF.*NIfTI"):
            case_headers(files)


def test_two_files_that_do_not_say_where_they_lie_are_taken_with_a_word(tmp_path: Path) -> None:
    one = item(tmp_path, None, 0)
    saved(tmp_path / "a.nii", VOLUME, None, 0)
    reading = read(one)
    assert reading.remarks == (NO_PLACE,) and reading.affine is None and reading.stored_axes == ""
    assert np.array_equal(reading.labels, (reading.image[0] > 100).astype(np.uint8))


def test_sizes_are_compared_by_axes(tmp_path: Path) -> None:
    with pytest.raises(UnderstudyError, match=r"a.nii is 5 x 6 x 4 and its label map .*b.nii is 6 x 5 x 4: they must"):
        read(item(tmp_path, HOME, array=MASK.transpose(0, 2, 1)))


def test_channels_of_several_files_lie_in_one_place(tmp_path: Path) -> None:
    files = (saved(tmp_path / "a.nii", VOLUME, HOME), saved(tmp_path / "b.nii", VOLUME + 1, HOME))
    reading = next(read_item(Item("a", "a", files), 2, "int16", None))
    assert np.array_equal(reading.image[1], reading.image[0] + 1)
    saved(tmp_path / "b.nii", VOLUME, moved(2, 2))
    with pytest.raises(UnderstudyError, match="b.nii lies 3 mm away .2 voxels"):
        next(read_item(Item("a", "a", files), 2, "int16", None))


def head(*spacing: float, dtype: str = "int16") -> Header:
    return Header(1, (9, 8, 7), dtype, np.diag([*spacing, 1.0]))


def test_the_plane_of_slices_is_asked_for_or_told() -> None:
    sagittal, axial, cube = head(4, 1, 1), head(1, 1, 4), head(1, 1, 1)

    def plane(asked: str | None, *heads: Header, dims: int = 2) -> tuple[str, dict[str, int]]:
        return chosen_plane(FileOptions(plane=asked), heads, dims)  # type: ignore[arg-type]

    assert plane(None, axial, cube) == ("axial", {})
    chosen, told = plane(None, sagittal, sagittal, axial)
    assert chosen == "axial" and list(told.values()) == [2] and "scanned in sagittal slices" in next(iter(told))
    assert plane("coronal", sagittal) == ("coronal", {})
    assert plane("scanned", sagittal, sagittal) == ("sagittal", {})
    for heads in ((sagittal, axial), (cube,)):
        with pytest.raises(UnderstudyError, match="--plane scanned needs volumes"):
            plane("scanned", *heads)
    with pytest.raises(UsageError, match="--plane says how volumes are cut"):
        plane("axial", axial, dims=3)


def test_sizes_types_and_depths_of_files_together() -> None:
    heads = [head(1, 1, 1, dtype="uint8"), head(1, 1, 1, dtype="uint16"), head(1, 1, 1, dtype="uint16")]
    assert joint_size(heads) == (7, 8, 9) and joint_size(heads, "sagittal") == (9, 7, 8)
    assert joint_type(heads) == "uint16" and joint_type([*heads, head(1, 1, 1)]) == "float32"
    (said,) = depth_remarks(heads, "dtype")
    assert "uint16 beside uint8" in said and depth_remarks(heads, "dtype")[said] == 1
    mixed = [head(1, 1, 1, dtype=name) for name in ("float32", "int16")]  # volumes on one scale
    assert depth_remarks(mixed, "dtype") == {}
    (said,) = depth_remarks([Header(1, (7, 8), name) for name in ("float32", "uint8")], "dtype")
    assert "float32 beside uint8" in said
    assert depth_remarks(heads, "volume-max") == {} and depth_remarks(heads[1:], "dtype") == {}


def test_a_case_is_read_as_a_plane_asks(tmp_path: Path) -> None:
    find: Callable[[str], np.ndarray] = lambda plane: read(item(tmp_path, HOME), plane=plane).image[0]  # noqa: E731
    axial, sagittal = find("axial"), find("sagittal")
    assert axial.shape == (5, 6, 4) and sagittal.shape == (4, 5, 6)
    assert np.array_equal(sagittal, axial[::-1].transpose(2, 0, 1))


@pytest.mark.parametrize("direction", [[1, 0, 0, 0, 1, 0], [-1, 0, 0, 0, -1, 0], [0, 1, 0, 0, 0, -1]])
def test_a_picture_is_drawn_on_a_dicom_slice_as_viewers_show_it(
    tmp_path: Path, made: ModuleType, direction: list[float]
) -> None:
    shown = RANDOM.integers(0, 900, (6, 8)).astype(np.int16)
    image = made.file(tmp_path / "a.dcm", shown, ImageOrientationPatient=direction)
    Image.fromarray((shown > 400).astype(np.uint8)).save(tmp_path / "b.png")
    reading = read(Item("a", "a", (image,), tmp_path / "b.png"))
    assert DRAWN_ON in reading.remarks and reading.affine is not None
    assert np.array_equal(reading.labels, (reading.image[0] > 400).astype(np.uint8))
    Image.fromarray(np.zeros((8, 6), np.uint8)).save(tmp_path / "b.png")
    with pytest.raises(UnderstudyError, match="must have the same size"):
        read(Item("a", "a", (image,), tmp_path / "b.png"))


def test_a_volume_halfway_between_two_axes_is_told(tmp_path: Path) -> None:
    tilted = HOME.copy()
    tilted[:2, :2] = [[-0.7, 0.72], [0.72, 0.7]]
    image = saved(tmp_path / "a.nii", VOLUME, tilted)
    assert HALFWAY in next(read_item(Item("a", "a", (image,)), 1, "int16", None)).remarks
    assert HALFWAY not in read(item(tmp_path, HOME)).remarks


@pytest.mark.parametrize("both", [False, True])
def test_an_image_is_turned_and_its_label_map_is_not(tmp_path: Path, both: bool) -> None:
    exif = Image.Exif()
    exif[274] = 3
    picture = Image.fromarray(np.eye(16, 12, dtype=np.uint8))
    picture.save(tmp_path / "a.png", exif=exif)
    picture.save(tmp_path / "b.png", **({"exif": exif} if both else {}))
    one = Item("a", "a", (tmp_path / "a.png",), tmp_path / "b.png")
    assert (TURNED_ALONE in next(read_item(one, 1, "uint8", SCHEME)).remarks) is not both

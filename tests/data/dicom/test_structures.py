"""RTSTRUCT: plastimatch's round trip, areas of polygons in closed form, holes, seams, contours beside the slices."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from understudy.core.errors import UnderstudyError
from understudy.data.dicom import structures
from understudy.data.dicom.annotation import BEYOND, OVERLAPPED, SAME_NAME, UNNAMED
from understudy.data.dicom.grid import Grid
from understudy.data.geometry import LPS_TO_RAS

SIZE = (40, 36, 20)
TILTED = ((0.3, -0.2, 0.5), (0.8, 1.1, 2.5), (-40, 33, 12))
SQUARE = np.array([[-0.5, -0.5], [1.5, -0.5], [1.5, 1.5], [-0.5, 1.5]])  # four voxels at 0 and 1


@pytest.fixture
def grid(annotated: ModuleType) -> Grid:
    return annotated.grid_of(annotated.affine_of(*TILTED), SIZE)


def coordinates() -> np.ndarray:
    return np.stack(np.meshgrid(*(np.arange(n) for n in SIZE), indexing="ij"))


def ball(centre: tuple[float, ...], radius: float, squeeze: tuple[float, ...] = (1, 1, 2)) -> np.ndarray:
    apart = (coordinates() - np.array(centre)[:, None, None, None]) * np.array(squeeze)[:, None, None, None]
    return (apart**2).sum(0) <= radius**2


def within(border: int) -> np.ndarray:
    """Plastimatch closes no contour at the border of the images."""
    inner = [slice(border, n - border) for n in SIZE[:2]]
    mask = np.zeros(SIZE, bool)
    mask[inner[0], inner[1]] = True
    return mask


SHAPES: dict[str, Callable[[], np.ndarray]] = {
    "ball": lambda: ball((20, 18, 10), 14),
    "shell": lambda: ball((20, 18, 10), 14) & ~ball((21, 17, 10), 8),
    "two parts": lambda: ball((9, 9, 5), 7) | ball((30, 27, 14), 7),
    "sheet": lambda: (np.abs(coordinates()[0] + coordinates()[1] - 38) < 2) & within(3),
    "one slice": lambda: ball((20, 18, 10), 12) & (coordinates()[2] == 10),
    "nested": lambda: (ball((20, 18, 10), 15) & ~ball((20, 18, 10), 11)) | ball((20, 18, 10), 6),
}
GRIDS = {
    "one": ((0, 0, 0), (1, 1, 1), (0, 0, 0)),
    "thick": ((0, 0, 0), (0.7, 1.3, 5), (-100, 50, 700)),
    "oblique": TILTED,
}


def by_plastimatch(folder: Path, mask: np.ndarray, affine: np.ndarray) -> tuple[pydicom.Dataset, Grid]:
    """RTSTRUCT and grid of the series that plastimatch makes of a label map."""
    lps, spacing = LPS_TO_RAS @ affine, np.sqrt((affine[:3, :3] ** 2).sum(0))
    for name, values in (("image", mask * np.int16(100)), ("mask", mask.astype(np.uint8))):
        image = sitk.GetImageFromArray(values.transpose(2, 1, 0))
        image.SetSpacing(spacing.tolist())
        image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
        image.SetOrigin(lps[:3, 3].tolist())
        sitk.WriteImage(image, folder / f"{name}.nrrd")
    command = ["plastimatch", "convert", "--input", folder / "image.nrrd", "--input-ss-img", folder / "mask.nrrd"]
    subprocess.run([*command, "--output-dicom", folder / "out"], check=True, capture_output=True)
    files = [pydicom.dcmread(file) for file in sorted((folder / "out").iterdir())]
    images = sorted((file for file in files if file.Modality == "CT"), key=lambda file: file.InstanceNumber)
    first, last = (np.array(file.ImagePositionPatient) for file in (images[0], images[-1]))
    along, down = np.array(images[0].ImageOrientationPatient).reshape(2, 3)
    there = np.eye(4)
    there[:3, :3] = np.column_stack([along * spacing[0], down * spacing[1], (last - first) / (len(images) - 1)])
    there[:3, 3] = first
    instances = tuple((str(file.SOPInstanceUID), 1) for file in images)
    grid = Grid(LPS_TO_RAS @ there, SIZE, str(images[0].FrameOfReferenceUID), instances)
    return next(file for file in files if file.Modality == "RTSTRUCT"), grid


@pytest.mark.skipif(shutil.which("plastimatch") is None, reason="plastimatch is not installed")
@pytest.mark.parametrize("where", list(GRIDS))
@pytest.mark.parametrize("shape", list(SHAPES))
def test_plastimatch_comes_back(tmp_path: Path, annotated: ModuleType, shape: str, where: str) -> None:
    mask = SHAPES[shape]()
    file, grid = by_plastimatch(tmp_path, mask, annotated.affine_of(*GRIDS[where]))
    assert np.allclose(grid.affine, annotated.affine_of(*GRIDS[where]), atol=1e-3)
    found = structures.read(file, grid).array[0] == 1
    dice = 2 * (found & mask).sum() / (found.sum() + mask.sum())
    assert dice >= 0.999, dice


def area(points: np.ndarray) -> float:
    x, y = points.T
    return float(abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2)


@pytest.mark.parametrize("corners", [3, 4, 7, 100])
def test_the_area_of_a_polygon(corners: int) -> None:
    random = np.random.default_rng(corners)
    angles = np.sort(random.uniform(0, 2 * np.pi, corners))
    points = np.column_stack([np.cos(angles), np.sin(angles)]) * random.uniform(200, 400, (corners, 1)) + [401.3, 398.7]
    edge = float(np.linalg.norm(points - np.roll(points, 1, 0), axis=1).sum())
    assert abs(structures.inside([points], (801, 801)).sum() - area(points)) < 3 * np.sqrt(edge)


def test_against_winding_of_single_points() -> None:
    random = np.random.default_rng(1)
    for points in (random.uniform(-5, 25, (12, 2)) for _ in range(20)):  # edges cross each other and the border
        mask = structures.inside([points], (20, 20))
        for i, j in random.integers(0, 20, (40, 2)):
            (x0, y0), (x1, y1) = points.T, np.roll(points, -1, 0).T
            spans = (y0 <= j) != (y1 <= j)
            at = x0[spans] + (j - y0[spans]) / (y1[spans] - y0[spans]) * (x1[spans] - x0[spans])
            assert mask[i, j] == bool((at <= i).sum() % 2)


def test_areas_that_meet_share_no_voxel() -> None:
    random = np.random.default_rng(2)
    middle = random.integers(4, 16, (9, 2)).astype(float)  # corners on voxel centres
    middle = middle[np.argsort(middle[:, 1])]
    left = np.vstack([[[0, 0]], middle * [1, 0] + [[0, 0]] * 9, middle[::-1]])
    line = np.vstack([[[10, 0]], middle, [[10, 20]]])
    left = structures.inside([np.vstack([[[0, 0]], line, [[0, 20]]])], (21, 21))
    right = structures.inside([np.vstack([line[::-1], [[20, 0], [20, 20]]])], (21, 21))
    whole = structures.inside([np.array([[0, 0], [20, 0], [20, 20], [0, 20.0]])], (21, 21))
    assert whole.sum() == 400
    assert np.array_equal(left ^ right, whole) and not (left & right & ~whole).any()


def ring(centre: float, half: float) -> np.ndarray:
    return np.array([[-half, -half], [half, -half], [half, half], [-half, half]]) + centre


def test_holes_by_two_contours_and_by_a_keyhole(annotated: ModuleType, grid: Grid) -> None:
    outer, inner = ring(10, 6.5), ring(10, 2.5)
    keyhole = np.vstack([outer, outer[:1], inner[::-1], inner[-1:], outer[:1]])
    expected = np.zeros(SIZE, bool)
    expected[4:17, 4:17, 3] = True
    expected[8:13, 8:13, 3] = False
    two = annotated.structures({"a": [annotated.outline(grid, points, 3) for points in (outer, inner)]})
    one = annotated.structures({"a": [annotated.outline(grid, keyhole, 3)]})
    for file in (two, one):
        found = structures.read(file, grid)
        assert np.array_equal(found.array[0] == 1, expected) and not found.remarks and found.names == {1: "a"}


def test_a_contour_that_stands_twice_does_not_cancel_itself(annotated: ModuleType, grid: Grid) -> None:
    file = annotated.structures({"a": [annotated.outline(grid, SQUARE, 3)] * 2})
    found = structures.read(file, grid)
    assert found.array.sum() == 4 and found.remarks == (structures.TWICE,)


def test_a_file_on_disk_is_read_alike(tmp_path: Path, annotated: ModuleType, grid: Grid) -> None:
    made = annotated.structures({"a": [annotated.outline(grid, SQUARE + 0.2, 3)], "b": []})
    made.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    found = structures.read(pydicom.dcmread(tmp_path / "a.dcm"), grid)
    assert np.array_equal(found.array, structures.read(made, grid).array) and found.array.sum() == 4
    assert found.remarks == (structures.NO_CONTOURS,)


@pytest.mark.parametrize(("levels", "filled", "said"), [
    ([2, 3, 4], [2, 3, 4], ()),
    ([2.08, 3.08], [2, 3], (structures.A_LITTLE_OFF,)),
    ([2, 3, 5], [2, 3, 5], (structures.GAPS,)),
    ([2.5, 3.5], [2, 3, 4], (structures.NEAREST,)),  # a slice halfway between takes one of the two
    ([0.3, 5.3, 10.3], list(range(13)), (structures.NEAREST,)),
    ([2, 2.4, 2.8, 3.2], [2, 3], (structures.NEAREST,)),
    ([-3, 1, 40], [1], (structures.GAPS, BEYOND)),
])  # fmt: skip
def test_levels(
    annotated: ModuleType, grid: Grid, levels: list[float], filled: list[int], said: tuple[str, ...]
) -> None:
    file = annotated.structures({"a": [annotated.outline(grid, SQUARE + 5, level) for level in levels]})
    found = structures.read(file, grid)
    assert np.flatnonzero(found.array.any((0, 1, 2))).tolist() == filled
    assert found.remarks == said and set(found.array.sum((0, 1, 2)).tolist()) <= {0, 4}


def test_what_encloses_nothing_is_left_out(annotated: ModuleType, grid: Grid) -> None:
    made = [
        annotated.outline(grid, SQUARE, 3),
        annotated.outline(grid, SQUARE[:1], 4, kind="POINT"),
        annotated.outline(grid, SQUARE, 5, kind="OPEN_PLANAR"),
        annotated.outline(grid, SQUARE, 5, kind="OPEN_NONPLANAR"),
        annotated.outline(grid, SQUARE[:2], 6),
    ]
    found = structures.read(annotated.structures({"a": made}), grid)
    assert found.array.sum() == 4 and found.remarks == (structures.OPEN,)


def test_contours_across_the_slices_are_refused(annotated: ModuleType, grid: Grid) -> None:
    points = (np.column_stack([SQUARE[:, :1], SQUARE, np.ones(4)]) @ grid.affine.T)[:, :3]
    with pytest.raises(UnderstudyError, match="not parallel to the slices"):
        structures.read(annotated.structures({"a": [annotated.contour(points)]}), grid)


def test_other_frames_of_reference_are_refused(annotated: ModuleType, grid: Grid) -> None:
    made = [annotated.outline(grid, SQUARE, 3)]
    with pytest.raises(UnderstudyError, match="another frame of reference"):
        structures.read(annotated.structures({"a": made}, frame="1.5"), grid)
    silent = annotated.structures({"a": made}, frame="")
    with pytest.raises(UnderstudyError, match="names none of the images"):
        structures.read(silent, grid)
    image = pydicom.Dataset()
    image.ReferencedSOPInstanceUID = "1.2.3.4"
    silent.ROIContourSequence[0].ContourSequence[0].ContourImageSequence = [image]
    assert structures.read(silent, grid).array.sum() == 4


def test_elsewhere_is_refused(annotated: ModuleType, grid: Grid) -> None:
    for points, level in ((SQUARE + 100, 3), (SQUARE, 50), (SQUARE - 20, 3)):
        with pytest.raises(UnderstudyError, match="none of them lies within the images"):
            structures.read(annotated.structures({"a": [annotated.outline(grid, points, level)]}), grid)


def test_classes_and_overlaps(annotated: ModuleType, grid: Grid) -> None:
    rois = {
        annotated.SECRET: [annotated.outline(grid, ring(18, 15), 3)],
        "GTV_1": [annotated.outline(grid, ring(10, 3.5), 3)],
        "gtv 1": [annotated.outline(grid, ring(12, 3.5), 3)],
        "Liver": [annotated.outline(grid, ring(16, 6.5), 3)],
    }
    file = annotated.structures(rois)
    with pytest.raises(UnderstudyError, match="overlap"):
        structures.read(file, grid)
    with pytest.raises(UnderstudyError, match="overlap"):
        structures.read(file, grid, {"gtv 1": 2, "liver": 1})
    first, last = (structures.read(file, grid, {"gtv 1": 2, "liver": 1}, overlap=which) for which in ("first", "last"))
    tumour = structures.read(file, grid, {"gtv 1": 2})
    assert set(tumour.remarks) == {UNNAMED, SAME_NAME} and tumour.names == {2: "GTV_1"}
    assert np.array_equal(last.array == 2, tumour.array == 2) and (first.array == 1).sum() == 13 * 13
    assert OVERLAPPED in first.remarks


def test_many_crossings_are_taken_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    points = np.random.default_rng(3).uniform(0, 60, (300, 2))
    whole = structures.inside([points], (60, 60))
    monkeypatch.setattr(structures, "CROSSINGS", 7)
    assert np.array_equal(structures.inside([points], (60, 60)), whole)

"""SEG made by highdicom comes back exactly; on other grids it is resampled as SimpleITK does, or refused."""

import itertools
from io import BytesIO
from types import ModuleType

import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless, JPEGLSLossless, RLELossless

from understudy.core.errors import UnderstudyError
from understudy.data.dicom import segmentation
from understudy.data.dicom.annotation import BEYOND, OVERLAPPED, SAME_NAME, UNNAMED
from understudy.data.dicom.grid import Grid
from understudy.data.resampling import onto_grid

SIZE = (12, 11, 7)  # 12 x 11 bits are no whole number of bytes
TILTED = ((0.3, -0.2, 0.5), (0.8, 1.1, 2.5), (-40, 33, 12))


def drawn(size: tuple[int, ...] = SIZE, classes: int = 3) -> np.ndarray:
    """Labels 0..classes, with empty slices at both ends and one in the middle."""
    labels = np.random.default_rng(0).integers(0, classes + 1, size).astype(np.uint8)
    labels[..., [0, 3, size[2] - 1]] = 0
    return labels


@pytest.fixture
def grid(annotated: ModuleType) -> Grid:
    return annotated.grid_of(annotated.affine_of(*TILTED), SIZE)


@pytest.mark.parametrize("omit", [True, False])
@pytest.mark.parametrize(("kind", "syntax"), [
    ("BINARY", ExplicitVRLittleEndian), ("FRACTIONAL", ExplicitVRLittleEndian), ("LABELMAP", ExplicitVRLittleEndian),
    ("FRACTIONAL", RLELossless), ("LABELMAP", RLELossless), ("FRACTIONAL", JPEGLSLossless),
    ("LABELMAP", JPEGLSLossless),
])  # fmt: skip
def test_every_kind_comes_back_exactly(annotated: ModuleType, grid: Grid, kind: str, syntax: str, omit: bool) -> None:
    labels = drawn()
    file = annotated.seg(
        annotated.series(grid), annotated.slices(labels), kind, transfer_syntax_uid=syntax, omit_empty_frames=omit
    )
    found = segmentation.read(file, grid)
    assert np.array_equal(found.array, labels[None]) and found.array.dtype == np.uint8
    assert found.names == {1: "part 1", 2: "part 2", 3: "part 3"}
    assert found.remarks == ((segmentation.FRACTIONAL,) if kind == "FRACTIONAL" else ())


def test_jpeg_2000(annotated: ModuleType) -> None:
    labels = drawn((34, 33, 5))
    grid = annotated.grid_of(annotated.affine_of(*TILTED), labels.shape)
    file = annotated.seg(annotated.series(grid), annotated.slices(labels), "LABELMAP")
    streams = []
    for frame in file.pixel_array:
        stream = BytesIO()
        Image.fromarray(frame).save(stream, "JPEG2000", irreversible=False, no_jp2=True)
        streams.append(stream.getvalue())
    file.PixelData, file.file_meta.TransferSyntaxUID = encapsulate(streams), JPEG2000Lossless
    assert np.array_equal(segmentation.read(file, grid).array[0], labels)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("flips", list(itertools.product((1, -1), repeat=3)))
@pytest.mark.parametrize("kind", ["BINARY", "LABELMAP"])
def test_all_48_orientations(annotated: ModuleType, order: tuple[int, ...], flips: tuple[int, ...], kind: str) -> None:
    labels, home = drawn(), annotated.affine_of(*TILTED)
    moved, affine = labels.transpose(order), home[:, [*order, 3]].copy()
    for axis in range(3):
        if flips[axis] < 0:
            moved = np.flip(moved, axis)
            affine[:, 3] += affine[:, axis] * (moved.shape[axis] - 1)
            affine[:, axis] *= -1
    own, grid = annotated.grid_of(affine, moved.shape), annotated.grid_of(home, SIZE)
    file = annotated.seg(annotated.series(own), annotated.slices(moved), kind)
    found = segmentation.read(file, grid)
    assert np.array_equal(found.array[0], labels)


def shuffled(file: Dataset, order: np.ndarray) -> Dataset:
    """Put the frames of an 8-bit SEG in another order."""
    pixels = file.pixel_array
    file.PixelData = pixels[order].tobytes()
    file.PerFrameFunctionalGroupsSequence = [file.PerFrameFunctionalGroupsSequence[n] for n in order]
    return file


def test_the_order_of_frames_is_no_matter(annotated: ModuleType, grid: Grid) -> None:
    labels = drawn()
    file = annotated.seg(annotated.series(grid), annotated.slices(labels), "FRACTIONAL")
    order = np.random.default_rng(1).permutation(int(file.NumberOfFrames))
    assert np.array_equal(segmentation.read(shuffled(file, order), grid).array[0], labels)


def test_a_half_counts(annotated: ModuleType, grid: Grid) -> None:
    share = np.linspace(0, 1, np.prod(SIZE)).reshape(SIZE).astype(np.float32)
    for top in (255, 100, 1):
        file = annotated.seg(
            annotated.series(grid), annotated.slices(share[..., None]), "FRACTIONAL", max_fractional_value=top
        )
        found = segmentation.read(file, grid)
        assert np.array_equal(found.array[0], 2 * np.rint(share * top) >= top)


def test_classes_are_chosen_by_name(annotated: ModuleType, grid: Grid) -> None:
    labels = drawn()
    file = annotated.seg(
        annotated.series(grid), annotated.slices(labels), labels={1: "Liver ", 2: "liver", 3: annotated.SECRET}
    )
    found = segmentation.read(file, grid, {"liver": 5})
    assert np.array_equal(found.array[0], np.where((labels == 1) | (labels == 2), 5, 0))
    assert set(found.remarks) == {UNNAMED, SAME_NAME} and found.names == {5: "Liver "}


@pytest.mark.parametrize(("overlap", "kept"), [("first", 1), ("last", 2)])
@pytest.mark.parametrize("kind", ["BINARY", "FRACTIONAL"])
def test_overlaps(annotated: ModuleType, grid: Grid, overlap: str, kept: int, kind: str) -> None:
    masks = np.zeros((*SIZE, 2), np.uint8)
    masks[2:9, 3:8, 1:4, 0] = 1
    masks[5:12, 3:8, 1:4, 1] = 1
    file = annotated.seg(annotated.series(grid), annotated.slices(masks), kind)
    with pytest.raises(UnderstudyError, match="overlap .* 20 voxels .* --overlap first"):
        segmentation.read(file, grid)
    expected = np.where(masks.all(3), kept, masks[..., 0] + 2 * masks[..., 1])
    if kind == "FRACTIONAL":
        file = shuffled(file, np.arange(int(file.NumberOfFrames))[::-1])
    found = segmentation.read(file, grid, overlap=overlap)
    assert np.array_equal(found.array[0], expected) and OVERLAPPED in found.remarks
    one = segmentation.read(file, grid, {"part 1": 1, "part 2": 1})
    assert np.array_equal(one.array[0], masks.any(3)) and OVERLAPPED not in one.remarks


def test_a_part_of_the_images_and_beyond(annotated: ModuleType, grid: Grid) -> None:
    labels = drawn((6, 5, 5), 2)
    shifted = grid.affine.copy()
    shifted[:, 3] += grid.affine[:, :3] @ [9, 3, -1]
    own = annotated.grid_of(shifted, (6, 5, 5))
    file = annotated.seg(annotated.series(grid), annotated.slices(labels), **annotated.spatial(own))
    found = segmentation.read(file, grid)
    expected = np.zeros(SIZE, np.uint8)
    expected[9:, 3:8, :4] = labels[:3, :, 1:]
    assert np.array_equal(found.array[0], expected) and found.remarks == (BEYOND,)


@pytest.mark.parametrize(("aside", "said"), [(0.02, ()), (0.3, (segmentation.A_LITTLE_OFF,))])
def test_a_little_aside_is_rounding(annotated: ModuleType, grid: Grid, aside: float, said: tuple[str, ...]) -> None:
    moved = grid.affine.copy()
    moved[:, 3] += grid.affine[:, :3] @ [aside, -aside, aside]
    labels = drawn()
    own = annotated.grid_of(moved, SIZE)
    found = segmentation.read(
        annotated.seg(annotated.series(grid), annotated.slices(labels), **annotated.spatial(own)), grid
    )
    assert np.array_equal(found.array[0], labels) and found.remarks == said


@pytest.mark.parametrize("own", [
    ((0.3, -0.2, 0.5), (0.4, 0.55, 1.25), (-41, 33, 12)),  # finer, not by whole steps
    ((0.0, 0.0, 0.0), (1.7, 1.3, 2.1), (-46, 28, 4)),  # of another orientation
    ((0.3, -0.2, 0.5), (0.8, 1.1, 1.0), (-40, 33, 12)),  # finer slices, of which some lie on the images'
    ((0.3, -0.2, 0.5), (0.8, 1.1, 7.5), (-40, 33, 12)),  # thicker slices, all of which lie on the images'
])  # fmt: skip
def test_other_grids_are_resampled(annotated: ModuleType, grid: Grid, own: tuple[tuple[float, ...], ...]) -> None:
    size = (24, 20, 15)
    theirs = annotated.grid_of(annotated.affine_of(*own), size)
    labels = np.zeros(size, np.uint8)
    labels[3:20, 4:16, 2:14] = 1
    labels[8:20, 8:12, 5:9] = 2
    labels[..., 6] = 0  # a slice without frames
    file = annotated.seg(annotated.series(grid), annotated.slices(labels), **annotated.spatial(theirs))
    found = segmentation.read(file, grid)
    assert segmentation.RESAMPLED in found.remarks and found.array.any()
    assert np.array_equal(found.array, onto_grid(labels[None], theirs.affine, grid, order=0))


def test_a_spacing_that_cannot_be_is_no_matter(annotated: ModuleType, grid: Grid) -> None:
    labels = drawn()
    file = annotated.seg(annotated.series(grid), annotated.slices(labels))
    measures = file.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    for said in (7.5, 0.7, 0):
        measures.SpacingBetweenSlices = said
        found = segmentation.read(file, grid)
        assert np.array_equal(found.array[0], labels) and not found.remarks


def test_elsewhere_is_refused(annotated: ModuleType, grid: Grid) -> None:
    labels = drawn()
    away = grid.affine.copy()
    away[:, 3] += grid.affine[:, :3] @ [40, 0, 0]
    for moved in (away, away @ np.diag([1.3, 1.3, 1.3, 1])):
        own = annotated.grid_of(moved, SIZE)
        file = annotated.seg(annotated.series(grid), annotated.slices(labels), **annotated.spatial(own))
        with pytest.raises(UnderstudyError, match="none of them lies within the images"):
            segmentation.read(file, grid)
    file = annotated.seg(annotated.series(grid), annotated.slices(labels))
    file.FrameOfReferenceUID = "1.9.9"
    with pytest.raises(UnderstudyError, match="another frame of reference"):
        segmentation.read(file, grid)


def without_places(file: Dataset) -> Dataset:
    """Take plane positions, orientations and the frame of reference away."""
    for item in [*file.PerFrameFunctionalGroupsSequence, *file.SharedFunctionalGroupsSequence]:
        for keyword in ("PlanePositionSequence", "PlaneOrientationSequence", "PixelMeasuresSequence"):
            if keyword in item:
                delattr(item, keyword)
    del file.FrameOfReferenceUID
    return file


def test_by_reference_where_places_are_not_said(annotated: ModuleType, grid: Grid) -> None:
    labels = drawn()
    file = without_places(annotated.seg(annotated.series(grid), annotated.slices(labels)))
    found = segmentation.read(file, grid)
    assert np.array_equal(found.array[0], labels) and found.remarks == (segmentation.BY_REFERENCE,)
    other = Grid(grid.affine, grid.size, grid.frame_of_reference, tuple((f"1.7.{k}", 1) for k in range(SIZE[2])))
    with pytest.raises(UnderstudyError, match="names none of the images"):
        segmentation.read(file, other)
    multi = Grid(grid.affine, grid.size, grid.frame_of_reference, tuple(("1.2.3.1", k + 1) for k in range(SIZE[2])))
    with pytest.raises(UnderstudyError, match="does not refer to one image"):
        segmentation.read(file, multi)


def test_references_to_other_slices_are_told(annotated: ModuleType, grid: Grid) -> None:
    labels = drawn()
    file = annotated.seg(annotated.series(grid), annotated.slices(labels))
    turned = Grid(grid.affine, grid.size, grid.frame_of_reference, grid.instances[::-1])
    found = segmentation.read(file, turned)
    assert np.array_equal(found.array[0], labels) and found.remarks == (segmentation.CONTRADICTION,)


def test_many_segments(annotated: ModuleType, grid: Grid) -> None:
    labels = np.arange(np.prod(SIZE), dtype=np.uint16).reshape(SIZE) % 301
    file = annotated.seg(annotated.series(grid), annotated.slices(labels), "LABELMAP")
    found = segmentation.read(file, grid)
    assert found.array.dtype == np.uint16 and np.array_equal(found.array[0], labels)

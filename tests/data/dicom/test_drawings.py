"""Drawings: which SEG belongs to which series, several on one, and overlaps between files."""

from collections import Counter
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from understudy.core.errors import UnderstudyError
from understudy.data.dicom.annotation import OVERLAPPED
from understudy.data.dicom.drawings import Drawings
from understudy.data.dicom.instance import read
from understudy.data.dicom.series import Volume, volumes
from understudy.data.options import FileOptions


def drawn_on(
    folder: Path, made: ModuleType, annotated: ModuleType, overlap: bool
) -> tuple[Volume, Drawings, Counter[str]]:
    """A series with two SEG, of a liver and a tumour, that overlap or not."""
    grid = annotated.grid_of(annotated.affine_of(spacing=(1.5, 2, 3)), (8, 6, 4))
    images = annotated.series(grid)
    for k, image in enumerate(images):
        image.PixelData, image["PixelData"].VR = np.zeros((6, 8), np.uint16).tobytes(), "OW"
        made.save(folder / f"{k}.dcm", image)
    found = []
    for n, (label, rows) in enumerate((("liver", slice(0, 3)), ("tumour", slice(2 if overlap else 3, 5)))):
        pixels = np.zeros((4, 6, 8), np.uint8)
        pixels[1, rows] = 1
        seg = annotated.seg(images, pixels, labels={1: label})
        seg.SOPInstanceUID = made.uid("seg", n)
        seg.save_as(folder / f"seg{n}")
        found.append(read(folder / f"seg{n}", f"seg {n}"))
    (volume,), _ = volumes([read(file, "it") for file in sorted(folder.glob("*.dcm"))])
    passed: Counter[str] = Counter()
    return volume, Drawings.of(found, "seg", passed), passed


def test_two_files_on_one_series(tmp_path: Path, made: ModuleType, annotated: ModuleType) -> None:
    volume, drawings, passed = drawn_on(tmp_path, made, annotated, overlap=False)
    scheme = drawings.scheme(FileOptions(label_scheme="0=background,1=Liver,2=Tumour"), [volume])
    assert scheme is not None and len(drawings.on(volume)) == 2 and not passed
    array, _ = drawings.drawn(volume, "refuse")
    assert array[0, 0, :, 1].tolist() == [1, 1, 1, 2, 2, 0] and int((array != 0).sum()) == 40


def test_overlaps_between_files(tmp_path: Path, made: ModuleType, annotated: ModuleType) -> None:
    volume, drawings, _ = drawn_on(tmp_path, made, annotated, overlap=True)
    drawings.scheme(FileOptions(), [volume])
    with pytest.raises(UnderstudyError, match="seg 1 overlaps another file"):
        drawings.drawn(volume, "refuse")
    for overlap, expected in (("first", [1, 1, 1, 2, 2, 0]), ("last", [1, 1, 2, 2, 2, 0])):
        array, said = drawings.drawn(volume, overlap)  # type: ignore[arg-type]
        assert array[0, 0, :, 1].tolist() == expected and OVERLAPPED in said


def test_others_are_counted(tmp_path: Path, made: ModuleType, annotated: ModuleType) -> None:
    volume, _, _ = drawn_on(tmp_path, made, annotated, overlap=False)
    passed: Counter[str] = Counter()
    none = Drawings.of([read(tmp_path / "seg0", "it")], "rtstruct", passed)
    assert passed == {"segmentations (--labels takes them)": 1} and none.on(volume) == []
    assert Drawings.of([], None, passed).scheme(FileOptions(), []) is None


def test_by_frame_of_reference_where_nothing_else_fits(tmp_path: Path, made: ModuleType, annotated: ModuleType) -> None:
    volume, drawings, _ = drawn_on(tmp_path, made, annotated, overlap=False)
    drawings.by_uid.clear()
    assert len(drawings.on(volume)) == 2
    drawings.by_space.clear()
    assert drawings.on(volume) == []

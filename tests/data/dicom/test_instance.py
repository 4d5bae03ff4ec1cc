"""Instance: facts of one file, and headers that cannot be right."""

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from understudy.core.errors import UnderstudyError
from understudy.data.dicom.instance import AT_DETECTOR, BURNT, FACE, NOT_SQUARE, PADDED, WORLD, read


def test_a_slice(tmp_path: Path, made: ModuleType) -> None:
    one = read(made.file(tmp_path / "a", RescaleSlope=2, RescaleIntercept=-5, EchoTime=90), "it")
    assert one.pixels is not None and (one.pixels.rows, one.pixels.columns, one.pixels.signed) == (6, 8, True)
    (frame,) = one.frames
    assert frame.placed and frame.position == (0, 0, 0) and frame.spacing == (2, 1.5) and frame.step == 3
    assert frame.scale == (2, -5) and one.subject == ("P1", "") and one.modality == "CT" and one.about == "CT head"
    assert "90" in str(frame.marks)


@pytest.mark.parametrize("missing", ["ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"])
def test_without_a_place(tmp_path: Path, made: ModuleType, missing: str) -> None:
    one = read(made.file(tmp_path / "a", **{missing: None}), "it")
    assert not one.frames[0].placed


def test_frames_are_numbered_and_placed(tmp_path: Path, made: ModuleType) -> None:
    one = read(made.save(tmp_path / "a", made.enhanced(np.zeros((6, 6, 8), np.int16), stacks=2)), "it")
    assert [frame.number for frame in one.frames] == [1, 2, 3, 4, 5, 6]
    assert [frame.position for frame in one.frames][:3] == [(0, 0, 0), (0, 0, 3), (0, 0, 6)]
    assert one.frames[4].scale == (2, 1) and one.frames[4].marks[0] == 2
    plain = read(made.file(tmp_path / "b", np.zeros((4, 6, 8), np.uint8), NumberOfFrames=4), "it")
    assert [frame.number for frame in plain.frames] == [1, 2, 3, 4] and not plain.frames[0].placed


def test_what_a_user_should_know(tmp_path: Path, made: ModuleType) -> None:
    one = read(made.file(
        tmp_path / "a", BurnedInAnnotation="YES", RecognizableVisualFeatures="YES", PixelPaddingValue=-5,
        RealWorldValueMappingSequence=[]), "it")  # fmt: skip
    assert one.flags == (BURNT, FACE, PADDED, WORLD)
    assert read(made.file(tmp_path / "b", BurnedInAnnotation="NO"), "it").flags == ()


def test_a_picture_of_a_detector_of_no_size(tmp_path: Path, made: ModuleType) -> None:
    own = {"ImagePositionPatient": None, "PixelSpacing": None, "ImagerPixelSpacing": [0, 0]}
    assert read(made.file(tmp_path / "a", **own), "it").frames[0].spacing is None
    assert read(made.file(tmp_path / "b", **{**own, "ImagerPixelSpacing": [2, 3]}), "it").frames[0].spacing == (2, 3)


@pytest.mark.parametrize(("elements", "says"), [
    ({"Rows": 7}, "112 bytes of pixels should follow, and 96 do"),
    ({"Rows": 60000, "Columns": 60000}, "at most 536,870,912 values"),
    ({"PhotometricInterpretation": "CMYK"}, "photometric interpretation that is not read"),
    ({"BitsStored": 17}, "17 bits stored of 16"),
    ({"ImageOrientationPatient": [1, 0, 0, 0.1, 0.99, 0]}, "not at right angles"),
    ({"PixelSpacing": [0, 1]}, "0 mm apart"),
])  # fmt: skip
def test_refused(tmp_path: Path, made: ModuleType, elements: dict[str, Any], says: str) -> None:
    with pytest.raises(UnderstudyError, match=says):
        read(made.file(tmp_path / "a", **elements), "it")


def test_a_spacing_at_the_detector_and_pixels_that_are_not_square_are_told(tmp_path: Path, made: ModuleType) -> None:
    own = {"ImagePositionPatient": None, "PixelSpacing": None}
    shot = read(made.file(tmp_path / "a", **own, ImagerPixelSpacing=[0.2, 0.2]), "it")
    assert shot.flags == (AT_DETECTOR,) and shot.frames[0].spacing == (0.2, 0.2)
    assert read(made.file(tmp_path / "b", ImagerPixelSpacing=[0.2, 0.2]), "it").flags == ()
    assert read(made.file(tmp_path / "c", **own, PixelAspectRatio=[2, 1]), "it").flags == (NOT_SQUARE,)
    assert read(made.file(tmp_path / "d", **own, PixelAspectRatio=[1, 1]), "it").flags == ()

"""DICOM as one of the formats of a folder: pictures, volumes, label maps, and what is no picture."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError
from understudy.data import formats


def test_a_picture_and_a_volume(tmp_path: Path, made: ModuleType) -> None:
    picture = np.random.default_rng(0).integers(0, 255, (6, 8)).astype(np.uint8)
    file = made.file(tmp_path / "a.DCM", picture, ImagePositionPatient=None)
    head, found = formats.header(file), formats.image(file)
    assert (head.stored, head.dtype, head.affine) == ((6, 8), "uint8", None)
    assert np.array_equal(found.array[0], picture) and found.spacing_mm == (2, 1.5)
    voxels = np.random.default_rng(0).integers(0, 99, (4, 6, 8)).astype(np.int16)
    volume = made.save(tmp_path / "b.ima", made.enhanced(voxels, RescaleSlope=None))
    assert formats.header(volume).size == formats.image(volume).array.shape[1:] == (4, 6, 8)


def test_label_maps(tmp_path: Path, made: ModuleType) -> None:
    drawn = np.random.default_rng(0).integers(0, 3, (6, 8)).astype(np.uint8)
    own = {"ImagePositionPatient": None, "PhotometricInterpretation": "MONOCHROME1"}
    assert np.array_equal(formats.labels(made.file(tmp_path / "a.dcm", drawn, **own)).array, drawn)
    colour = made.file(tmp_path / "b.dcm", np.zeros((6, 8, 3), np.uint8))
    with pytest.raises(UnderstudyError, match="is in colour, and a label map has one channel"):
        formats.labels(colour)


def test_a_folder_of_xrays_with_png_masks(tmp_path: Path, made: ModuleType, bring: Callable[..., Cohort]) -> None:
    for n in range(6):
        picture = np.random.default_rng(n).integers(0, 4096, (6, 8)).astype(np.uint16)
        made.file(tmp_path / "in" / "images" / f"{n}.dcm", picture, ImagePositionPatient=None)
        (tmp_path / "in" / "masks").mkdir(exist_ok=True)
        Image.fromarray((picture > 2000).astype(np.uint8)).save(tmp_path / "in" / "masks" / f"{n}.png")
    cohort = bring(tmp_path / "in", images="images", labels="masks", one_image_per_subject=True)
    assert len(cohort) == 6 and cohort.images is not None and cohort.labels is not None
    assert np.array_equal(np.asarray(cohort.images[0][0]) > 2000, np.asarray(cohort.labels[0]) == 1)


def test_what_is_no_picture(tmp_path: Path, made: ModuleType) -> None:
    (tmp_path / "a.dcm").write_text("hello")
    made.file(tmp_path / "b.dcm", SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11", PixelData=None)
    made.save(tmp_path / "c.dcm", made.enhanced(np.zeros((4, 6, 8), np.int16), stacks=2))
    made.file(tmp_path / "d.dcm", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    for name, says in {
        "a": "does not begin as DICOM",
        "b": "one of structured reports",
        "c": "2 volumes",
        "d": "planes",
    }.items():
        with pytest.raises(UnderstudyError, match=says):
            formats.image(tmp_path / f"{name}.dcm")

"""dcm2niix as the judge, over a few of pydicom's own files; benchmarks/dicom_judge.py has the whole table."""

import importlib.util
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pydicom
import pytest

FILES = Path(pydicom.__file__).parent / "data" / "test_files"
EQUAL = [
    "693_J2KI.dcm", "CT_small.dcm", "ExplVR_BigEnd.dcm", "GDCMJ2K_TextGBR.dcm", "JPEG2000.dcm", "MR_small.dcm",
    "MR_small_RLE.dcm", "MR_small_bigendian.dcm", "MR_small_implicit.dcm", "MR_small_jp2klossless.dcm",
    "SC_rgb_jpeg_gdcm.dcm", "SC_rgb_rle.dcm", "SC_rgb_jpeg_dcmd.dcm", "examples_overlay.dcm",
]  # fmt: skip
SERIES = {"98892001/CT5N": "equal", "98892003/MR1": "equal", "77654033/CT2": "ours refuses", "77654033/CR1": "differs"}

pytestmark = pytest.mark.skipif(shutil.which("dcm2niix") is None, reason="dcm2niix is the judge")


@pytest.fixture
def judge(script: Callable[[str], ModuleType]) -> ModuleType:
    """The script."""
    return script("dicom_judge")


@pytest.fixture(scope="module")
def made() -> ModuleType:
    """The maker of DICOM files, tests/data/dicom/made.py."""
    spec = importlib.util.spec_from_file_location("made", Path(__file__).parents[1] / "data" / "dicom" / "made.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", EQUAL)
def test_files_are_read_alike(judge: ModuleType, name: str) -> None:
    assert judge.verdict([FILES / name], "")[0] == "equal"


@pytest.mark.parametrize(("name", "expected"), SERIES.items())
def test_series(judge: ModuleType, name: str, expected: str) -> None:
    rows = [judge.verdict(files, refused) for _, files, refused in judge.groups(FILES / "dicomdirtests" / name)]
    assert {row[0] for row in rows} == {expected}


def test_a_sorted_series_in_any_direction(judge: ModuleType, made: ModuleType, tmp_path: Path) -> None:
    row, column = np.array([0, 0.8, -0.6]), np.array([1, 0, 0])
    made.series(tmp_path, 9, (2.5 * np.cross(row, column)).tolist(), ImageOrientationPatient=[*row, *column])
    assert judge.verdict(sorted(tmp_path.iterdir()), "") == ("equal", "")


def test_a_difference_is_seen(judge: ModuleType, made: ModuleType, tmp_path: Path) -> None:
    made.series(tmp_path)
    (mine,), _ = judge.ours(sorted(tmp_path.iterdir()))
    (other,) = judge.theirs(sorted(tmp_path.iterdir()))
    assert judge.compare(mine, other) == ""
    mine.array[0, 0, 0, 0] += 1
    assert "voxels by up to 1" in judge.compare(mine, other)
    mine.array[0, 0, 0, 0] -= 1
    mine.affine[0, 3] += 0.01
    assert "affine by 0.01 mm" in judge.compare(mine, other)

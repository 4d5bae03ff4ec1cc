"""A dry run reads everything, writes nothing, and says what the files hold: counted here by hand."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from understudy.data.preview import preview
from understudy.data.sources import SOURCES

SaveNifti = Callable[..., Path]


@pytest.fixture
def volumes(tmp_path: Path, save_nifti: SaveNifti) -> Path:
    """Six CT-like volumes, one of another shape, spacing and order of axes; label values 0 and 7."""
    for number in range(6):
        image = np.full((8, 5, 6), -1000, np.int16)
        image[1, 2, 3] = 100 + number
        image = image[:, :, :5] if number == 5 else image
        affine = np.diag([-2.0, 1, 3, 1]) if number == 5 else np.diag([1.0, 1, 3, 1])
        save_nifti(tmp_path / "v" / "im" / f"Jones-{number}.nii.gz", image, affine)
        save_nifti(tmp_path / "v" / "la" / f"Jones-{number}.nii.gz", (image > 0).astype(np.uint8) * 7, affine)
    return tmp_path / "v"


def test_a_preview_counts_what_the_files_hold(volumes: Path) -> None:
    options = SOURCES["folder"].options(
        images="im",
        labels="la",
        one_image_per_subject=True,
        label_scheme="0=ground,7=vessel",
        split="train=0.5,test=0.5",
    )
    before = sorted(volumes.rglob("*"))
    found = preview("folder", volumes, options)
    assert found["cases"] == 6 and found["subjects"] == {"train": 3, "test": 3}
    assert found["files"] == {".nii.gz": 12}
    assert found["shapes"] == {"6 x 5 x 8": 5, "5 x 5 x 8": 1}
    assert found["spacings_mm"] == {"3 x 1 x 1": 5, "3 x 1 x 2": 1}
    assert found["stored_orientations"] == {"RAS": 5, "LAS": 1}
    assert found["label_values"]["7 (vessel)"] == {"voxels": 6, "cases": 6}
    assert found["label_values"]["0 (ground)"]["voxels"] == 5 * 240 + 200 - 6
    image = found["channels"]["image"]
    assert (image["minimum"], image["maximum"]) == (-1000, 105)
    assert "withheld: at least 99 % of the pixels are -1000" in image["percentiles"]
    assert "Jones" not in str(found)
    assert sorted(volumes.rglob("*")) == before


def test_a_preview_refuses_what_an_import_refuses(volumes: Path) -> None:
    (volumes / "la" / "Jones-3.nii.gz").write_bytes(b"no")
    options = SOURCES["folder"].options(images="im", labels="la", one_image_per_subject=True, label_scheme="0=a,7=b")
    with pytest.raises(Exception, match="Jones-3"):
        preview("folder", volumes, options)

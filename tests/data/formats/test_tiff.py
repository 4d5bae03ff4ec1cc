"""TIFF: the bits that were written are the bits that are read."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from understudy.core.errors import UnderstudyError
from understudy.data import formats

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize(("shape", "dtype", "stored"), [
    ((9, 7), "uint8", "uint8"), ((9, 7), "int16", "int16"), ((9, 7), "uint16", "uint16"),
    ((9, 7), "float32", "float32"),
    ((9, 7, 3), "uint8", "uint8"), ((9, 7, 3), "uint16", "uint16"), ((9, 7, 4), "uint16", "uint16"),
    ((9, 7, 3), "float32", "float32"), ((9, 7), "int32", "float32"), ((9, 7), "float64", "float32"),
])  # fmt: skip
def test_tiff(tmp_path: Path, shape: tuple[int, ...], dtype: str, stored: str, compression: str | None) -> None:
    array = (RANDOM.random(shape) * 200).astype(dtype)
    photometric = "rgb" if len(shape) == 3 else "minisblack"
    tifffile.imwrite(tmp_path / "a.tif", array, compression=compression, photometric=photometric)
    head, image = formats.header(tmp_path / "a.tif"), formats.image(tmp_path / "a.tif").array
    assert (head.channels, head.size, head.dtype) == (image.shape[0], (9, 7), stored)
    assert image.dtype == stored
    expected = array[None] if array.ndim == 2 else np.moveaxis(array, -1, 0)
    assert np.array_equal(image, expected.astype(stored))


def test_tiff_planes_and_foreign_compressions(tmp_path: Path) -> None:
    planes = RANDOM.integers(0, 65536, (3, 9, 7)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", planes, photometric="rgb", planarconfig="separate")
    assert np.array_equal(formats.image(tmp_path / "a.tif").array, planes)
    grey = RANDOM.integers(0, 255, (9, 7)).astype(np.uint8)
    Image.fromarray(grey).save(tmp_path / "b.tif", compression="tiff_lzw")
    assert np.array_equal(formats.image(tmp_path / "b.tif").array[0], grey)


def test_tiff_of_several_pages_is_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((5, 9, 7), np.uint8), photometric="minisblack")
    with pytest.raises(UnderstudyError, match="has 5 pages"):
        formats.header(tmp_path / "a.tif")

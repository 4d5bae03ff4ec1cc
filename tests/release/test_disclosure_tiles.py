"""A real image drawn in a figure is found, as a tile among others, outlined, in colour, in a mosaic without gaps."""

import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError
from understudy.release.disclosure import highest, open_png, tiles
from understudy.report.figures import curve_figure, grid_figure

BOUND = 0.996  # of the default policy
Fields = Callable[..., np.ndarray]


@pytest.fixture
def real(bench: Any) -> Cohort:
    return Cohort.open(bench.real)


def found(png: bytes, real: Cohort) -> float:
    return highest(tiles(open_png(png, "x"), (32, 32)), real)


def drawn(pictures: np.ndarray, labels: np.ndarray | None = None) -> bytes:
    """Draw images uint8 (n, 1, H, W) as the report does."""
    return grid_figure([("", np.repeat(pictures[:, 0, :, :, None] / 255, 3, -1), labels)], [f"r {i}" for i in range(9)])


def saved(picture: np.ndarray) -> bytes:
    stream = BytesIO()
    Image.fromarray(picture).save(stream, "PNG")
    return stream.getvalue()


def test_tiles_of_the_reports_grid_are_cut_out(smooth: Fields) -> None:
    cut = tiles(open_png(drawn(smooth(9, 5)), "x"), (32, 32))
    whole = smooth(9, 5)[:, 0].reshape(9, -1).astype(float)
    best = np.corrcoef(np.concatenate([whole, cut.reshape(len(cut), -1)]))[:9, 9:].max(1)
    assert (best > 0.985).all()


def test_a_real_tile_is_found_and_others_are_not(real: Cohort, smooth: Fields) -> None:
    assert real.images is not None
    pictures, labels = smooth(9, 5), np.zeros((9, 32, 32), np.uint8)
    labels[:, 8:14, 20:27] = 1  # a lesion
    assert found(drawn(pictures), real) < 0.9 and found(drawn(pictures, labels), real) < 0.9
    pictures[8] = real.images[40]
    assert found(drawn(pictures), real) > BOUND
    assert found(drawn(pictures, labels), real) > BOUND  # an outline over it


def test_a_mosaic_and_a_single_picture(real: Cohort, smooth: Fields) -> None:
    assert real.images is not None
    pictures = smooth(6, 5)[:, 0]
    pictures[4] = real.images[3, 0]
    mosaic = np.kron(np.block([[*pictures[:3]], [*pictures[3:]]]), np.ones((2, 2), np.uint8))
    assert found(saved(mosaic), real) > BOUND
    assert found(saved(255 - real.images[3, 0]), real) < BOUND  # said in the module: other colours are not covered
    assert found(saved(np.asarray(real.images[3, 0])), real) > BOUND
    assert found(saved(np.stack([pictures[0], real.images[9, 0], pictures[1]], -1)), real) > BOUND


def test_a_curve_is_no_image(real: Cohort) -> None:
    series = [{"name": "synthetic", "x": [0, 1], "y": [1, 0]}]
    assert found(curve_figure({"x_label": "r", "y_label": "share", "series": series}), real) < 0.9


def test_a_png_with_anything_beside_the_picture_is_refused() -> None:
    good = saved(np.zeros((8, 8), np.uint8))
    text = b"tEXtComment\0s-0123"
    chunk = struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))
    assert open_png(good, "x").shape == (8, 8, 3)
    for data in (good[:33] + chunk + good[33:], good + b"more", good[1:], b"GIF89a", good[:20]):
        with pytest.raises(UnderstudyError, match="a PNG that holds a picture and nothing else"):
            open_png(data, "x")

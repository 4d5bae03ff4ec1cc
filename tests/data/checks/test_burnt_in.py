"""Burnt-in text: made-up lines are found, the phantom and noise have none; one image in many is chance."""

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from understudy.core.cohort import Cohort
from understudy.core.encoding import Channel
from understudy.data.checks.burnt_in import burnt_in, text_line

Remade = Callable[..., Cohort]


def written(image: np.ndarray, text: str, size: int, at: tuple[int, int]) -> np.ndarray:
    picture = Image.fromarray(np.uint8(255 * (image - image.min()) / np.ptp(image)))
    ImageDraw.Draw(picture).text(at, text, font=ImageFont.load_default(size), fill=255)
    return np.asarray(picture, np.float32) / 255


@pytest.fixture
def smooth() -> np.ndarray:
    down, right = np.mgrid[:160, :200] / 40
    return np.asarray(np.exp(-((down - 2) ** 2) - (right - 2.5) ** 2) + 0.05 * np.sin(7 * down), np.float32)


@pytest.mark.parametrize("size", [10, 14, 20])
@pytest.mark.parametrize("text", ["DOE JOHN", "19540312", "12:44:05"])
def test_a_line_of_text(smooth: np.ndarray, text: str, size: int) -> None:
    assert text_line(smooth) is None
    row, column = text_line(written(smooth, text, size, (6, 130))) or (0, 0)
    assert 120 < row < 160
    assert column < 60
    assert text_line(1 - written(smooth, text, size, (6, 130))) is not None  # black on white


def test_no_text() -> None:
    assert text_line(np.zeros((64, 64))) is None
    assert text_line(np.random.default_rng(0).normal(size=(96, 96))) is None


def test_what_recurs_is_told(phantom: Cohort, remade: Remade, smooth: np.ndarray) -> None:
    assert list(burnt_in(phantom, list(range(80)))) == []
    random = np.random.default_rng(0)
    images = np.stack([smooth + random.normal(0, 0.01, smooth.shape) for _ in range(80)]).astype(np.float32)[:, None]
    more = {"labels": np.zeros((80, 160, 200), np.uint8), "channels": [Channel("US", 0, 1)]}
    images[0, 0] = written(images[0, 0], "DOE JOHN", 14, (6, 6))
    assert list(burnt_in(remade(images, **more), list(range(80)))) == []  # one may be chance
    images[5, 0], images[60, 0] = (written(images[i, 0], "SMITH A", 14, (6, 6)) for i in (5, 60))
    (notice,) = burnt_in(remade(images, **more), list(range(80)))
    assert notice.level == "warning"
    assert notice.sentence.startswith("3 of 80 images looked at seem to hold burnt-in text")

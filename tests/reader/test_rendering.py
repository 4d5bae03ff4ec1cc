"""Pixels: exact, the same for real and synthetic, one size; what is missing is told."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from understudy.core.cohort import Cohort
from understudy.core.encoding import Channel
from understudy.core.errors import UnderstudyError
from understudy.reader.rendering import aspect, is_colour, label_map, levels, pixels, shape


def test_a_pixel_is_its_share_of_the_range(cohorts: dict[str, Path]) -> None:
    cohort = Cohort.open(cohorts["volumes"])
    assert cohort.images is not None and cohort.labels is not None
    found = np.frombuffer(pixels(cohort, 3, 4095), "<u2").reshape(shape(cohort))
    expected = np.clip(np.asarray(cohort.images[3], float) / 1000, 0, 1) * 4095
    assert np.abs(found - expected).max() <= 0.51
    assert label_map(cohort, 3) == np.asarray(cohort.labels[3]).tobytes()
    assert shape(cohort) == (2, 4, 8, 10)


def test_equal_images_give_equal_bytes_whatever_they_are(cohorts: dict[str, Path]) -> None:
    real, synthetic = Cohort.open(cohorts["real"]), Cohort.open(cohorts["gan"])
    synthetic.images = real.images
    assert [pixels(real, i, 255) for i in range(9)] == [pixels(synthetic, i, 255) for i in range(9)]


def cohort_of(dtype: str = "uint8", names: str = "rgb", spacings: Any = None) -> Any:
    channels = tuple(Channel(name, 0, 1) for name in names)
    encoding = SimpleNamespace(dtype=dtype, channels=channels)
    found = spacings or [None]
    return SimpleNamespace(encoding=encoding, __len__=lambda: 2, spacing_mm=lambda row: found[row], n=len(found))


def test_the_coarsest_type_decides_the_depth() -> None:
    assert levels(cohort_of("uint16"), cohort_of("float32")) == 4095
    assert levels(cohort_of("uint16"), cohort_of("uint8")) == 255


def test_colour_is_red_green_blue_in_this_order() -> None:
    assert is_colour(cohort_of(names="rgb")) and not is_colour(cohort_of(names="bgr"))
    assert not is_colour(cohort_of(names="r"))


def test_all_are_shown_with_the_median_spacing(cohorts: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    cohort = Cohort.open(cohorts["real"])
    assert aspect(cohort) == (1, 1, 1)
    monkeypatch.setattr(Cohort, "spacing_mm", lambda self, row: (2.0, 1.0) if row % 3 else None)
    assert aspect(cohort) == (1, 2, 1)


def test_what_is_missing_is_told(cohorts: dict[str, Path]) -> None:
    cohort = Cohort.open(cohorts["real"])
    cohort.images = cohort.labels = None
    with pytest.raises(UnderstudyError, match="has none"):
        pixels(cohort, 0, 255)
    with pytest.raises(UnderstudyError, match="leave labels and annotation out"):
        label_map(cohort, 0)

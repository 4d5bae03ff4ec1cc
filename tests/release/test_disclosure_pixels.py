"""Real patches at any place, real images nearly as they are, and real label maps are found; others are not."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from understudy.core.cohort import Cohort
from understudy.release.disclosure import RealPixels

Fields = Callable[..., np.ndarray]


@pytest.fixture
def real(bench: Any) -> Cohort:
    return Cohort.open(bench.real)


@pytest.fixture
def pixels(real: Cohort) -> RealPixels:
    return RealPixels(real, 64)


def encoded(images: np.ndarray) -> np.ndarray:
    return images.astype(np.float32) / 127.5 - 1


def test_a_patch_is_found_at_any_place_and_in_any_case(real: Cohort, pixels: RealPixels, smooth: Fields) -> None:
    assert real.images is not None
    for case, (y, x) in ((0, (0, 0)), (31, (3, 5)), (59, (17, 16))):
        images = smooth(40, 9)
        assert pixels.same_patches(encoded(images)) == 0
        images[35, 0, y : y + 15, x : x + 15] = real.images[case, 0, 11:26, 6:21]  # the least that is promised
        assert pixels.same_patches(encoded(images)) == 1
        images[35, 0, y + 7, x + 7] ^= 1
        images[35, 0, y : y + 15, x + 7] ^= 1
        assert pixels.same_patches(encoded(images)) == 0


def test_a_flat_patch_is_no_evidence(bench: Any, real: Cohort, pixels: RealPixels) -> None:
    assert real.images is not None
    flat = np.full((2, 1, 32, 32), real.images[0, 0, 0, 0])
    assert pixels.same_patches(encoded(flat)) == 0 and pixels.nearest_to(encoded(flat)) <= 0
    assert pixels.same_patches(encoded(flat)[..., :7, :7]) == 0


def test_a_real_image_is_near_also_with_noise_and_gain(real: Cohort, pixels: RealPixels, smooth: Fields) -> None:
    assert real.images is not None
    others = pixels.nearest_to(encoded(smooth(40, 9)))
    images = encoded(smooth(40, 9))
    noise = np.random.default_rng(0).normal(0, 0.01, (32, 32))
    images[4] = encoded(real.images[20:21])[0] * 0.7 + 0.1 + noise
    assert others < 0.8 and pixels.nearest_to(images) > 0.995
    assert pixels.nearest_to(images[:, :, :16]) == -1  # another size: not comparable, and the patches still are


def test_a_real_label_map_is_found_where_it_is_large_enough(real: Cohort, pixels: RealPixels) -> None:
    assert real.labels is not None
    maps = np.zeros((3, 32, 32), np.uint8)
    assert pixels.same_maps(maps) == 0
    maps[1] = real.labels[8]
    assert int(maps[1].sum()) >= 64 and pixels.same_maps(maps) == 1
    assert RealPixels(real, int(maps[1].sum()) + 1).same_maps(maps) == 0
    assert RealPixels(real, None).same_maps(maps) == 0


def test_a_cohort_is_read_whole(bench: Any, real: Cohort, pixels: RealPixels) -> None:
    assert real.images is not None
    images = np.concatenate([bench.images] * 5)
    images[59, 0, 10:26, 10:26] = real.images[2, 0, 8:24, 8:24]
    assert pixels.same_patches_of(Cohort.open(bench.cohort("planted", images))) == 1
    assert pixels.same_patches_of(Cohort.open(bench.synthetic)) == 0
    assert pixels.nearest_of(Cohort.open(bench.synthetic)) < 0.8 and pixels.nearest_of(real) > 0.999

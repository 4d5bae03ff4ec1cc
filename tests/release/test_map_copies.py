"""A real label map is found shifted, mirrored, turned, with voxels changed; another of its size is not."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from understudy.release.map_copies import RealMaps

FEWEST = 64


def maps(n: int, seed: int, shape: tuple[int, ...] = (32, 32)) -> np.ndarray:
    """Return irregular label maps of two classes around the middle, with background on all sides."""
    noise = np.random.default_rng(seed).normal(size=(n, *shape))
    smooth = gaussian_filter(noise, (0, *[2] * len(shape)))
    smooth /= smooth.std()
    found = (smooth > 0.3).astype(np.uint8) + (smooth > 1.2).astype(np.uint8)
    edges = tuple(slice(6, -6) for _ in shape)
    kept = np.zeros_like(found)
    kept[(slice(None), *edges)] = found[(slice(None), *edges)]
    return kept


@pytest.mark.parametrize("shape", [(32, 32), (32, 48), (20, 24, 24)])
def test_a_real_map_in_any_place_and_way_is_found(shape: tuple[int, ...]) -> None:
    real, rng = maps(6, 0, shape), np.random.default_rng(1)
    found, dims = RealMaps(real, FEWEST), len(shape)
    one = real[4]
    assert int((one > 0).sum()) >= FEWEST and found.copies(maps(40, 2, shape)) == 0
    changed = one.copy()
    changed.flat[np.flatnonzero(one)[0]] = 0
    other_class = np.where((np.arange(one.size) == np.flatnonzero(one)[9]).reshape(shape), 3 - one, one).astype(
        np.uint8
    )
    attacks = [
        one,
        changed,
        other_class,
        np.flip(one, -1),
        np.flip(one),
        np.roll(one, rng.integers(-5, 6, dims), range(dims)),
    ]
    attacks += [np.roll(np.flip(changed, -2), 3, -1)]
    if shape[-1] == shape[-2]:
        attacks += [np.rot90(changed, k, (-2, -1)) for k in (1, 2, 3)]
    for attack in attacks:
        assert found.copies(attack[None]) == 1
    assert found.copies(np.stack([*attacks, *maps(3, 5, shape)])) == len(attacks)


def test_more_than_a_few_voxels_or_few_voxels_at_all_do_not_count() -> None:
    real = maps(6, 0)
    n = int((real[0] > 0).sum())
    less = real[0].copy()
    less.flat[np.flatnonzero(real[0])[: n // 10]] = 0
    assert RealMaps(real, FEWEST).copies(less[None]) == 0
    assert RealMaps(real, n + 1).copies(real[:1]) == 0
    assert RealMaps(real, FEWEST).copies(np.zeros((2, 32, 32), np.uint8)) == 0
    assert RealMaps(real[:0], FEWEST).copies(real) == 0 and RealMaps(real, FEWEST).copies(real[:, :16]) == 0

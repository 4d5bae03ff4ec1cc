"""Geometry of the phantom: axes, noise and distances."""

import numpy as np
import pytest

from understudy.data.phantom.geometry import (
    NoiseField,
    affine_mm,
    axes_mm,
    blend,
    ellipsoid,
    occupancy,
    smooth_noise,
    tube,
    voxel_size,
)

SHAPE = (24, 64, 64)


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.corrcoef(first.ravel(), second.ravel())[0, 1])


def test_affine_maps_indices_to_the_axes() -> None:
    z, y, x = axes_mm(SHAPE)
    assert np.allclose(affine_mm(SHAPE) @ (5, 6, 7, 1), (x[7], y[6], z[5], 1), atol=1e-3)
    assert np.allclose(affine_mm(SHAPE, 5) @ (0, 6, 7, 1), (x[7], y[6], z[5], 1), atol=1e-3)
    assert np.allclose(np.abs(np.linalg.det(affine_mm(SHAPE))), np.prod(voxel_size(SHAPE)))


def test_noise_has_unit_variance_and_does_not_depend_on_the_grid() -> None:
    coarse, fine = (2, 30, 30), (2, 90, 90)
    fields = [smooth_noise(np.random.default_rng(k), axes_mm((20, 40, 40)), 12) for k in range(4)]
    assert abs(np.var(fields) - 1) < 0.1 and abs(np.mean(fields)) < 0.1
    first, second = (smooth_noise(np.random.default_rng(1), axes_mm(shape), 20) for shape in (coarse, fine))
    assert np.allclose(first, second[:, 1::3, 1::3], atol=1e-4)
    grid = np.stack(np.meshgrid(*axes_mm(coarse)[::-1], indexing="ij")).transpose(0, 3, 2, 1)
    assert _correlation(NoiseField(np.random.default_rng(1), 20).at(grid), first) > 0.97


def test_distance_to_a_sphere_is_exact() -> None:
    points = np.random.default_rng(0).uniform(-30, 30, (3, 5, 5, 5)).astype(np.float32)
    centre = np.array((1.0, 2.0, 3.0))
    radius = np.linalg.norm(points - centre.reshape(3, 1, 1, 1), axis=0)
    assert np.allclose(ellipsoid(points, centre, (9, 9, 9)), radius - 9, atol=1e-3)


def test_distances_to_a_tube_and_a_rounded_union_by_hand() -> None:
    points = np.array([[0, 5, 12], [3, 0, 0], [0, 0, 0]], np.float32).reshape(3, 3, 1, 1)
    along_x = tube(points, [(0, 0, 0), (10, 0, 0)], [1, 2])
    assert np.allclose(along_x.ravel(), [3 - 1, 0 - 1.5, 2 - 2])
    with pytest.raises(ValueError, match="at least 2 corners"):
        tube(points, [(0, 0, 0)], [1])
    first, second = np.array([1.0, 5, 3]), np.array([4.0, 1, 3])
    assert np.allclose(blend(first, second, 2), [1, 1, 3 - 2 / 4])  # rounded only where both are within 2 mm


def test_occupancy_is_the_share_of_a_voxel_inside() -> None:
    assert occupancy(np.array([-3, -0.5, 0, 0.5, 3]), 2).tolist() == [1, 0.75, 0.5, 0.25, 0]

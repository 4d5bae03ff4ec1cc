"""Moving and smoothing against scipy and against maps worked out by hand."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

from understudy.evaluation.privacy.copies import registration
from understudy.evaluation.privacy.copies.registration import affine_maps, apply_affine, blur, detail, random_warp, unit


def noise(n: int = 2, channels: int = 1, height: int = 16, width: int = 16) -> Tensor:
    return torch.randn((n, channels, height, width), generator=torch.Generator().manual_seed(0))


def one(degrees: float = 0, zoom: float = 1, x: float = 0, y: float = 0, flip: bool = False) -> Tensor:
    return affine_maps(torch.tensor([float(degrees)]), torch.tensor([float(zoom)]), torch.tensor([[x, y]]), flip)


@pytest.mark.parametrize("sigma", [1 / 64, 1 / 16, 1 / 8])
def test_blur_is_that_of_scipy(sigma: float) -> None:
    images = noise(2, 3, 24, 40)
    ours = blur(images, sigma).numpy()
    for i, c in np.ndindex(2, 3):
        expected = ndimage.gaussian_filter(images[i, c].numpy(), (sigma * 24, sigma * 40), mode="nearest", truncate=4)
        assert np.allclose(ours[i, c], expected, atol=1e-5)


def test_maps_that_are_known_to_the_pixel() -> None:
    images = noise(1)
    for moved, expected in (
        (apply_affine(images, one()), images),
        (apply_affine(images, one(flip=True)), images.flip(-1)),
        (apply_affine(images, one(degrees=90)), torch.rot90(images, 1, (2, 3))),
        (apply_affine(images, one(x=2 / 16))[..., 2:], images[..., :-2]),  # to the right
        (apply_affine(images, one(y=3 / 16))[..., 3:, :], images[..., :-3, :]),  # downwards
    ):
        assert torch.allclose(moved, expected, atol=1e-4)
    assert torch.allclose(
        apply_affine(images, one(x=2 / 16))[..., 0], images[..., 0], atol=1e-4
    )  # the border is continued


def test_zoom_above_one_makes_larger() -> None:
    square = torch.zeros(1, 1, 32, 32)
    square[..., 12:20, 12:20] = 1
    assert apply_affine(square, one(zoom=2)).sum() == pytest.approx(4 * 64, rel=0.05)
    assert apply_affine(square, one(zoom=0.5)).sum() == pytest.approx(64 / 4, rel=0.05)


@pytest.mark.parametrize("chosen", [one(12), one(zoom=1.1), one(x=0.05, y=-0.04), one(-9, 0.92, 0.03, 0.02, True)])
def test_the_inverse_map_brings_an_image_back(chosen: Tensor) -> None:
    images = blur(noise(1, 1, 64, 64), 1 / 16)
    whole = torch.cat([chosen, torch.tensor([[[0.0, 0.0, 1.0]]])], 1)
    back = apply_affine(apply_affine(images, chosen), torch.linalg.inv(whole)[:, :2])
    inner = (..., slice(18, 46), slice(18, 46))
    assert (back - images)[inner].abs().max() < 0.05 * images.std()
    assert (apply_affine(images, chosen) - images)[inner].abs().max() > 0.1 * images.std()


def test_warp_has_the_strength_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    grids = []

    def spy(images: Tensor, grid: Tensor) -> Tensor:
        grids.append(grid)
        return F.grid_sample(images, grid, padding_mode="border", align_corners=False)

    monkeypatch.setattr(registration, "sample", spy)
    images, centres = noise(3, 1, 64, 64), (2 * torch.arange(64) + 1) / 64 - 1
    for smoothness in (4 / 64, 8 / 64):
        random_warp(images, 3 / 64, smoothness, torch.Generator().manual_seed(1))
    for grid in grids:
        pixels = (grid - torch.stack(torch.meshgrid(centres, centres, indexing="xy"), -1)) * 32
        assert torch.allclose(pixels.square().mean((1, 2, 3)).sqrt(), torch.tensor(3.0), atol=1e-3)
    rough, smooth = ((grid[:, 1:] - grid[:, :-1])[..., 0].std() for grid in grids)
    assert rough > 1.5 * smooth


def test_detail_is_blind_to_grain_and_to_slow_shading() -> None:
    ramp = torch.linspace(-1, 1, 64).expand(1, 1, 64, 64)
    assert detail(ramp)[..., 26:38, 26:38].abs().max() < 1e-4
    assert detail(noise(1, 1, 64, 64)).std() < 0.2
    waves = torch.sin(torch.arange(64) * 2 * np.pi / 16).expand(1, 1, 64, 64)
    assert detail(waves).std() > 0.5 * waves.std()


def test_unit_rows_are_centred_and_of_length_one_and_constants_are_zero() -> None:
    images = noise(3, 2) * 5 + 7
    images[1] = 0.3
    rows = unit(images)
    assert torch.allclose(rows.mean(1), torch.zeros(3), atol=1e-6)
    assert torch.allclose(rows.norm(dim=1), torch.tensor([1.0, 0.0, 1.0]))
    expected = np.corrcoef(images[0].flatten().numpy(), images[2].flatten().numpy())[0, 1]
    assert float(rows[0] @ rows[2]) == pytest.approx(expected, abs=1e-5)

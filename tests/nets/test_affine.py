"""Affine resampling: against definitions, and derivatives of derivatives."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from understudy.nets.affine import SYM6, _double, _halve, _Sample, affine_grid, plane_rotation, rotation, warp


def smooth(n: int = 2, c: int = 3, side: int = 32) -> Tensor:
    noise = torch.randn(n, c, 6, 6, generator=torch.Generator().manual_seed(0))
    return F.interpolate(noise, size=(side, side), mode="bicubic")


def test_warp_identity_flip_and_quarter_turns() -> None:
    x = smooth()
    eye = torch.eye(3).repeat(2, 1, 1)
    torch.testing.assert_close(warp(x, eye), x, atol=2e-5, rtol=0)
    flip = eye.clone()
    flip[:, 0, 0] = -1
    assert (warp(x, flip) - x.flip(3)).abs().mean().item() < 0.02
    turn = rotation(torch.full((2,), math.pi / 2))
    errors = [(warp(x, turn) - x.rot90(k, (2, 3))).abs().mean().item() for k in (1, 3)]
    assert min(errors) < 0.02 < 0.3 < max(errors)


def test_warp_scales_about_the_middle() -> None:
    y, x = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
    blob = torch.exp(-((x - 20.0) ** 2 + (y - 15.5) ** 2) / 3)[None, None]
    inverse = torch.diag(torch.tensor([0.5, 0.5, 1.0]))[None]  # the image appears twice as large
    seen = warp(blob, inverse)[0, 0]
    column = (seen * x).sum() / seen.sum()
    assert column.item() == pytest.approx(15.5 + 2 * 4.5, abs=0.4)
    assert ((seen * y).sum() / seen.sum()).item() == pytest.approx(15.5, abs=0.4)


def test_differentiable_twice() -> None:
    torch.manual_seed(0)
    x = torch.randn(1, 1, 3, 4, dtype=torch.float64, requires_grad=True)
    turn = rotation(torch.tensor([0.3])).double()
    grid = F.affine_grid(turn[:, :2], [1, 1, 3, 4], align_corners=False)
    for operation in (
        lambda v: _Sample.apply(v, grid),
        lambda v: _double(v, 2),
        lambda v: _double(v, 3),
        lambda v: _halve(F.pad(v, (6, 6, 6, 7)), 2),
        lambda v: _halve(F.pad(v, (6, 6, 6, 7)), 3),
    ):
        assert torch.autograd.gradcheck(operation, x)
        assert torch.autograd.gradgradcheck(lambda v, f=operation: f(v) ** 2, x)


def test_doubling_equals_definition() -> None:
    x = torch.randn(1, 1, 1, 9, dtype=torch.float64)
    zeros = torch.zeros(18, dtype=torch.float64)
    zeros[::2] = x.flatten()
    taps = torch.tensor(SYM6, dtype=torch.float64)
    full = torch.stack([sum(taps[k] * zeros[j - k] for k in range(12) if 0 <= j - k < 18) for j in range(29)])  # type: ignore[arg-type]
    torch.testing.assert_close(_double(x, 3).flatten(), (2 * full / taps.sum())[5:23])


@pytest.mark.parametrize("size", [(6, 10), (4, 6, 10)])
def test_plane_rotation_is_one_of_the_image_whatever_its_sides(size: tuple[int, ...]) -> None:
    angle, sides = torch.tensor([0.3, -1.2]), torch.tensor(size[::-1], dtype=torch.float32)
    in_pixels = plane_rotation(angle, size) * sides[:, None] / sides
    torch.testing.assert_close(in_pixels @ in_pixels.transpose(1, 2), torch.eye(len(size)).expand(2, -1, -1))
    torch.testing.assert_close(in_pixels[:, 0, 0], angle.cos())
    torch.testing.assert_close(in_pixels[:, 1, 0], angle.sin())
    grid = affine_grid(torch.nn.functional.pad(plane_rotation(torch.zeros(1), size), (0, 1)), size)
    assert grid.shape == (1, *size, len(size)) and float(grid[..., 0].max()) == pytest.approx(1 - 1 / size[-1])

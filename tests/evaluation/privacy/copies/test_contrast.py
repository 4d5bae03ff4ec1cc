"""What a scanner or an export leaves on an image leaves no trace in local contrast, and anatomy does."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from understudy.evaluation.privacy.copies.contrast import local_contrast
from understudy.evaluation.privacy.copies.registration import blur, unit


def heads(n: int = 6, channels: int = 2, seed: int = 0) -> Tensor:
    """Return discs of random texture on a plain dark background."""
    texture = blur(torch.randn((n, channels, 64, 64), generator=torch.Generator().manual_seed(seed)), 1 / 24)
    at = (2 * torch.arange(64) + 1) / 64 - 1
    inside = (at[:, None].square() + at.square()).sqrt() < 0.7
    return torch.where(inside, 0.1 + texture / texture.std() / 5, torch.tensor(-0.9)).clamp(-1, 1)


def with_marker(x: Tensor) -> Tensor:
    shown = x.clone()
    shown[..., 5:8, 5:8] = 1
    return shown


def with_frame(x: Tensor) -> Tensor:
    shown = torch.ones_like(x)
    shown[..., 1:-1, 1:-1] = x[..., 1:-1, 1:-1]
    return shown


def with_offset(x: Tensor) -> Tensor:
    return torch.cat([x[:, :1] * 0.6 + 0.3, x[:, 1:]], 1)


def with_gamma(x: Tensor) -> Tensor:
    return ((x + 1) / 2) ** 1.5 * 2 - 1


def r(a: Tensor, b: Tensor) -> Tensor:
    return (unit(a) * unit(b)).sum(1)


@pytest.mark.parametrize(
    ("leave", "least"), [(with_marker, 0.9), (with_frame, 0.95), (with_offset, 0.99), (with_gamma, 0.95)]
)
def test_what_an_export_leaves_is_taken_away(leave: Callable[[Tensor], Tensor], least: float) -> None:
    images, others = heads(), heads(seed=1)
    assert r(local_contrast(leave(images)), local_contrast(images)).min() > least
    # two persons on whom it was left are no more alike than without it
    before = r(local_contrast(images), local_contrast(others))
    after = r(local_contrast(leave(images)), local_contrast(leave(others)))
    assert (after - before).max() < 0.12


def test_two_persons_are_less_alike_in_local_contrast() -> None:
    images, others = with_offset(heads()), with_offset(heads(seed=1))
    assert r(images, others).min() > r(local_contrast(images), local_contrast(others)).max()


def test_gain_is_taken_away_and_plain_images_stay_plain() -> None:
    images = heads()
    assert torch.allclose(local_contrast(images * 0.5 + 0.2), local_contrast(images), atol=0.05)
    assert torch.equal(
        local_contrast(torch.full((2, 1, 64, 64), 0.3)).abs() < 1e-3, torch.ones(2, 1, 64, 64, dtype=torch.bool)
    )
    assert local_contrast(images).abs().max() <= 1
    assert local_contrast(images[:0]).shape == (0, 2, 64, 64)

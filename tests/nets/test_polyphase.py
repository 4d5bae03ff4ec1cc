"""Changing the sampling rate phase by phase: against loops, and as each other's transposes."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from understudy.nets.polyphase import gather, spread


def whole(phases: Iterator[Tensor], split: int, like: Tensor, size: int) -> Tensor:
    """Put phases together to the signal they are phases of."""
    y = torch.full((*like.shape[:2], size, size), torch.nan, dtype=like.dtype)
    for i, phase in enumerate(phases):
        y[:, :, i // split :: split, i % split :: split] = phase
    return y


@pytest.mark.parametrize(("stride", "split"), [(1, 1), (2, 2), (4, 2), (2, 1), (4, 4)])
@pytest.mark.parametrize("offset", [-9, -2, 3])
@pytest.mark.parametrize("axes", [1, 2])
def test_spread_and_gather_against_loops(stride: int, split: int, offset: int, axes: int) -> None:
    generator = torch.Generator().manual_seed(0)
    kernel = torch.randn((8,) * axes, dtype=torch.float64, generator=generator)
    x, size = torch.randn(2, 3, 5, 5, dtype=torch.float64, generator=generator), 19
    square = kernel if axes == 2 else torch.outer(kernel, kernel)
    expected = torch.zeros(2, 3, size, size, dtype=torch.float64)
    for i in range(5):
        for j in range(5):
            for a in range(8):
                for b in range(8):
                    m, n = i * stride + offset + a, j * stride + offset + b
                    if 0 <= m < size and 0 <= n < size:
                        expected[:, :, m, n] += square[a, b] * x[:, :, i, j]
    found = whole(spread(x, kernel, stride, offset, size, split), split, x, size)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)
    y = torch.randn(2, 3, size, size, dtype=torch.float64, generator=generator)
    phases = (y[:, :, p::split, q::split] for p in range(split) for q in range(split))
    back = gather(phases, kernel, stride, offset, (5, 5), split)
    assert (found * y).sum().item() == pytest.approx((x * back).sum().item(), rel=1e-9)

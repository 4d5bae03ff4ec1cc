"""Filters against the definition: insert zeros, convolve by loops, drop pixels."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from understudy.nets.filters import blur, downsample, downsample_convolve, fir_kernel, upsample, upsample_convolve

LOPSIDED = torch.tensor([[0.1, 0.2, 0.0, 0.3], [0.05, 0.0, 0.15, 0.0], [0.0, 0.1, 0.0, 0.0], [0.02, 0.0, 0.08, 0.0]])


def insert_zeros(x: Tensor) -> Tensor:
    y = x.new_zeros(*x.shape[:2], 2 * x.shape[2], 2 * x.shape[3])
    y[:, :, ::2, ::2] = x
    return y


def convolve(x: Tensor, kernel: Tensor, before: int, after: int) -> Tensor:
    """True convolution (kernel turned) of a zero-padded image, pixel by pixel."""
    x = F.pad(x, (before, after, before, after))
    t = kernel.shape[0]
    y = x.new_zeros(*x.shape[:2], x.shape[2] - t + 1, x.shape[3] - t + 1)
    for i in range(y.shape[2]):
        for j in range(y.shape[3]):
            y[:, :, i, j] = (x[:, :, i : i + t, j : j + t] * kernel.flip(0, 1)).sum(dim=(2, 3))
    return y


def close(a: Tensor, b: Tensor) -> None:
    torch.testing.assert_close(a, b, atol=2e-6, rtol=1e-5)


@pytest.fixture
def x() -> Tensor:
    return torch.randn(2, 3, 6, 8, generator=torch.Generator().manual_seed(0))


def test_kernel_is_normalised_outer_product() -> None:
    kernel = fir_kernel()
    assert kernel.shape == (4, 4)
    assert kernel.sum().item() == pytest.approx(1)
    assert kernel[1, 1].item() == pytest.approx(9 / 64)


@pytest.mark.parametrize("kernel", [fir_kernel(), LOPSIDED])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_resampling_equals_definition(x: Tensor, kernel: Tensor, memory_format: torch.memory_format) -> None:
    x = x.contiguous(memory_format=memory_format)
    close(blur(x, kernel, padding=2, gain=3.0), 3 * convolve(x, kernel, 2, 2))
    close(downsample(x, kernel), convolve(x, kernel, 1, 1)[:, :, ::2, ::2])
    close(upsample(x, kernel), convolve(insert_zeros(x), 4 * kernel, 2, 1))


def test_constant_image_keeps_its_value_inside() -> None:
    x = torch.full((1, 2, 8, 8), 0.7)
    for y in (upsample(x, fir_kernel()), downsample(x, fir_kernel())):
        close(y[:, :, 1:-1, 1:-1], torch.full_like(y[:, :, 1:-1, 1:-1], 0.7))


def test_upsample_convolve_is_upsample_then_convolve(x: Tensor) -> None:
    weight = torch.randn(4, 3, 3, 3)
    wide = convolve(insert_zeros(x), 4 * fir_kernel(), 3, 2)  # one pixel more on each side for the convolution
    close(upsample_convolve(x, weight, fir_kernel()), F.conv2d(wide, weight.flip(2, 3)))


@pytest.mark.parametrize("side", [1, 3])
def test_downsample_convolve_is_filter_then_strided_convolution(x: Tensor, side: int) -> None:
    weight, bias = torch.randn(4, 3, side, side), torch.randn(4)
    smooth = convolve(x, fir_kernel(), 2, 2) if side == 3 else convolve(x, fir_kernel(), 1, 1)
    close(downsample_convolve(x, weight, fir_kernel(), bias), F.conv2d(smooth, weight, bias, stride=2))


def test_gradients_of_gradients_exist(x: Tensor) -> None:
    x = x[:1, :1, :4, :4].double().requires_grad_()
    for operation in (downsample, upsample):
        assert torch.autograd.gradgradcheck(lambda v, f=operation: f(v, fir_kernel()) ** 2, x)

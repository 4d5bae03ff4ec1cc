"""Normalisation and leaky ReLU in one step: values and gradients are torch's; a case is normalised by itself."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from understudy.nets.instance_norm import NormLeakyReLU2d


def layer(channels: int, dtype: torch.dtype) -> NormLeakyReLU2d:
    made = NormLeakyReLU2d(channels, affine=True).to(dtype)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        made.weight.copy_(torch.randn(channels, generator=generator))
        made.bias.copy_(torch.randn(channels, generator=generator))
    return made


def images(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    x = 3 + 2 * torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return x.to(dtype).contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5), (torch.bfloat16, 4e-3)]
)
@pytest.mark.parametrize("shape", [(3, 5, 6, 7), (2, 16, 8, 8), (2, 3, 1, 2)])
def test_values_and_gradients_are_those_of_torch_in_float64(
    dtype: torch.dtype, tolerance: float, shape: tuple[int, ...]
) -> None:
    weights = torch.float32 if dtype == torch.bfloat16 else dtype  # as under autocast
    norm, x = layer(shape[1], weights), images(*shape, dtype=dtype).requires_grad_()
    up = images(*shape, dtype=dtype) - 3
    y = norm(x)
    y.backward(up)
    exact, exact_x = layer(shape[1], torch.float64), x.detach().double().requires_grad_()
    with torch.no_grad():
        exact.weight.copy_(norm.weight)
        exact.bias.copy_(norm.bias)
    wanted = F.leaky_relu(F.instance_norm(exact_x, weight=exact.weight, bias=exact.bias, eps=norm.eps), norm.slope)
    wanted.backward(up.double())
    assert y.dtype == dtype and y.is_contiguous(memory_format=torch.channels_last)
    pairs = [
        (y, wanted),
        (x.grad, exact_x.grad),
        (norm.weight.grad, exact.weight.grad),
        (norm.bias.grad, exact.bias.grad),
    ]
    if shape[2:] == (1, 2):
        pairs.pop(1)  # two values become -1 and 1 whatever they are: their gradient is rounding
    for found, expected in pairs:
        assert found is not None and expected is not None
        assert (found.double() - expected).norm() <= tolerance * expected.norm()


def test_a_case_does_not_depend_on_its_neighbours() -> None:
    norm, x = layer(16, torch.float32), images(4, 16, 8, 8, dtype=torch.float32)
    assert (norm(x)[2:3] == norm(x[2:3])).all() and (norm(x) == norm(x.contiguous())).all()


def test_another_slope() -> None:
    norm, x = layer(4, torch.float64), images(2, 4, 6, 6)
    norm.slope = 0.5
    assert (norm(x).min() / F.instance_norm(x, weight=norm.weight, bias=norm.bias).min()).item() == pytest.approx(0.5)

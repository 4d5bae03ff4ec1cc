"""Layers for two and three dimensions: how cases are halved, convolutions, instance normalisation."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from understudy.core.errors import UsageError
from understudy.nets.spatial import Conv, halved, halvings, instance_norm, kernel_of, needed_halvings


@pytest.mark.parametrize(
    ("size", "least", "after"),
    [
        ((64, 64), 2, [(32, 32), (16, 16), (8, 8), (4, 4), (2, 2)]),
        ((32, 48, 32), 2, [(16, 24, 16), (8, 12, 8), (4, 6, 4), (2, 3, 2)]),
        ((32, 48, 32), 4, [(16, 24, 16), (8, 12, 8), (4, 6, 4)]),
        ((128, 128, 32), 4, [(64, 64, 32), (32, 32, 32), (16, 16, 16), (8, 8, 8), (4, 4, 4)]),
        ((8, 16, 16), 4, [(8, 8, 8), (4, 4, 4)]),
        ((240, 240), 2, [(120, 120), (60, 60), (30, 30), (15, 15)]),
        ((15, 16), 2, []),
    ],
)
def test_a_thin_axis_waits(size: tuple[int, ...], least: int, after: list[tuple[int, ...]]) -> None:
    strides = halvings(size, 9, least)
    assert [halved(size, strides[: i + 1]) for i in range(len(strides))] == after
    assert halvings(size, 1, least) == strides[:1]


def test_sides_that_do_not_divide_are_refused() -> None:
    assert len(needed_halvings("x", (12, 12), 8, 2, 2)) == 2
    for size in ((15, 15), (18, 18), (6, 6)):
        with pytest.raises(UsageError, match=r"x needs sides that divide by 4 and are at least 8, .* import with"):
            needed_halvings("x", size, 8, 2, 2)


@pytest.mark.parametrize("stride", [(2, 2), (1, 2, 2), (2, 2, 2), (1, 1)])
@pytest.mark.parametrize("odd", [False, True])
def test_down_and_up_are_of_one_size(stride: tuple[int, ...], odd: bool) -> None:
    size, kernel = (8, 12, 6)[: len(stride)], 3 if odd else kernel_of(stride)
    x = torch.randn(2, 3, *size)
    small = Conv(3, 4, kernel, dims=len(size), stride=stride)(x)
    assert small.shape == (2, 4, *halved(size, [stride]))
    assert Conv(4, 3, kernel, dims=len(size), stride=stride, up=True)(small).shape == x.shape


def test_padding() -> None:
    x = torch.ones(1, 1, 8, 8)
    conv = Conv(1, 1, 7, dims=2, reflect=True)
    assert torch.allclose(conv(x), conv.weight.sum().expand(1, 1, 8, 8), atol=1e-6)
    assert not torch.allclose(Conv(1, 1, 7, dims=2)(x)[0, 0, 0, 0], conv.weight.sum(), atol=1e-3)


def test_spectral_normalisation() -> None:
    conv = Conv(6, 8, 3, dims=3, spectral=True)
    for _ in range(30):
        conv(torch.zeros(1, 6, 4, 4, 4))
    assert abs(float(torch.linalg.matrix_norm(conv.weight.detach().flatten(1), 2)) - 1) < 1e-3
    conv.eval()
    before = conv.weight.clone()
    conv(torch.zeros(1, 6, 4, 4, 4))
    assert torch.equal(conv.weight, before)


@pytest.mark.parametrize("shape", [(3, 4, 6, 5), (2, 3, 4, 6, 5)])
def test_instance_normalisation_and_its_gradient(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    x = (torch.randn(shape) * 3 + 2).double().requires_grad_()
    g = torch.randn(shape).double()
    y = instance_norm(x.float())
    assert torch.allclose(y, F.instance_norm(x).float(), atol=1e-5)
    axes = tuple(range(2, x.ndim))
    assert float(y.detach().mean(axes).abs().max()) < 1e-5 and torch.allclose(
        y.var(axes, False), torch.ones(shape[:2]), atol=1e-3
    )
    (ours,) = torch.autograd.grad((y * g).sum(), x)
    (theirs,) = torch.autograd.grad((F.instance_norm(x) * g).sum(), x)
    assert torch.allclose(ours, theirs, atol=1e-5)
    low = instance_norm(x.bfloat16())
    assert low.dtype == torch.bfloat16 and torch.allclose(low.float(), y, atol=0.05)


def gradients(conv: Conv, x: Tensor, bf16: bool) -> tuple[Tensor, Tensor]:
    trash = [torch.full((size,), torch.nan) for size in (conv.weight.numel(), conv.weight.numel() // 2)]
    del trash  # memory that is not written shows as NaN
    x = x.clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        y = conv(x)
    return torch.autograd.grad(y.float().square().mean(), [conv.weight, x])  # type: ignore[return-value]


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
@pytest.mark.parametrize(
    ("stride", "up"), [((1, 1, 1), False), ((2, 2, 2), False), ((2, 2, 2), True), ((1, 2, 2), True)]
)
def test_gradients_of_volumes_in_bf16(depth: int, stride: tuple[int, ...], up: bool) -> None:
    """In bf16 weights and inputs get the gradients of fp32 to within rounding, at every depth."""
    if depth % stride[0] and not up:
        pytest.skip("an odd side is never halved")
    torch.manual_seed(0)
    conv, x = Conv(16, 16, kernel_of(stride), dims=3, stride=stride, up=up), torch.randn(2, 16, depth, 8, 8)
    exact = gradients(conv, x, False)
    for _ in range(2):
        for ours, theirs in zip(gradients(conv, x, True), exact, strict=True):
            assert torch.allclose(ours, theirs, atol=0.05 * float(theirs.abs().max()))


def test_output_layers_are_exact() -> None:
    x = torch.randn(1, 4, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        assert Conv(4, 4, 3, dims=2)(x).dtype == torch.bfloat16
        assert Conv(4, 4, 3, dims=2, exact=True)(x).dtype == torch.float32

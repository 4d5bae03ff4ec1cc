"""Low-pass filters against scipy, resampling against loops, the filtered leaky ReLU against its definition."""

import numpy as np
import pytest
import scipy.signal
import scipy.special
import torch
from torch import Tensor

from understudy.nets.alias_free import Rates, filtered_leaky_relu, low_pass, placement

DESIGNS = [(12, 2.0, 8.0, 32.0), (24, 5.04, 6.9, 128.0), (12, 32.0, 14.8, 128.0), (7, 1.0, 0.2, 16.0), (12, 6, 12, 32)]


@pytest.mark.parametrize(("taps", "cutoff", "width", "rate"), DESIGNS)
def test_low_pass_is_scipys_kaiser_window_design(taps: int, cutoff: float, width: float, rate: float) -> None:
    expected = scipy.signal.firwin(numtaps=taps, cutoff=cutoff, width=width, fs=rate)
    found = low_pass(taps, cutoff, width, rate)
    assert found is not None and found.dtype == torch.float32
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("taps", "cutoff", "width", "rate"), [design for design in DESIGNS if design[0] % 2 == 0])
def test_radial_low_pass_is_a_windowed_jinc(taps: int, cutoff: float, width: float, rate: float) -> None:
    x = (np.arange(taps) - (taps - 1) / 2) / rate
    r = np.hypot(x[:, None], x[None, :])
    beta = scipy.signal.kaiser_beta(scipy.signal.kaiser_atten(taps, width / (rate / 2)))
    window = scipy.signal.windows.kaiser(taps, beta)
    expected = scipy.special.j1(2 * np.pi * cutoff * r) / r * window[:, None] * window[None, :]
    found = low_pass(taps, cutoff, width, rate, radial=True)
    assert found is not None
    np.testing.assert_allclose(found.numpy(), expected / expected.sum(), rtol=0, atol=1e-6)


def test_low_pass_halves_the_cutoff_and_stops_behind_it() -> None:
    cutoff, width, rate = 10.0, 8.0, 64.0
    kernel = low_pass(24, cutoff, width, rate)
    assert kernel is not None
    frequencies, response = scipy.signal.freqz(kernel.double().numpy(), worN=2048, fs=rate)
    assert abs(response[0]) == pytest.approx(1, abs=1e-6)
    assert abs(response[np.argmin(abs(frequencies - cutoff))]) == pytest.approx(0.5, abs=0.02)
    assert abs(response[frequencies > cutoff + width / 2]).max() < 0.01
    assert low_pass(1, cutoff, width, rate) is None


def convolved(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Convolution of the last two axes, only where the kernel lies within."""
    if kernel.ndim == 1:
        for axis in (2, 3):
            x = np.apply_along_axis(np.convolve, axis, x, kernel, mode="valid")
        return x
    return np.stack([[scipy.signal.convolve2d(c, kernel, mode="valid") for c in case] for case in x])


def by_definition(
    x: np.ndarray, up: np.ndarray, down: np.ndarray, rates: Rates, clamp: float | None, slope: float = 0.2
) -> np.ndarray:
    """Zeros between samples, padding, full filters, leaky ReLU, clamp, every so many samples."""
    n, c, h, w = x.shape
    wide = np.zeros((n, c, h * rates.up, w * rates.up))
    wide[:, :, :: rates.up, :: rates.up] = x
    after = rates.middle + len(up) - 1 - rates.padding - h * rates.up
    before, rest = max(rates.padding, 0), max(after, 0)
    wide = np.pad(wide, [(0, 0), (0, 0), (before, rest), (before, rest)])
    cut = slice(max(-rates.padding, 0), wide.shape[2] - max(-after, 0))
    y = convolved(wide[:, :, cut, cut], up) * rates.up**2
    y = np.where(y < 0, slope * y, y)
    y = y if clamp is None else y.clip(-clamp, clamp)
    return convolved(y, down)[:, :, :: rates.down, :: rates.down]


CASES = [  # rows before and after, factors up and down, radial filter, limit
    (11, 9, 2, 2, False, None),
    (11, 9, 2, 2, True, None),
    (11, 22, 4, 2, False, None),
    (15, 16, 4, 2, True, 0.5),
    (30, 9, 2, 2, False, 0.5),
    (9, 9, 1, 1, False, None),
    (9, 17, 2, 1, False, 0.3),
]


def prepared(
    case: tuple[int, int, int, int, bool, float | None], dtype: torch.dtype
) -> tuple[list[Tensor], Tensor | None, Tensor | None, Rates, float | None]:
    before, after, up, down, radial, clamp = case
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, before, before, generator=generator, dtype=dtype)
    scale, bias = torch.rand(2, 3, generator=generator) + 0.5, torch.randn(3, generator=generator)
    taps = [6 * factor if factor > 1 else 1 for factor in (up, down)]
    filters = low_pass(taps[0], 3.0, 6.0, 16.0 * up), low_pass(taps[1], 4.0, 6.0, 16.0 * down, radial and down > 1)
    rates = placement(before, after, up, down, taps[0], taps[1])
    return [x, scale.to(dtype), bias.to(dtype)], *filters, rates, clamp


@pytest.mark.parametrize("case", CASES)
def test_filtered_leaky_relu_against_its_definition(case: tuple[int, int, int, int, bool, float | None]) -> None:
    (x, scale, bias), up, down, rates, clamp = prepared(case, torch.float32)
    found = filtered_leaky_relu(x, scale, bias, up, down, rates, clamp=clamp)
    plain = (x * scale[..., None, None] + bias[:, None, None]).double().numpy()
    one = np.ones(1)
    expected = by_definition(
        plain, one if up is None else up.numpy(), one if down is None else down.numpy(), rates, clamp
    )
    assert found.shape[2:] == (case[1], case[1])
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("case", CASES)
def test_its_derivatives_against_finite_differences(case: tuple[int, int, int, int, bool, float | None]) -> None:
    inputs, up, down, rates, clamp = prepared(case, torch.float64)
    inputs = [tensor.requires_grad_(True) for tensor in inputs]
    assert torch.autograd.gradcheck(
        lambda x, scale, bias: filtered_leaky_relu(x, scale, bias, up, down, rates, clamp=clamp),
        inputs,
        eps=1e-7,
        atol=1e-5,
        fast_mode=True,
    )


def test_nothing_of_the_higher_rate_is_kept_for_the_backward_pass() -> None:
    (x, scale, bias), up, down, rates, clamp = prepared(CASES[0], torch.float32)
    kept: list[int] = []

    def note(tensor: Tensor) -> Tensor:
        kept.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        filtered_leaky_relu(x.requires_grad_(True), scale, bias, up, down, rates, clamp=clamp)
    assert kept and max(kept) == x.numel()


@pytest.mark.parametrize("case", CASES)
def test_low_precision(case: tuple[int, int, int, int, bool, float | None]) -> None:
    (x, scale, bias), up, down, rates, clamp = prepared(case, torch.float32)
    exact = filtered_leaky_relu(x, scale, bias, up, down, rates, clamp=clamp)
    rough = filtered_leaky_relu(x.bfloat16(), scale, bias, up, down, rates, clamp=clamp)
    assert rough.dtype == torch.bfloat16
    assert (rough.float() - exact).norm().item() < 0.01 * exact.norm().item()


def test_samples_share_one_centre() -> None:
    x = torch.randn(1, 2, 12, 12, generator=torch.Generator().manual_seed(0))
    one = torch.ones(1, 2), torch.zeros(2), low_pass(12, 3.0, 6.0, 32.0), low_pass(12, 3.0, 6.0, 32.0)
    rates = placement(12, 8, 2, 2, 12, 12)
    found = filtered_leaky_relu(x, *one, rates)
    turned = filtered_leaky_relu(x.rot90(1, (2, 3)), *one, rates)
    torch.testing.assert_close(turned, found.rot90(1, (2, 3)), atol=1e-5, rtol=1e-5)

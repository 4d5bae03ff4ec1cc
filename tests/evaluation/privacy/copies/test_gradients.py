"""Candidates by histograms of oriented gradients: turned, mirrored, negative and warped cases are found."""

import pytest
import torch
from torch import Tensor

from understudy.evaluation.privacy.copies import gradients
from understudy.evaluation.privacy.copies.registration import apply_affine, blur, random_warp


def images(n: int, seed: int = 0, channels: int = 1) -> Tensor:
    drawn = blur(torch.randn((n, channels, 64, 64), generator=torch.Generator().manual_seed(seed)), 1 / 24)
    return drawn / drawn.std() / 3


@pytest.mark.parametrize("turn", range(8))
@pytest.mark.parametrize("sign", [1, -1])
def test_each_turn_and_negative_is_found(turn: int, sign: int) -> None:
    targets = images(6)
    shown = sign * gradients.turned(targets, turn)
    alike = gradients.alike(shown, targets)
    assert alike.highest.argmax(1).tolist() == list(range(6))
    which, signs = alike.chosen(torch.arange(6)[:, None])
    assert (which == turn).all() and (signs == sign).all()
    assert torch.allclose(shown, sign * apply_affine(targets, gradients.turns()[turn].expand(6, 2, 3)), atol=1e-4)


def test_warped_cases_are_found() -> None:
    targets = images(40, channels=2)
    alike = gradients.alike(random_warp(targets, 3 / 64, 6 / 64, torch.Generator().manual_seed(5)), targets)
    assert (alike.highest.argmax(1) == torch.arange(40)).float().mean() > 0.9


def test_histograms_by_hand() -> None:
    ramp = torch.linspace(-1, 1, 64).expand(1, 1, 64, 64)  # brighter to the right
    found = gradients.histograms(ramp)[0, :, 6, 6]
    assert found.argmax() == 0
    assert found[0] == pytest.approx(1.0, abs=0.05)  # the slope is 1 of the half range a half side
    assert found[4] == 0
    assert found[1] == pytest.approx(0.5 ** (3 / 4), abs=0.05)  # cos(45 degrees) cubed, square root
    assert gradients.histograms(torch.zeros(3, 2, 64, 64)).abs().max() < 1e-3

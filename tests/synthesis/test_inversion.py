"""Latent inversion with known answers: the residual of a linear generator, and a generator that only repeats cases."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor

from understudy.synthesis.conditioning.search import WIDTH, NormalLatents
from understudy.synthesis.inversion import STARTS, distances

WIDE, PIXELS = 4, 16


def latents(generate: object) -> NormalLatents:
    return NormalLatents(generate, WIDE, torch.device("cpu"))  # type: ignore[arg-type]


def test_the_residual_of_a_linear_generator() -> None:
    draw = torch.Generator().manual_seed(0)
    basis, _ = torch.linalg.qr(torch.randn(PIXELS, PIXELS, generator=draw))
    inside, outside = basis[:, :WIDE], basis[:, WIDE:]  # what the generator can show, and what it cannot
    linear = latents(lambda z: (z @ inside.T)[:, None, None])
    within = torch.nn.functional.normalize(torch.randn(6, WIDE, generator=draw), dim=1) * math.sqrt(WIDE)
    beyond = 2 * within  # farther out than latents lie
    off = torch.tensor([0.0, 0.2, 0.5, 1.0, 2.0, 3.0])
    errors = off[:, None] * torch.nn.functional.normalize(torch.randn(6, PIXELS - WIDE, generator=draw), dim=1)
    starts = linear.start(list(range(STARTS)))

    def found(c: Tensor) -> Tensor:
        return distances(linear, (c @ inside.T + errors @ outside.T)[:, None, None], starts)

    assert torch.allclose(found(within), off**2 / PIXELS, atol=2e-3)
    too_far = 2 * math.sqrt(WIDE) - (math.sqrt(WIDE) + WIDTH)
    assert torch.allclose(found(beyond), (off**2 + max(too_far, 0) ** 2) / PIXELS, atol=2e-3)
    both = found(within)
    alone = distances(linear, (within @ inside.T + errors @ outside.T)[:1, None, None], starts)
    assert alone[0] == pytest.approx(float(both[0]), abs=1e-6)


def test_a_generator_that_repeats_its_cases_gives_them_away() -> None:
    draw = torch.Generator().manual_seed(1)
    known, others = torch.randn(2, 8, 1, 4, 4, generator=draw)
    places = torch.nn.functional.normalize(torch.randn(8, WIDE, generator=draw), dim=1) * math.sqrt(WIDE)

    def repeat(z: Tensor) -> Tensor:
        return known[torch.cdist(z, places).argmin(1)] + 0 * z.sum()

    memoriser = latents(repeat)
    starts = memoriser.start(list(range(STARTS)))
    answers = distances(memoriser, torch.cat([known, others]), starts).numpy()
    assert answers[:8].max() == 0 and roc_auc_score(np.arange(16) < 8, -answers) == 1

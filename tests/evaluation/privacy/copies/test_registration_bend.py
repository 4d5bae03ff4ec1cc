"""Bending undoes a known registration, tells what was bent from unseen, and never makes a pair less alike."""

import pytest
import torch
from torch import Tensor

from understudy.evaluation.privacy.copies import registration
from understudy.evaluation.privacy.copies.registration import affine_maps, apply_affine, blur, random_warp, sample, unit


def smooth(n: int, side: int, channels: int = 1, seed: int = 0) -> Tensor:
    images = blur(torch.randn((n, channels, side, side), generator=torch.Generator().manual_seed(seed)), 1 / 24)
    return images / images.std() / 3


def bent(images: Tensor, seed: int = 5) -> Tensor:
    return random_warp(images, 3 / 64, 6 / 64, torch.Generator().manual_seed(seed))


def r(a: Tensor, b: Tensor) -> Tensor:
    return (unit(a) * unit(b)).sum(1)


STILL = torch.eye(2, 3).expand(40, 2, 3)


def test_cosines_are_orthonormal_and_their_variances_those_of_smoothed_noise() -> None:
    cosines, variances = registration.basis(32, 32)
    assert torch.allclose(cosines.T @ cosines / 1024, torch.eye(cosines.shape[1]), atol=1e-5)
    assert float(variances.sum()) == pytest.approx((2 * registration.STRENGTH) ** 2)
    noise = blur(torch.randn((4000, 1, 32, 32), generator=torch.Generator().manual_seed(0)), registration.SMOOTHNESS)
    found = (noise.flatten(1) @ cosines / 1024).var(0)
    assert torch.allclose(found / found.sum(), variances / variances.sum(), rtol=0.35)


def test_a_known_bend_is_undone() -> None:
    target = smooth(40, 32)
    query = bent(target)
    grid = registration.deform(query, target, STILL)
    assert r(query, target).median() < 0.75
    assert r(query, sample(target, grid)).median() > 0.93


def test_what_is_fitted_never_gets_worse() -> None:
    query, target = smooth(40, 32, seed=1), smooth(40, 32, seed=2)
    after = r(query, sample(target, registration.deform(query, target, STILL)))
    assert (after >= r(query, target) - 1e-5).all()
    assert after.max() < 0.97


def test_a_large_weight_of_the_prior_keeps_still(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registration, "WEIGHT", 1e6)
    target = smooth(40, 32)
    still = registration.deform(bent(target), target, STILL) - torch.nn.functional.affine_grid(
        STILL, [40, 1, 32, 32], False
    )
    assert still.abs().max() < 1e-4


def test_plain_images_do_not_break_it() -> None:
    plain, target = torch.full((40, 1, 32, 32), 0.4), smooth(40, 32)
    for query, other in ((plain, target), (target, plain), (plain, plain)):
        assert registration.deform(query, other, STILL).isfinite().all()


def test_what_is_bent_is_among_its_candidates_and_unseen_lie_further() -> None:
    targets = smooth(40, 64, channels=2)
    queries = bent(targets)
    histograms = registration.local_histograms(targets)
    assert torch.allclose(histograms.norm(dim=1), torch.ones(40), atol=1e-4)
    likeness = registration.local_histograms(queries) @ histograms.T
    assert (likeness.argmax(1) == torch.arange(40)).float().mean() > 0.9
    copies, unseen = (
        registration.fit_deformed(queries, targets),
        registration.fit_deformed(queries.roll(1, 0), targets),
    )
    assert (copies[:, None] > unseen).float().mean() > 0.99


def test_images_that_are_not_square_and_start_elsewhere() -> None:
    target = smooth(12, 64)[:, :, :40]
    still, turned = (
        torch.eye(2, 3).expand(12, 2, 3),
        affine_maps(torch.full((12,), 6.0), torch.ones(12), torch.zeros(12, 2)),
    )
    assert r(bent(target), sample(target, registration.deform(bent(target), target, still))).median() > 0.93
    query = bent(apply_affine(target, turned))
    started, unmoved = (r(query, sample(target, registration.deform(query, target, one))) for one in (turned, still))
    assert started.median() > 0.93 and started.mean() > unmoved.mean()


def test_swapped_channels_are_put_back() -> None:
    targets = smooth(6, 64, channels=3)
    assert registration.fit_deformed(bent(targets)[:, [2, 0, 1]], targets).min() > 0.8

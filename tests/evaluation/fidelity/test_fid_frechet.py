"""The Frechet distance against closed forms and against torchmetrics' formula."""

import numpy as np
import pytest
import torch
from torchmetrics.image.fid import _compute_fid

from understudy.evaluation.fidelity.fid import cholesky, frechet, gaussian_distance, moments


def covariance(rng: np.random.Generator, features: int, rank: int) -> np.ndarray:
    root = rng.normal(0, 1, (features, rank))
    return root @ root.T / rank


def test_closed_form_of_commuting_gaussians() -> None:
    rng = np.random.default_rng(0)
    axes, _ = np.linalg.qr(rng.normal(size=(20, 20)))
    a, b, mean = rng.uniform(0, 3, 20), rng.uniform(0, 3, 20), rng.normal(size=20)
    a[:4] = b[2:6] = 0  # singular covariances too
    expected = (mean**2).sum() + ((np.sqrt(a) - np.sqrt(b)) ** 2).sum()
    found = gaussian_distance(np.zeros(20), axes * a @ axes.T, mean, axes * b @ axes.T)
    assert found == pytest.approx(expected, rel=1e-6)


def test_closed_form_in_two_dimensions() -> None:
    """tr (C_r C_s)^(1/2) of 2 x 2 matrices is sqrt(tr(C_r C_s) + 2 sqrt(det(C_r C_s)))."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        a, b = covariance(rng, 2, 3), covariance(rng, 2, 3)
        expected = np.trace(a) + np.trace(b) - 2 * np.sqrt(np.trace(a @ b) + 2 * np.sqrt(np.linalg.det(a @ b)))
        assert gaussian_distance(np.zeros(2), a, np.zeros(2), b) == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_known_gaussians_are_found_from_samples() -> None:
    rng = np.random.default_rng(0)
    result = frechet(real=rng.normal(0, 1, (200_000, 3)), synthetic=rng.normal(1, 2, (200_000, 3)))
    assert result.value == pytest.approx(3 * (1 + 1), rel=0.02) and result.note == ""


def test_singular_covariances_have_narrow_roots_and_roles_swap() -> None:
    rng = np.random.default_rng(0)
    real, made = rng.normal(0, 1, (40, 64)) * 0.9 ** np.arange(64), rng.normal(0.2, 1, (25, 64))
    assert cholesky(moments(real)[1]).shape == (64, 39) and cholesky(np.zeros((5, 5))).shape == (5, 0)
    for side in (real, made):
        root, cov = cholesky(moments(side)[1]), moments(side)[1]
        assert root @ root.T == pytest.approx(cov, abs=1e-12)
    assert frechet(real=real, synthetic=made).value == pytest.approx(frechet(real=made, synthetic=real).value, rel=1e-9)


@pytest.mark.parametrize("cases", [500, 40])
def test_agrees_with_torchmetrics(cases: int) -> None:
    rng = np.random.default_rng(0)
    real, made = rng.normal(0, 1, (cases, 64)), rng.normal(0.2, 1, (cases, 64)) @ rng.normal(0, 0.2, (64, 64))
    arguments = [torch.from_numpy(a) for x in (real, made) for a in moments(x)]
    reference = _compute_fid(*arguments).item()
    assert frechet(real=real, synthetic=made).value == pytest.approx(reference, rel=1e-4)


def test_moments_are_those_of_numpy() -> None:
    x = np.random.default_rng(0).normal(3, 2, (50, 8)).astype(np.float32)
    mean, cov = moments(x)
    assert mean == pytest.approx(x.astype(float).mean(0)) and cov == pytest.approx(np.cov(x.astype(float).T))

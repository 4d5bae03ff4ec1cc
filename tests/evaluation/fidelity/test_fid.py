"""The extrapolated Frechet distance: nearer to closed forms than the plain one, and by hand."""

import numpy as np
import pytest
import torch
from torchmetrics.image.fid import _compute_fid

from understudy.evaluation.fidelity.fid import (
    cholesky,
    distance,
    frechet,
    frechet_infinity,
    gaussian_distance,
    intercept,
    moments,
    sample_sizes,
    subset,
)


def pair(seed: int, n: int, mean: float, sd: float) -> dict[str, np.ndarray]:
    """Samples of N(0, 1) and N(mean, sd^2) in 16 features: 16 (mean^2 + (sd - 1)^2) apart."""
    rng = np.random.default_rng(seed)
    return {"real": rng.normal(0, 1, (n, 16)), "synthetic": rng.normal(mean, sd, (n, 16))}


@pytest.mark.parametrize(("mean", "sd"), [(0.1, 1.2), (0.0, 2.0), (0.5, 1.0)])
def test_nearer_to_the_closed_form_than_the_plain_distance(mean: float, sd: float) -> None:
    truth = 16 * (mean**2 + (sd - 1) ** 2)
    errors = {
        f: np.array([(f(**pair(seed, 160, mean, sd), seed=seed).value or 0) - truth for seed in range(10)])
        for f in (frechet, frechet_infinity)
    }
    assert abs(errors[frechet_infinity]).mean() < 0.6 * abs(errors[frechet]).mean()
    assert abs(errors[frechet_infinity].mean()) < 0.25 * errors[frechet].mean()


def test_two_samples_of_one_distribution_are_about_0_apart() -> None:
    values = np.array([frechet_infinity(**pair(seed, 160, 0, 1), seed=seed).value for seed in range(20)])
    plain = np.array([frechet(**pair(seed, 160, 0, 1)).value for seed in range(20)])
    assert abs(values.mean()) < 0.15 * plain.mean() and values.min() < 0


def test_by_hand_on_the_same_subsets() -> None:
    samples = pair(0, 90, 0.3, 1)
    samples["real"] = np.concatenate([samples["real"], 1 + samples["real"][:20]])
    taken = sample_sizes(90, 16, 15)
    distances = [
        frechet(real=real, synthetic=made).value
        for real, made in (subset(samples["real"], samples["synthetic"], size, 3, i) for i, size in enumerate(taken))
    ]
    expected = np.polyfit(1 / taken, distances, 1)[1]
    assert frechet_infinity(**samples, seed=3).value == pytest.approx(expected, rel=1e-9)
    assert frechet_infinity(**samples, seed=4).value != pytest.approx(expected, rel=1e-3)


def test_sizes_begin_at_a_tenth_at_twice_the_features_or_at_half() -> None:
    assert sample_sizes(50_000, 2048, 15)[[0, 1, -1]].tolist() == [5000, 8214, 50_000]  # as published
    assert sample_sizes(1000, 128, 3).tolist() == [256, 628, 1000]
    assert sample_sizes(300, 128, 3).tolist() == [150, 225, 300]
    assert sample_sizes(3, 128, 2).tolist() == [2, 3] and sample_sizes(2, 128, 3).tolist() == [2, 2, 2]


def test_a_subset_takes_a_case_once_and_equal_sides_alike() -> None:
    rows = np.arange(50)[:, None]
    first, second = subset(rows, rows, 20, 0, 0)
    assert np.array_equal(first, second) and len(np.unique(first)) == 20
    assert not np.array_equal(first, subset(rows, rows, 20, 0, 1)[0])
    longer, shorter = subset(rows, rows[:30], 30, 0, 0)
    assert len(np.unique(longer)) == 30 and sorted(shorter.ravel()) == list(range(30)) and longer.max() >= 30


def test_intercept_of_a_line_and_of_a_point() -> None:
    x = np.array([0.1, 0.2, 0.5])
    assert intercept(x, 3 + 7 * x) == pytest.approx(3) and intercept(np.ones(3), np.array([1.0, 2, 6])) == 3


def test_the_note_tells_the_sizes() -> None:
    assert frechet_infinity(**pair(0, 64, 0, 1)).note == (
        "of these subjects; line through 15 sample sizes from 32 to 64; may be negative"
    )
    assert frechet_infinity(**pair(0, 2, 0, 1)).value == pytest.approx(frechet(**pair(0, 2, 0, 1)).value)


def covariance(rng: np.random.Generator, features: int, rank: int) -> np.ndarray:
    root = rng.normal(0, 1, (features, rank))
    return root @ root.T / rank


@pytest.mark.parametrize(("n", "m"), [(12, 90), (90, 12), (12, 9), (20, 20), (2, 40)])
def test_fewer_cases_than_features_give_the_same_by_another_root(n: int, m: int) -> None:
    rng = np.random.default_rng(n)
    real, synthetic = rng.normal(size=(n, 24)) @ np.diag(np.arange(24.0)), rng.normal(1, 2, (m, 24))
    expected = gaussian_distance(*moments(real), *moments(synthetic))
    assert distance(real, synthetic) == pytest.approx(expected, rel=1e-7)
    assert distance(real, real) == pytest.approx(0, abs=1e-6 * moments(real)[1].trace())


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

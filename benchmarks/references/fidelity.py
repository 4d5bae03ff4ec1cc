"""References of ``evaluate fidelity``: closed forms, torchmetrics, prdc and the equations of the papers."""

import contextlib
import io
import warnings
from functools import partial
from unittest.mock import patch

import numpy as np
import torch
from monai.metrics.regression import compute_ms_ssim
from prdc import compute_prdc
from scipy import stats
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure
from torchmetrics.image.fid import _compute_fid
from torchmetrics.image.inception import InceptionScore
from torchmetrics.image.kid import poly_mmd

from references import Row, largest
from understudy.core.encoding import Channel
from understudy.evaluation.fidelity.fid import frechet, frechet_infinity, gaussian_distance, sample_sizes, subset
from understudy.evaluation.fidelity.inception_score import inception_score
from understudy.evaluation.fidelity.intensity import cumulative, shares
from understudy.evaluation.fidelity.intensity import wasserstein as intensity_distance
from understudy.evaluation.fidelity.kid import kid, subset_rows
from understudy.evaluation.fidelity.label_distances import kolmogorov_smirnov, wasserstein
from understudy.evaluation.fidelity.ms_ssim import WEIGHTS, ms_ssim
from understudy.evaluation.fidelity.prdc import METRIC as PRDC
from understudy.evaluation.fidelity.spectrum import distance as spectrum_distance
from understudy.evaluation.fidelity.spectrum import spectra

CT = Channel("CT", -1000, 1000, "HU")
FOUR = [quantity.name for quantity in PRDC.quantities]


def clusters(seed: int, n: int, features: int, kept: int = 6) -> np.ndarray:
    """Draw n cases around some of six centres."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(9).normal(0, 3, (6, features))
    return centres[rng.integers(0, kept, n)] + rng.normal(0, 1, (n, features))


def frechet_of_known_gaussians() -> float:
    """Covariances with the same axes, some of them singular: |m|^2 + sum (sqrt(a) - sqrt(b))^2; and 2 x 2 ones."""
    found, expected = [], []
    for seed, features in enumerate((3, 20, 128, 512)):
        rng = np.random.default_rng(seed)
        axes, _ = np.linalg.qr(rng.normal(size=(features, features)))
        a, b = rng.uniform(0, 3, (2, features))
        mean = rng.normal(size=features)
        a[: features // 5] = b[features // 10 : features // 3] = 0
        found.append(gaussian_distance(np.zeros(features), axes * a @ axes.T, mean, axes * b @ axes.T))
        expected.append((mean**2).sum() + ((np.sqrt(a) - np.sqrt(b)) ** 2).sum())
        one, other = (root @ root.T / 3 for root in rng.normal(size=(2, 2, 3)))
        cross = np.sqrt(np.trace(one @ other) + 2 * np.sqrt(np.linalg.det(one @ other)))
        found.append(gaussian_distance(np.zeros(2), one, np.zeros(2), other))
        expected.append(np.trace(one) + np.trace(other) - 2 * cross)
    return largest(found, expected, relative=True)


def frechet_of_torchmetrics() -> float:
    """The formula of torchmetrics on moments by numpy; with fewer cases than features both covariances are singular."""
    found, expected = [], []
    for seed, (n, features) in enumerate(((500, 64), (40, 64), (2000, 256))):
        rng = np.random.default_rng(seed)
        real = rng.normal(0, 1, (n, features))
        made = rng.normal(0.2, 1, (n, features)) @ rng.normal(0, 0.2, (features, features))
        found.append(frechet(real=real, synthetic=made).value or 0)
        known = [torch.from_numpy(a) for x in (real, made) for a in (x.mean(0), np.cov(x.T))]
        expected.append(_compute_fid(*known).item())
    return largest(found, expected, relative=True)


def infinity_by_hand() -> float:
    """A line by numpy.polyfit through distances of the same subsets."""
    found, expected = [], []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        real, made = rng.normal(0, 1, (110, 16)), rng.normal(0.3, 1, (90, 16))
        taken = sample_sizes(90, 16, 15)
        pairs = (subset(real, made, size, seed, i) for i, size in enumerate(taken))
        distances = [frechet(real=one, synthetic=other).value or 0 for one, other in pairs]
        found.append(frechet_infinity(real=real, synthetic=made, seed=seed).value or 0)
        expected.append(np.polyfit(1 / taken, distances, 1)[1])
    return largest(found, expected, relative=True)


def kid_of_torchmetrics() -> float:
    """Kernel and estimator of torchmetrics on the same subsets."""
    found, expected = [], []
    for seed, features in enumerate((16, 128)):
        real, made = clusters(seed, 180, features), clusters(seed + 50, 240, features, 4)
        drawn = subset_rows(180, 240, 80, 20, seed)
        pairs = [(torch.from_numpy(real[a]), torch.from_numpy(made[b])) for a, b in drawn]
        expected.append(np.mean([poly_mmd(one, other, 3, None, 1.0).item() for one, other in pairs]))
        found.append(kid(real=real, synthetic=made, seed=seed, subsets=20, subset_size=80).value or 0)
    return largest(found, expected, relative=True)


def manifold_of_prdc(name: str) -> float:
    """The package prdc on the same features, several k and sizes."""
    found, expected = [], []
    for seed, (n, m, features, k) in enumerate(((300, 170, 20, 1), (90, 260, 20, 5), (500, 400, 128, 5))):
        real, made = clusters(seed, n, features), 1.1 * clusters(seed + 50, m, features, 4)
        with contextlib.redirect_stdout(io.StringIO()):  # prdc prints how many cases there are
            expected.append(float(compute_prdc(real, made, k)[name]))
        found.append(PRDC.results(real=real, synthetic=made, neighbours=k)[name].value or 0)
    return largest(found, expected)


def label_wasserstein() -> float:
    """A shift by d has the distance d; uniform on [0, 1] against uniform on [0, s]: (s - 1) / 2."""
    grid = (np.arange(1000) + 0.5) / 1000
    values = np.random.default_rng(0).normal(0, 2, 500)
    pairs = [(values, values + d, d) for d in (0.1, 1, 7)] + [(grid, s * grid, (s - 1) / 2) for s in (2, 5)]
    return largest([wasserstein(real=r, synthetic=s).value or 0 for r, s, _ in pairs], [p[2] for p in pairs])


def label_ks() -> float:
    """Uniform on [0, 1] against uniform on [0, s]: 1 - 1 / s."""
    grid = (np.arange(1000) + 0.5) / 1000
    found = [kolmogorov_smirnov(real=grid, synthetic=s * grid).value or 0 for s in (1, 2, 4)]
    return largest(found, [0, 0.5, 0.75])


def intensity_of_scipy() -> float:
    """SciPy's distance of all voxels, each at the place of its bin."""
    found, expected = [], []
    for seed, bins in enumerate((64, 100)):
        rng, width = np.random.default_rng(seed), (CT.high - CT.low) / bins
        drawn = (rng.normal(m, sd, (n, 1, 24, 24)).clip(-1, 1) for m, sd, n in ((-0.2, 0.2, 40), (0, 0.3, 25)))
        images = [side.astype(np.float32) for side in drawn]
        sides = [cumulative(shares(side, bins)[:, 0], CT) for side in images]
        found.append(intensity_distance(real=sides[0], synthetic=sides[1]).value or 0)
        places = [((side + 1) / 2 * bins).astype(int).clip(0, bins - 1) * width for side in images]
        expected.append(stats.wasserstein_distance(*(place.ravel() for place in places)))
    return largest(found, expected, relative=True)


def power_of_sinusoids() -> float:
    """All power of a cosine of amplitude a lies in the ring of its frequency: ring x voxels in it / N = a^2 / 2."""
    found, expected = [], []
    for k, amplitude in ((3, 0.2), (5, 0.8), (11, 0.5)):
        wave = amplitude * np.cos(2 * np.pi * k * np.arange(32) / 32)
        power = 10 ** (spectra(np.broadcast_to(wave, (1, 1, 32, 32)).astype(np.float32))[0, 0].astype(float) / 10)
        radius = np.rint(np.hypot(*np.meshgrid(np.fft.fftfreq(32), np.fft.fftfreq(32))) * 32)
        found.append(power[k - 1] * (radius == k).sum() / 32**2)
        expected.append(amplitude**2 / 2)
    return largest(found, expected, relative=True)


def gain_in_decibels() -> float:
    """White noise g times as strong is 20 log10 g away."""
    noise = np.random.default_rng(0).normal(0, 0.1, (50, 2, 32, 32)).astype(np.float32)
    gains = (1, 2, 5)
    sides = [spectra(gain * noise).reshape(50, -1) for gain in gains]
    return largest([spectrum_distance(real=sides[0], synthetic=s).value or 0 for s in sides], 20 * np.log10(gains))


def inception_score_of_torchmetrics() -> float:
    """The same logits, all in one split."""
    found, expected = [], []
    for seed, spread in enumerate((0.5, 2, 6)):
        drawn = np.random.default_rng(seed).normal(0, spread, (300, 12))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that it keeps all features, and was not handed images
            metric = InceptionScore(feature=torch.nn.Identity(), splits=1)
            metric.features.append(torch.from_numpy(drawn))
            expected.append(float(metric.compute()[0]))
        found.append(inception_score(real=drawn, synthetic=drawn).value or 0)
    return largest(found, expected, relative=True)


def inception_score_in_closed_form() -> float:
    """Sure of every case: exp of the entropy of the classes; never sure of any: 1."""
    sure, p = 200 * np.eye(4), np.array([0.25, 0.25, 0.5])
    cases = [sure[np.arange(100) % 4], sure[np.array([0, 1, 2, 2] * 30)], np.zeros((50, 4))]
    found = [inception_score(real=logits, synthetic=logits).value or 0 for logits in cases]
    return largest(found, [4, np.exp(-(p * np.log(p)).sum()), 1], relative=True)


def ms_ssim_of(library: str) -> float:
    """Pairs of images; MONAI where the window fits, torchmetrics without the last scale, whose edges it reflects."""
    generator = torch.Generator().manual_seed(0)
    x = torch.nn.functional.interpolate(torch.rand(3, 1, 48, 44, generator=generator), (192, 176))
    y = (x + 0.2 * torch.randn(x.shape, generator=generator)).clamp(0, 1)
    if library == "monai":
        weights = tuple(w / sum(WEIGHTS) for w in WEIGHTS)
        return largest(ms_ssim(x, y).numpy(), compute_ms_ssim(x, y, 2, weights=weights).flatten().numpy())
    weights = (*WEIGHTS[:4], 0.0)
    theirs = multiscale_structural_similarity_index_measure(x, y, reduction="none", data_range=1.0, betas=weights)
    with patch("understudy.evaluation.fidelity.ms_ssim.WEIGHTS", weights):
        return largest((ms_ssim(x, y) ** sum(weights)).numpy(), theirs.numpy())


IMAGES = ("frechet", "extrapolation", "kernel", "manifold", "inception_score", "intensity", "spectrum", "ms_ssim")
MIRRORS = {"frechet": "fid", "extrapolation": "fid", "kernel": "kid", "manifold": "prdc"}
FILES = {name: f"evaluation/fidelity/test_{MIRRORS.get(name, name)}.py" for name in IMAGES}
PAIRS = "3 pairs of 192 x 176, 5 scales"
LABELS = "evaluation/fidelity/test_label_distances.py"
GAUSSIANS = "closed form of Gaussians with known mean and covariance"
ROWS = [
    Row(("frechet",), GAUSSIANS, "F = 2 to 512, a third of the variances 0", 1e-6, FILES["frechet"],
        frechet_of_known_gaussians, relative=True),
    Row(("frechet",), "`_compute_fid` on moments by numpy", "n = 500 and 40, F = 64; n = 2,000, F = 256", 1e-4,
        FILES["frechet"], frechet_of_torchmetrics, "torchmetrics", relative=True),
    Row(("frechet_infinity",), "`polyfit` through distances of the same subsets", "n = 90, F = 16, 15 sizes", 1e-9,
        FILES["extrapolation"], infinity_by_hand, "numpy", relative=True),
    Row(("kid",), "`poly_mmd` on the same subsets", "n = 180 and 240, F = 16 and 128, 20 subsets of 80", 1e-6,
        FILES["kernel"], kid_of_torchmetrics, "torchmetrics", relative=True),
    *(Row((name,), "`compute_prdc`", "n = 90 to 500, F = 20 and 128, k = 1 and 5: equal counts", 1e-12,
          FILES["manifold"], partial(manifold_of_prdc, name), "prdc") for name in FOUR),
    Row(("inception_score",), "`InceptionScore` on the same logits, one split", "n = 300, 12 classes", 1e-5,
        FILES["inception_score"], inception_score_of_torchmetrics, "torchmetrics", relative=True),
    Row(("inception_score",), "closed form: exp of the entropy of the classes", "n = 50 to 120, 4 classes", 1e-6,
        FILES["inception_score"], inception_score_in_closed_form, relative=True),
    Row(("intensity",), "`wasserstein_distance` on the same bins", "n = 40 and 25 of 24 x 24, 64 and 100 bins", 1e-5,
        FILES["intensity"], intensity_of_scipy, "scipy", relative=True),
    Row(("spectrum",), "closed form: the power of a sinusoid", "32 x 32, three frequencies", 1e-4, FILES["spectrum"],
        power_of_sinusoids, relative=True),
    Row(("spectrum",), "closed form: gain of white noise, in dB", "n = 50 of 32 x 32", 1e-3, FILES["spectrum"],
        gain_in_decibels),
    Row(("ms_ssim",), "`compute_ms_ssim`", PAIRS, 1e-5, FILES["ms_ssim"], partial(ms_ssim_of, "monai"), "monai"),
    Row(("ms_ssim",), "`multiscale_structural_similarity_index_measure`, its last scale left out", PAIRS, 1e-4,
        FILES["ms_ssim"], partial(ms_ssim_of, "torchmetrics"), "torchmetrics"),
    Row(("labels.wasserstein",), "closed form of a shift and of uniform samples", "n = 500 and 1,000", 1e-6, LABELS,
        label_wasserstein),
    Row(("labels.ks",), "closed form of uniform samples", "n = 1,000", 1e-6, LABELS, label_ks),
]  # fmt: skip

"""Every metric of the menu notices the corruptions that it declares, on images of a small phantom.

A case shows one of four kinds: a small or a large spot, bright on fine texture or dark on coarse texture. What a metric
is handed follows from what it needs, as in the evaluation. Numbers are means over four seeds.
"""

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from understudy.core.encoding import Channel
from understudy.evaluation import METRICS, quantities
from understudy.evaluation.features.random_filters import RandomFeatures
from understudy.evaluation.fidelity.intensity import cumulative, shares
from understudy.evaluation.fidelity.spectrum import spectra
from understudy.evaluation.metric import LAWS

CASES, SIDE, SEEDS = 160, 24, range(4)  # with each seed other kinds are dropped
KINDS = ((3, 0.5, 0.5), (6, 0.5, 0.5), (3, -0.5, 1.5), (6, -0.5, 1.5))  # radius, brightness, coarseness
FEATURES = RandomFeatures(1, 2)
OF = {quantity: metric for metric in METRICS.values() for quantity in (q.name for q in metric.quantities)}


def phantom(seed: int, shares: Sequence[float] = (1, 1, 1, 1)) -> np.ndarray:
    """Draw images (CASES, 1, SIDE, SIDE) in [-1, 1] of the four kinds in these shares."""
    rng = np.random.default_rng(seed)
    images = []
    y, x = np.mgrid[:SIDE, :SIDE]
    for kind in rng.choice(4, CASES, p=np.array(shares) / sum(shares)):
        (radius, brightness), coarseness = KINDS[kind][:2] * rng.uniform(0.8, 1.2, 2), KINDS[kind][2]
        at = rng.uniform(SIDE / 3, 2 * SIDE / 3, 2)
        texture = gaussian_filter(rng.normal(0, 1, (SIDE, SIDE)), coarseness)
        spot = (y - at[0]) ** 2 + (x - at[1]) ** 2 < radius**2
        images.append(-0.1 + 0.08 * texture / texture.std() + brightness * spot)
    return np.clip(np.array(images)[:, None], -1, 1).astype(np.float32)


def noisy(images: np.ndarray, strength: float) -> np.ndarray:
    grain = np.random.default_rng(9).normal(0, strength, images.shape)
    return (images + grain).clip(-1, 1).astype(np.float32)


@cache
def centres() -> tuple[np.ndarray, np.ndarray]:
    """Return the mean features of each kind (4, F), and how far cases of one kind lie from them (F,)."""
    kinds = [FEATURES(phantom(50 + kind, np.eye(4)[kind])) for kind in range(4)]
    return np.array([features.mean(0) for features in kinds]), np.mean([features.std(0) for features in kinds], axis=0)


def logits(images: np.ndarray) -> np.ndarray:
    """Say of which kind a case is, by how near it lies to the middle of each."""
    middle, spread = centres()
    return -(((FEATURES(images)[:, None] - middle) / (spread + 0.01)) ** 2).mean(2)


SEEN: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "features": FEATURES,
    "logits": logits,
    "intensities": lambda images: cumulative(shares(images, 64)[:, 0], Channel("a", -1, 1)),
    "spectra": lambda images: spectra(images).reshape(len(images), -1),
}
CORRUPTIONS: dict[str, Sequence[Callable[[int], np.ndarray]]] = {  # three strengths, rising
    "blur": [lambda seed, s=s: gaussian_filter(phantom(seed), (0, 0, s, s)) for s in (0.5, 0.7, 1)],
    "noise": [lambda seed, s=s: noisy(phantom(seed), s) for s in (0.07, 0.12, 0.2)],
    "label shift": [lambda seed, s=s: phantom(seed, (1 - s, 1 - s, 1 + s, 1 + s)) for s in (0.4, 0.7, 1)],
    "mode dropping": [lambda seed, n=n: phantom(seed, np.roll([1] * (4 - n) + [0] * n, seed)) for n in (1, 2, 3)],
}


@cache
def real_side(needs: str, seed: int) -> np.ndarray:
    return SEEN[needs](phantom(100 + seed))


@cache
def made_side(needs: str, corruption: str, strength: int, seed: int) -> np.ndarray:
    return SEEN[needs](CORRUPTIONS[corruption][strength - 1](seed) if corruption else phantom(seed))


def mean_value(name: str, corruption: str = "", strength: int = 0) -> float:
    metric = OF[name]
    sides = [(real_side(metric.needs, seed), made_side(metric.needs, corruption, strength, seed)) for seed in SEEDS]
    values = [metric.results(real=real, synthetic=made, seed=k)[name].value for k, (real, made) in enumerate(sides)]
    return float(np.mean(np.array(values, float)))


def law(corruption: str) -> str:
    return f"monotone under {corruption}"


DECLARED = [(name, c) for c in CORRUPTIONS for name, quantity in quantities().items() if law(c) in quantity.laws]


@pytest.mark.parametrize(("name", "corruption"), DECLARED)
def test_the_stronger_the_worse(name: str, corruption: str) -> None:
    values = [mean_value(name), *(mean_value(name, corruption, strength) for strength in (1, 2, 3))]
    ordered = values if quantities()[name].better == "lower" else values[::-1]
    assert all(a < b for a, b in zip(ordered, ordered[1:], strict=False)), values


def test_every_corruption_is_noticed_and_every_metric_notices_one() -> None:
    assert {law(c) for c in CORRUPTIONS} < LAWS
    assert {c for _, c in DECLARED} == set(CORRUPTIONS) and {name for name, _ in DECLARED} == set(quantities())


@pytest.mark.parametrize("needs", SEEN)
def test_blocks_and_neighbours_change_nothing(needs: str) -> None:
    images = phantom(0)
    whole = SEEN[needs](images)
    parts = np.concatenate([SEEN[needs](images[start : start + 7]) for start in range(0, CASES, 7)])
    assert parts == pytest.approx(whole, rel=1e-5, abs=1e-5)
    real = SEEN[needs](phantom(100))
    for name, metric in OF.items():
        if metric.needs == needs:
            one, other = (metric.results(real=real, synthetic=side, seed=0)[name].value for side in (whole, parts))
            assert other == pytest.approx(one, rel=1e-3, abs=1e-7), name

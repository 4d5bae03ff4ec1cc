"""Every score of two label maps notices the errors of a prediction that it must notice, and what changes nothing."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy import ndimage

from understudy.evaluation.utility.surface import SURFACES, Stack, surface_scores
from understudy.tasks.overlap import OVERLAPS, confusion, overlaps

SIDE, CASES = 24, 4
SCORES = (*OVERLAPS, *SURFACES)
LOWER = {"volume_difference", "hd", "hd95", "assd"}  # is better
ERRORS: dict[
    str, Callable[[np.ndarray, int], np.ndarray]
] = {  # of a map (CASES, SIDE, SIDE) in three still_rising strengths
    "moved": lambda maps, k: np.roll(maps, 2 * k, axis=2),
    "grown": lambda maps, k: some(ndimage.binary_dilation, maps, k),
    "shrunk": lambda maps, k: some(ndimage.binary_erosion, maps, k),
    "specks": lambda maps, k: np.where(np.random.default_rng(0).random(maps.shape) < 0.02 * k, 1, maps),
}
BLIND = {  # what a score need not notice, being made so
    "moved": {"volume_difference"},
    "grown": {"recall"},
    "shrunk": {"precision"},
    "specks": {"recall", "hd"},  # one speck is as far off as many
}
SYMMETRIC = set(SCORES) - {"precision", "recall"}


def some(change: Callable[..., np.ndarray], maps: np.ndarray, cases: int) -> np.ndarray:
    """Change the first cases by two pixels."""
    return np.stack([change(m, iterations=2) if i < cases else m for i, m in enumerate(maps)]).astype(np.uint8)


def reference(seed: int = 0) -> np.ndarray:
    """Draw a disc a case, far enough from the edge to be moved."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE]
    at, radius = rng.uniform(9, 13, (CASES, 2)), rng.uniform(5, 6, CASES)
    discs = [(y - a[0]) ** 2 + (x - a[1]) ** 2 < r * r for a, r in zip(at, radius, strict=True)]
    return np.array(discs).astype(np.uint8)


def scored(predicted: np.ndarray, truth: np.ndarray) -> dict[str, np.ndarray]:
    """Return every score of every case, each case a subject of its own."""
    lone = [Stack(i, slice(i, i + 1), (1.0, 1.0, 1.0), False) for i in range(CASES)]
    surface, _ = surface_scores(predicted, truth, lone, CASES, 2, 1.0)
    counts = confusion(predicted, truth, np.arange(CASES), CASES, 2)
    both = np.concatenate([overlaps(counts)[:, 0], surface[:, 0]], 1)
    return dict(zip(SCORES, both.T, strict=True))


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("error", ERRORS)
def test_the_stronger_the_worse(error: str, score: str) -> None:
    truth = reference()
    values = [scored(ERRORS[error](truth, k) if k else truth, truth)[score].mean() for k in range(4)]
    ordered = values if score in LOWER else values[::-1]
    if score in BLIND[error]:
        assert ordered == sorted(ordered), values  # but never better
    else:
        assert all(a < b for a, b in zip(ordered, ordered[1:], strict=False)), values


@pytest.mark.parametrize("score", SCORES)
def test_roles_and_order(score: str) -> None:
    """Which map is the reference matters to precision and recall alone; the order of cases to none."""
    truth, wrong = reference(), ERRORS["specks"](ERRORS["grown"](reference(1), 1), 1)
    found, swapped = scored(wrong, truth)[score], scored(truth, wrong)[score]
    if score in SYMMETRIC:
        assert swapped == pytest.approx(found, abs=1e-12)
    else:
        other = {"precision": "recall", "recall": "precision"}[score]
        assert np.array_equal(swapped, scored(wrong, truth)[other]) and not np.allclose(swapped, found, atol=0.01)
    order = np.array([2, 0, 3, 1])
    assert np.array_equal(scored(wrong[order], truth[order])[score], found[order])

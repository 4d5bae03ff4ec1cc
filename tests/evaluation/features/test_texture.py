"""Texture: SciPy's moments; co-occurrence counted by hand; from the menu, with sentences where it cannot be."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError, UsageError
from understudy.evaluation.features import EXTRACTORS
from understudy.evaluation.features.config import FeatureConfig
from understudy.evaluation.features.extractor import Extractor, ExtractorInputs
from understudy.evaluation.features.texture import DISTANCES, LEVELS, PROPERTIES, first_order

NAMES = 9 + len(PROPERTIES) * len(DISTANCES)


def built(cohort: Path) -> Extractor:
    pytest.importorskip("skimage", reason="features=texture needs scikit-image (extra `texture`)")
    opened = Cohort.open(cohort)
    return EXTRACTORS["texture"](ExtractorInputs(opened, opened.rows("train"), FeatureConfig(features="texture")))


def by_hand(image: np.ndarray, down: int, right: int) -> dict[str, float]:
    """Co-occurrence of one plane with itself moved, both ways, by a loop over pairs."""
    levels = np.clip(((image + 1) / 2 * LEVELS).astype(int), 0, LEVELS - 1)
    height, width = levels.shape
    pairs = [
        (levels[y, x], levels[y + down, x + right])
        for y in range(height)
        for x in range(width)
        if 0 <= y + down < height and 0 <= x + right < width
    ]
    a, b = np.array([*pairs, *(pair[::-1] for pair in pairs)], float).T
    counts = np.unique(np.stack([a, b], 1), axis=0, return_counts=True)[1] / len(a)
    return {
        "contrast": float(((a - b) ** 2).mean()),
        "dissimilarity": float(abs(a - b).mean()),
        "homogeneity": float((1 / (1 + (a - b) ** 2)).mean()),
        "energy": float(np.sqrt((counts**2).sum())),
        "correlation": float(np.corrcoef(a, b)[0, 1]),
    }


@pytest.mark.parametrize("size", [(9, 12), (4, 5, 6)])
def test_first_order_is_that_of_scipy(size: tuple[int, ...]) -> None:
    images = (np.random.default_rng(0).gamma(2, 0.3, (3, 2, *size)) - 1).astype(np.float32)
    found, flat = first_order(images), images.reshape(3, 2, -1).astype(np.float64)
    expected = [flat.mean(2), flat.std(2), stats.skew(flat, axis=2), stats.kurtosis(flat, axis=2)]
    expected += [np.percentile(flat, q, axis=2) for q in (5, 25, 50, 75, 95)]
    assert found == pytest.approx(np.stack(expected, 2), abs=1e-9)


def test_a_flat_image_has_no_shape() -> None:
    found = first_order(np.full((1, 1, 8, 8), 0.25, np.float32))[0, 0]
    assert found.tolist() == pytest.approx([0.25, 0, 0, 0, 0.25, 0.25, 0.25, 0.25, 0.25], abs=1e-7)


def test_co_occurrence_is_that_counted_by_hand(real: Path) -> None:
    images = np.random.default_rng(0).uniform(-1, 1, (2, 2, 8, 11)).astype(np.float32)
    images[:, :, 1:] = 0.7 * images[:, :, :-1] + 0.3 * images[:, :, 1:]
    found = built(real)(images).reshape(2, 2, NAMES)
    assert found.dtype == np.float32
    for k, name in enumerate(PROPERTIES):
        for d, steps in enumerate((1, 2)):  # a diagonal of length 3 is two pixels each way
            straight = DISTANCES[d]
            moves = [(0, straight), (straight, 0), (steps, steps), (steps, -steps)]
            expected = np.mean([by_hand(images[1, 0], *move)[name] for move in moves])
            assert found[1, 0, 9 + k * len(DISTANCES) + d] == pytest.approx(expected, rel=1e-5), name


def test_from_the_menu(real: Path, toy: Callable[..., Path], tmp_path: Path) -> None:
    extract = built(real)
    assert extract.standardised and extract.identity["levels"] == LEVELS
    images = np.random.default_rng(0).uniform(-1, 1, (5, 2, 8, 8)).astype(np.float32)
    assert extract(images)[[3]] == pytest.approx(extract(images[[3]]), abs=1e-6)


def test_volumes_are_refused_and_a_missing_library_is_named(
    real: Path, toy: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    volumes = Cohort.open(toy(tmp_path / "volumes", "real", 3, 0, size=8, depth=4))
    with pytest.raises(UsageError, match="is for 2D images, and volumes holds volumes"):
        EXTRACTORS["texture"](ExtractorInputs(volumes, volumes.rows(), FeatureConfig(features="texture")))
    monkeypatch.setitem(sys.modules, "skimage.feature", None)
    flat = Cohort.open(real)
    with pytest.raises(UnderstudyError, match="needs scikit-image"):
        EXTRACTORS["texture"](ExtractorInputs(flat, flat.rows(), FeatureConfig(features="texture")))

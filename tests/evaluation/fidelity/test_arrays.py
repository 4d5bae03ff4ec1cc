"""One reading gives all matrices; a cache spares it; features of learned extractors are standardised by real cases."""

import copy
from pathlib import Path

import numpy as np
import pytest

from understudy.core.cohort import Cohort
from understudy.core.encoding import Channel
from understudy.evaluation.cache import open_cache
from understudy.evaluation.features.random_filters import RandomFeatures
from understudy.evaluation.fidelity import arrays
from understudy.evaluation.fidelity.arrays import ImageMeasures, channel_names, measure, standardised


def test_a_cohort_is_read_once_and_with_a_cache_not_again(
    real: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort, cache, read = Cohort.open(real), open_cache(tmp_path / "cache", []), []
    blocks = arrays.image_blocks

    def counted(cohort: Cohort, rows: np.ndarray, encoding: object) -> object:
        read.append(len(rows))
        return blocks(cohort, rows, encoding)  # type: ignore[arg-type]

    monkeypatch.setattr(arrays, "image_blocks", counted)
    rows, extract = cohort.rows("train"), RandomFeatures(2, 2)
    first = measure(cohort, rows, cohort.encoding, extract, 16, cache)
    assert read == [45] and [len(m) for m in (first.features, first.intensities, first.spectra)] == [45] * 3
    again = measure(cohort, rows, cohort.encoding, extract, 16, cache)
    assert read == [45] and (again.features == first.features).all() and (again.spectra == first.spectra).all()
    measure(cohort, rows, cohort.encoding, extract, 8, cache)  # other bins: intensities only
    other = measure(cohort, rows[::-1], cohort.encoding, extract, 8, cache)  # as many rows, and other ones
    assert read == [45, 45, 45] and (other.features == first.features[::-1]).all()
    changed = copy.copy(cohort)
    changed.id = "another content"
    measure(changed, rows, cohort.encoding, extract, 16, cache)
    assert len(read) == 4
    assert first.features == pytest.approx(extract(cohort.encoding.encode_images(cohort.images[rows])))  # type: ignore[index]


def test_what_metrics_compare() -> None:
    random = np.random.default_rng(0)
    side = ImageMeasures(random.random((4, 7)), random.random((4, 2, 5)), random.random((4, 2, 3)))
    channels = (Channel("T1 post", 0, 1), Channel("FLAIR", 0, 10))
    assert {k: v.shape for k, v in side.compared("intensities", channels).items()} == {
        ".t1-post": (4, 5),
        ".flair": (4, 5),
    }
    assert side.compared("features", channels)[""] is side.features
    assert side.compared("spectra", channels)[""].shape == (4, 6)
    assert channel_names((Channel("T1", 0, 1), Channel("t1", 0, 1), Channel("b", 0, 1))) == ["t1-1", "t1-2", "b"]


def test_features_are_standardised_by_real_cases_and_constant_ones_left_alone() -> None:
    random = np.random.default_rng(0)
    ours, theirs = random.normal(50, 4, (400, 3)), random.normal(54, 4, (300, 3))
    ours[:, 2], theirs[:, 2] = 5, 6
    empty = np.zeros((1, 1, 1))
    first, second = standardised([ImageMeasures(ours, empty, empty), ImageMeasures(theirs, empty, empty)])
    assert first.features.mean(0) == pytest.approx([0, 0, 0], abs=1e-6)
    assert first.features.std(0) == pytest.approx([1, 1, 0], abs=1e-5)
    assert second.features.mean(0) == pytest.approx([1, 1, 1], abs=0.15)

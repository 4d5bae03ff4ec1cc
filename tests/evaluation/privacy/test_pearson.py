"""Search for the highest Pearson r: numpy.corrcoef, injected copies, ties, blocks, groups, constants."""

import numpy as np
import pytest

import understudy.evaluation.search.nearest as blocks
from understudy.core.errors import UnderstudyError
from understudy.evaluation.privacy.pearson import nearest
from understudy.evaluation.search import ArrayRows, Rows, UnitRows, exact_r, unit_vectors


def vectors(flat: np.ndarray) -> Rows:
    return UnitRows(ArrayRows(flat))


def noise(n: int, d: int = 300, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(3, 2, (n, d))


def test_equals_corrcoef() -> None:
    a, b = noise(40), noise(3000, seed=1)
    full = np.corrcoef(a, b)[:40, 40:]
    found = nearest(vectors(a), vectors(b))
    assert np.array_equal(found.index, full.argmax(1))
    assert np.abs(found.r - full.max(1)).max() < 1e-6


def test_injected_copies_are_found_at_one() -> None:
    b = noise(2500)
    a = noise(20, seed=1)
    a[3], a[7] = b[2000], 2 * b[11] + 5  # a gain and an offset do not hide a copy
    found = nearest(vectors(a), vectors(b))
    assert found.index[[3, 7]].tolist() == [2000, 11]
    assert np.allclose(found.r[[3, 7]], 1, atol=1e-6)
    assert np.delete(found.r, [3, 7]).max() < 0.5


def test_blocks_do_not_matter_and_ties_go_to_the_lowest_index(monkeypatch: pytest.MonkeyPatch) -> None:
    b = np.concatenate([noise(400), noise(400)])  # each target twice: 400 apart, in another block
    a = b[400:] + 0.3 * noise(400, seed=2)
    whole = nearest(vectors(a), vectors(b))
    monkeypatch.setattr(blocks, "TARGET_ROWS", 173)
    small = nearest(vectors(a), vectors(b), memory_mib=1)
    assert np.array_equal(whole.index, np.arange(400))
    assert np.array_equal(whole.index, small.index)
    assert np.array_equal(whole.r, small.r)


def test_a_subject_is_not_compared_with_itself() -> None:
    a = noise(30)
    groups = np.array([f"s{i // 3}" for i in range(30)])
    found = nearest(vectors(a), vectors(a), query_groups=groups, target_groups=groups)
    full = np.corrcoef(a)
    full[groups[:, None] == groups[None]] = -2
    assert np.array_equal(found.index, full.argmax(1))
    alone = nearest(vectors(a[:3]), vectors(a[:3]), query_groups=groups[:3], target_groups=groups[:3])
    assert alone.index.tolist() == [-1] * 3
    assert np.isnan(alone.r).all()


def test_constants_have_no_correlation_and_nan_is_refused() -> None:
    a = noise(3)
    a[1] = 7
    found = nearest(vectors(a), vectors(noise(2000, seed=1)))
    assert found.r[1] == 0
    assert found.index[1] == 0
    assert exact_r(unit_vectors(a), unit_vectors(a)).round(6).tolist() == [1, 0, 1]
    a[2, 0] = np.nan
    with pytest.raises(UnderstudyError, match="finite"):
        unit_vectors(a)


def test_sizes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(UnderstudyError, match="300 values"):
        nearest(vectors(noise(2)), vectors(noise(2, 200)))

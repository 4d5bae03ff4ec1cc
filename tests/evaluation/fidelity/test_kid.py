"""The kernel distance against torchmetrics on the same subsets, and by its definition."""

import numpy as np
import pytest
import torch
from torchmetrics.image.kid import poly_mmd

from understudy.evaluation.fidelity.kid import kid, squared_mmd, subset_rows


def features(seed: int, n: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.1 * seed, 1, (n, 16))


def test_agrees_with_torchmetrics_on_the_same_subsets() -> None:
    real, made = features(0, 90), features(1, 120)
    values = [
        poly_mmd(torch.from_numpy(real[a]), torch.from_numpy(made[b]), 3, None, 1.0).item()
        for a, b in subset_rows(90, 120, 40, 20, seed=7)
    ]
    result = kid(real=real, synthetic=made, seed=7, subsets=20, subset_size=40)
    assert result.value == pytest.approx(np.mean(values), abs=1e-6) and result.n == 90
    assert (
        f"SD {np.std(values):.3g}" in result.note
        and result.low is not None
        and result.low == pytest.approx(np.percentile(values, 2.5))
    )


def test_definition_pair_by_pair() -> None:
    x, y = features(0, 5), features(1, 4)

    def k(a: np.ndarray, b: np.ndarray) -> float:
        return float((a @ b / 16 + 1) ** 3)

    within_x = np.mean([k(a, b) for i, a in enumerate(x) for j, b in enumerate(x) if i != j])
    within_y = np.mean([k(a, b) for i, a in enumerate(y) for j, b in enumerate(y) if i != j])
    across = np.mean([k(a, b) for a in x for b in y])
    assert squared_mmd(x, y) == pytest.approx(within_x + within_y - 2 * across, abs=1e-12)


def test_subsets_come_from_the_seed_and_fit_the_smaller_side() -> None:
    pairs = subset_rows(30, 10, 10, 3, seed=1)
    assert all(len(set(a)) == len(set(b)) == 10 and a.max() < 30 and b.max() < 10 for a, b in pairs)
    assert not np.array_equal(pairs[0][0], pairs[1][0])
    real, made = features(0, 40), features(1, 30)
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    assert (
        kid(real=real, synthetic=made, seed=1, subset_size=20).value
        != kid(real=real, synthetic=made, seed=2, subset_size=20).value
    )
    assert np.array_equal(state, np.random.get_state()[1])  # noqa: NPY002
    halved = kid(real=real, synthetic=made, seed=1, subsets=4)
    assert halved.value == pytest.approx(
        np.mean([squared_mmd(real[a], made[b]) for a, b in subset_rows(40, 30, 15, 4, 1)])
    )
    assert halved.low is not None and halved.high is not None and halved.low < halved.high

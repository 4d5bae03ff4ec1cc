"""Simulated readers have the AUC that they say; power rises with readers; coverage in small (in full: benchmarks)."""

import numpy as np
import pytest

from understudy.core.seed import rng
from understudy.reader.statistics.mrmc import equivalence_p
from understudy.reader.statistics.roc import areas
from understudy.reader.statistics.simulation import SimulatedReaders, estimate, power, readers_with


@pytest.mark.parametrize("auc", [0.5, 0.6, 0.9])
def test_the_auc_is_known(auc: float) -> None:
    people = readers_with(auc)
    found = [
        areas(real=x, synthetic=y).values.mean()
        for i in range(20)
        for x, y in [people.ratings(rng(0, "test", i), 20, 40, 40)]
    ]
    assert people.auc() == pytest.approx(auc, abs=1e-9)
    assert np.mean(found) == pytest.approx(auc, abs=4 * np.std(found) / np.sqrt(len(found)))
    assert SimulatedReaders().auc() == pytest.approx(0.5)


@pytest.mark.parametrize("auc", [0.5, 0.8])
def test_the_interval_holds_the_truth(auc: float) -> None:
    people = readers_with(auc)
    ends = [estimate(people, rng(1, "test", i), 5, 40).interval() for i in range(120)]
    held = np.mean([low <= auc <= high for low, high in ends])
    assert 0.90 <= held <= 0.99


def test_the_equivalence_test_keeps_its_size_at_the_margin() -> None:
    people = readers_with(0.6)
    found = [equivalence_p(estimate(people, rng(2, "test", i), 6, 60), 0.4, 0.6) < 0.05 for i in range(150)]
    assert np.mean(found) <= 0.10


def test_power_rises_with_readers_and_cases() -> None:
    few, many = (power(r, n, 0.10, seed=0, studies=40) for r, n in ((3, 40), (8, 120)))
    assert few.share < 0.5 < many.share and many.width < few.width
    assert power(3, 40, 0.10, seed=0, studies=40) == few
    assert power(6, 100, 0.10, seed=0, studies=40, pairs=True).share > 0.3

"""Areas on reweighted subjects against scikit-learn with sample weights."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from understudy.evaluation.utility import auc
from understudy.evaluation.utility.auc import Areas, weighted_area


def draw(seed: int) -> tuple[np.ndarray, ...]:
    random = np.random.default_rng(seed)
    number = random.integers(0, 12, 50)
    targets = random.integers(0, 2, 50).astype(np.float32)
    scores = (random.random(50) + 0.4 * targets).round(1)  # many ties
    return number, targets, scores, random.multinomial(12, np.full(12, 1 / 12), 40)


@pytest.mark.parametrize("seed", [0, 1])
def test_against_scikit_learn(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    number, targets, scores, weights = draw(seed)
    expected = [roc_auc_score(targets, scores, sample_weight=w[number]) for w in weights]
    found = weighted_area(targets, scores, weights, number)
    assert found == pytest.approx(expected, abs=1e-12)
    monkeypatch.setattr(auc, "ENTRIES", 120)  # two draws at a time
    assert (weighted_area(targets, scores, weights, number) == found).all()
    targets[:10] = np.nan
    expected = [roc_auc_score(targets[10:], scores[10:], sample_weight=w[number[10:]]) for w in weights]
    assert weighted_area(targets, scores, weights, number) == pytest.approx(expected, abs=1e-12)


def test_whole_subjects_once_each_are_the_plain_area_and_repeats_stand_apart() -> None:
    number, targets, scores, _ = draw(2)
    both = np.stack([targets, 1 - targets], 1)
    measured = Areas(both, [np.stack([s, s], 1) for s in (scores, -scores)], number, 12, (0, 1))
    area = roc_auc_score(targets, scores)
    assert measured.values() == pytest.approx([(area + 1 - area) / 2] * 2)
    alone = Areas(both, measured.scores, number, 12, (0,))
    assert alone.values() == pytest.approx([area, 1 - area])
    assert alone.on(np.ones((1, 12), int))[0] == pytest.approx([area, 1 - area])


def test_a_draw_with_one_kind_of_case_has_no_area() -> None:
    weights = np.array([[1, 0], [1, 1]])
    found = weighted_area(np.array([0, 1.0]), np.array([0.2, 0.9]), weights, np.array([0, 1]))
    assert np.isnan(found[0]) and found[1] == 1
    assert np.isnan(weighted_area(np.array([np.nan]), np.array([0.2]), weights, np.array([0]))).all()

"""Inception score: closed forms; torchmetrics' on the same logits; few cases are too few."""

import numpy as np
import pytest
import torch
from torchmetrics.image.inception import InceptionScore

from understudy.evaluation import METRICS
from understudy.evaluation.fidelity.inception_score import inception_score


def score(logits: np.ndarray) -> float:
    value = inception_score(real=np.zeros_like(logits), synthetic=logits, seed=0).value
    assert value is not None
    return value


def test_closed_forms() -> None:
    sure = 200 * np.eye(5)[np.arange(100) % 5]
    assert score(sure) == pytest.approx(5)  # sure, and all classes as often
    assert score(sure[:, :1] * 0 + np.arange(5.0)) == pytest.approx(1)  # every case the same
    assert score(200 * np.eye(5)[np.repeat([0, 1], 50)]) == pytest.approx(2)
    p = np.array([0.25, 0.25, 0.5])  # sure, and classes as often as this: exp of their entropy
    assert score(200 * np.eye(3)[[0, 1, 2, 2] * 30]) == pytest.approx(np.exp(-(p * np.log(p)).sum()))
    assert score(sure + 7) == pytest.approx(score(sure)) and score(np.log(np.tile(p, (9, 1)))) == pytest.approx(1)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_agrees_with_torchmetrics() -> None:
    logits = np.random.default_rng(0).normal(0, 2, (300, 12))
    metric = InceptionScore(feature=torch.nn.Identity(), splits=1)
    metric.features.append(torch.from_numpy(logits))
    assert score(logits) == pytest.approx(float(metric.compute()[0]), rel=1e-5)


def test_real_cases_do_not_count_and_few_are_too_few() -> None:
    logits = np.random.default_rng(0).normal(0, 2, (60, 4))
    first, second = (inception_score(real=real, synthetic=logits, seed=0) for real in (logits[:50], logits[:9] + 3))
    assert first == second and first.n == 60
    metric = METRICS["inception_score"]
    assert metric.warning(40, 4) == "" and "39 cases are too few for 4 features: biased downwards" in metric.warning(
        39, 4
    )

"""Inception score: closed forms; torchmetrics' on the same logits; few cases are too few; end to end."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchmetrics.image.inception import InceptionScore

from understudy.core.result import read_results
from understudy.evaluation import METRICS
from understudy.evaluation.fidelity.inception_score import inception_score
from understudy.evaluation.fidelity.stage import FidelityConfig, evaluate_fidelity


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


class Brightness(nn.Module):
    """A classifier of how bright a case is, in three classes."""

    def forward(self, x: Tensor) -> Tensor:
        bright = x.flatten(1).mean(1, keepdim=True)
        return torch.cat([bright, -bright, 0 * bright], 1)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch.jit, in favour of export
def test_a_scripted_classifier_gives_it_beside_its_floor(real: Path, synthetic: Path, tmp_path: Path) -> None:
    file = tmp_path / "network.pt"
    torch.jit.save(torch.jit.script(Brightness()), str(file))
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    config = FidelityConfig(
        draws=4, subsets=4, pairs=5, features="torchscript", network_sha256=digest, network_classes="logits"
    )
    out = evaluate_fidelity(real, [synthetic], tmp_path / "out", 0, config, network=file)
    found = {r.name.removeprefix("fidelity."): r for r in read_results(out)[0]}
    scores = [found[f"inception_score{end}"] for end in ("", ".size_matched", ".unseen", ".redrawn")]
    assert all(r.value is not None and 1 <= r.value <= 3 and r.better == "higher" for r in scores)
    assert scores[0].n == 90 and scores[1].n == scores[2].n == 30 and "real cases of 10 subjects" in scores[2].note
    assert found["frechet"].note.startswith(f"3 features of torchscript {digest[:8]}")

"""What a run answers about cases: the loss of training, the verdict of its discriminator; and who is refused."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from understudy.core.cohort import Cohort
from understudy.core.errors import UsageError
from understudy.generators import load
from understudy.generators.gan.stylegan2 import StyleGAN2, StyleGAN2Config
from understudy.synthesis import score_query
from understudy.synthesis.score_query import RunQuery, denoising_loss, open_run_queries
from understudy.training.checkpoint import latest, read_state

GAN: dict[str, Any] = {"z_dim": 8, "w_dim": 8, "channel_base": 64, "channel_max": 8, "mapping_layers": 2,
                       "images_seen": 16, "batch_size": 4, "snapshot_every": 8, "precision": "fp32"}  # fmt: skip


def open_run_query(run: Path, made: list[Any], seed: int) -> RunQuery:
    (one,) = open_run_queries(run, made, seed)
    return one


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("score_query")


@pytest.fixture(scope="module")
def cohort(place: Path, classes_cohort: Callable[..., Cohort]) -> Cohort:
    return classes_cohort(place / "cohort")


@pytest.fixture(scope="module")
def run(place: Path, cohort: Cohort, train: Callable[..., Path]) -> Path:
    return train(cohort, place / "run")


def test_it_is_the_loss_of_training(cohort: Cohort, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generator, x = load(run), torch.from_numpy(cohort.encoded(np.arange(4)))
    level, noise = torch.tensor([0.7]), torch.randn(1, *x.shape[1:])
    monkeypatch.setattr(score_query, "LEVELS", 1)
    monkeypatch.setattr(generator.noise, "draw", lambda n, device: level.expand(n))
    monkeypatch.setattr(torch, "randn", lambda *shape: noise)
    monkeypatch.setattr(torch, "randn_like", lambda y: noise.expand(y.shape))
    with torch.no_grad():
        answers = denoising_loss(generator, 0)(x, None)
        generator.net = generator.ema
        assert [float(generator.loss(x[i : i + 1], None)) for i in range(4)] == pytest.approx(answers.tolist())
        assert len(set(answers.tolist())) == 4


def test_a_denoiser_that_has_memorised_its_cases_gives_them_away(
    cohort: Cohort, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator, rows = load(run), np.arange(len(cohort))
    known = torch.from_numpy(cohort.encoded(cohort.rows("train")))
    known = (known - generator.scale.mean) / generator.scale.std * generator.noise.sigma_data

    def memorised(net: Any, x: torch.Tensor, sigma: torch.Tensor, condition: Any) -> torch.Tensor:
        return known[torch.cdist(x.flatten(1), known.flatten(1)).argmin(1)]

    monkeypatch.setattr(generator, "denoise", memorised)
    answers = denoising_loss(generator, 0)(torch.from_numpy(cohort.encoded(rows)), None)
    member = np.isin(rows, cohort.rows("train"))
    assert roc_auc_score(member, -answers.numpy()) > 0.95


def test_levels_are_fixed_and_the_global_generator_is_left_alone(cohort: Cohort, run: Path) -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    one, other = (open_run_query(run, [], seed) for seed in (0, 1))
    torch.set_rng_state(before)
    again = open_run_query(run, [], 0)
    rows = np.arange(6)
    assert np.array_equal(one.score(cohort, rows), again.score(cohort, rows))
    assert not np.array_equal(one.score(cohort, rows), other.score(cohort, rows)) and one.identity != other.identity
    assert np.array_equal(one.score(cohort, rows[::-1]), one.score(cohort, rows)[::-1])


def test_a_discriminator_is_that_of_the_last_checkpoint(place: Path, cohort: Cohort) -> None:
    run = StyleGAN2(StyleGAN2Config(**GAN)).fit(cohort, place / "gan", 0)
    inversion, asked = open_run_queries(run, [], 0)
    answers = asked.score(cohort, np.arange(5))
    generator, checkpoint = load(run), latest(run / "checkpoints")
    assert checkpoint is not None
    tensors, _ = read_state(checkpoint)
    generator.d.load_state_dict({k.removeprefix("d."): v for k, v in tensors.items() if k.startswith("d.")})
    with torch.no_grad():
        logits = [float(generator.d(torch.from_numpy(cohort.encoded(np.array([i]))), None)) for i in range(5)]
    assert answers == pytest.approx(logits, abs=1e-5)
    shutil.rmtree(run / "checkpoints")
    (alone,) = open_run_queries(run, [], 0)
    assert inversion.attack == alone.attack == "latent_inversion" and inversion.identity == alone.identity


def test_what_it_does_not_fit_is_refused(
    place: Path, cohort: Cohort, run: Path, classes_cohort: Callable[..., Cohort], train: Callable[..., Path]
) -> None:
    seen = json.loads((run / "run.json").read_text())["trained_on"]
    made = SimpleNamespace(trained_on=seen, path=place / "made")
    assert open_run_query(run, [made], 0)
    with pytest.raises(UsageError, match="learned from others than made records"):
        open_run_query(run, [SimpleNamespace(trained_on=[], path=place / "made")], 0)
    other = classes_cohort(place / "darker", high=900)
    with pytest.raises(UsageError, match="other channels or labels than darker has"):
        open_run_query(run, [], 0).score(other, np.arange(2))
    told = train(cohort, place / "told", labels="given", images_seen=4)
    with pytest.raises(UsageError, match="a run of diffusion, given label maps, and attacks query"):
        open_run_query(told, [], 0)

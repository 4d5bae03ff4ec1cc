"""Whatever would carry something of a patient past the mechanism is refused, or noticed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError, UsageError
from understudy.generators.diffusion.diffusion import Diffusion
from understudy.generators.gan.stylegan2 import StyleGAN2
from understudy.nets.layers import MinibatchStd
from understudy.training.dp.refusals import refuse_networks

TINY: dict[str, Any] = {
    **{"channels": (8, 8), "attention_levels": (), "patch": 2, "sampler_steps": 2, "sample_block": 4},
    **{"batch_size": 8, "images_seen": 24, "snapshot_every": 24, "grid_every": 24},
    "dp": {"epsilon": 8, "slices": 2, "draws": 1, "noise_seed": 1},
}


def diffusion(**changes: Any) -> Diffusion:
    return Diffusion(Diffusion.Config(**{**TINY, **changes}))


def test_requests(cohort: Cohort, write_cohort: Callable[..., Cohort], tmp_path: Path) -> None:
    def refused(match: str, method: Diffusion, learned: Cohort = cohort, **options: Any) -> None:
        with pytest.raises(UsageError, match=match):
            method.fit(learned, tmp_path / "run", 0, **options)
        assert not (tmp_path / "run").exists()

    refused("hands on patients' labels", diffusion(labels="given"))
    refused("measured on the training", diffusion(), write_cohort(tmp_path / "measured", high=200))
    saw = [{"cohort": "other", "splits": ["train"], "subjects": ["x"]}]
    refused("saw other subjects", diffusion(), write_cohort(tmp_path / "seen", trained_on=saw))
    refused("leave --other out", diffusion(), other=write_cohort(tmp_path / "images"))
    plain = diffusion(dp=None).fit(cohort, tmp_path / "plain", 0)
    refused("leave --start out", diffusion(), start=plain)
    public = diffusion(dp={**TINY["dp"], "public_start": True})
    refused("none was given", public)
    refused("have seen subjects of .*, 8 of them", public, start=plain)


@pytest.mark.parametrize("layer", [nn.BatchNorm2d(3), nn.InstanceNorm2d(3, track_running_stats=True), MinibatchStd(4)])
def test_statistics_over_cases(layer: nn.Module) -> None:
    with pytest.raises(UsageError, match=type(layer).__name__ if "Norm" in type(layer).__name__ else "groups of 4"):
        refuse_networks("x", [nn.Sequential(nn.Conv2d(3, 3, 1), layer)])


def test_layers_that_see_one_case_pass() -> None:
    refuse_networks("x", [nn.Sequential(nn.GroupNorm(1, 3), nn.LayerNorm(3), nn.InstanceNorm2d(3), MinibatchStd(1))])


@pytest.mark.parametrize("wrong", [{"gamma": None}, {"gamma": 1.0}, {"augment": "ada"}, {"group": 4}, {"freeze_d": 1}])
def test_a_gan_that_looks_at_real_cases_otherwise(wrong: dict[str, Any]) -> None:
    StyleGAN2.Config(**{**StyleGAN2.PRESETS["private"], "dp": {"epsilon": 8}})
    with pytest.raises(ValueError, match="learns without classes"):
        StyleGAN2.Config(**{**StyleGAN2.PRESETS["private"], "dp": {"epsilon": 8}, "conditional": True})
    with pytest.raises(ValueError, match="preset private has them"):
        StyleGAN2.Config(**{**StyleGAN2.PRESETS["private"], "dp": {"epsilon": 8}, **wrong})


def planted(kind: str) -> Callable[..., torch.Tensor]:
    """A subject's loss with an unclipped path."""
    honest = Diffusion.subject_loss

    def loss(self: Diffusion, params: dict[str, torch.Tensor], batch: Any) -> torch.Tensor:
        if kind == "statistic":
            self.scale.mean += batch.x.mean() * 1e-3
        elif kind == "weights":
            next(self.net.parameters()).data.add_(1e-3)
        elif kind == "backward":
            self.loss(batch.x, None).backward()
        return honest(self, params, batch)

    return loss


@pytest.mark.parametrize("kind", ["statistic", "weights", "backward"])
def test_unclipped_paths_are_noticed(
    kind: str, cohort: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Diffusion, "subject_loss", planted(kind))
    with pytest.raises(UnderstudyError, match="past the clipping"):
        diffusion().fit(cohort, tmp_path / "run", 0)

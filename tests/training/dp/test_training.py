"""A private training as a whole: same noise, same bits; resume; what is told; what cohorts drawn from it claim."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError
from understudy.generators import GENERATORS, load
from understudy.generators.base import Generator
from understudy.release.card import NO_GUARANTEE, guarantee
from understudy.synthesis.sample import sample_cohort
from understudy.training.checkpoint import read_state, weights_of
from understudy.training.dp import gradient
from understudy.training.dp import training as private_training
from understudy.training.dp.secret import FILE

PACE = {"batch_size": 8, "images_seen": 32, "snapshot_every": 32, "grid_every": 32, "checkpoint_seconds": 0}
TINY: dict[str, dict[str, Any]] = {
    "diffusion": {"channels": (8, 8), "attention_levels": (), "patch": 2, "sampler_steps": 2, "mirror": True},
    "stylegan2": {**GENERATORS["stylegan2"].PRESETS["private"], "z_dim": 8, "w_dim": 8, "mapping_layers": 1,
                  "channel_base": 128, "channel_max": 8},
}  # fmt: skip
DP = {"epsilon": 8, "clip": 0.5, "slices": 2, "draws": 2}
NAMES = list(TINY)


def fit(
    name: str, cohort: Cohort, out: Path, seed: int = 5, start: Path | None = None, conditional: bool = False, **dp: Any
) -> Path:
    more = {"sample_block": 4, "conditional": conditional, "dp": {**DP, **dp}}
    config = GENERATORS[name].Config(**{**TINY[name], **PACE, **more})
    return GENERATORS[name](config).fit(cohort, out, seed, start=start)


def weights(run: Path, part: str = "checkpoints") -> bytes:
    return (sorted((run / part).iterdir())[-1] / "tensors.safetensors").read_bytes()


def test_every_generator_that_takes_dp_has_a_subject_loss() -> None:
    offering = {name for name, method in GENERATORS.items() if "dp" in method.Config.model_fields}
    assert offering == set(TINY) == {name for name, method in GENERATORS.items() if hasattr(method, "subject_loss")}


@pytest.mark.parametrize("name", NAMES)
def test_same_noise_same_bits_and_no_gradient_above_the_clip(
    name: str, cohort: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    norms, raw, plain = [], [], gradient.clipped

    def watched(found: gradient.Gradient, clip: float) -> gradient.Gradient:
        result = plain(found, clip)
        raw.append(gradient.norm_of(found))
        norms.append(gradient.norm_of(result))
        return result

    monkeypatch.setattr(gradient, "clipped", watched)
    one = fit(name, cohort, tmp_path / "a", noise_seed=1)
    assert norms and max(norms) <= DP["clip"] * (1 + 1e-6) and max(raw) > 0
    assert weights(fit(name, cohort, tmp_path / "b", noise_seed=1)) == weights(one)
    assert weights(fit(name, cohort, tmp_path / "c", noise_seed=2)) != weights(one)


@pytest.mark.parametrize("name", NAMES)
def test_resume_is_bit_identical(name: str, cohort: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, step, steps = fit(name, cohort, tmp_path / "whole", noise_seed=1), GENERATORS[name].private_step, 0  # type: ignore

    def interrupted(self: Generator, images_seen: int) -> None:
        nonlocal steps
        steps += 1
        if steps == 3:
            raise KeyboardInterrupt
        step(self, images_seen)

    monkeypatch.setattr(GENERATORS[name], "private_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fit(name, cohort, tmp_path / "run", noise_seed=1)
    assert weights(fit(name, cohort, tmp_path / "run", noise_seed=1)) == weights(whole) and steps == 5


def test_a_secret_lasts_as_long_as_the_training(
    cohort: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[torch.Tensor] = []
    plain = private_training.private_gradient
    monkeypatch.setattr(
        private_training,
        "private_gradient",
        lambda *a, **k: found.append(plain(*a, **k)) or found[-1],  # type: ignore
    )
    step, secrets = GENERATORS["diffusion"].private_step, []  # type: ignore

    def interrupted(self: Generator, images_seen: int) -> None:
        secrets.append((tmp_path / "run" / FILE).read_bytes())
        if len(secrets) == 2:
            raise KeyboardInterrupt
        step(self, images_seen)

    monkeypatch.setattr(GENERATORS["diffusion"], "private_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fit("diffusion", cohort, tmp_path / "run")
    run = fit("diffusion", cohort, tmp_path / "run")
    assert len(set(secrets)) == 1 and not (run / FILE).exists()
    assert all(torch.equal(found[1][key], found[2][key]) for key in found[1])  # the interrupted step, again
    assert fit("diffusion", cohort, run) == run  # nothing to do
    key = json.loads(secrets[0])["key"]
    assert not [f for f in run.rglob("*") if f.is_file() and key.encode() in f.read_bytes()]
    monkeypatch.setattr(GENERATORS["diffusion"], "private_step", step)
    assert weights(fit("diffusion", cohort, tmp_path / "other")) != weights(run)  # same seed, other noise


@pytest.mark.parametrize("name", NAMES)
def test_what_is_told_and_claimed(name: str, cohort: Cohort, tmp_path: Path) -> None:
    run = fit(name, cohort, tmp_path / "run")
    record = json.loads((run / "run.json").read_text())["differential_privacy"]
    assert 7.8 < record["epsilon"] <= 8 and record["delta"] == 1 / 80 and record["unit"] == "patient"
    assert (record["clip"], record["steps"], record["sampling_rate"]) == (0.5, 4, 0.5) and record[
        "noise_multiplier"
    ] > 0
    told = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert set(told[-1]) == {"images_seen", "images_per_s", "noised_gradient"}
    drawn = Cohort.open(sample_cohort(run, 4, 0, tmp_path / "drawn"))
    assert drawn.sampling["differential_privacy"] == record and guarantee(drawn).startswith("Differential privacy")
    again = fit(name, cohort, tmp_path / "again", seed=6)
    both = Cohort.open(sample_cohort([run, again], 4, 0, tmp_path / "both"))
    assert both.sampling["differential_privacy"]["epsilon"] == pytest.approx(2 * record["epsilon"], rel=0.01)


def test_a_training_may_begin_with_public_data_and_says_so(
    cohort: Cohort, write_cohort: Callable[..., Cohort], tmp_path: Path
) -> None:
    public = write_cohort(tmp_path / "public", subjects=4, called="somebody else ")
    config = GENERATORS["diffusion"].Config(**{**TINY["diffusion"], **PACE, "sample_block": 4})
    before = GENERATORS["diffusion"](config).fit(public, tmp_path / "before", 0)
    run = fit("diffusion", cohort, tmp_path / "run", start=before, public_start=True)
    drawn = Cohort.open(sample_cohort(run, 4, 0, tmp_path / "drawn"))
    promised = drawn.sampling["differential_privacy"]
    assert promised["public_start"] and 7.8 < promised["epsilon"] <= 8
    assert "began with a generator of other data, said to be public" in guarantee(drawn)
    assert [len(entry["subjects"]) for entry in drawn.trained_on] == [3, 8]
    plain = fit("diffusion", cohort, tmp_path / "plain")
    scales = [{k: v for k, v in read_state(weights_of(r))[0].items() if k.startswith("scale")} for r in (before, run)]
    assert all(torch.equal(scales[1][name], scales[0][name]) for name in ("scale.mean", "scale.std"))
    assumed = read_state(weights_of(plain))[0]
    assert (assumed["scale.mean"] == 0).all() and (assumed["scale.std"] == 0.5).all()
    both = Cohort.open(sample_cohort([run, plain], 4, 0, tmp_path / "both"))
    assert both.sampling["differential_privacy"]["public_start"]


def test_classes_meet_the_network_inside_a_subject_s_loss_alone(
    write_cohort: Callable[..., Cohort], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = (write_cohort(tmp_path / kind, ill=lambda i, k=kind: str(i % 2 if k == "a" else 1)) for kind in "ab")
    runs = [fit("diffusion", c, tmp_path / f"run {c.path.name}", conditional=True, noise_seed=1) for c in (one, other)]
    assert weights(runs[0]) != weights(runs[1])  # they are learned
    clipped = gradient.clipped
    monkeypatch.setattr(gradient, "clipped", lambda found, clip: clipped(found, clip * 1e-12))
    blind = [
        fit("diffusion", c, tmp_path / f"blind {c.path.name}", conditional=True, noise_seed=1) for c in (one, other)
    ]
    files = [{f.name: f.read_bytes() for f in sorted(run.rglob("*.png"))} for run in blind]
    assert files[0] and files[0] == files[1] and weights(blind[0]) == weights(blind[1])
    records = [json.loads((run / "run.json").read_text()) for run in blind]
    assert records[0]["combinations"] == records[1]["combinations"] == []


def test_classes_of_cohorts_drawn_with_a_guarantee_are_asked_for_by_value(cohort: Cohort, tmp_path: Path) -> None:
    run = fit("diffusion", cohort, tmp_path / "run", conditional=True)
    drawn = Cohort.open(sample_cohort(run, 4, 0, tmp_path / "drawn", classes={"ill": 1}))
    assert drawn.sampling["differential_privacy"]["epsilon"] <= 8 and drawn.class_matrix().tolist() == [[1]] * 4
    with pytest.raises(UnderstudyError, match="that differential privacy lets be told: give a value"):
        sample_cohort(run, 4, 0, tmp_path / "data", classes="data")


def test_nothing_is_claimed_of_known_or_missing_noise_or_with_a_run_that_has_none(
    cohort: Cohort, tmp_path: Path
) -> None:
    runs = [
        fit("diffusion", cohort, tmp_path / "known", noise_seed=1),
        fit("diffusion", cohort, tmp_path / "none", epsilon=None, noise=0),
    ]
    promised = fit("diffusion", cohort, tmp_path / "promised", seed=8)
    for i, parts in enumerate([[runs[0]], [runs[1]], [runs[0], promised]]):
        drawn = Cohort.open(sample_cohort(parts, 4, 0, tmp_path / f"drawn{i}"))
        assert guarantee(drawn).startswith(NO_GUARANTEE)


def test_no_statistic_of_the_data_is_kept(cohort: Cohort, tmp_path: Path) -> None:
    generator: Any = load(fit("diffusion", cohort, tmp_path / "run"))
    assert not generator.scale.mean.any() and (generator.scale.std == 0.5).all()

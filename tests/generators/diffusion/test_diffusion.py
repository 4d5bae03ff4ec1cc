"""Diffusion: preconditioning, loss, every sampler with every formulation, condition, guidance, settings."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from understudy.core.cohort import Cohort
from understudy.core.encoding import Channel, Encoding
from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.labels import LabelScheme
from understudy.core.provenance import Provenance
from understudy.core.writer import CohortWriter
from understudy.generators import load
from understudy.generators.diffusion.diffusion import Diffusion, DiffusionConfig
from understudy.generators.diffusion.noise import FlowNoise, linear_betas
from understudy.nets.label_maps import encoded
from understudy.synthesis.sample import sample_cohort
from understudy.training.batches import Batch
from understudy.training.ema import ema_decay
from understudy.training.engine import Engine
from understudy.training.record import fitting

ENCODING = Encoding((Channel("a", 0, 1), Channel("b", 0, 1)), "float32", None)
TINY = {"channels": (8, 16), "patch": 1, "attention_levels": (), "precision": "fp32", "sampler_steps": 3}


def make(classes: int = 0, **changes: object) -> Diffusion:
    generator = Diffusion(DiffusionConfig(**{**TINY, **changes}))  # type: ignore[arg-type]
    generator.encoding, generator.size, generator.engine = ENCODING, (8, 8), Engine("fp32")
    torch.manual_seed(0)
    generator.build(ENCODING, (8, 8), classes)
    return generator


def test_preconditioning_identities() -> None:
    generator = make()
    x = torch.randn(4, 2, 8, 8)

    class Constant(nn.Module):
        def forward(self, x: Tensor, c_noise: Tensor, condition: Tensor | None) -> Tensor:
            assert torch.allclose(x.var(), torch.tensor(1.0), atol=0.2)  # c_in gives unit variance
            assert torch.allclose(c_noise, torch.full((4,), math.log(3) / 4))
            return torch.ones_like(x)

    sigma, d = 3.0, generator.config.sigma_data
    noisy = x * math.sqrt(sigma**2 + d**2)
    out = generator.denoise(Constant(), noisy, torch.full((4,), sigma), None)
    expected = d**2 / (sigma**2 + d**2) * noisy + sigma * d / math.sqrt(sigma**2 + d**2)
    assert torch.allclose(out, expected, atol=1e-6)


@pytest.mark.parametrize(("formulation", "expected"), [("edm", 1), ("ddpm", 1), ("cosine", 1), ("flow", 2)])
def test_loss_is_known_when_the_network_says_nothing(formulation: str, expected: int) -> None:
    """With F = 0 the mean loss is 1: EDM appendix B.6, and |n|^2 of Ho Eq. 14; of Liu Eq. 1 it is |n - y|^2."""
    generator = make(formulation=formulation, batch_size=256)
    assert abs(float(generator.loss(torch.randn(2048, 2, 8, 8), None).detach()) / expected - 1) < 0.03


class Exact(nn.Module):
    """F that makes D exact for cases ~ N(mean, std^2) in the formulation's own scale."""

    def __init__(self, generator: Diffusion, mean: float, std: float) -> None:
        super().__init__()
        self.noise, self.mean, self.std = generator.noise, mean, std

    def forward(self, x_in: Tensor, c_noise: Tensor, condition: Tensor | None) -> Tensor:
        flow = isinstance(self.noise, FlowNoise)
        sigma = (c_noise / (1 - c_noise) if flow else (4 * c_noise).exp()).reshape(-1, *[1] * (x_in.ndim - 1))
        c_skip, c_out, c_in = self.noise.precondition(sigma)
        x = x_in / c_in
        denoised = (self.std**2 * x + sigma**2 * self.mean) / (self.std**2 + sigma**2)
        return (denoised - c_skip * x) / c_out


@pytest.mark.parametrize("formulation", ["edm", "flow", "ddpm", "cosine"])
@pytest.mark.parametrize(("sampler", "steps"), [("heun", 40), ("dpmpp_2m", 40), ("ddim", 200), ("ddpm", 600)])
def test_every_sampler_works_with_every_formulation(formulation: str, sampler: str, steps: int) -> None:
    """With the exact network, drawn cases have the mean and standard deviation of the data."""
    generator = make(formulation=formulation, sampler=sampler, sampler_steps=steps)
    mean, std = 0.2, 0.1
    if generator.noise.scales:
        generator.measure([0.2 + 0.1 * torch.randn(4096, 2, 8, 8)])
        mean, std = 0.0, generator.noise.sigma_data
    generator.ema = Exact(generator, mean, std)
    x = generator.draw(list(range(24)))
    assert x.dtype == torch.float32 and abs(float(x.mean()) - 0.2) < 0.01
    assert abs(float(x.std()) - 0.1) < 0.01


def test_samples_of_a_chain_are_clipped_as_published() -> None:
    generator = make(formulation="ddpm", sampler="ddim", sampler_steps=20)
    generator.ema = Exact(generator, 3.0, 0.1)
    x = generator.draw([0])
    assert float(x.max()) == 1 and float(x.mean()) > 0.99


def test_churn_draws_from_the_cases_own_generator() -> None:
    generator = make(sampler="heun", s_churn=10.0, sampler_steps=6)
    generator.ema = Exact(generator, 0.0, 0.5)
    a, b = generator.draw([1, 2]), generator.draw([2, 5])
    assert torch.equal(a[1], b[0]) and not torch.equal(a[1], a[0])
    plain = make(sampler="heun", sampler_steps=6)
    plain.ema = generator.ema
    assert not torch.equal(plain.draw([2])[0], b[0])


def conditional(**changes: object) -> Diffusion:
    generator = make(classes=2, conditional=True, **changes)
    for name, gain in generator.ema.named_parameters():
        if "gain" in name:
            gain.data.fill_(1)
    return generator


def test_no_condition_is_not_none_of_the_classes() -> None:
    generator = conditional()
    zeros, nothing = torch.zeros(2, 2), torch.full((2, 2), torch.nan)
    unknown = torch.tensor([[0.0, torch.nan]] * 2)
    a, b = generator.draw([1, 2], zeros), generator.draw([1, 2], nothing)
    assert not torch.allclose(a, b, atol=1e-3) and bool(b.isfinite().all())
    assert torch.equal(generator.draw([1, 2], unknown), a)  # one unknown value counts as 0


def test_guidance_of_the_generator() -> None:
    condition, nothing = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.full((2, 2), torch.nan)
    seeds, one = [1, 2], conditional().draw([1, 2], torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
    assert torch.allclose(conditional(guidance=1.0 + 1e-6).draw(seeds, condition), one, atol=1e-3)
    assert torch.equal(conditional(guidance=0.0).draw(seeds, condition), conditional().draw(seeds, nothing))
    assert not torch.allclose(conditional(guidance=4.0).draw(seeds, condition), one, atol=1e-3)


def test_training_hides_the_condition() -> None:
    torch.manual_seed(0)

    def hidden(condition: Tensor, dropout: float) -> Tensor:
        batch = Batch(torch.zeros(len(condition), 2, 8, 8), condition, 0)
        return conditional(condition_dropout=dropout)._split(batch)[1]  # type: ignore[return-value]

    some = hidden(torch.zeros(4000, 2), 0.25).isnan()
    assert torch.equal(some.all(1), some.any(1)) and 900 < int(some[:, 0].sum()) < 1100
    assert not hidden(torch.zeros(9, 2), 0.0).isnan().any()


def test_a_missing_or_wrong_condition_is_refused() -> None:
    with pytest.raises(UsageError, match="needs a condition"):
        conditional().draw([1])
    with pytest.raises(UsageError, match=r"2 columns was expected, found \(1, 3\)"):
        conditional().draw([1], torch.zeros(1, 3))
    with pytest.raises(UsageError, match="0 columns"):
        make().draw([1], torch.zeros(1, 1))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"formulation": "ddpm", "sampler_steps": 5000}, "at most steps, 4000"),
        ({"formulation": "cosine", "steps": 100, "sampler": "ddim", "sampler_steps": 101}, "at most steps, 100"),
        ({"eta": 0.5}, "eta is for sampler ddim, and the sampler is dpmpp_2m"),
        ({"formulation": "ddpm", "s_churn": 10}, "s_churn is for sampler heun, and the sampler is ddpm"),
        ({"sampler": "ddim", "variance": "large"}, "variance is for sampler ddpm"),
        ({"sampler": "ddpm", "variance": "large"}, "edm has none"),
        ({"sampler": "dpmpp_2m", "s_churn": 5}, "s_churn is for sampler heun, and .* leave it out, or at 0.0"),
        ({"formulation": "flow", "sampler": "ddpm", "variance": "large"}, "flow has none"),
        (
            {"formulation": "flow", "p_std": 1},
            "p_std is for formulation edm, and the formulation is flow: leave it out",
        ),
        ({"formulation": "flow", "sigma_max": 20}, "sigma_max is for formulation edm or ddpm or cosine"),
        ({"flow_shift": 2.0}, "flow_shift is for formulation flow, and the formulation is edm"),
        ({"flow_times": "uniform"}, "flow_times is for formulation flow, and the formulation is edm"),
        ({"formulation": "ddpm", "sigma_data": 1}, "sigma_data is for formulation edm"),
        ({"steps": 100}, "steps is for formulation ddpm or cosine"),
        ({"guidance": 2}, "guidance needs conditional=true"),
        ({"guidance": 2, "conditional": True, "condition_dropout": 0}, "condition_dropout above 0"),
        ({"formulation": "edm2"}, "formulation"),
        ({"sigma_min": 90}, "sigma_min must be below sigma_max, 80, found 90"),
        ({"sigma_min": 1, "sigma_max": 1}, "below sigma_max"),
        ({"channels": (8, 8), "attention_levels": (1, 2)}, "attention_levels are 0 to 1 .* found 2"),
        ({"attention_levels": (-1,)}, "found -1"),
        ({"steps": 10}, "steps"),
    ],
)
def test_senseless_settings_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DiffusionConfig(**settings)  # type: ignore[arg-type]


def test_two_levels_may_leave_the_default_attention_out() -> None:
    written = DiffusionConfig(channels=(8, 8)).model_dump()  # as a run.json keeps it
    assert DiffusionConfig(**written).attention_levels == (2,)


def test_default_samplers() -> None:
    assert DiffusionConfig().sampling()[:2] == ("dpmpp_2m", 7)
    assert DiffusionConfig(formulation="flow").sampling()[:2] == ("dpmpp_2m", 7)
    assert DiffusionConfig(formulation="cosine", sampler="dpmpp_2m").sampling() == ("dpmpp_2m", 7, {})
    assert DiffusionConfig(formulation="cosine").sampling() == ("ddpm", 250, {"variance": "small"})
    assert DiffusionConfig(formulation="ddpm", steps=100).sampling()[:2] == ("ddpm", 100)
    assert DiffusionConfig(formulation="ddpm", sampler="ddim", eta=0.3).sampling() == ("ddim", 50, {"eta": 0.3})


def test_the_paper_preset_is_what_was_published() -> None:
    cfg = DiffusionConfig(**Diffusion.PRESETS["paper"])
    name, steps, options = cfg.sampling()
    assert (name, steps, cfg.steps, options["variance"]) == ("ddpm", 4000, 4000, "large")
    betas = linear_betas(cfg.steps)
    assert math.isclose(betas[0], 2.5e-5, rel_tol=1e-9) and math.isclose(betas[-1], 5e-3, rel_tol=1e-9)
    assert math.isclose(ema_decay(cfg.batch_size, cfg.ema_images, 0, cfg.ema_rampup), 0.9999, rel_tol=1e-7)
    assert cfg.channels[0] == 64 and cfg.batch_size == 32


def test_the_learning_rate_follows_its_plan() -> None:
    rates = []
    for decay in (None, 100.0):
        generator = make(decay_images=decay, warmup_images=0, batch_size=2, learning_rate=0.01)
        generator.update(Batch(torch.randn(2, 2, 8, 8), None, 10_000))
        rates.append(generator.adams["net"].param_groups[0]["lr"])
    assert rates == [0.01, pytest.approx(0.001)]


def test_a_size_that_does_not_divide_is_refused() -> None:
    generator = Diffusion(DiffusionConfig())
    generator.engine = Engine("fp32")
    with pytest.raises(UsageError, match="divide by 8"):
        generator.build(ENCODING, (20, 20))


def make_cohort(out: Path, size: tuple[int, ...], cases: int, seed: int = 0) -> Cohort:
    random = np.random.default_rng(seed)
    with CohortWriter(
        out, kind="real", modality="MR", size=size, channels=[Channel("a", 0, 1)], dtype="float32", classes=["ill"],
        scheme=LabelScheme(("background", "x"), (0, 1)), label_source="patient", provenance=Provenance("test"),
    ) as writer:  # fmt: skip
        for i in range(cases):
            row = {"case_id": str(i), "subject_id": str(i), "split": "train", "ill": str(i % 2)}
            writer.append(random.random((1, *size), np.float32), random.integers(0, 2, size), row)
    return Cohort.open(out)


@pytest.mark.parametrize(
    "settings",
    [
        {"formulation": "ddpm", "steps": 100},
        {"formulation": "cosine", "sampler": "ddim", "eta": 0.5, "conditional": True, "guidance": 2.0},
        {"sampler": "heun", "s_churn": 5.0},
        {"formulation": "flow", "flow_times": "uniform", "sampler": "dpmpp_2m", "sampler_steps": 4},
    ],
    ids=lambda settings: settings.get("formulation", "churn"),
)
def test_the_contract_of_the_other_settings(settings: dict[str, object], tmp_path: Path) -> None:
    """Same seed, same weights and samples; a case depends neither on n nor on its neighbours nor on the block."""
    cohort = make_cohort(tmp_path / "cohort", (8, 8), 6)
    config = DiffusionConfig(**{**TINY, "batch_size": 2, "images_seen": 8, "sample_block": 4, **settings})  # type: ignore[arg-type]
    runs = [Diffusion(config).fit(cohort, tmp_path / name, 0) for name in "ab"]
    assert len({(run / "snapshots/000000008/tensors.safetensors").read_bytes() for run in runs}) == 1
    generator = load(runs[0])
    ill = np.array([[1], [0], [1], [0], [1]], np.float32) if settings.get("conditional") else None
    five, two = generator.sample(5, 3, ill), load(runs[1]).sample(2, 3, None if ill is None else ill[:2])
    assert five.images is not None and two.images is not None and np.isfinite(five.images).all()
    assert (five.images[:2] == two.images).all() and (five.images[0] != five.images[1]).any()
    c = None if ill is None else torch.from_numpy(ill)
    with torch.no_grad():
        a, b = (
            generator.draw([1, 2, 3], None if c is None else c[:3]),
            generator.draw([2], None if c is None else c[1:2]),
        )
    assert torch.allclose(a[1], b[0], atol=1e-4)


def test_weights_that_do_not_fit_are_refused_in_one_sentence(tmp_path: Path) -> None:
    config = DiffusionConfig(**{**TINY, "batch_size": 2, "images_seen": 2, "sample_block": 1})  # type: ignore[arg-type]
    run = Diffusion(config).fit(make_cohort(tmp_path / "cohort", (8, 8), 2), tmp_path / "run", 0)
    record = json.loads((run / "run.json").read_text())
    record["config"]["channels"] = [8, 8]
    (run / "run.json").write_text(json.dumps(record))
    with pytest.raises(UnderstudyError, match="do not fit the network ema .* was expected as .*, found"):
        load(run)


def test_images_alone_are_learned_beside_labelled_cases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Samples name the subjects of both; same seed, same bits, also resumed; the second's label maps are not read."""
    cohort = make_cohort(tmp_path / "labelled", (8, 8), 3)
    others = [make_cohort(tmp_path / name, (8, 8), 5, seed) for name, seed in (("images", 1), ("more", 2))]
    few = {"batch_size": 3, "images_seen": 9, "sample_block": 16, "sampler_steps": 2, "checkpoint_seconds": 0}
    config = DiffusionConfig(**{**TINY, **few})  # type: ignore[arg-type]

    def fitted(name: str, other: Cohort) -> bytes:
        run = Diffusion(config).fit(cohort, tmp_path / name, 0, other=other)
        return (run / "snapshots/000000009/tensors.safetensors").read_bytes()

    weights = fitted("a", others[0])
    drawn = Cohort.open(sample_cohort(tmp_path / "a", 2, 0, tmp_path / "drawn"))
    assert drawn.trained_on == [cohort.seen("train"), others[0].seen("train")] and drawn.labels is not None
    others[0].labels = 1 - np.asarray(others[0].labels)  # type: ignore[assignment]
    update, steps = Diffusion.update, 0

    def interrupted(self: Diffusion, batch: Batch) -> dict[str, Any]:
        nonlocal steps
        steps += 1
        if steps == 3:
            raise KeyboardInterrupt
        return update(self, batch)

    monkeypatch.setattr(Diffusion, "update", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fitted("b", others[0])
    assert fitted("b", others[0]) == weights and steps == 4
    assert fitted("c", others[1]) != weights


@pytest.mark.parametrize("settings", [{"labels": "given"}, {"conditional": True}])
def test_what_is_not_known_of_images_alone_is_no_condition(settings: dict[str, Any], tmp_path: Path) -> None:
    """Classes and given label maps of images alone are hidden, and only theirs."""
    cohort, other = (make_cohort(tmp_path / name, (8, 8), 4, seed) for seed, name in enumerate("ab"))
    generator = Diffusion(DiffusionConfig(**{**TINY, "condition_dropout": 0, "labelled_share": 0.25, **settings}))
    cohort, images = fitting(generator, cohort, other)
    generator._start(cohort.encoding, cohort.size, int("conditional" in settings), 0, Engine("fp32"))
    batch = generator.stream(cohort, images, 0).batch(0, 8, 8, torch.device("cpu"), slice(None))
    x, condition = generator._split(batch)
    assert condition is not None
    assert condition.isnan().flatten(1).all(1).tolist() == [i % 4 != 3 for i in range(8)]
    assert condition.isnan().flatten(1).any(1).tolist() == [i % 4 != 3 for i in range(8)]
    assert bool(generator.loss(x, condition).isfinite()) and not x[:, :1].isnan().any()


def test_label_maps_that_are_not_known_are_hidden_and_have_no_part_in_the_loss() -> None:
    generator, hidden = joint(), torch.rand(4, 3, 8, 8) * 2 - 1
    hidden[2:, 2] = torch.nan
    seen: list[Tensor] = []

    def network(x: Tensor, c_noise: Tensor, condition: Tensor | None) -> Tensor:
        seen.append(x)
        return x * weight

    weight = torch.ones(4, 3, 8, 8, requires_grad=True)
    generator.loss(hidden, None, network).backward()
    assert not seen[0][2:, 2].any() and (seen[0][:2] != 0).all() and (seen[0][2:, :2] != 0).all()
    assert weight.grad is not None and not weight.grad[2:, 2].any() and (weight.grad[2:, :2] != 0).all()
    x = torch.randn(2048, 3, 8, 8)
    with torch.no_grad():  # F = 0: the loss is 1, and a channel is a third of it, known in all cases or in some
        for hides, loss in ((2048, 2 / 3), (1024, 1.0), (0, 1.0)):
            x[:hides, 2] = torch.nan
            assert abs(float(generator.loss(x, None, lambda x, *_: torch.zeros_like(x))) - loss) < 0.03
            x[:, 2] = torch.randn(2048, 8, 8)


def joint() -> Diffusion:
    generator = Diffusion(DiffusionConfig(**TINY))  # type: ignore[arg-type]
    generator._start(replace(ENCODING, scheme=LabelScheme(("background", "x"), (0, 1))), (8, 8), 0, 0, Engine("fp32"))
    return generator


def test_volumes(tmp_path: Path) -> None:
    """Diffusion trains on 3D cases as on images."""
    tiny = {
        **TINY,
        "patch": 2,
        "attention_levels": (1,),
        "head_channels": 8,
        "batch_size": 2,
        "images_seen": 4,
        "sample_block": 2,
    }
    generator = Diffusion(DiffusionConfig(**tiny))  # type: ignore[arg-type]
    generator.fit(make_cohort(tmp_path / "c", (8, 16, 8), 3), tmp_path / "run", 0)
    samples = generator.sample(3, 0)
    assert samples.images is not None and samples.images.shape == (3, 1, 8, 16, 8)
    assert samples.labels is not None and samples.labels.shape == (3, 8, 16, 8)


TINY_GIVEN: dict[str, Any] = {
    "channels": (8, 16), "patch": 1, "attention_levels": (), "precision": "fp32", "sampler_steps": 3, "labels": "given",
}  # fmt: skip
SCHEME = LabelScheme(("background", "a", "b"), (0, 1, 2))
MANY = LabelScheme(tuple(f"c{i}" for i in range(30)), tuple(range(30)))


def made(scheme: LabelScheme = SCHEME, size: tuple[int, ...] = (8, 8), **changes: Any) -> Diffusion:
    generator = Diffusion(DiffusionConfig(**{**TINY_GIVEN, **changes}))
    encoding = Encoding((Channel("x", 0, 1), Channel("y", 0, 1)), "float32", scheme)
    generator._start(encoding, size, 0, 0, Engine("fp32"))
    for net in (generator.net, generator.ema):
        torch.manual_seed(1)
        net.conv_out_gain.data.fill_(1)  # an untrained network says nothing
    return generator


def maps(scheme: LabelScheme, size: tuple[int, ...], n: int = 3) -> Tensor:
    return torch.randint(len(scheme), (n, *size), generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize(("scheme", "size"), [(SCHEME, (8, 8)), (MANY, (8, 16)), (SCHEME, (4, 8, 8))])
def test_images_are_drawn_and_the_label_maps_come_back(scheme: LabelScheme, size: tuple[int, ...]) -> None:
    generator, labels = made(scheme, size), maps(scheme, size)
    assert generator.given == "labels"
    with torch.no_grad():
        x = generator.draw([1, 2, 3], labels)
        other = generator.draw([1, 2, 3], labels.flip(0))
    assert x.shape == (3, 2 + scheme.encoded_channels, *size)
    assert torch.equal(x[:, 2:], encoded(labels, scheme))
    assert torch.allclose(x[1], other[1], atol=1e-5) and not torch.allclose(x[0, :2], other[0, :2], atol=1e-3)


def test_only_images_are_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    generator, labels = made(condition_dropout=0.0), maps(SCHEME, (8, 8))
    x = torch.cat([torch.rand(3, 2, 8, 8) * 2 - 1, encoded(labels, SCHEME)], dim=1)
    seen: list[Tensor] = []
    forward = generator.net.forward
    monkeypatch.setattr(generator.net, "forward", lambda *a: seen.append(a[0]) or forward(*a))
    y, told = generator._split(Batch(x, None, 0))
    assert torch.equal(y, x[:, :2]) and told is not None and told.shape == (3, 3, 8, 8)
    generator.loss(y, told).backward()
    assert seen[0].shape == (3, 2 + 3, 8, 8) and torch.equal(seen[0][:, 2:].argmax(dim=1), labels)
    assert generator.scale.mean.numel() == 2


def test_hidden_maps_have_no_class_anywhere_and_guidance_weighs() -> None:
    torch.manual_seed(0)
    labels = maps(SCHEME, (8, 8), 400)
    x = torch.cat([torch.zeros(400, 2, 8, 8), encoded(labels, SCHEME)], dim=1)
    _, told = made(condition_dropout=0.25)._split(Batch(x, None, 0))
    assert told is not None
    share = float(told.isnan().flatten(1).all(dim=1).float().mean())
    assert share == float(told.isnan().flatten(1).any(dim=1).float().mean()) and 0.18 < share < 0.32
    draws = {}
    for guidance in (0.0, 1.0, 4.0):
        with torch.no_grad():
            draws[guidance] = made(guidance=guidance).draw([1, 2, 3], maps(SCHEME, (8, 8)))[:, :2]
            if not guidance:  # then label maps do not matter
                assert torch.equal(draws[0.0], made(guidance=0.0).draw([1, 2, 3], maps(SCHEME, (8, 8)).flip(0))[:, :2])
    assert not torch.allclose(draws[1.0], draws[4.0], atol=1e-3)


def test_refusals() -> None:
    with pytest.raises(UsageError, match="found none: name a cohort with --labels"):
        made().draw([1])
    with pytest.raises(UsageError, match=r"diffusion is given labels: 1 of shape \(8, 8\) were expected"):
        made().draw([1], torch.zeros(1, 4, 8, dtype=torch.int64))
    with pytest.raises(UsageError, match="classes 0 to 2 were expected, found 3 to 3"):
        made().sample(1, 0, np.full((1, 8, 8), 3))
    with pytest.raises(ValueError, match="not both"):
        DiffusionConfig(labels="given", conditional=True)


@pytest.mark.parametrize("size", [(16, 16), (8, 16, 16)])
def test_a_whole_training(size: tuple[int, ...], tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    channels = [Channel("x", 0, 3000), Channel("y", 0, 3000)]
    with CohortWriter(
        tmp_path / "c", kind="real", modality="MR", size=size, channels=channels, dtype="int16", scheme=SCHEME,
        label_source="patient", provenance=Provenance("test"), key=b"k",
    ) as writer:  # fmt: skip
        for i in range(6):
            image, label = random.integers(0, 3000, (2, *size), np.int16), random.integers(0, 3, size, np.uint8)
            writer.append(image, label, {"case_id": f"{i}", "subject_id": f"s{i}", "split": "train"})
    cohort = Cohort.open(tmp_path / "c")
    assert cohort.labels is not None
    run = Diffusion(DiffusionConfig(**{**TINY_GIVEN, "batch_size": 4, "images_seen": 8, "sample_block": 4})).fit(
        cohort, tmp_path / "run", 0
    )
    samples = load(run).sample(3, 1, np.asarray(cohort.labels[:3]))
    assert samples.images is not None and samples.images.shape == (3, 2, *size) and samples.images.dtype == "int16"
    np.testing.assert_array_equal(samples.labels, cohort.labels[:3])
    two = load(run).sample(2, 1, np.asarray(cohort.labels[:2])).images
    np.testing.assert_array_equal(two, samples.images[:2])

"""Diffusion: preconditioning, Heun's order, DDPM's marginals and posterior in closed form."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from understudy.core.cohort import Cohort
from understudy.core.encoding import Channel, Encoding
from understudy.core.errors import UsageError
from understudy.core.labels import LabelScheme
from understudy.core.provenance import Provenance
from understudy.core.writer import CohortWriter
from understudy.generators.diffusion import (
    DDPM_STEPS,
    Diffusion,
    DiffusionConfig,
    Scale,
    ddpm_scheduler,
    heun,
    karras_sigmas,
    noise_like,
)
from understudy.training.engine import Engine

ENCODING = Encoding((Channel("a", 0, 1), Channel("b", 0, 1)), "float32", None)
TINY = {"channels": (8, 16), "patch": 1, "attention_levels": (), "precision": "fp32", "sampler_steps": 3}


def make(**changes: object) -> Diffusion:
    generator = Diffusion(DiffusionConfig(**{**TINY, **changes}))  # type: ignore[arg-type]
    generator.encoding, generator.size, generator.engine = ENCODING, (8, 8), Engine("fp32")
    torch.manual_seed(0)
    generator.build(ENCODING, (8, 8))
    return generator


def test_karras_sigmas_are_equation_5() -> None:
    sigmas = karras_sigmas(18, 0.002, 80, 7)
    assert len(sigmas) == 19 and sigmas[-1] == 0
    assert math.isclose(sigmas[0], 80, rel_tol=1e-12) and math.isclose(sigmas[17], 0.002, rel_tol=1e-9)
    middle = (80 ** (1 / 7) + 5 / 17 * (0.002 ** (1 / 7) - 80 ** (1 / 7))) ** 7
    assert math.isclose(sigmas[5], middle, rel_tol=1e-12)


def test_heun_has_order_two_on_a_gaussian() -> None:
    s2 = 0.25  # data ~ N(0, s2): D(x; sigma) = x s2 / (s2 + sigma^2), and x(0) = x(T) sqrt(s2 / (s2 + T^2))

    def denoise(x: Tensor, sigma: Tensor) -> Tensor:
        return x * s2 / (s2 + sigma**2)

    start = torch.ones(1, dtype=torch.float64)
    exact = math.sqrt(s2 / (s2 + 4.0**2))

    def error(steps: int) -> float:
        sigmas = torch.linspace(
            4, 0.5, steps + 1, dtype=torch.float64
        )  # ends above 0: the last step is second order too
        end = exact / math.sqrt(s2 / (s2 + 0.5**2))
        return abs(float(heun(denoise, start * 1.0, sigmas)) - end)

    orders = [math.log2(error(n) / error(2 * n)) for n in (32, 64, 128)]
    assert all(1.9 < order < 2.1 for order in orders), orders


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


def test_loss_is_one_when_the_network_says_nothing() -> None:
    """With F = 0, lambda |D - y|^2 has mean 1 for data of standard deviation sigma_data (EDM appendix B.6)."""
    generator = make(batch_size=256)
    y = torch.randn(2048, 2, 8, 8)
    assert abs(float(generator._edm_loss(y, None).detach()) - 1) < 0.03


def test_scale_makes_data_of_sigma_data() -> None:
    scale = Scale(2, 2)
    x = torch.randn(64, 2, 8, 8) * torch.tensor([0.1, 3.0]).reshape(2, 1, 1) + torch.tensor([0.5, -2.0]).reshape(
        2, 1, 1
    )
    x[:, 1] = 7.0
    scale.measure(x)
    assert abs(float(((x - scale.mean) / scale.std)[:, 0].std()) - 1) < 1e-5
    assert float(scale.std[1]) == 1 and float(scale.mean[1]) == 7


def test_ddpm_schedule_is_the_published_one_and_its_marginals_are_exact() -> None:
    scheduler = ddpm_scheduler(DDPM_STEPS)
    assert math.isclose(float(scheduler.betas[0]), 2.5e-5, rel_tol=1e-5)
    assert math.isclose(float(scheduler.betas[-1]), 5e-3, rel_tol=1e-5)
    t = 1234
    alpha_bar = float(torch.prod(1 - torch.linspace(2.5e-5, 5e-3, DDPM_STEPS, dtype=torch.float64)[: t + 1]))
    x0, noise = torch.full((200_000, 1), 0.7), torch.randn(200_000, 1, generator=torch.Generator().manual_seed(0))
    x_t = scheduler.add_noise(original_samples=x0, noise=noise, timesteps=torch.full((200_000,), t))
    assert abs(float(x_t.mean()) - math.sqrt(alpha_bar) * 0.7) < 0.01
    assert abs(float(x_t.var()) - (1 - alpha_bar)) < 0.01


@pytest.mark.parametrize("steps", [10, 250, 3999])
def test_respacing_keeps_the_marginals(steps: int) -> None:
    whole, few = ddpm_scheduler(DDPM_STEPS), ddpm_scheduler(steps)
    assert torch.allclose(torch.cumprod(few.alphas.double(), 0), few.alphas_cumprod.double(), rtol=1e-4)
    assert torch.equal(few.alphas_cumprod[[0, -1]], whole.alphas_cumprod[[0, -1]])


def test_ddpm_samples_a_gaussian_with_known_score() -> None:
    """Data ~ N(0.2, 0.1^2): the exact epsilon gives samples of that mean and standard deviation."""
    generator = make(formulation="ddpm", sampler_steps=1000)
    m, s = 0.2, 0.1

    def epsilon(net: nn.Module, x: Tensor, alpha_bar: Tensor, condition: Tensor | None) -> Tensor:
        return (x - alpha_bar.sqrt() * m) * (1 - alpha_bar).sqrt() / (alpha_bar * s**2 + 1 - alpha_bar)

    generator._ddpm_net = epsilon  # type: ignore[method-assign]
    x = generator.draw(list(range(40)))
    assert abs(float(x.mean()) - m) < 0.01 and abs(float(x.std()) - s) < 0.005


def test_noise_of_a_case_is_its_own() -> None:
    a = noise_like(torch.empty(2, 3), [torch.Generator().manual_seed(1), torch.Generator().manual_seed(2)])
    b = noise_like(torch.empty(2, 3), [torch.Generator().manual_seed(2), torch.Generator().manual_seed(5)])
    assert torch.equal(a[1], b[0]) and not torch.equal(a[0], a[1])


def test_refusals() -> None:
    with pytest.raises(ValueError, match="4000"):
        DiffusionConfig(formulation="ddpm", sampler_steps=5000)
    generator = Diffusion(DiffusionConfig())
    generator.engine = Engine("fp32")
    with pytest.raises(UsageError, match="divide by 8"):
        generator.build(ENCODING, (20, 20))


def test_volumes(tmp_path: Path) -> None:
    """Diffusion trains on 3D cases as on images."""
    random = np.random.default_rng(0)
    with CohortWriter(
        tmp_path / "c", kind="real", modality="MR", size=(8, 16, 8), channels=[Channel("a", 0, 1)], dtype="float32",
        scheme=LabelScheme(("background", "x"), (0, 1)), label_source="patient", provenance=Provenance("test"),
    ) as writer:  # fmt: skip
        for i in range(3):
            row = {"case_id": str(i), "subject_id": str(i), "split": "train"}
            writer.append(random.random((1, 8, 16, 8), np.float32), random.integers(0, 2, (8, 16, 8)), row)
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
    generator.fit(Cohort.open(tmp_path / "c"), tmp_path / "run", 0)
    samples = generator.sample(3, 0)
    assert samples.images is not None and samples.images.shape == (3, 1, 8, 16, 8)
    assert samples.labels is not None and samples.labels.shape == (3, 8, 16, 8)

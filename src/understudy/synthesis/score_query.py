"""White-box score queries: what a saved run tells of images that it may have learned, to who holds it.

For attacks by somebody who holds the generator itself; the attacks and their sources are in
evaluation/privacy/attacks/membership.py. Each case is scored alone, at its full size and as it is.
**Denoising loss** (diffusion): the loss of training, EDM Eq. 8, with the EMA weights; the mean over LEVELS noise
levels, drawn as training draws them. Levels and noise are the same for all cases, so that scores differ by the case.
**Discriminator** (GANs that sample from noise): its logit, of the run's last checkpoint, since snapshots hold no
discriminator; no augmentation, and the deviation within a minibatch is that within one case, 0.
**Latent inversion** (the same GANs): inversion.py, with the EMA weights that `sample` uses, and nothing else.
**Differs** from the published attacks, which choose the noise level on shadow models: all that training draws count.
**Checked** in tests/synthesis/test_score_query.py (the loss of training; alone as among others; an overfitted run) and
tests/generators/test_contract.py (every generator has a score query or is refused).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from understudy.core.cohort import Cohort, file_hash
from understudy.core.errors import UsageError
from understudy.core.progress import tracked
from understudy.core.seed import derive
from understudy.generators import load
from understudy.generators.base import Generator
from understudy.generators.diffusion.diffusion import Diffusion
from understudy.generators.gan.growing import GrowingGAN
from understudy.generators.gan.style import StyleGAN
from understudy.nets.layers import MinibatchStd
from understudy.synthesis.inversion import latent_inversion
from understudy.synthesis.runs import Run, open_run
from understudy.training.checkpoint import latest, load_modules, read_state
from understudy.training.engine import Engine
from understudy.training.parallel import seeded

LEVELS = 8
BLOCK = 32  # cases at once
Answer = Callable[[Tensor, Tensor | None], Tensor]


@dataclass(frozen=True)
class RunQuery:
    """A run with a white-box score query."""

    attack: str  # which attack uses it: denoising_loss, latent_inversion or discriminator
    identity: str  # of the weights and the seed that decide its scores
    score: Callable[[Cohort, np.ndarray], np.ndarray]  # (cohort, rows) -> (n,)


def open_run_queries(path: Path, made: Sequence[Cohort], seed: int) -> list[RunQuery]:
    """Load a run for its score queries; ``made`` are the cohorts that it is said to have made.

    A run without a checkpoint has no discriminator to query. Raises UsageError where it is not finished, learned from
    others than a cohort says, or has no score query.
    """
    run = open_run(path)
    for cohort in made:
        if any(entry not in cohort.trained_on for entry in run.record["trained_on"]):
            raise UsageError(
                f"the run {path} learned from others than {cohort.path.name} records (trained_on), so it did not make "
                "that cohort: name the run it was sampled from"
            )
    truncated = run.record["config"].get("truncation_psi", 1.0) != 1.0  # which an attacker would undo
    generator = load(path, engine=Engine("fp32"), settings={"truncation_psi": 1.0} if truncated else {})
    if isinstance(generator, Diffusion) and not generator.given:
        return [_run_query("denoising_loss", run.digest, generator, denoising_loss(generator, seed), seed)]
    if isinstance(generator, GrowingGAN | StyleGAN):
        return [
            _run_query("latent_inversion", run.digest, generator, latent_inversion(generator, seed), seed),
            *_discriminator_query(generator, run, seed),
        ]
    raise UsageError(
        f"{path} is a run of {generator.name}{', given label maps' if generator.given else ''}, and attacks query "
        "diffusion models and GANs that sample from noise: leave --generator out"
    )


def denoising_loss(generator: Diffusion, seed: int) -> Answer:
    """Return the function from cases and conditions to denoising losses (N,), lower where a case is better known."""
    g, device = generator, generator.engine.device
    with seeded(derive(seed, "oracle")):  # all is drawn by the processor: the same numbers on every device
        levels, noises = g.noise.draw(LEVELS, torch.device("cpu")).to(device), torch.randn(LEVELS, *g.shape).to(device)

    def answer(x: Tensor, condition: Tensor | None) -> Tensor:
        y = (x - g.scale.mean) / g.scale.std * g.noise.sigma_data
        losses = torch.zeros(len(y), device=device)
        for level, noise in zip(levels, noises, strict=True):
            sigma = level.expand(len(y))
            error = (g.denoise(g.ema, y + level * noise, sigma, condition) - y).square().flatten(1).mean(1)
            losses += g.noise.weight(sigma) * error
        return losses / LEVELS

    return answer


def _discriminator_query(generator: GrowingGAN | StyleGAN, run: Run, seed: int) -> list[RunQuery]:
    """Return the query of the discriminator of a run's last checkpoint; none where it has no checkpoint."""
    checkpoint = latest(run.path / "checkpoints")
    if checkpoint is None:
        return []
    tensors, scalars = read_state(checkpoint)
    load_modules({"d": generator.d}, tensors)
    if "scalars" in scalars:
        generator.load_scalars(scalars["scalars"])
    for module in generator.d.modules():
        if isinstance(module, MinibatchStd):
            module.group = 1
    weights = file_hash(checkpoint / "tensors.safetensors")[:16]
    return [_run_query("discriminator", weights, generator, lambda x, c: generator.discriminate(x, c)[:, 0], seed)]


def _run_query(attack: str, weights: str, generator: Generator, answer: Answer, seed: int) -> RunQuery:
    @torch.no_grad()
    def score(cohort: Cohort, rows: np.ndarray) -> np.ndarray:
        if cohort.encoding != generator.encoding or cohort.size != generator.size:
            raise UsageError(
                f"the run was trained on cases of {generator.size} with other channels or labels than "
                f"{cohort.path.name} has ({cohort.size}): name the cohort it was trained on"
            )
        answers = []
        for start in tracked(range(0, len(rows), BLOCK), "query the generator"):
            block = rows[start : start + BLOCK]
            x = torch.from_numpy(cohort.encoded(block)).to(generator.engine.device)
            told = generator.condition_of(cohort, block)
            condition = None if told is None else torch.from_numpy(told).to(x)
            answers.append(answer(x, condition).float().cpu().numpy())
        return np.concatenate(answers)

    return RunQuery(attack, f"{weights}.{seed}", score)

"""Latent inversion: how near can a GAN's generator come to a case, over all of its latents? Nearer to what it learned.

For an attacker who holds the generator alone, without discriminator. Of STARTS random cases, the same for every case,
the nearest to it gives the latent to begin with; STEPS of Adam then bring the mean square distance down, within the
bounds in which latents lie. The smallest distance that was met is the answer. Searched are the styles w of an
unconditional style-based generator, without truncation, else z, for the case's own classes.
**Source**: Chen, Yu, Zhang, Fritz, "GAN-Leaks" (CCS 2020, arXiv 1909.03935), the white-box generator attack, section
5.3: L2 reconstruction by optimising the latent.
**Differs**: Adam for L-BFGS; pixels alone, no perceptual distance; one start, the best of many random ones; not
calibrated by a reference generator. A search that ends far away says little: the attack has power where a generator
repeats its training cases, and little where it underfits.
**Checked** in tests/synthesis/test_inversion.py (the residual of a linear generator in closed form; a generator whose
range holds the members; alone as among others).
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from understudy.core.seed import derive
from understudy.generators.gan.growing import GrowingGAN
from understudy.generators.gan.style import StyleGAN
from understudy.synthesis.conditioning.search import Latents, NormalLatents, StyleLatents

STARTS = 64
STEPS = 60
RATE = 0.1  # of Adam, in units of the latents' spread
Answer = Callable[[Tensor, Tensor | None], Tensor]


def distances(latents: Latents, cases: Tensor, starts: Tensor) -> Tensor:
    """Return the smallest mean square distance (N,) of cases (N, C, *S) to what latents give, begun from (M, D)."""
    with torch.no_grad():
        first = torch.stack([_distance(latents, u.expand(len(cases), -1), cases) for u in starts])
        best, at = first.min(0)
    u = starts[at].clone().requires_grad_(True)
    optimizer = torch.optim.Adam([u], lr=RATE)
    for _ in range(STEPS):
        error = _distance(latents, u, cases)
        best = torch.minimum(best, error.detach())
        (u.grad,) = torch.autograd.grad(error.sum(), u)
        optimizer.step()
        with torch.no_grad():
            u.copy_(latents.bounded(u))
    with torch.no_grad():
        return torch.minimum(best, _distance(latents, u, cases))


def _distance(latents: Latents, u: Tensor, cases: Tensor) -> Tensor:
    return (latents.cases(u) - cases).square().flatten(1).mean(1)


def latent_inversion(generator: GrowingGAN | StyleGAN, seed: int) -> Answer:
    """Return the function from cases and conditions to distances (N,), lower where a case is better known."""
    g, width, device = generator, int(generator.config.z_dim), generator.engine.device
    seeds = [derive(seed, "inversion", i) for i in range(STARTS)]
    style, synthesise = getattr(g, "style", None), getattr(g, "synthesise", None)
    styles = StyleLatents(style, synthesise, width, device) if style and synthesise and not g.classes else None
    starts = _started(styles or NormalLatents(g.generate, width, device), seeds)

    def answer(x: Tensor, condition: Tensor | None) -> Tensor:
        latents = styles or NormalLatents(lambda z: g.generate(z, condition), width, device)
        with torch.enable_grad():
            return distances(latents, x, starts)

    return answer


def _started(latents: Latents, seeds: Sequence[int]) -> Tensor:
    with torch.no_grad():
        return latents.start(list(seeds))

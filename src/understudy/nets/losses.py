"""Losses and penalties of adversarial trainings that several papers share.

**Source**: Goodfellow et al., "Generative Adversarial Nets", 2014, arXiv 1406.2661, section 3 (non-saturating loss);
Mescheder et al., "Which Training Methods for GANs do actually Converge?", 2018, arXiv 1801.04406, eq. 9 (R1); Gulrajani
et al., "Improved Training of Wasserstein GANs", 2017, arXiv 1704.00028, eq. 3 (gradient penalty); Mao et al., "Least
Squares Generative Adversarial Networks", 2017, arXiv 1611.04076, eq. 2; Lim and Ye, "Geometric GAN", 2017, arXiv
1705.02894 (hinge); Wang et al., 2018, arXiv 1711.11585, eq. 4 (feature matching).
**Differs**: nothing known.
**Checked**: tests/nets/test_losses.py (penalties against finite differences in 2D and 3D, losses against definitions).
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

Features = list[list[Tensor]]  # of every scale: the activations of every layer, logits last


def logistic_generator(synthetic: Tensor) -> Tensor:
    """Non-saturating loss of the generator from the logits (N, 1) of its cases."""
    return F.softplus(-synthetic).mean()


def logistic_discriminator(real: Tensor, synthetic: Tensor) -> Tensor:
    """Logistic loss of the discriminator from logits (N, 1) of real and of synthetic cases."""
    return F.softplus(synthetic).mean() + F.softplus(-real).mean()


def r1(discriminate: Callable[[Tensor], Tensor], x: Tensor, gamma: float) -> Tensor:
    """R1 penalty gamma / 2 E |grad_x D(x)|^2 (Mescheder, eq. 9), 0-d, differentiable in the parameters of D.

    D maps cases (N, C + L, *S), here real ones, to logits (N, 1).
    """
    x = x.detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(discriminate(x).sum(), x, create_graph=True)
    return gradient.square().flatten(1).sum(dim=1).mean() * (gamma / 2)


def gradient_penalty(discriminate: Callable[[Tensor], Tensor], real: Tensor, synthetic: Tensor) -> Tensor:
    """E (|grad D(x)| - 1)^2 (Gulrajani, eq. 3, without its factor), at one x between each pair of cases, in float32.

    D maps cases (N, C, *S), each on its own, to scores (N, 1). 0-d, differentiable in the parameters of D.
    """
    t = torch.rand(len(real), *[1] * (real.ndim - 1), device=real.device, dtype=real.dtype)
    x = torch.lerp(real, synthetic, t).requires_grad_(True)
    with torch.autocast(x.device.type, enabled=False):
        (gradient,) = torch.autograd.grad(discriminate(x).sum(), x, create_graph=True)
        norm = torch.linalg.vector_norm(gradient.flatten(1), dim=1)
        return (norm - 1).square().mean()


def discriminator_loss(kind: str, real: Tensor, synthetic: Tensor) -> Tensor:
    """Return the loss of logits of real cases (target 1) and of synthetic ones (target 0; hinge: -1), float32."""
    if kind == "hinge":
        return F.relu(1 - real).mean() + F.relu(1 + synthetic).mean()
    return (real - 1).square().mean() + synthetic.square().mean()


def generator_loss(kind: str, synthetic: Tensor) -> Tensor:
    """Return the loss of logits that the generator wants to be those of real cases."""
    return -synthetic.mean() if kind == "hinge" else (synthetic - 1).square().mean()


def feature_matching(synthetic: Features, real: Features) -> Tensor:
    """Mean distance of the discriminator's activations on pairs (Wang, eq. 4)."""
    pairs = [pair for s, r in zip(synthetic, real, strict=True) for pair in zip(s[:-1], r[:-1], strict=True)]
    return sum((F.l1_loss(s.float(), r.detach().float()) for s, r in pairs), torch.zeros(())) / len(synthetic)


def whole_classes(logits: Tensor) -> Tensor:
    """Turn logits (N, K, *S) into maps of 0 and 1 that have the gradients of the probabilities (straight through)."""
    probabilities = logits.softmax(dim=1)
    whole = F.one_hot(probabilities.argmax(dim=1), logits.shape[1]).movedim(-1, 1).to(probabilities)
    return whole + probabilities - probabilities.detach()

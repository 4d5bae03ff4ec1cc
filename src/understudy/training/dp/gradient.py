"""The mechanism: per-subject gradients, clipped whole, summed, with Gaussian noise, over the expected number of them.

**Source**: Abadi et al., Deep Learning with Differential Privacy (2016, arXiv 1607.00133), algorithm 1; McMahan et al.
(2018, arXiv 1710.06963), section 2.2: the estimator that divides by the expected number of users q N, since the number
drawn is itself private.
**Differs**: a plain loop over subjects, no vmap: networks need no rewriting, and no operation can mix subjects. A
gradient that is not finite counts as zero, so that no subject shows its presence by breaking a training.
**Checked**: tests/training/dp/test_gradient.py (against the sum by hand, clipping, empty steps) and test_audit.py
(injected bugs are found).
"""

from collections.abc import Callable, Iterable, Mapping

import numpy as np
import torch
from torch import Tensor

from understudy.training.batches import Batch
from understudy.training.dp.subjects import SubjectBatch

Loss = Callable[[dict[str, Tensor], Batch], Tensor]
Gradient = dict[str, Tensor]


def private_gradient(
    loss: Loss,
    parameters: Mapping[str, Tensor],
    subjects: Iterable[SubjectBatch],
    *,
    clip: float,
    noise: float,
    expected: float,
    random: np.random.Generator,
) -> Gradient:
    """Return the noised mean of the clipped per-subject gradients; of no subject it is noise alone.

    ``loss`` of a subject is 0-d, already averaged over its cases; ``parameters`` are all that real data may move.
    ``clip`` C is the largest norm of a subject's gradient over all of them together; by ``noise`` sigma the sum gets a
    Gaussian of standard deviation sigma C in every coordinate; ``expected`` is q N; ``random`` is secret.
    """
    total = {name: torch.zeros_like(p, requires_grad=False) for name, p in parameters.items()}
    for subject in subjects:
        for name, part in clipped(subject_gradient(loss, parameters, subject), clip).items():
            total[name] += part
    return {name: (part + gaussian(part, noise * clip, random)) / expected for name, part in total.items()}


def subject_gradient(loss: Loss, parameters: Mapping[str, Tensor], subject: SubjectBatch) -> Gradient:
    """Return the gradient of one subject's loss in every parameter; torch is seeded with the subject's own seed."""
    torch.manual_seed(subject.seed)
    leaves = {name: p.detach().requires_grad_(True) for name, p in parameters.items()}
    value = loss(leaves, subject.cases)
    found = torch.autograd.grad(value, list(leaves.values()), allow_unused=True, materialize_grads=True)
    return dict(zip(leaves, found, strict=True))


def clipped(gradient: Gradient, clip: float) -> Gradient:
    """Scale a gradient, all parameters together, to a norm of at most ``clip``; one that is not finite becomes zero."""
    norm = norm_of(gradient)
    if not np.isfinite(norm):
        return {name: torch.zeros_like(part) for name, part in gradient.items()}
    factor = min(1.0, clip / norm) if norm else 1.0
    return {name: part * factor for name, part in gradient.items()}


def norm_of(gradient: Gradient) -> float:
    """Return the Euclidean norm of all parts together, in float64."""
    return float(sum(float(part.double().square().sum()) for part in gradient.values())) ** 0.5


def gaussian(like: Tensor, deviation: float, random: np.random.Generator) -> Tensor:
    """Draw independent Gaussians of a tensor's shape."""
    if not deviation:
        return torch.zeros_like(like)
    drawn = torch.from_numpy(random.standard_normal(tuple(like.shape), dtype=np.float32))
    return (drawn * deviation).to(like)

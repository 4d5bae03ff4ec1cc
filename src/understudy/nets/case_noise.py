"""The random numbers of cases: one stream a case, which depends on that case's seed alone, with all its bits.

**Source** of the normal numbers: Box, Muller, A Note on the Generation of Random Normal Deviates, 1958, Eq. 1,
of uniform ones from NumPy; where the cases are drawn, since a step of a sampler may want as many as a network's output.
**Differs** from torch's own generator on the CPU, which keeps 32 of the 63 bits that a derived seed has: two of 100,000
cases would be drawn from the same numbers with a chance of 69 %. **Checked** in tests/nets/test_case_noise.py.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from understudy.core.seed import rng


class CaseNoise:
    """Streams of N cases, one a seed, whose numbers come to lie on a device; every call draws further ones."""

    def __init__(self, seeds: Sequence[int], device: torch.device) -> None:
        self._streams, self._device = [rng(seed) for seed in seeds], device

    def uniform(self, *shape: int) -> Tensor:
        """Return numbers (N, *shape) float32, uniform in [0, 1)."""
        cases = np.empty((len(self._streams), *shape), np.float32)
        for stream, case in zip(self._streams, cases, strict=True):
            stream.random(out=case, dtype=np.float32)
        return torch.from_numpy(cases).to(self._device)

    def normal(self, *shape: int) -> Tensor:
        """Return standard normal numbers (N, *shape) float32, of at most 5.77."""
        n = math.prod(shape)
        u = self.uniform(2, (n + 1) // 2)
        parts = u.split(1) if u.device.type == "cpu" else [u]  # a CPU may round a logarithm by where it lies in memory
        return torch.cat([_normal(part) for part in parts]).flatten(1)[:, :n].reshape(len(u), *shape)


def _normal(u: Tensor) -> Tensor:
    """Turn numbers (N, 2, n) uniform in [0, 1) into as many standard normal ones."""
    radius, angle = (1 - u[:, 0]).log().mul(-2).sqrt(), u[:, 1] * (2 * math.pi)
    return torch.stack([radius * angle.cos(), radius * angle.sin()], 1)

"""The scale of the data, measured once a training, by which a diffusion's cases are brought to deviation sigma_data.

**Source**: Chan, Golub, LeVeque, Updating Formulae and a Pairwise Algorithm for Computing Sample Variances (1979).
**Checked** in tests/generators/diffusion/test_scale.py.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn


class DataScale(nn.Module):
    """Mean and standard deviation a channel of the training cases, by which they are scaled to deviation sigma_data."""

    mean: Tensor
    std: Tensor

    def __init__(self, channels: int, dims: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(channels, *[1] * dims))
        self.register_buffer("std", torch.ones(channels, *[1] * dims))

    def measure(self, cases: Iterable[Tensor]) -> None:
        """Take mean and standard deviation a channel of blocks of cases (n, channels, *S); a constant one keeps std 1.

        In float64; blocks are joined by Eq. 2.1.
        """
        n, mean, squares = 0, torch.zeros(len(self.mean)).double(), torch.zeros(len(self.mean)).double()
        for x in cases:
            values = x.transpose(0, 1).flatten(1).double()
            more, apart = values.shape[1], values.mean(1) - mean
            squares += values.var(1, correction=0) * more + apart.square() * (n * more / (n + more))
            n, mean = n + more, mean + apart * (more / (n + more))
        std = (squares / (n - 1)).sqrt()
        self.mean.copy_(mean.reshape(self.mean.shape))
        self.std.copy_(torch.where(std > 1e-3, std, 1.0).reshape(self.std.shape))

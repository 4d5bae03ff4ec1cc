"""Mean and standard deviation of the training cases, a channel. **Checked** in tests/generators/test_diffusion.py."""

import torch
from torch import Tensor, nn


class Scale(nn.Module):
    """Mean and standard deviation a channel of the training cases: EDM wants data of standard deviation sigma_data."""

    mean: Tensor
    std: Tensor

    def __init__(self, channels: int, dims: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(channels, *[1] * dims))
        self.register_buffer("std", torch.ones(channels, *[1] * dims))

    def measure(self, x: Tensor) -> None:
        """Take mean and standard deviation of x (n, channels, *S) a channel; a constant channel keeps std 1."""
        values = x.transpose(0, 1).flatten(1).double()
        std = values.std(1)
        self.mean.copy_(values.mean(1).reshape(self.mean.shape))
        self.std.copy_(torch.where(std > 1e-3, std, 1.0).reshape(self.std.shape))

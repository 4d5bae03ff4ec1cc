"""Instance normalisation and leaky ReLU of images as one step that keeps the memory format of convolutions.

torch computes instance normalisation as batch normalisation of N C channels, for which it copies a batch out of
channels_last; the next convolution copies it back, and gradients go the same way: a third of the step of a narrow
U-Net on a processor. Here each case is normalised by itself, where it lies.

**Source**: Ulyanov et al., Instance Normalization (2016, arXiv 1607.08022). **Differs**: sums run in another order
than in ``torch.nn.InstanceNorm2d``, so that last bits differ; in bf16 both accumulate in fp32. No second derivatives.
**Checked** in tests/nets/test_instance_norm.py (values and gradients against torch in float64; a case does not depend
on its neighbours); how fast it is: benchmarks/utility_step.py.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

LAST = torch.channels_last


class NormLeakyReLU2d(nn.InstanceNorm2d):
    """Instance normalisation with weights, then a leaky ReLU of this slope for values below 0."""

    slope: float = 0.01

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape and data type; on a processor to channels_last."""
        if x.device.type == "cpu":
            x = x.contiguous(memory_format=LAST)
            return torch.as_tensor(_NormLeakyReLU.apply(x, self.weight, self.bias, self.eps, self.slope))
        return F.leaky_relu(super().forward(x), self.slope, inplace=True)


class _NormLeakyReLU(torch.autograd.Function):
    """Batch normalisation of each case alone, joined, then a leaky ReLU in place."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float, slope: float) -> Tensor:
        cases = [torch.native_batch_norm(case, weight, bias, None, None, True, 0.0, eps) for case in x.split(1)]
        parts, means, inverses = zip(*cases, strict=True)
        y = F.leaky_relu_(torch.cat(parts).contiguous(memory_format=LAST), slope)
        ctx.save_for_backward(x, y, weight, torch.stack(means), torch.stack(inverses))
        ctx.options = eps, slope
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        x, y, weight, means, inverses = ctx.saved_tensors
        eps, slope = ctx.options
        gradient = gradient.contiguous(memory_format=LAST)
        gradient = torch.ops.aten.leaky_relu_backward(gradient, y, slope, True)
        backward = torch.ops.aten.native_batch_norm_backward
        cases = [
            backward(g, case, weight, None, None, mean, inverse, True, eps, [True, True, True])
            for g, case, mean, inverse in zip(gradient.split(1), x.split(1), means, inverses, strict=True)
        ]
        parts, weights, biases = zip(*cases, strict=True)
        return torch.cat(parts), torch.stack(weights).sum(0), torch.stack(biases).sum(0), None, None

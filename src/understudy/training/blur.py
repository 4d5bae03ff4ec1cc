"""A low-pass filter on what the discriminator sees, for the start of a training: coarse structure is learned first.

Source: Karras et al., "Alias-Free Generative Adversarial Networks", 2021, arXiv 2106.12423, appendix G, and the
    published code (window, fading).
Differs: nothing known.
Checked: tests/generators/test_stylegan3.py.
"""

import torch
from torch import Tensor


def blurred(x: Tensor, sigma: float) -> Tensor:
    """Low-pass cases (N, C, R, R) with the window 2^-(i / sigma)^2, |i| <= 3 sigma, zeros outside; differentiable."""
    reach = int(3 * sigma)
    if not reach:
        return x
    at = torch.arange(max(x.shape[-1], reach + 1), dtype=x.dtype, device=x.device)
    side = torch.exp2(-(at / sigma).square()) * (at <= reach)
    window = side / (2 * side.sum() - side[0])
    index = torch.arange(x.shape[-1], device=x.device)
    band = window[(index[:, None] - index).abs()]
    with torch.autocast(x.device.type, enabled=False):
        return band @ x @ band

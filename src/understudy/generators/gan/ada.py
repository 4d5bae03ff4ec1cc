"""What the discriminator sees of a case: adaptive augmentation, and a low-pass filter for the start of a training.

Cases are augmented just often enough that the discriminator cannot overfit; blurred, coarse structure is learned first.

**Source**: Karras et al., "Training Generative Adversarial Networks with Limited Data", 2020, arXiv 2006.06676: section
3.1 (heuristic r_t, controller), appendix B (pipeline: probabilities, ranges, order, orthogonal sym6 low-pass filter);
Karras et al., "Alias-Free Generative Adversarial Networks", 2021, arXiv 2106.12423, appendix G, and the published code
(blur: window, fading).
**Differs**: any number of channels; geometry moves image and label channels alike, intensity changes image channels
only, the same change for all of them (colour operations have no meaning here); cases whose transform is the identity
skip the resampling, which would return them unchanged; p has an upper limit: section 2.2 finds leaks above about 0.8.
**Checked**: tests/generators/gan/test_ada.py, test_stylegan3.py (blur).
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from understudy.nets.affine import rotation, scaling, translation, warp


@dataclass
class Controller:
    """The probability p of each augmentation, raised while the discriminator is too sure of training images."""

    target: float = 0.6  # wanted mean sign of the discriminator's logits on training images, r_t in the paper
    images_per_unit: float = 500_000  # over which p may rise by 1
    interval: int = 4  # steps between adjustments
    limit: float = 0.8  # largest p
    p: float = 0.0  # the probability now, in [0, limit]
    signs: float = 0.0  # sum of the mean signs since the last adjustment
    steps: int = 0  # since the last adjustment

    def observe(self, sign: float, batch_size: int) -> None:
        """Take note of one step; every `interval` steps move p one notch towards the target.

        The mean sign of the logits on training images is in [-1, 1], the batch size is that of all processes together.
        """
        self.signs, self.steps = self.signs + sign, self.steps + 1
        if self.steps < self.interval:
            return
        r = self.signs / self.steps
        notch = batch_size * self.interval / self.images_per_unit
        self.p = min(max(self.p + math.copysign(notch, r - self.target) * (r != self.target), 0.0), self.limit)
        self.signs, self.steps = 0.0, 0


def augment(x: Tensor, p: float, image_channels: int) -> Tensor:
    """Augment every case of x (N, C + L, H, W), float32 in about [-1, 1], on its own; differentiable twice in x.

    Each operation comes with probability p, 0 leaves x as it is. The label channels, which stand behind the image
    channels, keep their values and only move.
    """
    if p <= 0:
        return x
    with torch.autocast(x.device.type, enabled=False):
        inverse = random_geometry(x.shape[0], (x.shape[2], x.shape[3]), p, x.device)
        gain, offset = random_intensity(x.shape[0], p, x.device)
        changed = (inverse != torch.eye(3, device=x.device)).flatten(1).any(dim=1).nonzero().squeeze(1)
        if len(changed):
            x = x.index_copy(0, changed, warp(x[changed], inverse[changed]).to(x.dtype))
        images = x[:, :image_channels] * gain.view(-1, 1, 1, 1) + offset.view(-1, 1, 1, 1)
        return torch.cat([images, x[:, image_channels:]], dim=1)


def _sometimes(value: Tensor, p: float, neutral: float) -> Tensor:
    """Keep each case's value with probability p, else the neutral one."""
    return torch.where(torch.rand(value.shape[0], device=value.device) < p, value, torch.full_like(value, neutral))


def random_geometry(n: int, size: tuple[int, int], p: float, device: torch.device) -> Tensor:
    """Draw n transforms: flip, quarter turns, whole shift, scaling, rotation, stretching, shift (appendix B).

    Each comes with probability p. Returns (n, 3, 3): output to input position in pixels, x before y, the middle of the
    image (H, W) at 0.
    """
    h, w = size

    def uniform() -> Tensor:
        return torch.rand(n, device=device) * 2 - 1

    def shift(x: Tensor, y: Tensor) -> Tensor:
        on = _sometimes(torch.ones(n, device=device), p, 0.0)
        return translation(x * on, y * on)

    turn_p = 1 - math.sqrt(1 - min(p, 1.0))  # once before and once after stretching: either with probability p
    m = scaling(_sometimes(uniform().sign(), p, 1.0), torch.ones(n, device=device))
    turns = _sometimes(torch.randint(4, (n,), device=device), p, 0)
    m = m @ rotation(turns * (math.pi / 2)).round()  # exact
    m = m @ shift((uniform() * 0.125 * w).round(), (uniform() * 0.125 * h).round())
    s = _sometimes(torch.exp2(torch.randn(n, device=device) * 0.2), p, 1.0)
    m = m @ scaling(s, s)
    m = m @ rotation(_sometimes(uniform() * math.pi, turn_p, 0.0))
    s = _sometimes(torch.exp2(torch.randn(n, device=device) * 0.2), p, 1.0)
    m = m @ scaling(s, 1 / s)
    m = m @ rotation(_sometimes(uniform() * math.pi, turn_p, 0.0))
    return m @ shift(torch.randn(n, device=device) * 0.125 * w, torch.randn(n, device=device) * 0.125 * h)


def random_intensity(n: int, p: float, device: torch.device) -> tuple[Tensor, Tensor]:
    """Draw brightness (offset, standard deviation 0.2) and contrast (gain, 2 to a normal power of deviation 0.5).

    Returns gain and offset, (n,) each: new intensity = gain * (intensity + brightness).
    """
    brightness = _sometimes(torch.randn(n, device=device) * 0.2, p, 0.0)
    contrast = _sometimes(torch.exp2(torch.randn(n, device=device) * 0.5), p, 1.0)
    return contrast, contrast * brightness


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

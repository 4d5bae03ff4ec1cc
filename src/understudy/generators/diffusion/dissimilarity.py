"""Dissimilarity guidance: while it samples, a diffusion is turned away from the nearest training image.

Likeness is Pearson's r of two images, all channels together, averaged down to at most 24 pixels a side; mirrored
training images count too. What two patients' images have in common is let be: only above a threshold, which is reached
by one training image in twenty with the nearest image of *another* patient, is the denoised case moved.
**Source**: Chen, Liu, Shah, Xu, Towards Memorization-Free Diffusion Models (2024, arXiv 2404.00922), Eq. 12: guidance
by the gradient of the likeness to the nearest training case, where it is above a threshold.
**Differs**: the gradient is taken in the denoised case, not through the network, and the step is as long as it takes,
to first order, to bring r down to the threshold, so that there is no scale to tune. One threshold at all noise levels.
**Checked** in tests/generators/diffusion/test_dissimilarity.py.
"""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

SIDE = 24
SHARE = 0.95  # of training images lie below the threshold with those of other patients
MIRRORED: dict[int, tuple[tuple[int, ...], ...]] = {2: ((), (-1,), (-2,), (-1, -2)), 3: ((), (-1,))}
STEPS = 3  # the likeness is not linear: to first order, thrice
BLOCK = 1024


class Dissimilarity:
    """What denoised cases must not come too near to: training images (M, C, *S) in [-1, 1] of subjects (M,)."""

    def __init__(self, images: Tensor, subjects: np.ndarray) -> None:
        """Take the training images, and the threshold from them."""
        self.dims = images.ndim - 2
        self.channels = images.shape[1]
        mirrored = [images.flip(axes) if axes else images for axes in MIRRORED[self.dims]]
        self.training = torch.cat([self._features(each) for each in mirrored])
        self.threshold = self._between_subjects(subjects)

    def likeness(self, images: Tensor) -> Tensor:
        """Return r (N,), -1..1, of images (N, C, *S) with the nearest training image."""
        return (self._features(images) @ self.training.T).amax(1)

    def away(self, images: Tensor) -> Tensor:
        """Return images (N, C, *S) that were nearer than the threshold moved to it, the others as they are."""
        for _ in range(STEPS):
            with torch.enable_grad():
                x = images.detach().requires_grad_(True)
                r = self.likeness(x)
                (gradient,) = torch.autograd.grad(r.sum(), x)
            excess = (r.detach() - self.threshold).clamp_min(0)
            if not excess.any():
                break
            squared = gradient.flatten(1).square().sum(1).clamp_min(1e-12)
            step = (excess / squared).reshape(-1, *[1] * (images.ndim - 1)) * gradient
            images = torch.where(step != 0, images - step, images)
        return images

    def _features(self, images: Tensor) -> Tensor:
        """Return (N, F) of norm 1, whose products are r."""
        size = tuple(min(side, SIDE) for side in images.shape[2:])
        pool: Callable[..., Tensor] = F.adaptive_avg_pool2d if self.dims == 2 else F.adaptive_avg_pool3d
        small = pool(images.float(), size).flatten(1)
        return F.normalize(small - small.mean(1, keepdim=True), dim=1)

    def _between_subjects(self, subjects: np.ndarray) -> float:
        """Return the threshold; above every r where there is one subject only."""
        number = torch.from_numpy(np.unique(subjects, return_inverse=True)[1]).to(self.training.device)
        plain, copies = self.training[: len(subjects)], len(MIRRORED[self.dims])
        nearest = []
        for start in range(0, len(plain), BLOCK):
            r = plain[start : start + BLOCK] @ self.training.T
            same = number[start : start + BLOCK, None] == number.repeat(copies)[None]
            nearest.append(r.masked_fill(same, -1).amax(1))
        return float(torch.cat(nearest).quantile(SHARE)) if number.max() > 0 else 1.0

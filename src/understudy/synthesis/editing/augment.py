"""Random affine augmentation of a whole label map: rotated, zoomed, sheared, shifted, mirrored, lesion and all.

It makes other bodies of a few: the same map is never rendered twice the same. **Source**: Platscher et al., "Image
Translation for Medical Image Generation -- Ischemic Stroke Lesions", 2021, arXiv 2010.02745 (the ranges of
training/jitter.py); Federau et al., 2020, arXiv 2012.14771 (warped label maps for a larger data base).
**Checked** in tests/synthesis/editing/test_augment.py (a rotation against scipy, the identity, classes stay classes).
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from understudy.nets.affine import affine_grid
from understudy.training.jitter import random_maps


@dataclass(frozen=True)
class AffineAugmentation:
    """What is done to a whole label map."""

    strength: float = 0.0  # factor on the ranges of training/jitter.py; 1: rotated by up to 5 degrees, zoomed by 5 %
    mirror: bool = False  # flip the last axis
    seed: int = 0

    @classmethod
    def drawn(cls, generator: np.random.Generator, strength: float, mirror: bool) -> "AffineAugmentation":
        """Draw one change; where mirroring is wanted, half of them mirror."""
        return cls(strength, mirror and bool(generator.random() < 0.5), int(generator.integers(2**62)))

    def entries(self) -> dict[str, str]:
        """Return it as entries of a case table."""
        return {"augment": f"{self.strength:.4g}", "mirror": "1" if self.mirror else "0"}

    def __call__(self, labels: np.ndarray) -> np.ndarray:
        """Return a label map (*S) augmented, uint8; what comes from outside is background."""
        labels = np.flip(labels, -1) if self.mirror else labels
        if not self.strength:
            return np.ascontiguousarray(labels, np.uint8)
        generator, size = torch.Generator().manual_seed(self.seed), torch.Size(labels.shape)
        grid = affine_grid(random_maps(1, size, self.strength, generator), size)
        x = torch.from_numpy(labels.astype(np.float32))[None, None]
        return F.grid_sample(x, grid, mode="nearest", align_corners=False)[0, 0].to(torch.uint8).numpy()

"""Local contrast: what a scanner or an export leaves on every image of a subject is taken away before matching.

Background offset, marker, frame and intensity scale are alike on all images of a subject, or of a site, and are no
person. So matchers see each channel about its local mean and in shares of its local contrast: a level that is the same
over some pixels becomes 0, whatever it was, and edges count by what surrounds them. A frame of two pixels is cut off.
Crop, turn and resolution are left to registration.
**Source**: divisive normalisation as in Jarrett et al., "What is the best multi-stage architecture for object
recognition?", ICCV 2009, section 3.1.
**Differs**: channel by channel; the local contrast has a floor at a share of the image's own, so that plain background
does not become noise.
**Checked** in tests/evaluation/privacy/copies/test_contrast.py (offset, gain, gamma, frame, marker).
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from understudy.evaluation.privacy.copies.registration import blur

NEAR, AROUND, SMOOTH = 4 / 64, 6 / 64, 1 / 64  # of the local mean, of the local contrast, of the result
FLOOR = 0.15  # of the contrast that a tenth of the image exceeds
LEAST = 1e-3  # contrast of the half range that counts as none
MOST = 3.0  # times the local contrast; what lies further is clipped
RIM = 2  # pixels whose place the next ones take: a frame
BLOCK = 256


def local_contrast(images: Tensor) -> Tensor:
    """Return images (N, C, S, S) about their local mean, in shares of the local contrast: in [-1, 1], 0 where plain."""
    return torch.cat([_block(part) for part in images.split(BLOCK)]) if len(images) else images


def _block(images: Tensor) -> Tensor:
    images = F.pad(images[..., RIM:-RIM, RIM:-RIM], (RIM, RIM, RIM, RIM), mode="replicate")
    away = images - blur(images, NEAR)
    spread = blur(away.square(), AROUND).sqrt()
    floor = FLOOR * spread.flatten(2).quantile(0.9, 2)[..., None, None]
    shown = blur(away / (spread + floor + LEAST), SMOOTH)
    return (shown / MOST).clamp(-1, 1)

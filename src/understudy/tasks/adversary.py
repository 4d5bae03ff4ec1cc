"""The adversary of a segmenter: a PatchGAN that tells pairs of image and true label map from predicted ones.

**Source**: Isola et al., Image-to-Image Translation with Conditional Adversarial Networks (2017, arXiv 1611.07004), eq.
4 and section 3.2.2; from images to label maps: Shin et al. (2018, arXiv 1807.10225). Networks: nets/patch_gan.py.
**Differs**: Dice + cross-entropy, as every segmenter here, takes the place of L1; ten times the weight of the
adversary's score, as L1 has in Platscher et al. (2021, arXiv 2010.02745; published by Isola et al.: 100). Least squares
(there: logistic). The adversary sees whole classes, with the gradients of the probabilities: soft maps would be told
from true ones at a glance. It is narrow, and has the published optimiser whatever the segmenter's.
**Checked**: tests/tasks/test_adversary.py.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from understudy.nets.losses import discriminator_loss, generator_loss, whole_classes
from understudy.nets.patch_gan import PatchGAN
from understudy.tasks.fitting import channels_last, to_device
from understudy.tasks.networks import built
from understudy.training.engine import Engine

KIND = "least-squares"
WEIGHT = 0.1  # of the score in the segmenter's loss
RATE, BETAS = 2e-4, (0.5, 0.999)  # of Adam
CHANNELS, LAYERS = 32, 2  # patches of 34 pixels, half a case of 64


class Adversary:
    """A discriminator that learns at every update of a segmenter, for images of ``shape`` (C, *S).

    There are ``classes`` K with the background; ``seed`` is that of its weights.
    """

    def __init__(self, shape: Sequence[int], classes: int, seed: int, engine: Engine) -> None:
        inputs, size = shape[0] + classes, tuple(shape[1:])
        network = built(lambda: PatchGAN(inputs, size, channels=CHANNELS, layers=LAYERS), seed)
        self.engine, self.network = engine, to_device(network, engine, len(size))
        self.optimizer = torch.optim.Adam(self.network.parameters(), RATE, BETAS)

    def __call__(self, x: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
        """Learn from a batch, then score it.

        Of the images (N, C, *S), as the segmenter saw them, its logits (N, K, *S) float32 and the true label maps
        (N, *S), integers. Returns what is added to the segmenter's loss: low where the adversary takes its label maps
        for true ones.
        """
        predicted = whole_classes(logits)
        true = F.one_hot(labels.long(), logits.shape[1]).movedim(-1, 1).to(predicted)
        self.network.requires_grad_(True)
        self.optimizer.zero_grad(set_to_none=True)
        both = self._logits(torch.cat([x, x]), torch.cat([true, predicted.detach()]))
        (0.5 * discriminator_loss(KIND, *both.chunk(2))).backward()
        self.optimizer.step()
        self.network.requires_grad_(False)
        return WEIGHT * generator_loss(KIND, self._logits(x, predicted))

    def _logits(self, x: Tensor, maps: Tensor) -> Tensor:
        """Return the logits of all patches, float32."""
        with self.engine.autocast():
            features = self.network(channels_last(torch.cat([x, maps], 1)))
        return torch.as_tensor(features[0][-1])

"""The steps of a denoiser's training, with and without differential privacy: loss, learning rate, EMA.

**Source**: Karras, Aittala, Aila, Laine (EDM, 2022, arXiv 2206.00364), Eq. 8; Karras et al. (EDM2, 2023, arXiv
2312.02696), Eq. 67 (the falling learning rate) and section 2.3 (weights kept at their norm); Ho, Jain, Abbeel (2020,
arXiv 2006.11239), Eq. 14. With privacy: Dockhorn, Cao, Vahdat, Kreis, Differentially Private Diffusion Models (2022,
arXiv 2210.09929): every case is looked at with several noise levels before its subject's gradient is clipped.
**Differs**: with privacy the data's mean and deviation are not measured; public constants stand in their place.
**Checked** in tests/generators/test_diffusion.py and tests/training/privacy/test_private_training.py.
"""

import math
from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from understudy.training.ema import ema_decay, ema_update
from understudy.training.engine import Engine
from understudy.training.feed import Batch
from understudy.training.noise import EDMNoise, Noise
from understudy.training.scale import Scale

Network = Callable[..., Tensor]


class DenoisingTraining:
    """How a denoiser learns; a generator inherits it and says what of a batch is drawn, and how a network denoises."""

    config: Any
    engine: Engine
    net: nn.Module
    ema: nn.Module
    scale: Scale
    noise: Noise
    optimizer: torch.optim.Optimizer

    @abstractmethod
    def _split(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """Return what is drawn, and the condition."""

    @abstractmethod
    def denoise(self, net: Network, x: Tensor, sigma: Tensor, condition: Tensor | None) -> Tensor:
        """Return the denoised case D(x; sigma), EDM Eq. 7."""

    def update(self, batch: Batch) -> dict[str, Any]:
        """Take one optimiser step; see the contract."""
        loss = self.loss(*self._split(batch))
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.engine.average_gradients(self.net.parameters())
        self.private_step(batch.images_seen)
        return {"loss": loss.detach()}

    def loss(self, x: Tensor, condition: Tensor | None, net: Network | None = None) -> Tensor:
        """Return lambda |D(y + n; sigma) - y|^2 a pixel, EDM Eq. 8; in a chain it equals Ho's Eq. 14.

        Args:
            x: what is drawn of cases: (N, C + L, *S), or images alone (N, C, *S), in [-1, 1].
            condition: (N, classes), label maps (N, K, *S) or None.
            net: F; default: the network that learns.
        """
        y = (x - self.scale.mean) / self.scale.std * self.noise.sigma_data
        sigma = self.noise.draw(len(y), y.device)
        noise = torch.randn_like(y) * sigma.reshape(-1, *[1] * (y.ndim - 1))
        error = (self.denoise(net or self.net, y + noise, sigma, condition) - y).square().flatten(1).mean(1)
        return (self.noise.weight(sigma) * error).mean()

    # ------------------------------------------------------------------ with differential privacy
    def private_network(self) -> nn.Module:
        """Return the network, which is all that learns."""
        return self.net

    def assume(self) -> None:
        """Take the middle and half the width of [-1, 1] for the data's mean and deviation, which nobody measured."""
        if isinstance(self.noise, EDMNoise):  # a chain works on [-1, 1] as it is
            self.scale.std.fill_(0.5)

    def subject_loss(self, params: dict[str, Tensor], subject_batch: Batch) -> Tensor:
        """Return the mean loss of one subject's cases as a function of the network's parameters; see the contract."""
        return self.loss(*self._split(subject_batch), net=lambda *x: functional_call(self.net, params, x))

    def private_step(self, images_seen: int) -> None:
        """Take the step of the gradient that stands in the network, private or not; no data are seen here."""
        cfg = self.config
        rate = cfg.learning_rate / math.sqrt(max(images_seen / (cfg.decay_images or math.inf), 1))
        warm = min((images_seen + cfg.batch_size) / cfg.warmup_images, 1) if cfg.warmup_images else 1
        for group in self.optimizer.param_groups:
            group["lr"] = rate * warm
        self.optimizer.step()
        self.net.normalize_weights()  # type: ignore[operator]
        ema_update(self.ema, self.net, ema_decay(cfg.batch_size, cfg.ema_images, images_seen))

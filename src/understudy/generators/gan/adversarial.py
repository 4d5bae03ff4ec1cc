"""What the GANs share: the state of a training, steps of one network while the other stands still, losses, penalties.

Source: Goodfellow et al., "Generative Adversarial Nets", 2014, arXiv 1406.2661, section 3 (non-saturating loss);
    Mescheder et al., "Which Training Methods for GANs do actually Converge?", 2018, arXiv 1801.04406, eq. 9 (R1);
    Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", 2020, arXiv 1912.04958, appendix B (lazy
    regularisation); Gulrajani et al., "Improved Training of Wasserstein GANs", 2017, arXiv 1704.00028, eq. 3 (gradient
    penalty).
Differs: nothing known.
Checked: tests/generators/gan/test_stylegan2.py (R1 against finite differences; each step changes its own network),
    tests/generators/gan/test_progan.py and test_mask_gan.py (gradient penalty against finite differences in 2D and 3D)
    and tests/generators/test_contract.py.
"""

import copy
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from understudy.core.errors import UsageError
from understudy.generators.gan.ada import Controller, augment
from understudy.training.engine import Engine


class AdversarialTraining:
    """Generator, discriminator and the generator's EMA, with an augmentation in front of D; see the subclasses."""

    name: ClassVar[str]
    config: Any  # z_dim, style_mixing where there are styles, and the settings of the augmentation
    engine: Engine

    def take(self, g: nn.Module, d: nn.Module, classes: int) -> None:
        """Take the networks; make the EMA of G.

        Args:
            g: generator network.
            d: discriminator network.
            classes: width of the condition, 0 for none.
        """
        self.classes = classes
        self.g: Any = self.engine.place(g)
        self.d: Any = self.engine.place(d)
        self.ema: Any = copy.deepcopy(g).eval().requires_grad_(False)

    def hold(self, g: nn.Module, d: nn.Module, image_channels: int, classes: int) -> None:
        """Take the networks; make the EMA of G and the augmentation.

        Args:
            g: generator network.
            d: discriminator network.
            image_channels: C, of C + L channels.
            classes: width of the condition, 0 for none.
        """
        cfg, self.image_channels = self.config, image_channels
        self.take(g, d, classes)
        self.ada = Controller(cfg.ada_target, cfg.ada_images, limit=cfg.augment_limit, p=cfg.augment_p)

    def g_parameters(self) -> list[nn.Parameter]:
        """Parameters of G that learn: all, or without `noise` all but its strengths, which stay 0."""
        noise = getattr(self.config, "noise", True)
        return [p for name, p in self.g.named_parameters() if noise or not name.endswith("noise_strength")]

    def modules(self) -> dict[str, nn.Module]:
        """Return generator, discriminator and the generator's EMA."""
        return {"g": self.g, "d": self.d, "ema": self.ema}

    def snapshot_modules(self) -> dict[str, nn.Module]:
        """Return the EMA of the generator, with all that sampling needs."""
        return {"ema": self.ema}

    def scalars(self) -> dict[str, Any]:
        """Return the state of the augmentation."""
        return {"ada": {key: getattr(self.ada, key) for key in ("p", "signs", "steps")}}

    def load_scalars(self, scalars: dict[str, Any]) -> None:
        """Put back what :meth:`scalars` gave."""
        for key, value in scalars["ada"].items():
            setattr(self.ada, key, value)

    # ------------------------------------------------------------------ training
    def augmented(self, x: Tensor) -> Tensor:
        """Cases as the discriminator sees them: augmented as configured."""
        return augment(x, 0.0 if self.config.augment == "none" else self.ada.p, self.image_channels)

    def observe(self, certainty: Tensor, batch_size: int) -> None:
        """Tell the adaptive augmentation how certain D is of training cases: logits (N, 1), 0 where undecided."""
        if self.config.augment == "ada":
            self.ada.observe(float(self.over_processes(certainty.detach().sign().mean())), batch_size)

    def over_processes(self, x: Tensor) -> Tensor:
        """Mean of a tensor over the processes, so that all of them keep the same running means."""
        return torch.as_tensor(self.engine.fabric.all_reduce(x, reduce_op="mean"))

    @staticmethod
    def shuffled(condition: Tensor | None) -> Tensor | None:
        """Conditions of generated cases: the batch's in another order."""
        return None if condition is None else condition[torch.randperm(len(condition), device=condition.device)]

    def mixed_styles(self, n: int, condition: Tensor | None, layers: int) -> tuple[Tensor, Tensor]:
        """Draw styles of n cases, mixed at one layer a batch: for so many layers (n, L, W), unmixed (n, W)."""
        z, other = torch.randn(2, n, self.config.z_dim, device=self.engine.device)
        w = self.g.mapping(z, condition)
        ws = w.unsqueeze(1).expand(-1, layers, -1)
        if self.config.style_mixing and float(torch.rand([])) < self.config.style_mixing:
            cut = int(torch.randint(1, layers, []))
            mixed = self.g.mapping(other, condition).unsqueeze(1).expand(-1, layers - cut, -1)
            ws = torch.cat([ws[:, :cut], mixed], dim=1)
        return ws, w

    # ------------------------------------------------------------------ sampling
    def checked(self, condition: Tensor | None) -> Tensor | None:
        """Return the condition.

        Raises:
            UsageError: it is missing.
        """
        if self.classes and condition is None:
            raise UsageError(
                f"this {self.name} was trained with {self.classes} classes and needs a condition: name the classes"
            )
        return condition

    def generate(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """Map latents to cases with the EMA weights and constant noise, in float32; differentiable in z.

        Args:
            z: (N, z_dim) float32.
            condition: (N, classes) float32, needed when trained with classes.

        Returns:
            (N, C + L, R, R) float32, about [-1, 1].

        Raises:
            UsageError: a condition is missing.
        """
        raise NotImplementedError

    def draw(self, seeds: list[int], condition: Tensor | None = None) -> Tensor:
        """Draw one case a seed; see the contract."""
        z = [torch.randn(self.config.z_dim, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
        return self.generate(torch.stack(z).to(self.engine.device), condition)


def adam(
    parameters: Iterable[nn.Parameter],
    rate: float,
    interval: int | None = None,
    betas: tuple[float, float] = (0.0, 0.99),
) -> Optimizer:
    """Adam, without momentum unless asked for, slowed down to make up for the further steps of a lazy penalty.

    Args:
        parameters: what it moves.
        rate: learning rate.
        interval: steps from one lazy penalty to the next, each a step of its own; None: no such penalty.
        betas: memory of the mean and of the mean square of the gradients.
    """
    c = 1.0 if interval is None else interval / (interval + 1)
    return torch.optim.Adam(parameters, lr=rate * c, betas=(betas[0] ** c, betas[1] ** c), eps=1e-8, fused=True)


def descend(
    engine: Engine,
    network: nn.Module,
    networks: Iterable[nn.Module],
    optimizer: Optimizer,
    loss: Callable[[], Tensor],
    gain: float = 1.0,
) -> Tensor:
    """Take one optimiser step of one network.

    Args:
        engine: averages gradients over processes.
        network: moves: the parameters that the optimiser holds.
        networks: all of them; the others need no gradients meanwhile.
        optimizer: of `network`.
        loss: computes a 0-d tensor.
        gain: makes up for a loss that is taken only every so many steps.

    Returns:
        The loss, detached.
    """
    for other in networks:
        other.requires_grad_(False)
    moved = [p for group in optimizer.param_groups for p in group["params"]]
    for p in moved:
        p.requires_grad_(True)
    optimizer.zero_grad(set_to_none=True)
    value = loss()
    (value * gain).backward()
    engine.average_gradients(moved)
    optimizer.step()
    return value.detach()


def logistic_generator(synthetic: Tensor) -> Tensor:
    """Non-saturating loss of the generator from the logits (N, 1) of its cases."""
    return F.softplus(-synthetic).mean()


def logistic_discriminator(real: Tensor, synthetic: Tensor) -> Tensor:
    """Logistic loss of the discriminator from logits (N, 1) of real and of synthetic cases."""
    return F.softplus(synthetic).mean() + F.softplus(-real).mean()


def r1(judge: Callable[[Tensor], Tensor], x: Tensor, gamma: float) -> Tensor:
    """R1 penalty gamma / 2 E |grad_x D(x)|^2 (eq. 9).

    Args:
        judge: D, cases to logits (N, 1).
        x: real cases (N, C + L, *S).
        gamma: weight.

    Returns:
        0-d, differentiable in the parameters of D.
    """
    x = x.detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(judge(x).sum(), x, create_graph=True)
    return gradient.square().flatten(1).sum(dim=1).mean() * (gamma / 2)


def gradient_penalty(judge: Callable[[Tensor], Tensor], real: Tensor, synthetic: Tensor) -> Tensor:
    """E (|grad D(x)| - 1)^2 (Gulrajani, eq. 3, without its factor), at one x between each pair of cases, in float32.

    Args:
        judge: D, cases to scores (N, 1), each case on its own.
        real: (N, C, *S).
        synthetic: the same shape.

    Returns:
        0-d, differentiable in the parameters of D.
    """
    t = torch.rand(len(real), *[1] * (real.ndim - 1), device=real.device, dtype=real.dtype)
    x = torch.lerp(real, synthetic, t).requires_grad_(True)
    with torch.autocast(x.device.type, enabled=False):
        (gradient,) = torch.autograd.grad(judge(x).sum(), x, create_graph=True)
        norm = torch.linalg.vector_norm(gradient.flatten(1), dim=1)
        return (norm - 1).square().mean()

"""What StyleGAN2 and StyleGAN3 share: logistic loss, lazy penalties, augmentation, EMA, truncation; and style mixing.

**Source**: Karras et al. (StyleGAN2), 2020, arXiv 1912.04958: lazy regularisation (section 3.1, appendix B), path
length regularisation (eq. 4); Karras et al. (StyleGAN), 2019, arXiv 1812.04948, section 3.1 (style mixing); Karras et
al. (ADA), 2020, arXiv 2006.06676 (augmentation, default of gamma, appendix C: frozen layers); Mo et al., "Freeze the
Discriminator", 2020, arXiv 2002.10964.
**Differs**: any number of image channels plus label channels; the low precision is bfloat16, which needs no clamps; a
condition of generated cases is a training batch's in another order.
**Checked**: tests/generators/gan/test_stylegan2.py (R1 and path length against finite differences, truncation,
independence of cases, frozen layers) and tests/generators/test_contract.py.

Letters as in the paper: z latent, w = f(z) style, y noise image, J the Jacobian of the generator in w, a the running
mean of the path lengths.
"""

import math
from abc import abstractmethod
from typing import Any, ClassVar

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from understudy.core.errors import UsageError
from understudy.generators.gan.ada import blurred
from understudy.generators.gan.adversarial import AdversarialConfig, AdversarialGenerator
from understudy.nets.losses import logistic_discriminator, logistic_generator, r1
from understudy.nets.mapping import Mapping
from understudy.training.batches import Batch, shuffled
from understudy.training.optimizer import adam


def mixed_styles(mapping: Mapping, z: Tensor, condition: Tensor | None, layers: int, p: float) -> tuple[Tensor, Tensor]:
    """Map latents to the styles of L layers, mixed at one of them with probability p a batch (StyleGAN, section 3.1).

    z (2, n, Z), latents of n cases and others to mix with -> styles of every layer (n, L, W), and unmixed (n, W).
    """
    w = mapping(z[0], condition)
    ws = w.unsqueeze(1).expand(-1, layers, -1)
    if p and float(torch.rand([])) < p:
        cut = int(torch.randint(1, layers, []))
        other = mapping(z[1], condition).unsqueeze(1).expand(-1, layers - cut, -1)
        ws = torch.cat([ws[:, :cut], other], dim=1)
    return ws, w


def learning_parameters(g: nn.Module, noise: bool) -> list[nn.Parameter]:
    """Parameters of G that learn: all, or without `noise` all but its strengths, which stay 0."""
    return [p for name, p in g.named_parameters() if noise or not name.endswith("noise_strength")]


class StyleGANConfig(AdversarialConfig):
    """The settings that StyleGAN2 and StyleGAN3 share."""

    w_dim: int = Field(512, gt=0, description="width of the style")
    mapping_layers: int = Field(8, gt=0, description="depth of the mapping network")
    channel_base: int = Field(16384, gt=0, description="feature maps times resolution")
    channel_max: int = Field(512, gt=0, description="most feature maps at any resolution")
    clamp: float | None = Field(None, gt=0, description="limit of activations; the published networks have 256")
    learning_rate: float = Field(0.002, gt=0, description="of Adam, generator")
    discriminator_rate: float = Field(0.002, gt=0, description="of Adam, discriminator")
    gamma: float | None = Field(None, ge=0, description="weight of R1; default 0.0002 pixels / batch_size")
    r1_interval: int = Field(16, gt=0, description="steps from one R1 penalty to the next")
    path_weight: float = Field(2.0, ge=0, description="weight of path length regularisation, 0 for none")
    path_interval: int = Field(4, gt=0, description="steps from one path length penalty to the next")
    path_share: float = Field(0.5, gt=0, le=1, description="share of the batch that path lengths are measured on")
    style_mixing: float = Field(0.9, ge=0, le=1, description="probability that a batch mixes two latents")
    ema_images: float | None = Field(None, gt=0, description="half-life of the EMA in images; default 312.5 batch_size")
    group: int = Field(4, gt=0, description="cases a minibatch-deviation group")
    freeze_d: int = Field(0, ge=0, description="finest resolutions of D that do not learn, when going on from a run")
    blur: float | None = Field(None, ge=0, description="first blur of what D sees, in pixels; default none")
    blur_images: float | None = Field(
        None, ge=0, description="images until the blur has gone; default 6250 batch_size; 0 to go on from a run"
    )
    truncation_psi: float = Field(1.0, ge=0, le=1, description="sampling: 1 full diversity, 0 the average case")

    @model_validator(mode="after")
    def _check_groups(self) -> "StyleGANConfig":
        if self.batch_size % min(self.group, self.batch_size):
            raise ValueError(f"batch_size must be a multiple of group = {self.group}, found {self.batch_size}")
        return self


class StyleGAN(AdversarialGenerator):
    """Everything of a style-based GAN but its networks; `build` calls :meth:`register_networks`.

    The generator network G has `mapping(z, condition)` (N, W) with `track`, `truncate` and `w_avg`, and `synthesis(ws)`
    for ws (N, L, W) with `num_ws` = L; the discriminator D maps (cases, condition) to logits (N, 1) and has
    `resolutions`, finest first.
    """

    config: StyleGANConfig
    SAMPLING: ClassVar[tuple[str, ...]] = ("sample_block", "truncation_psi")
    NUMBERS = ("steps",)
    # Augmentation always, sooner for few images; none from 100,000 up: the published advice.
    BY_IMAGES: ClassVar[dict[int, dict[str, Any]]] = {
        0: {"ada_images": 100_000}, 5_000: {}, 100_000: {"augment": "none"},
    }  # fmt: skip

    def register_networks(self, g: nn.Module, d: nn.Module, image_channels: int, classes: int) -> None:
        """Make the optimisers as well; UsageError where more resolutions are to be frozen than D has."""
        cfg = self.config
        super().register_networks(g, d, image_channels, classes)
        self.steps = 0
        self.gamma = 0.0002 * self.size[-1] ** 2 / cfg.batch_size if cfg.gamma is None else cfg.gamma
        self.adams = {
            "g": adam(self.g_parameters(), cfg.learning_rate, cfg.path_interval if cfg.path_weight else None),
            "d": adam(self._learning(d), cfg.discriminator_rate, cfg.r1_interval if self.gamma else None),
        }
        self.path_mean = torch.zeros([], device=self.engine.device)

    def _learning(self, d: nn.Module) -> list[nn.Parameter]:
        """Parameters of D that learn: all but those of the `freeze_d` finest resolutions."""
        resolutions: Any = d.resolutions
        if self.config.freeze_d > len(resolutions):
            raise UsageError(
                f"freeze_d is at most the {len(resolutions)} resolutions that the discriminator has above 4 pixels, "
                f"found {self.config.freeze_d}: freeze fewer"
            )
        frozen = tuple(f"b{r}." for r in resolutions[: self.config.freeze_d])
        return [p for name, p in d.named_parameters() if not name.startswith(frozen)] if frozen else [*d.parameters()]

    def scalars(self) -> dict[str, Any]:
        """Return the mean path length as well."""
        return {**super().scalars(), "path_mean": self.path_mean.item()}

    def load_scalars(self, scalars: dict[str, Any]) -> None:
        """Put back what :meth:`scalars` gave."""
        super().load_scalars(scalars)
        self.path_mean.fill_(scalars["path_mean"])

    # ------------------------------------------------------------------ training
    def update(self, batch: Batch) -> dict[str, Any]:
        """Take one step of each network, and the lazy penalties that are due; see the contract."""
        cfg, n = self.config, len(batch.x)
        condition = None if batch.condition is None else batch.condition.nan_to_num()
        losses = self._generator_steps(n, condition)
        losses["d"] = self._step("d", lambda: self.discriminator_loss(batch.x, condition))
        if self.gamma and self.steps % cfg.r1_interval == 0:
            losses["r1"] = self._step("d", lambda: self.r1(batch.x, condition), cfg.r1_interval)
        self._average(batch.images_seen)
        return {**losses, "augment_p": self.ada.p}

    def _generator_steps(self, n: int, condition: Tensor | None) -> dict[str, Tensor]:
        """Take G's step, and the one of its lazy penalty when it is due."""
        cfg, losses = self.config, {"g": self._step("g", lambda: self.generator_loss(n, condition))}
        if cfg.path_weight and self.steps % cfg.path_interval == 0:
            losses["path"] = self._step("g", lambda: self._path_loss(n, condition), cfg.path_interval)
        return losses

    def _average(self, images_seen: int) -> None:
        """Move the EMA of G, and count the step."""
        n, half_life = self.config.batch_size, self.config.ema_images
        self.move_average(self.g, n, 312.5 * n if half_life is None else half_life, images_seen)
        self.steps += 1

    def _generate(self, n: int, condition: Tensor | None, track: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        """Draw n cases with style mixing and random noise: images, their ws (n, L, W), the unmixed w (n, W)."""
        z = torch.randn(2, n, self.config.z_dim, device=self.engine.device)
        ws, w = mixed_styles(self.g.mapping, z, condition, self.g.synthesis.num_ws, self.config.style_mixing)
        return self.training_synthesis(ws, track), ws, w

    @abstractmethod
    def training_synthesis(self, ws: Tensor, track: bool) -> Tensor:
        """Styles of every layer (N, L, W) to cases with fresh noise; `track`: running statistics may take note."""

    def discriminate(self, x: Tensor, condition: Tensor | None, d: Any = None) -> Tensor:
        """Logits (N, 1) of cases as they are; by D, or by D with other parameters."""
        return torch.as_tensor((d or self.d)(x, condition))

    def _logits(self, x: Tensor, condition: Tensor | None, d: Any = None) -> Tensor:
        """Logits (N, 1) of cases, blurred and augmented as configured."""
        x = blurred(x, self.blur_sigma(self.steps * self.config.batch_size, x.shape[-1]))
        return self.discriminate(self.augmented(x), condition, d)

    def first_blur(self, resolution: int) -> float:
        """Width of the blur at the start, in pixels, where `blur` is not set."""
        return 0.0

    def blur_sigma(self, images_seen: int, resolution: int) -> float:
        """Width of the blur of what D sees, in pixels, after so many images; it fades linearly."""
        cfg = self.config
        first = self.first_blur(resolution) if cfg.blur is None else cfg.blur
        last = min(6250 * cfg.batch_size, cfg.images_seen / 10) if cfg.blur_images is None else cfg.blur_images
        return first * max(1 - images_seen / last, 0) if last else 0.0

    def generator_loss(self, n: int, condition: Tensor | None) -> Tensor:
        """Non-saturating logistic loss of the generator on n new cases; conditions (n, classes) are shuffled."""
        condition = shuffled(condition)
        with self.engine.autocast():
            logits = self._logits(self._generate(n, condition)[0], condition)
        return logistic_generator(logits)

    def discriminator_loss(self, x: Tensor, condition: Tensor | None) -> Tensor:
        """Logistic loss of the discriminator on real cases x (N, C + L, R, R) and as many new ones; informs ADA."""
        others = shuffled(condition)
        with self.engine.autocast():
            with torch.no_grad():
                generated, _, w = self._generate(len(x), others, track=True)
                self.g.mapping.track(self.engine.mean(w.mean(dim=0)))
            synthetic, real = self._logits(generated, others), self._logits(x, condition)
        self.observe(real, self.config.batch_size)
        return logistic_discriminator(real, synthetic)

    def r1(self, x: Tensor, condition: Tensor | None) -> Tensor:
        """R1 penalty on real cases x (N, C + L, R, R), in float32."""
        return r1(lambda y: self._logits(y, condition), x, self.gamma)

    def path_lengths(self, images: Tensor, ws: Tensor, noise: Tensor) -> Tensor:
        """Length |J_w^T y| of every case (eq. 4), (N,), as root mean square over the L layers' gradients.

        The images (N, C + L, R, R) are a function of ws (N, L, W); noise of their shape is y / R.
        """
        (gradient,) = torch.autograd.grad((images * noise).sum(), ws, create_graph=True)
        return gradient.square().sum(dim=2).mean(dim=1).sqrt()

    def _path_loss(self, n: int, condition: Tensor | None) -> Tensor:
        """Path length regularisation E (|J_w^T y| - a)^2 (eq. 4) on part of a batch, in float32."""
        n = max(int(n * self.config.path_share), 1)
        images, ws, _ = self._generate(n, None if condition is None else shuffled(condition[:n]))
        lengths = self.path_lengths(images, ws, torch.randn_like(images) / math.sqrt(images[0, 0].numel()))
        mean = self.path_mean.lerp(lengths.mean(), 0.01)
        self.path_mean.copy_(self.engine.mean(mean.detach()))
        return (lengths - mean).square().mean() * self.config.path_weight

    # ------------------------------------------------------------------ sampling
    def style(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """Map latents z (N, z_dim) to truncated styles w (N, W); UsageError where classes miss their condition."""
        w = self.ema.mapping(z, self.class_condition(condition))
        return torch.as_tensor(self.ema.mapping.truncate(w, self.config.truncation_psi))

    def synthesise(self, w: Tensor) -> Tensor:
        """Map styles w (N, W) to cases (N, C + L, R, R) with the EMA weights and constant noise, in float32."""
        return torch.as_tensor(self.ema.synthesis(w.unsqueeze(1).expand(-1, self.ema.synthesis.num_ws, -1)))

    def generate(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """Map latents (N, z_dim) to cases (N, C + L, R, R) with the EMA weights and constant noise; see the base."""
        return self.synthesise(self.style(z, condition))

"""mask_gan: a Wasserstein GAN of label maps alone, in 2D and 3D: lesion masks, or anatomy and lesion in one map.

**Source**: Gulrajani et al., "Improved Training of Wasserstein GANs", 2017, arXiv 1704.00028 (eq. 3; algorithm 1:
several critic steps a generator step); Platscher, Zopes and Federau, "Image Translation for Medical Image Generation",
2022, arXiv 2010.02745, and the published code (lesion masks: 128 latents, 8 feature maps at the finest level, lambda
10, Adam 0.0002, cases of at least 20 lesion voxels).
**Differs**: any number of classes: the critic sees real maps one-hot and generated ones as the softmax leaves them.
Neither a straight-through step nor a temperature is needed: a critic bounded in its slope scores a half-sure map
between its two sure neighbours, so that the generator is paid for every bit of sureness; what is drawn is the likeliest
class of every voxel. EMA of the generator. A condition. Networks as generators/masks/networks.py says.
**Checked**: tests/generators/masks/test_mask_gan.py (penalty against finite differences in 3D, what is learned and left
out, empty maps, softness, a toy that is learned) and tests/generators/test_contract.py.

**Without lesions** (the healthy arm), in either of two ways: ``without={stroke: white matter}`` learns the training
maps with these classes replaced by another, and never draws them; or, where the cohort has healthy cases too, a class
column as condition (``conditional=true``, then ``sample --classes ill=0``).
**Cases with little or no lesion.** Without further settings maps are learned as they are, empty ones in their share.
With ``min_voxels`` a training case with fewer voxels of the ``lesion`` classes (by default all but the background) is
left out: another case of its batch takes its place. Where all cases that are learned have so many voxels, or at least
one, a drawn map with fewer is drawn again from new latents of the same seed, up to ``redraws`` times; what is still
empty then is not hidden: `evaluate fidelity` reports the share of maps without each class.
"""

import copy
from collections.abc import Iterable
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from understudy.core.encoding import Encoding
from understudy.core.errors import UsageError
from understudy.core.labels import LEVELS, LabelScheme
from understudy.generators.base import Generator, GeneratorConfig
from understudy.generators.masks.networks import Critic, MaskGenerator
from understudy.nets.case_noise import CaseNoise
from understudy.nets.label_maps import decoded, encoded, without_small_components
from understudy.nets.losses import gradient_penalty
from understudy.training.batches import Batch, shuffled
from understudy.training.optimizer import adam, optimizer_step

SIDE_STEP = 8  # every side is a multiple of it


class MaskGANConfig(GeneratorConfig):
    """Configuration of :class:`MaskGAN`; images are label maps here."""

    images_seen: int = Field(640_000, gt=0, description="length of the training, in maps that the critic sees")
    snapshot_every: int = Field(160_000, gt=0, description="maps between snapshots")
    grid_every: int = Field(32_000, gt=0, description="maps between sample grids")
    z_dim: int = Field(128, gt=0, description="latents a case")
    generator_maps: int = Field(32, gt=0, description="feature maps of the generator at half the size, then doubled")
    critic_maps: int = Field(32, gt=0, description="feature maps of the critic at a quarter of the size, then doubled")
    max_maps: int = Field(128, gt=0, description="most feature maps at any level")
    critic_steps: int = Field(5, gt=0, description="steps of the critic, a batch each, to one of the generator")
    penalty: float = Field(10.0, ge=0, description="weight of the gradient penalty, lambda")
    learning_rate: float = Field(0.0002, gt=0, description="of Adam, generator")
    critic_rate: float = Field(0.0002, gt=0, description="of Adam, critic")
    betas: tuple[float, float] = Field((0.0, 0.9), description="of Adam, both")
    ema_images: float = Field(20_000, ge=0, description="half-life of the EMA in maps; 0 for none")
    lesion: tuple[str, ...] = Field((), description="classes whose voxels are counted; default all but the background")
    min_voxels: int = Field(0, ge=0, description="training cases with fewer voxels of these classes are left out")
    without: dict[str, str] = Field({}, description="classes that are not learned, and which class takes their place")
    redraws: int = Field(10, ge=0, description="sampling: times that a map with too few voxels is drawn again")
    small_components: int = Field(
        0, ge=0, description="sampling: connected parts of fewer voxels, holes too, take the class around them"
    )


class MaskGAN(Generator):
    """WGAN-GP over label maps."""

    name = "mask_gan"
    Config = MaskGANConfig
    LABELS_ONLY = True
    SAMPLING = ("sample_block", "redraws", "small_components")
    NUMBERS = ("steps",)
    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "small": {},
        "short": {"generator_maps": 16, "critic_maps": 16, "critic_steps": 3, "batch_size": 8, "learning_rate": 0.0005,
                  "critic_rate": 0.0005, "images_seen": 100_000, "snapshot_every": 100_000, "grid_every": 10_000,
                  "ema_images": 5_000},
        # 100 epochs of 319 cases (85 % of 375), one a step; each network takes one step, as in the published code.
        "paper": {"critic_maps": 16, "critic_steps": 1, "batch_size": 1, "betas": (0.5, 0.999), "ema_images": 0,
                  "min_voxels": 20, "images_seen": 31_900, "snapshot_every": 31_900, "grid_every": 3_190},
        "demo": {"generator_maps": 16, "critic_maps": 16, "critic_steps": 3, "batch_size": 8, "learning_rate": 0.001,
                 "critic_rate": 0.001, "images_seen": 20_000, "snapshot_every": 20_000, "grid_every": 20_000,
                 "ema_images": 1_500, "mirror": True, "small_components": 4},
    }  # fmt: skip
    config: MaskGANConfig

    def build(self, encoding: Encoding, size: tuple[int, ...], classes: int = 0) -> None:
        """Make both networks, the EMA of the generator and the optimisers; see the contract.

        UsageError for sides that do not divide by 8, no class to learn, or a class that the maps do not have.
        """
        cfg = self.config
        if encoding.scheme is None or len(encoding.scheme) < 2:
            raise UsageError("mask_gan learns label maps with a class beside the background: import with --labels")
        if len(size) not in (2, 3) or any(side % SIDE_STEP for side in size):
            raise UsageError(
                f"mask_gan needs two or three sides that divide by {SIDE_STEP}, found {' x '.join(map(str, size))}: "
                "import with another --size"
            )
        self._plan(encoding.scheme)
        g = MaskGenerator(cfg.z_dim, classes, len(self.kept), size, cfg.generator_maps, cfg.max_maps)
        d = Critic(classes, len(self.kept), size, cfg.critic_maps, cfg.max_maps)
        self.classes, self.steps = classes, 0  # steps of the critic
        self.g: Any = self.engine.place(g)
        self.d: Any = self.engine.place(d)
        self.ema: Any = copy.deepcopy(g).eval().requires_grad_(False)
        self.adams = {
            "g": adam(g.parameters(), cfg.learning_rate, betas=cfg.betas),
            "d": adam(d.parameters(), cfg.critic_rate, betas=cfg.betas),
        }
        self.losses: dict[str, Tensor] = {}

    def _plan(self, scheme: LabelScheme) -> None:
        """Work out which classes are learned, at which place each class stands among them, and whose voxels count."""
        cfg, names = self.config, scheme.names
        if unknown := sorted({*cfg.lesion, *cfg.without, *cfg.without.values()} - set(names)):
            raise UsageError(f"there is no class {unknown[0]!r} in these label maps: there are {', '.join(names)}")
        if wrong := [n for n in (*cfg.lesion, *cfg.without.values()) if n in cfg.without]:
            raise UsageError(
                f"the class {wrong[0]!r} is left out by `without`, and named where a class that is learned was"
            )
        if names[0] in (*cfg.lesion, *cfg.without):
            raise UsageError(f"{names[0]!r} is the background: name other classes in `lesion` and `without`")
        kept = [k for k, name in enumerate(names) if name not in cfg.without]
        if len(kept) < 2:
            raise UsageError("`without` leaves no class beside the background: nothing would be learned")
        place = [kept.index(names.index(cfg.without.get(name, name))) for name in names]
        counted = [k > 0 and names[k] in (cfg.lesion or names) for k in kept]
        device = self.engine.device
        self.kept, self.place = torch.tensor(kept, device=device), torch.tensor(place, device=device)
        self.counted = torch.tensor(counted, device=device)

    # ------------------------------------------------------------------ what is learned
    def maps(self, x: Tensor) -> Tensor:
        """Read label channels (N, L, *S) as maps (N, *S) of the classes that are learned, numbered without gaps."""
        return self.place[decoded(x, self.scheme)]

    def voxels(self, labels: Tensor) -> Tensor:
        """Count the voxels of the lesion classes in such maps (N, *S): (N,)."""
        return self.counted[labels].flatten(1).sum(dim=1)

    def measure(self, cases: Iterable[Tensor]) -> None:
        """Count voxels in training cases, blocks of (n, L, *S), and so learn how many make a drawn case worth keeping.

        UsageError where no training case has `min_voxels` of them.
        """
        fewest = self.config.min_voxels
        counts = torch.cat([self.voxels(self.maps(x.to(self.engine.device))) for x in cases])
        if not (counts >= fewest).any():
            raise UsageError(
                f"no training case has {fewest} voxels of the classes that count, found at most {int(counts.max())}: "
                "lower --set min_voxels, or name others with --set lesion=[...]"
            )
        for network in (self.g, self.ema):
            network.min_voxels.fill_(fewest or int(counts.min() > 0))

    def learned(self, x: Tensor, condition: Tensor | None) -> tuple[Tensor, Tensor | None, float]:
        """Choose the cases of a batch x (N, L, *S) that are learned; others have one of these in their place.

        Returns one-hot maps (N, K', *S) of the classes that are learned, their conditions (N, classes) or None, and how
        much the batch counts: 1, or 0 where no case is learned.
        """
        labels = self.maps(x)
        rows = (self.voxels(labels) >= self.config.min_voxels).nonzero().squeeze(1)
        n = len(rows)
        if 0 < n < len(x):
            rows = rows[torch.arange(len(x), device=rows.device) % n]
            labels, condition = labels[rows], None if condition is None else condition[rows]
        return F.one_hot(labels, len(self.kept)).movedim(-1, 1).float(), condition, float(n > 0)

    # ------------------------------------------------------------------ training
    def update(self, batch: Batch) -> dict[str, Any]:
        """Take one step of the critic, and of the generator when it is its turn; see the contract."""
        cfg, networks = self.config, (self.g, self.d)
        condition = None if batch.condition is None else batch.condition.nan_to_num()
        real, condition, gain = self.learned(batch.x, condition)
        optimizer_step(self.engine, networks, self.adams["d"], lambda: self._d_loss(real, condition), gain)
        self.steps += 1
        if self.steps % cfg.critic_steps == 0:
            g_loss = optimizer_step(self.engine, networks, self.adams["g"], lambda: self._g_loss(len(real), condition))
            self.move_average(self.g, cfg.batch_size * cfg.critic_steps, cfg.ema_images, batch.images_seen)
            self.losses["g"] = g_loss
        return dict(self.losses)

    def _generate(self, n: int, condition: Tensor | None) -> Tensor:
        """Draw n soft maps (n, K, *S)."""
        with self.engine.autocast():
            z = torch.randn(n, self.config.z_dim, device=self.engine.device)
            return torch.as_tensor(self.g(z, condition))

    def _d_loss(self, real: Tensor, condition: Tensor | None) -> Tensor:
        """E D(synthetic) - E D(real) + lambda E (|grad D(x)| - 1)^2 (eq. 3); conditions are those of the real cases."""
        with torch.no_grad():
            synthetic = self._generate(len(real), condition)
        both = None if condition is None else torch.cat([condition, condition])
        by_real, by_synthetic = self.d(torch.cat([real, synthetic]), both).chunk(2)
        d = by_synthetic.mean() - by_real.mean()
        penalty = self.config.penalty * gradient_penalty(lambda x: self.d(x, condition), real, synthetic)
        self.losses |= {"d": d.detach(), "penalty": penalty.detach()}
        return torch.as_tensor(d + penalty)

    def _g_loss(self, n: int, condition: Tensor | None) -> Tensor:
        """- E D(synthetic); conditions (N, classes) are shuffled."""
        condition = shuffled(condition)
        return -torch.as_tensor(self.d(self._generate(n, condition), condition)).mean()

    # ------------------------------------------------------------------ sampling
    def generate(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """Map latents to soft label channels with the EMA weights, in float32; differentiable in z.

        z (N, z_dim) and, when trained with classes, condition (N, classes), float32 -> (N, L, *S) in [-1, 1]: of more
        than four classes twice the probability less one, else the mean level; with two classes or more than four this
        reads as the likeliest class, with three or four a voxel torn between two classes may read as one between them
        (:meth:`draw` takes the likeliest).
        """
        p, k = torch.as_tensor(self.ema(z, self.class_condition(condition))), len(self.scheme)
        if k > len(LEVELS):
            return -torch.ones(len(p), k, *p.shape[2:], device=p.device).index_add(1, self.kept, p, alpha=-2)
        levels = torch.tensor(LEVELS[k], device=p.device)[self.kept] / 127.5 - 1
        return torch.einsum("nk...,k->n...", p, levels).unsqueeze(1)

    def draw(self, seeds: list[int], condition: Tensor | None = None) -> Tensor:
        """Draw one case a seed, those with too few voxels again; see the contract."""
        noise = CaseNoise(seeds, self.engine.device)
        labels = self._likeliest(noise, condition)
        for _ in range(self.config.redraws):
            few = self.voxels(labels) < self.ema.min_voxels
            if not few.any():
                break
            again = self._likeliest(noise, condition)  # of all, so that a case depends on its own stream alone
            labels = torch.where(few.view(-1, *[1] * (labels.ndim - 1)), again, labels)
        return encoded(self.kept[labels], self.scheme)

    def _likeliest(self, noise: CaseNoise, condition: Tensor | None) -> Tensor:
        """Draw the next map of every case: the likeliest of the classes that are learned, (N, *S)."""
        soft = torch.as_tensor(self.ema(noise.normal(self.config.z_dim), self.class_condition(condition)))
        return without_small_components(soft.argmax(dim=1), self.config.small_components)

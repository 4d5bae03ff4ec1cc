"""CycleGAN: label maps are rendered, and images segmented, without pairs: a rendered map must be segmented as it was.

**Source**: Zhu et al., "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks", 2017, arXiv
1703.10593: eq. 1 (adversarial), eq. 2 (cycle), eq. 3 (weight 10), section 4 and appendix 7 (least squares, residual
networks: nets/translation.py, nets/patch_gan.py; a pool of 50 cases: while it fills, new cases are shown and kept; then
half of the time an old case is shown, and the new one takes its place, after Shrivastava et al., 2017, arXiv
1612.07828, section 2.3). Preset `paper`: Platscher et al., 2021, arXiv 2010.02745, with a pool that lasts (in the
released code it is made anew at every step, and there is no CycleGAN).
**Differs**: label maps come from the first cohort and images from the second, in two orders of their own. A label map
is one channel a class, which gives three differences. The cycle on its side is cross-entropy: L1 over K channels would
weigh less the more classes there are. Images are segmented as whole classes, with gradients of the probabilities, since
in soft maps the networks would hide the image that the cycle asks back (Chu et al., "CycleGAN, a Master of
Steganography", 2017, arXiv 1712.02950). And there is no identity loss: a label map is no image. One label map is
rendered in one way: nothing is drawn at random. The pool is a part of a checkpoint; cases of all processes go into
it, and all hold the same.
**Checked**: tests/generators/translation/test_cyclegan.py and the contract tests.
"""

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor

from understudy.core.encoding import Encoding
from understudy.core.errors import UsageError
from understudy.generators.translation.translation import MIN_HALVINGS, TranslationConfig, TranslationGenerator
from understudy.nets.label_maps import decoded, one_hot
from understudy.nets.losses import whole_classes
from understudy.nets.patch_gan import PatchGAN
from understudy.nets.spatial import needed_halvings
from understudy.nets.translation import ResidualGenerator
from understudy.training.batches import Batch
from understudy.training.engine import Engine
from understudy.training.jitter import jittered


class ImagePool:
    """Up to `size` cases of earlier steps, at first none; all processes hold the same."""

    def __init__(self, size: int) -> None:
        self.size, self.kept = size, list[Tensor]()

    def exchange(self, x: Tensor, engine: Engine) -> Tensor:
        """Return new cases (N, ...), some of them replaced by old ones; cases of all processes go into the pool."""
        first = engine.rank * len(x)
        places = [self._place(len(self.kept) + first + i) for i in range(len(x))]
        cases, chosen = engine.gather(x.detach()), engine.gather(torch.tensor(places, device=x.device))
        shown = []
        for case, place in zip(cases, chosen.tolist(), strict=True):
            if len(self.kept) < self.size:
                self.kept.append(case.clone())
            elif place >= 0:
                case, self.kept[place] = self.kept[place], case.clone()
            shown.append(case)
        return torch.stack(shown[first : first + len(x)])

    def _place(self, before: int) -> int:
        """Draw the place in the pool of a case before which so many went into it; -1: it is shown itself."""
        if before < self.size or not self.size or float(torch.rand([])) >= 0.5:
            return -1
        return int(torch.randint(self.size, []))

    def state(self, name: str) -> dict[str, Tensor]:
        """Return what a resume needs: the kept cases (n, ...), under a name."""
        return {name: torch.stack(self.kept)} if self.kept else {}

    def load(self, name: str, tensors: dict[str, Tensor], device: torch.device) -> None:
        """Put back what :meth:`state` gave."""
        self.kept = [*tensors[name].to(device)] if name in tensors else []


class CycleGANConfig(TranslationConfig):
    """Configuration of :class:`CycleGAN`; the defaults suit 64 to 128 pixels and some thousand images."""

    blocks: int = Field(6, gt=0, description="residual blocks; published: 6 up to 128 pixels, 9 from 256")
    kernel: int = Field(7, gt=0, description="odd: side of the first and last convolution's kernel")
    cycle_weight: float = Field(10.0, ge=0, description="weight of both cycles, lambda")
    pool: int = Field(50, ge=0, description="synthetic cases of earlier steps that the discriminators may see again")

    @model_validator(mode="after")
    def _odd(self) -> "CycleGANConfig":
        if self.kernel % 2 == 0:
            raise ValueError(f"kernel must be odd, found {self.kernel}")
        return self


class CycleGAN(TranslationGenerator):
    """Two translators and two discriminators that learn from two unpaired cohorts."""

    name = "cyclegan"
    OTHER = "unpaired"
    Config = CycleGANConfig
    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "small": {},
        # Some ten thousand images in all: narrow networks, larger batches and longer strides.
        "short": {"channels": 24, "blocks": 4, "patch_channels": 32, "batch_size": 8, "learning_rate": 1e-3,
                  "discriminator_rate": 5e-4, "d_noise": 0.1, "images_seen": 12_000, "snapshot_every": 12_000,
                  "grid_every": 2_000, "ema_images": 1_000},
        "volumes": {"channels": 8, "blocks": 3, "kernel": 5, "patch_channels": 16, "patch_layers": 2, "batch_size": 2,
                    "learning_rate": 1e-3, "discriminator_rate": 5e-4, "d_noise": 0.1, "d_noise_images": 1_000,
                    "images_seen": 3_000, "snapshot_every": 3_000, "grid_every": 500, "ema_images": 300},
        "paper": {"batch_size": 1, "blocks": 9, "patch_channels": 32, "d_noise_images": 1_000, "jitter": 1.0,
                  "mirror": True, "ema_images": 0, "images_seen": 40_000},  # 100 epochs of 400 volumes
        "demo": {"channels": 16, "blocks": 2, "kernel": 5, "patch_channels": 16, "patch_layers": 2, "batch_size": 8,
                 "learning_rate": 2e-3, "discriminator_rate": 1e-3, "d_noise": 0.1, "images_seen": 4_000,
                 "ema_images": 500, "snapshot_every": 4_000, "grid_every": 1_000},
    }  # fmt: skip
    config: CycleGANConfig

    def build(self, encoding: Encoding, size: tuple[int, ...], classes: int = 0) -> None:
        """Make the networks, the EMA of the renderer, the optimisers and empty pools; see the contract."""
        cfg, c, k = self.config, encoding.image_channels, len(self.scheme)
        strides = needed_halvings(self.name, size, MIN_HALVINGS, 2, MIN_HALVINGS)
        if min(size) <= cfg.kernel // 2:
            raise UsageError(
                f"cyclegan with a kernel of {cfg.kernel} needs sides above {cfg.kernel // 2}, found "
                f"{' x '.join(map(str, size))}: import with another --size, or set a smaller kernel"
            )
        shared = cfg.model_dump(include={"channels", "blocks", "kernel"})
        patches: dict[str, Any] = {"scales": cfg.scales, "channels": cfg.patch_channels, "layers": cfg.patch_layers}
        g = ResidualGenerator(k, c, strides, **shared)
        f = ResidualGenerator(c, k, strides, squash=False, **shared)
        self.register_networks(
            {"g": g, "f": f}, {"d_images": PatchGAN(c, size, **patches), "d_labels": PatchGAN(k, size, **patches)}
        )
        self.pools = {name: ImagePool(cfg.pool) for name in ("images", "labels")}

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return all that a resume needs, the pools included."""
        tensors, scalars = super().state()
        for name, pool in self.pools.items():
            tensors |= pool.state(f"pool.{name}")
        return tensors, scalars

    def load_state(self, tensors: dict[str, Tensor], scalars: dict[str, Any]) -> None:
        """Put back what :meth:`state` gave."""
        super().load_state(tensors, scalars)
        for name, pool in self.pools.items():
            pool.load(f"pool.{name}", tensors, self.engine.device)

    # ------------------------------------------------------------------ training
    def update(self, batch: Batch) -> dict[str, Any]:
        """Take one step of both translators, then one of both discriminators; see the contract."""
        self.begin(batch)
        labels, images = self.unpaired(batch)
        maps = one_hot(labels, self.scheme)
        with self.engine.autocast():
            rendered, segmented = self.g(maps), self.translators["f"](images)
            whole = whole_classes(segmented)
            segmented_again, rendered_again = self.translators["f"](rendered), self.g(whole)
        cycle_images = F.l1_loss(rendered_again, images)
        cycles = {"cycle_labels": F.cross_entropy(segmented_again, labels), "cycle_images": cycle_images}

        def g_loss() -> Tensor:
            shown = {"d_images": rendered, "d_labels": whole}
            deceived = torch.stack([self.g_loss(self.discriminate(name, x)) for name, x in shown.items()]).sum()
            return deceived + self.config.cycle_weight * torch.stack([*cycles.values()]).sum()

        def d_loss() -> Tensor:
            old_images = self.pools["images"].exchange(rendered, self.engine)
            old_labels = self.pools["labels"].exchange(segmented.argmax(dim=1).byte(), self.engine)
            of_labels = self.d_loss("d_labels", maps, one_hot(old_labels, self.scheme))
            return self.d_loss("d_images", images, old_images) + of_labels

        losses = {"g": self.optimizer_step("g", g_loss), "d": self.optimizer_step("d", d_loss)}
        self.average(batch)
        return {**losses, **{name: cycle.detach() for name, cycle in cycles.items()}}

    def unpaired(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return label maps (N, *S) of the first cohort, images (N, C, *S) of the second, each jittered by itself."""
        c, strength = self.encoding.image_channels, self.config.jitter
        assert batch.other is not None  # a training without a second cohort was refused
        labels = decoded(jittered(batch.x, 0, strength), self.scheme)
        return labels, jittered(batch.other[:, :c], c, strength)

    # ------------------------------------------------------------------ sampling
    def draw(self, seeds: list[int], condition: Tensor | None = None) -> Tensor:
        """Render label maps, in float32; see the contract. The seeds have nothing to decide."""
        maps = self.network_input(condition, len(seeds))
        return self.joined(self.ema(maps), maps.argmax(dim=1))

"""An encoder that has memorised the training cases, transformed or not: one class a case.

It learns to name the training case behind an image with several transformations at once: softmax over the cosines to
one learned vector a case, as Exemplar-CNN; cases of the same subject do not count as wrong answers. A case of an unseen
subject lies near none. Turns, mirrors and negatives are not learned: whoever asks tries them all (likeness.py).
**Source**: Dosovitskiy et al., "Discriminative unsupervised feature learning with exemplar convolutional neural
networks", arXiv:1406.6909; normalised softmax of Wu et al., arXiv:1805.01978, equation 2.
**Differs**: the transformations are those of copies (transforms.py), and what is learned from is their local contrast;
cases of one subject are left out of the softmax; 64 pixels, up to 3000 updates of 128: six minutes on one core.
**Checked** in tests/evaluation/privacy/copies/test_encoder.py (same seed, same bits; copies found, unseen cases not).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from understudy.core.seed import derive
from understudy.evaluation.privacy.copies.cases import local_contrast
from understudy.evaluation.privacy.copies.transforms import Transform, Transformation
from understudy.training.engine import has_fast_bf16
from understudy.training.parallel import seeded

SIDE = 64
WIDTH, EMBEDDING = 24, 128
BATCH, UNTOUCHED, GROUPS = 128, 8, 10  # images, of these as they are, and groups that share their transformations
ODDS = {"degraded": 0.5, "moved": 0.65, "intensity": 0.4, "warped": 0.5, "blended": 0.2}  # that a family is drawn
TEMPERATURE = 0.1
LEARNING_RATE, PROXIES_FASTER = 2e-3, 10


class Residual(nn.Module):
    """Two 3x3 convolutions with a residual connection."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = convolution(width, width, 1)
        self.second = nn.Sequential(nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, width, H, W) to the same shape."""
        return F.relu(x + self.second(self.first(x)))


def convolution(before: int, after: int, stride: int, size: int = 3) -> nn.Sequential:
    """Return a convolution with normalisation and ReLU."""
    layer = nn.Conv2d(before, after, size, stride, size // 2, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(after), nn.ReLU(inplace=True))


def network(channels: int) -> nn.Sequential:
    """Return an untrained encoder: images (N, channels, 64, 64) -> (N, 128)."""
    w = WIDTH
    return nn.Sequential(
        convolution(channels, w, 2, 5),
        convolution(w, 2 * w, 2),
        Residual(2 * w),
        convolution(2 * w, 4 * w, 2),
        Residual(4 * w),
        convolution(4 * w, 4 * w, 2),
        nn.Flatten(),
        nn.Linear(4 * w * (SIDE // 16) ** 2, EMBEDDING, bias=False),
    ).to(memory_format=torch.channels_last)  # type: ignore[call-overload]


@dataclass(frozen=True)
class Lesson:
    """What an encoder learns: each update is one batch; the seed decides weights, order and transformations."""

    images: Tensor  # (N, C, 64, 64)
    subjects: Tensor  # (N,)
    transformations: Sequence[Transformation]
    updates: int
    seed: int


def learn(lesson: Lesson, done: Callable[[], None] = lambda: None) -> nn.Module:
    """Return an encoder of local contrast, in evaluation mode, that has learned; each update ends with ``done``."""
    images, subjects, updates, seed = lesson.images, lesson.subjects, lesson.updates, lesson.seed
    ways = by_family(lesson.transformations)
    draw = torch.Generator().manual_seed(derive(seed, "copies", "encoder"))
    with seeded(derive(seed, "copies", "weights")):
        encoder, proxies = network(images.shape[1]), nn.Parameter(torch.randn(len(images), EMBEDDING))
    optimizer = torch.optim.AdamW(encoder.parameters(), LEARNING_RATE, weight_decay=1e-2)
    optimizer.add_param_group({"params": [proxies], "weight_decay": 0.0})
    for update in range(updates):
        rate = LEARNING_RATE * min(1, (update + 1) / (0.05 * updates)) * (1 + math.cos(math.pi * update / updates)) / 2
        for group, faster in zip(optimizer.param_groups, (1, PROXIES_FASTER), strict=True):
            group["lr"] = rate * faster
        chosen = torch.randperm(len(images), generator=draw)[:BATCH]
        shown = local_contrast(batch(images[chosen], ways, draw)).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16, enabled=has_fast_bf16("cpu")):
            found = encoder(shown)
        cosine = F.normalize(found.float(), dim=1) @ F.normalize(proxies, dim=1).T
        neighbours = subjects[chosen][:, None] == subjects[None]
        neighbours[torch.arange(len(chosen)), chosen] = False
        loss = F.cross_entropy((cosine / TEMPERATURE).masked_fill(neighbours, -1e4), chosen)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        done()
    return encoder.eval()


def by_family(transformations: Sequence[Transformation]) -> dict[str, list[Transform]]:
    """Return what is learned of each family, each way once."""
    ways: dict[str, list[Transform]] = {one.family: [] for one in transformations if one.augment}
    for one in transformations:
        if one.augment and one.augment not in ways[one.family]:
            ways[one.family].append(one.augment)
    return ways


def batch(
    images: Tensor, ways: Mapping[str, Sequence[Transform]], draw: torch.Generator, untouched: int = UNTOUCHED
) -> Tensor:
    """Return images (N, C, 64, 64), group by group with some families of transformations in any order; a few as are."""
    shown, others, families = images.clone(), images[torch.randperm(len(images), generator=draw)], list(ways)
    for group in torch.arange(min(untouched, len(images) // 8), len(images)).chunk(GROUPS):
        for i in torch.randperm(len(families), generator=draw).tolist():
            if torch.rand(1, generator=draw) < ODDS[families[i]]:
                members = ways[families[i]]
                way = members[int(torch.randint(len(members), (1,), generator=draw))]
                shown[group] = way(shown[group], others[group], draw)
    return shown


@torch.inference_mode()
def embed(encoder: nn.Module, images: Tensor) -> Tensor:
    """Return embeddings (N, 128) of length one of images (N, C, 64, 64)."""
    with torch.autocast("cpu", torch.bfloat16, enabled=has_fast_bf16("cpu")):
        parts = [encoder(part.contiguous(memory_format=torch.channels_last)) for part in images.split(256)]
    return F.normalize(torch.cat(parts).float(), dim=1)

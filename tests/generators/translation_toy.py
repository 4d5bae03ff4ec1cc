"""A toy for the tests of translators: blocks of classes, each class of its own brightness."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from understudy.core.encoding import Channel, Encoding
from understudy.core.labels import LabelScheme
from understudy.generators.base import Generator
from understudy.training.batches import Batch
from understudy.training.engine import Engine


def scheme(classes: int) -> LabelScheme:
    return LabelScheme(tuple(f"c{i}" for i in range(classes)), tuple(range(classes)))


def started(
    method: type[Generator], classes: int = 3, contrasts: int = 2, size: tuple[int, ...] = (16, 16), **settings: Any
) -> Any:
    """A generator with new networks, in float32."""
    generator = method(method.Config(**{"precision": "fp32", "d_noise": 0.0, **settings}))
    image = tuple(Channel(f"i{c}", 0, 1) for c in range(contrasts))
    generator._start(Encoding(image, "float32", scheme(classes)), size, 0, 0, Engine("fp32"))
    return generator


def label_maps(n: int, classes: int, size: tuple[int, ...], seed: int) -> np.ndarray:
    """Blocks of a quarter of each side."""
    coarse = np.random.default_rng(seed).integers(0, classes, (n, *(s // 4 for s in size))).astype(np.uint8)
    for axis in range(len(size)):
        coarse = coarse.repeat(4, axis=axis + 1)
    return coarse


def rendered(labels: np.ndarray, classes: int, channels: int) -> np.ndarray:
    """Channel c of class k has the brightness (k + c) mod K of K - 1."""
    c = np.arange(channels).reshape(1, -1, *[1] * (labels.ndim - 1))
    return ((labels[:, None].astype(int) + c) % classes / max(classes - 1, 1)).astype(np.float32)


def batch(generator: Generator, seed: int, n: int = 4, images_seen: int = 0, unpaired: bool = False) -> Batch:
    """Label maps and their images; unpaired: label maps alone, and images of others."""
    e = generator.encoding
    assert e.scheme is not None
    k, c = len(e.scheme), e.image_channels
    labels = label_maps(n, k, generator.size, seed)
    if not unpaired:
        return Batch(torch.from_numpy(e.encode(rendered(labels, k, c), labels)), None, images_seen)
    others = label_maps(n, k, generator.size, seed + 10_000)
    second = torch.from_numpy(e.encode(rendered(others, k, c), others))
    return Batch(torch.from_numpy(e.scheme.encode(labels)), None, images_seen, second)


def train(generator: Any, steps: int, unpaired: bool = False, n: int = 4) -> list[dict[str, float]]:
    """Take some steps; return the losses of each."""
    found = []
    for step in range(steps):
        torch.manual_seed(step)
        losses = generator.update(batch(generator, step, n, step * n, unpaired))
        found.append({name: float(value) for name, value in losses.items()})
    return found


def weights(net: torch.nn.Module) -> Tensor:
    return torch.cat([p.detach().flatten() for p in net.parameters()])

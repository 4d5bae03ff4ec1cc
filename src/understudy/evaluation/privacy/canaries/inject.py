"""Injects copies: transformed training cases, a lesion in another brain, a part in another image.

Sources are training cases; hosts, and what is blended in, are cases of unseen subjects.
**Checked** in tests/evaluation/privacy/canaries/test_inject.py.
"""

from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from understudy.core.seed import derive, rng
from understudy.evaluation.privacy.copies.cases import SIDE, SmallCases, without_subject
from understudy.evaluation.privacy.copies.lesions import MAX_PIXELS, MIN_PIXELS
from understudy.evaluation.privacy.copies.registration import blur
from understudy.evaluation.privacy.copies.transforms import Transformation

TRIES = 60  # places and hosts that are tried for a lesion
REACH = 12  # pixels by which it may be shifted
WITHIN = 0.95  # share of it that must lie on tissue
TISSUE = 0.1  # of the half range above the darkest grey
PART = 24  # side of a pasted part, in pixels of 64
SOFT = 1 / 64  # width of a seam


@dataclass(frozen=True)
class InjectedCopies:
    """Injected copies and their sources."""

    cases: SmallCases  # what the detector is given
    source: np.ndarray  # (N,) the training case that each copies


def inject_transformed(
    name: str, transformation: Transformation, training: SmallCases, others: SmallCases, n: int, seed: int
) -> InjectedCopies:
    """Transform n training cases, blending in others; no label maps, because a transformation may move them."""
    source, host = draw_sources(name, training, n, seed), rng(seed, "audit", name, "hosts").integers(0, len(others), n)
    draw = torch.Generator().manual_seed(derive(seed, "audit", name, "disguise"))
    images = transformation.inject(training.images[source], others.images[host], draw)
    return InjectedCopies(without_subject(images), source)


def draw_sources(name: str, training: SmallCases, n: int, seed: int, among: np.ndarray | None = None) -> np.ndarray:
    """Draw n training cases, each once before any is drawn twice."""
    rows = np.arange(len(training)) if among is None else among
    rounds = [rng(seed, "audit", name, i).permutation(rows) for i in range(-(-n // len(rows)))]
    return np.concatenate(rounds)[:n]


def inject_parts(training: SmallCases, hosts: SmallCases, n: int, seed: int) -> InjectedCopies:
    """Paste a square part of n training cases, chosen where there is detail, into the same place of other images."""
    source, choose = draw_sources("part", training, n, seed), rng(seed, "audit", "part", "places")
    images = hosts.images[choose.integers(0, len(hosts), n)].clone()
    for i, row in enumerate(source):
        grey = training.images[row].mean(0).numpy()
        detail = ndimage.uniform_filter((grey - ndimage.gaussian_filter(grey, 3)) ** 2, PART)
        half = PART // 2
        inner = detail[half : SIDE - half, half : SIDE - half]
        rich = np.flatnonzero(inner >= np.quantile(inner, 0.75))
        y, x = np.unravel_index(choose.choice(rich), inner.shape)
        mask = np.zeros((SIDE, SIDE), bool)
        mask[y : y + PART, x : x + PART] = True
        images[i] = _pasted(images[i], training.images[row], mask)
    return InjectedCopies(without_subject(images), source)


def inject_lesions(training: SmallCases, hosts: SmallCases, n: int, seed: int) -> InjectedCopies | None:
    """Paste lesions of n training cases into other images and maps, on tissue and beside lesions that are there.

    None where no training case has a lesion, or no host room for one.
    """
    if training.labels is None or hosts.labels is None:
        return None
    sizes = (training.labels > 0).flatten(1).sum(1).numpy()
    among = np.flatnonzero((sizes >= MIN_PIXELS) & (sizes <= MAX_PIXELS))
    if not len(among):
        return None
    images, labels, source, choose = [], [], [], rng(seed, "audit", "lesion", "places")
    for row in draw_sources("lesion", training, n, seed, among):
        found = _place(training, hosts, int(row), choose)
        if found is None:
            continue
        host, shift = found
        mask = np.roll((training.labels[row] > 0).numpy(), shift, (0, 1))
        images.append(_pasted(hosts.images[host], torch.roll(training.images[row], shift, (1, 2)), mask))
        shifted = torch.roll(training.labels[row], shift, (0, 1))
        labels.append(torch.where(torch.from_numpy(mask), shifted, hosts.labels[host]))
        source.append(row)
    if not source:
        return None
    return InjectedCopies(without_subject(torch.stack(images), torch.stack(labels)), np.array(source))


def _place(
    training: SmallCases, hosts: SmallCases, row: int, choose: np.random.Generator
) -> tuple[int, tuple[int, int]] | None:
    """Find a host and a shift at which a lesion lies on tissue and touches no other; None where there is none."""
    assert training.labels is not None and hosts.labels is not None
    mask = (training.labels[row] > 0).numpy()
    inner = np.argwhere(mask)
    for _ in range(TRIES):
        host, shift = int(choose.integers(len(hosts))), choose.integers(-REACH, REACH + 1, 2)
        shifted = inner + shift
        if shifted.min() < 0 or shifted.max() >= SIDE:
            continue
        grey, taken = hosts.images[host].mean(0), hosts.labels[host].numpy() > 0
        tissue = (grey > grey.min() + TISSUE).numpy()
        at = (shifted[:, 0], shifted[:, 1])
        if tissue[at].mean() >= WITHIN and not ndimage.binary_dilation(taken, iterations=2)[at].any():
            return host, (int(shift[0]), int(shift[1]))
    return None


def _pasted(host: Tensor, source: Tensor, mask: np.ndarray) -> Tensor:
    """Return the host (C, H, W) with the source within a mask, over a soft seam around it."""
    grown = torch.from_numpy(ndimage.binary_dilation(mask)).float()
    soft = torch.maximum(blur(grown[None, None], SOFT)[0, 0], torch.from_numpy(mask).float())
    return host * (1 - soft) + source * soft

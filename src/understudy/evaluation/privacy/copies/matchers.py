"""MATCHERS: each finds the nearest training case of a query, and recognises other transformations of a copy.

All but lesions compare images in local contrast (cases.py), so that nearness comes from anatomy and not from what a
scanner or an export leaves on every image. The similarity of each, and what it recognises::

    pixels      Pearson's r of the images as they lie: exact copies, gain, offset, gamma, noise, blends
    registered  r after affine registration, turned, mirrored or negative, channels in any order: moved, zoomed
    detail      the same, band-passed, without grain: blurred, noisy and translated
    deformed    r after deformable registration, turned, mirrored or negative: warped
    embedding   cosine in an encoder that has memorised the training cases: warped, blended, two transformations
    patches     r of a part of the image: a part pasted into another image
    lesions     outline and inside of a lesion about its centre (needs label maps): a lesion pasted into another brain

Patches are a quarter of the side, at every eighth pixel, centred and of length one. Each is compared with the patches
of all training cases at the same place and shifted by four pixels; the patch with the highest score stands for its
case. A part that was shifted further, or mirrored, is not found.
**Checked** in tests/evaluation/privacy/copies/test_matchers.py.
"""

import itertools
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from understudy.evaluation.privacy.copies import registration
from understudy.evaluation.privacy.copies.cases import NearestTwo, SmallCases, joined, local_contrast, nearest_two
from understudy.evaluation.privacy.copies.encoder import embed
from understudy.evaluation.privacy.copies.lesions import similar_lesions
from understudy.evaluation.privacy.copies.registration import unit
from understudy.evaluation.privacy.copies.second import SECOND, match_second

HALF, PATCH, STEP, PATCH_SHIFT = 32, 8, 4, 2  # in pixels of the halved images
PATCH_BLOCK = 1024  # queries at once
FLAT = 0.05  # standard deviation, of local contrast, below which a patch shows nothing
MATCHERS = ("pixels", "registered", "detail", "deformed", "embedding", "patches", "lesions")
MANY, BLOCK = 2048, 128  # queries compared with all training cases at once, and registered at once
NEAREST_REGISTERED, OTHERS_REGISTERED = 5, 3  # candidates: the nearest, and the nearest of other subjects
NEAREST_DEFORMED, OTHERS_DEFORMED, BLOCK_DEFORMED = 8, 2, 16  # the same for deformable registration


def patch_rows(images: Tensor, row: int, column: int) -> Tensor:
    """Return the patches at one place of halved images (N, C, 32, 32): (N, C * 64), each channel about its mean.

    Rows are of length one, or all zero where a patch is flat.
    """
    cut = images[:, :, row : row + PATCH, column : column + PATCH].flatten(2)
    rows = (cut - cut.mean(2, keepdim=True)).flatten(1)
    length = rows.norm(dim=1, keepdim=True)
    return torch.where(length > FLAT * rows.shape[1] ** 0.5, rows / length.clamp_min(1e-9), torch.zeros_like(rows))


def similar_patches(queries: SmallCases, targets: SmallCases) -> NearestTwo:
    """Return for each query the training case whose patch scores highest; a query's own subject is left out."""
    small, starts = F.adaptive_avg_pool2d(targets.images, HALF), range(0, len(queries), PATCH_BLOCK)
    return joined([_block(queries[start : start + PATCH_BLOCK], small, targets) for start in starts])


def _block(queries: SmallCases, small: Tensor, targets: SmallCases) -> NearestTwo:
    """Compare a block of queries with the halved images of the targets, place by place."""
    images, places = F.adaptive_avg_pool2d(queries.images, HALF), range(0, HALF - PATCH + 1, STEP)
    best: NearestTwo | None = None
    for row, column in itertools.product(places, places):
        rows = patch_rows(images, row, column)
        near = nearest_two(_patch_r(rows, small, row, column), targets.subjects, queries.subjects)
        better = near.score > best.score if best else np.ones(len(queries), bool)
        best = near.where(better, best) if best else near
    assert best is not None
    return best


def _patch_r(rows: Tensor, small: Tensor, row: int, column: int) -> Tensor:
    """Return the highest r (N, M) of patches (N, d) to those of the targets at a place and around it."""
    highest = torch.full((len(rows), len(small)), -1.0)
    for down, right in itertools.product((-PATCH_SHIFT, 0, PATCH_SHIFT), repeat=2):
        y, x = row + down, column + right
        if 0 <= y <= HALF - PATCH and 0 <= x <= HALF - PATCH:
            torch.maximum(highest, rows @ patch_rows(small, y, x).T, out=highest)
    return highest


@dataclass(frozen=True)
class ReferenceSet:
    """What queries are matched against: M training cases."""

    cases: SmallCases  # as they are
    encoder: nn.Module | None  # that has memorised them; None without the matcher embedding
    known: Tensor  # mask (M,) of those that the encoder has learned; only these are matched by embedding
    matchers: tuple[str, ...] = MATCHERS

    @cached_property
    def shown(self) -> SmallCases:
        """The cases in local contrast."""
        return shown(self.cases)

    @cached_property
    def pixels(self) -> Tensor:
        """Images in local contrast as unit vectors (M, d)."""
        return unit(self.shown.images)

    @cached_property
    def vectors(self) -> Tensor:
        """Embeddings (M, 128)."""
        assert self.encoder is not None
        return embed(self.encoder, self.shown.images)


def shown(cases: SmallCases) -> SmallCases:
    """Return cases in local contrast, as matchers and encoders see them."""
    return SmallCases(local_contrast(cases.images), cases.labels, cases.subjects)


def match(queries: SmallCases, reference_set: ReferenceSet) -> dict[str, NearestTwo]:
    """Return by each matcher the nearest training case of each query, a query's own subject, where known, left out."""
    if set(reference_set.matchers) <= set(SECOND):
        return match_second(queries, reference_set.cases, reference_set.matchers)
    starts = range(0, len(queries), MANY)
    parts = [_match_block(queries[start : start + MANY], reference_set) for start in starts]
    matched = {name: joined([part[name] for part in parts]) for name in parts[0]}
    targets, own = reference_set.cases, queries.subjects
    if "lesions" in reference_set.matchers and queries.labels is not None and targets.labels is not None:
        matched["lesions"] = similar_lesions(queries, targets, own)
    return matched


def _match_block(queries: SmallCases, reference_set: ReferenceSet) -> dict[str, NearestTwo]:
    """Match a block of queries by the matchers of images."""
    seen, targets, wanted = shown(queries), reference_set.shown, reference_set.matchers
    matched = {"pixels": nearest_two(unit(seen.images) @ reference_set.pixels.T, targets.subjects, seen.subjects)}
    if reference_set.encoder is not None:
        matched["embedding"] = _embedded(seen, reference_set)
    hints = torch.from_numpy(np.stack([near.case for near in matched.values()], 1))
    if "registered" in wanted or "detail" in wanted:
        fitted = _registered(seen, targets, hints)
        matched |= {name: near for name, near in fitted.items() if name in wanted}
    if "deformed" in wanted:
        matched["deformed"] = _deformed(seen, targets, hints)
    if "patches" in wanted:
        matched["patches"] = similar_patches(seen, targets)
    return matched


def match_embedding(queries: SmallCases, reference_set: ReferenceSet) -> NearestTwo:
    """Return the nearest of the training cases that the encoder has learned, by the cosine of embeddings."""
    return _embedded(shown(queries), reference_set)


def _embedded(queries: SmallCases, reference_set: ReferenceSet) -> NearestTwo:
    """Return the same of queries in local contrast."""
    assert reference_set.encoder is not None
    cosine = embed(reference_set.encoder, queries.images) @ reference_set.vectors.T
    return nearest_two(cosine.masked_fill(~reference_set.known, -1), reference_set.cases.subjects, queries.subjects)


def _registered(queries: SmallCases, targets: SmallCases, hints: Tensor) -> dict[str, NearestTwo]:
    """Register the best candidates of each query to it (affine); r of images and of detail."""
    alike = registration.coarse(queries.images, targets.images)
    nearest = _candidates(alike.highest, queries, targets, NEAREST_REGISTERED, OTHERS_REGISTERED)
    candidates = torch.cat([nearest, hints], 1)
    which, sign = alike.chosen(candidates)
    start, k, fitted = registration.affine_bank()[which], candidates.shape[1], []
    for part in torch.arange(len(queries)).split(BLOCK):
        pairs = _pairs(queries, targets, candidates, sign, part)
        fitted.append(registration.fit_affine(*pairs, start[part].flatten(0, 1)))
    values = {"registered": [one.whole for one in fitted], "detail": [one.detail for one in fitted]}
    whose = targets.subjects[candidates]
    return {
        name: nearest_two(torch.cat(rows).view(-1, k), whose, queries.subjects, candidates)
        for name, rows in values.items()
    }


def _deformed(queries: SmallCases, targets: SmallCases, hints: Tensor) -> NearestTwo:
    """Register the best candidates of each query to it (deformable)."""
    alike = registration.edges_alike(queries.images, targets.images)
    nearest = _candidates(alike.highest, queries, targets, NEAREST_DEFORMED, OTHERS_DEFORMED)
    candidates = torch.cat([nearest, hints], 1)
    which, sign = alike.chosen(candidates)
    start, k, rows = registration.turns()[which], candidates.shape[1], []
    for part in torch.arange(len(queries)).split(BLOCK_DEFORMED):
        pairs = _pairs(queries, targets, candidates, sign, part)
        rows.append(registration.fit_deformed(*pairs, start[part].flatten(0, 1)).view(-1, k))
    return nearest_two(torch.cat(rows), targets.subjects[candidates], queries.subjects, candidates)


def _pairs(
    queries: SmallCases, targets: SmallCases, candidates: Tensor, sign: Tensor, part: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the images of each query of a part, once for each of its candidates, and those of the candidates."""
    seen = queries.images[part].repeat_interleave(candidates.shape[1], 0)
    return seen, targets.images[candidates[part].flatten()] * sign[part].view(-1, 1, 1, 1)


def _candidates(likeness: Tensor, queries: SmallCases, targets: SmallCases, nearest: int, others: int) -> Tensor:
    """Return (N, nearest + others): the nearest targets by a likeness (N, M), and the nearest of further subjects."""
    likeness = likeness.masked_fill(targets.subjects[None] == queries.subjects[:, None], -2)
    first = likeness.topk(min(nearest, len(targets)), 1).indices
    further = likeness.masked_fill(targets.subjects[None] == targets.subjects[first[:, :1]], -2)
    return torch.cat([first, further.topk(min(others, len(targets)), 1).indices], 1)

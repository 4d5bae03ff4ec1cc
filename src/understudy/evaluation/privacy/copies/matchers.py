"""VIEWS: from where the nearest training case is sought. Each sees through other disguises.

| view | similarity | sees |
|---|---|---|
| pixels | Pearson's r of the images as they are | exact copies, gain, noise, blends (the papers' own measure) |
| aligned | r after the nearest was moved and its channels ordered to fit | moved, turned, mirrored, other contrast |
| detail | the same, without slow shading and grain | blurred, noisy and moved |
| bent | r after the nearest was bent smoothly to fit | warped |
| embedding | cosine in an encoder that knows the training cases by heart | warped, blended, several disguises at once |
| patches | r of a part of the image, anywhere | a part in another image |
| lesions | outline and inside of a lesion about its own centre; needs label maps | a lesion in another brain |

**Checked** in tests/evaluation/privacy/copies/test_matchers_views.py.

Local patches: has a part of a training case been copied into another image?

Patches of a quarter of the side, at every eighth pixel, as centred vectors of length one. Each is compared with the
patches of all training cases at the same place and four pixels aside; the patch that lies nearest to one subject and to
no other speaks for its case. A part that was moved further, or mirrored, is not seen.
**Checked** in tests/evaluation/privacy/copies/test_matchers.py (a pasted part is found).
"""

import itertools
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from understudy.evaluation.privacy.copies import registration
from understudy.evaluation.privacy.copies.cases import Cases, Near, joined, nearest_two
from understudy.evaluation.privacy.copies.encoder import embed
from understudy.evaluation.privacy.copies.lesions import similar_lesions
from understudy.evaluation.privacy.copies.registration import unit

HALF, PATCH, STEP, PATCH_SHIFT = 32, 8, 4, 2  # in pixels of the halved images
PATCH_BLOCK = 1024  # queries at once
FLAT = 0.05  # standard deviation, of the half range, below which a patch shows nothing


def patch_rows(images: Tensor, row: int, column: int) -> Tensor:
    """Return the patches at one place of halved images (N, C, 32, 32): (N, C * 64), each channel about its mean.

    Rows are of length one, or all zero where a patch is flat.
    """
    cut = images[:, :, row : row + PATCH, column : column + PATCH].flatten(2)
    rows = (cut - cut.mean(2, keepdim=True)).flatten(1)
    length = rows.norm(dim=1, keepdim=True)
    return torch.where(length > FLAT * rows.shape[1] ** 0.5, rows / length.clamp_min(1e-9), torch.zeros_like(rows))


def similar_patches(queries: Cases, targets: Cases) -> Near:
    """Return for each query the training case with the most telling patch; a query's own subject is left out."""
    small = F.adaptive_avg_pool2d(targets.images, HALF)
    parts = [
        _block(queries[start : start + PATCH_BLOCK], small, targets) for start in range(0, len(queries), PATCH_BLOCK)
    ]
    return joined(parts)


def _block(queries: Cases, small: Tensor, targets: Cases) -> Near:
    """Compare a block of queries with the halved images of the targets, place by place."""
    images, places = F.adaptive_avg_pool2d(queries.images, HALF), range(0, HALF - PATCH + 1, STEP)
    best: Near | None = None
    for row, column in itertools.product(places, places):
        rows = patch_rows(images, row, column)
        near = nearest_two(_likeness(rows, small, row, column), targets.subjects, queries.subjects)
        better = near.score > best.score if best else np.ones(len(queries), bool)
        best = near.where(better, best) if best else near
    assert best is not None
    return best


def _likeness(rows: Tensor, small: Tensor, row: int, column: int) -> Tensor:
    """Return the highest r (N, M) of patches (N, d) to those of the targets at a place and around it."""
    highest = torch.full((len(rows), len(small)), -1.0)
    for down, right in itertools.product((-PATCH_SHIFT, 0, PATCH_SHIFT), repeat=2):
        y, x = row + down, column + right
        if 0 <= y <= HALF - PATCH and 0 <= x <= HALF - PATCH:
            torch.maximum(highest, rows @ patch_rows(small, y, x).T, out=highest)
    return highest


VIEWS = ("pixels", "aligned", "detail", "bent", "embedding", "patches", "lesions")
MANY, BLOCK = 2048, 128  # queries compared with all training cases at once, and registered at once
NEAR, ASIDE = 5, 3  # candidates for registration: the nearest, and the nearest of other subjects
NEAR_BENT, ASIDE_BENT, BLOCK_BENT = 4, 1, 16  # the same for bending


@dataclass(frozen=True)
class Gallery:
    """What cases are compared with.

    Attributes:
        cases: the training cases.
        encoder: that knows them; None where no embedding is looked at.
        known: which of them the encoder has learned, a mask (M,); others are not compared by embedding.
        views: from where cases are looked at.
    """

    cases: Cases
    encoder: nn.Module | None
    known: Tensor
    views: tuple[str, ...] = VIEWS

    @cached_property
    def pixels(self) -> Tensor:
        """Images as unit vectors (M, d)."""
        return unit(self.cases.images)

    @cached_property
    def histograms(self) -> Tensor:
        """Local histograms (M, d)."""
        return registration.local_histograms(self.cases.images)

    @cached_property
    def vectors(self) -> Tensor:
        """Embeddings (M, 128)."""
        assert self.encoder is not None
        return embed(self.encoder, self.cases.images)


def look(queries: Cases, gallery: Gallery) -> dict[str, Near]:
    """Return from each view the nearest training case of each query, a query's own subject left out.

    Args:
        queries: N cases; their subjects, where known, are left out of the gallery.
        gallery: the training cases and the encoder.
    """
    parts = [_whole(queries[start : start + MANY], gallery) for start in range(0, len(queries), MANY)]
    seen = {name: joined([part[name] for part in parts]) for name in parts[0]}
    targets, own = gallery.cases, queries.subjects
    if "patches" in gallery.views:
        seen["patches"] = similar_patches(queries, targets)
    if "lesions" in gallery.views and queries.labels is not None and targets.labels is not None:
        seen["lesions"] = similar_lesions(queries, targets, own)
    return seen


def _whole(queries: Cases, gallery: Gallery) -> dict[str, Near]:
    """Look at a block of queries from the views of whole images."""
    targets = gallery.cases
    seen = {"pixels": nearest_two(unit(queries.images) @ gallery.pixels.T, targets.subjects, queries.subjects)}
    if gallery.encoder is not None:
        seen["embedding"] = by_embedding(queries, gallery)
    if "aligned" in gallery.views or "detail" in gallery.views:
        hints = torch.from_numpy(np.stack([near.case for near in seen.values()], 1))
        fitted = _registered(queries, targets, hints)
        seen |= {name: near for name, near in fitted.items() if name in gallery.views}
    if "bent" in gallery.views:
        seen["bent"] = _bent(queries, gallery)
    return seen


def by_embedding(queries: Cases, gallery: Gallery) -> Near:
    """Return the nearest of the training cases that the encoder knows, by the cosine of embeddings."""
    assert gallery.encoder is not None
    cosine = embed(gallery.encoder, queries.images) @ gallery.vectors.T
    return nearest_two(cosine.masked_fill(~gallery.known, -1), gallery.cases.subjects, queries.subjects)


def _registered(queries: Cases, targets: Cases, hints: Tensor) -> dict[str, Near]:
    """Register the best candidates of each query and judge them by r of images and of detail."""
    r, which = registration.coarse(queries.images, targets.images)
    candidates = torch.cat([_candidates(r, queries, targets, NEAR, ASIDE), hints], 1)
    start = registration.maps()[torch.gather(which, 1, candidates).long()]
    parts = torch.arange(len(queries)).split(BLOCK)
    fitted = [_fitted(queries.images[part], targets.images[candidates[part]], start[part]) for part in parts]
    whose = targets.subjects[candidates]
    values = {"aligned": [one.whole for one in fitted], "detail": [one.detail for one in fitted]}
    return {
        name: nearest_two(torch.cat(rows).view(candidates.shape), whose, queries.subjects, candidates)
        for name, rows in values.items()
    }


def _fitted(queries: Tensor, targets: Tensor, start: Tensor) -> registration.Fitted:
    """Fit candidates (B, K, C, 64, 64) to queries (B, C, 64, 64)."""
    k = targets.shape[1]
    return registration.fit_affine(queries.repeat_interleave(k, 0), targets.flatten(0, 1), start.flatten(0, 1))


def _bent(queries: Cases, gallery: Gallery) -> Near:
    """Bend the best candidates of each query; these do not depend on the encoder."""
    targets = gallery.cases
    likeness = registration.local_histograms(queries.images) @ gallery.histograms.T
    candidates = _candidates(likeness, queries, targets, NEAR_BENT, ASIDE_BENT)
    k, rows = candidates.shape[1], []
    for part in torch.arange(len(queries)).split(BLOCK_BENT):
        shown = queries.images[part].repeat_interleave(k, 0)
        rows.append(registration.fit_deformed(shown, targets.images[candidates[part].flatten()]).view(-1, k))
    return nearest_two(torch.cat(rows), targets.subjects[candidates], queries.subjects, candidates)


def _candidates(likeness: Tensor, queries: Cases, targets: Cases, near: int, aside: int) -> Tensor:
    """Return (N, near + aside) the nearest targets by a likeness (N, M), and the nearest of further subjects."""
    likeness = likeness.masked_fill(targets.subjects[None] == queries.subjects[:, None], -2)
    first = likeness.topk(min(near, len(targets)), 1).indices
    others = likeness.masked_fill(targets.subjects[None] == targets.subjects[first[:, :1]], -2)
    return torch.cat([first, others.topk(min(aside, len(targets)), 1).indices], 1)

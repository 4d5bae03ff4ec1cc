"""MATCHERS: each finds the nearest training case of a query, and recognises other copies.

All but lesions compare images in local contrast (cases.py), so that nearness comes from anatomy and not from what a
scanner or an export leaves on every image::

    pixels      Pearson's r of the images as they lie: exact copies, gain, offset, gamma
    whole       three measures that agree (likeness.py), and a network that looks at both after registration (pairs.py):
                turned, moved, warped, degraded, blended, channels in any order or inverted, and several of these
    patches     r of a part of the image: a part pasted into another image
    lesions     outline and inside of a lesion about its centre (needs label maps): a lesion pasted into another brain

The score of whole is the sum of both parts, of the best candidate less that of the next subject; of too few cases and
of volumes, where no network learns, r after registration is the second part. It sees all that pixels sees, which beside
it only flags copies to the bit. Patches are a quarter
of the side, at every sixteenth of it, of volumes at every eighth, centred and of length one. Each is compared with the
patches of all training cases at the same place and shifted by a sixteenth; the patch with the highest score stands for
its case. A part that was shifted further, or mirrored, is not found.
**Checked** in tests/evaluation/privacy/copies/test_matchers.py.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property, partial

import numpy as np
import torch
from torch import Tensor, nn

from understudy.evaluation.cache import NOTHING_KEPT, Cache
from understudy.evaluation.privacy.copies.cases import (
    NearestTwo,
    SmallCases,
    fingerprint,
    in_contrast,
    joined,
    nearest_two,
)
from understudy.evaluation.privacy.copies.kept import nearest
from understudy.evaluation.privacy.copies.lesions import similar_lesions
from understudy.evaluation.privacy.copies.likeness import Targets, views
from understudy.evaluation.privacy.copies.pairs import log_odds, registered
from understudy.evaluation.privacy.copies.registration import agreement, averaged, unit
from understudy.evaluation.privacy.copies.second import SECOND, match_second

HALF, PATCH, PATCH_SHIFT = 32, 8, 2  # in pixels of images of 32, those of volumes as they are
STEP = {2: 2, 3: 4}  # of patches, by dimensions
PATCH_BLOCK = 1024  # queries at once
FLAT = 0.05  # standard deviation, of local contrast, below which a patch shows nothing
MATCHERS = ("pixels", "whole", "patches", "lesions")
MANY, BLOCK = 2048, 512  # queries at once: as they lie; in sixteen views, at most
MOST_PAIRS = 2**22  # views times training cases at once
FITTED = 12.0  # standard scores that Fisher's z of r after registration is worth, without a pair network
SURE = 1.5  # standard scores that one log odd of a pair network is worth; chosen on lgg_tcga and two sets of phantoms
MOST_FITTED = 0.99  # r above which Fisher's z does not grow


def patch_rows(images: Tensor, *corner: int) -> Tensor:
    """Return the patches at one place of small images (N, C, *S): (N, C * PATCH^d), each channel about its mean.

    Rows are of length one, or all zero where a patch is flat.
    """
    cut = images[(slice(None), slice(None), *(slice(start, start + PATCH) for start in corner))].flatten(2)
    rows = (cut - cut.mean(2, keepdim=True)).flatten(1)
    length = rows.norm(dim=1, keepdim=True)
    return torch.where(length > FLAT * rows.shape[1] ** 0.5, rows / length.clamp_min(1e-9), torch.zeros_like(rows))


def similar_patches(queries: SmallCases, targets: SmallCases) -> NearestTwo:
    """Return for each query the training case whose patch scores highest; a query's own subject is left out."""
    small, starts = averaged(targets.images, HALF), range(0, len(queries), PATCH_BLOCK)
    return joined([_block(queries[start : start + PATCH_BLOCK], small, targets) for start in starts])


def _block(queries: SmallCases, small: Tensor, targets: SmallCases) -> NearestTwo:
    """Compare a block of queries with the halved images of the targets, place by place."""
    images, places = averaged(queries.images, HALF), range(0, HALF - PATCH + 1, STEP[queries.images.ndim - 2])
    best: NearestTwo | None = None
    for corner in itertools.product(places, repeat=images.ndim - 2):
        near = nearest_two(_patch_r(patch_rows(images, *corner), small, corner), targets.subjects, queries.subjects)
        better = near.score > best.score if best else np.ones(len(queries), bool)
        best = near.where(better, best) if best else near
    assert best is not None
    return best


def _patch_r(rows: Tensor, small: Tensor, corner: tuple[int, ...]) -> Tensor:
    """Return the highest r (N, M) of patches (N, d) to those of the targets at a place and around it."""
    highest = torch.full((len(rows), len(small)), -1.0)
    for shift in itertools.product((-PATCH_SHIFT, 0, PATCH_SHIFT), repeat=len(corner)):
        moved = [start + by for start, by in zip(corner, shift, strict=True)]
        if min(moved) >= 0 and max(moved) <= HALF - PATCH:
            torch.maximum(highest, rows @ patch_rows(small, *moved).T, out=highest)
    return highest


@dataclass(frozen=True)
class ReferenceSet:
    """What queries are matched against: M training cases."""

    cases: SmallCases  # as they are
    encoder: nn.Module | None  # that has memorised them; None without the matcher whole
    known: Tensor  # mask (M,) of those that the encoder has learned; only these are compared by it
    matchers: tuple[str, ...] = MATCHERS
    cache: Cache = NOTHING_KEPT  # where what is matched is kept
    pairs: nn.Module | None = None  # says how sure the matcher whole is of a registered pair, where there is an encoder

    @cached_property
    def fingerprint(self) -> str:
        """A hash of the cases, and of the networks' weights."""
        weights = [one.state_dict().values() for one in (self.encoder, self.pairs) if one is not None]
        return f"{self.cases.fingerprint} {fingerprint(self.known, *itertools.chain(*weights))}"

    def nearest(self, matcher: str, queries: SmallCases, match: Callable[[], NearestTwo]) -> NearestTwo:
        """Return what a matcher finds: from the cache, where it was found before."""
        return nearest(self.cache, lambda: self.fingerprint, matcher, queries, match)

    @cached_property
    def targets(self) -> Targets:
        """What whole images are compared with."""
        return Targets(self.cases.in_contrast.images, self.cases.subjects, self.encoder, self.known)


def match(queries: SmallCases, reference_set: ReferenceSet) -> dict[str, NearestTwo]:
    """Return by each matcher the nearest training case of each query, a query's own subject, where known, left out."""
    ways = (_second if set(reference_set.matchers) <= set(SECOND) else _first)(queries, reference_set)
    return {name: reference_set.nearest(name, queries, way) for name, way in ways.items()}


def _second(queries: SmallCases, reference_set: ReferenceSet) -> dict[str, Callable[[], NearestTwo]]:
    """Return what each matcher of the second judgement does."""
    return {name: partial(match_second, queries, reference_set.cases, name) for name in reference_set.matchers}


def _first(queries: SmallCases, reference_set: ReferenceSet) -> dict[str, Callable[[], NearestTwo]]:
    """Return what each matcher of the first judgement does; queries are put in local contrast once, where one asks."""
    r, wanted, seen = reference_set, reference_set.matchers, cache(lambda: in_contrast(queries))
    ways: dict[str, Callable[[], NearestTwo]] = {"pixels": lambda: _pixels(seen(), r)}
    if "whole" in wanted:
        ways["whole"] = lambda: _whole(seen(), r)
    if "patches" in wanted:
        ways["patches"] = lambda: similar_patches(seen(), r.cases.in_contrast)
    if "lesions" in wanted and queries.labels is not None and r.cases.labels is not None:
        ways["lesions"] = lambda: similar_lesions(queries, r.cases, queries.subjects)
    return ways


def _pixels(queries: SmallCases, reference_set: ReferenceSet) -> NearestTwo:
    """Compare queries with all training cases as they lie."""
    targets, blocks = reference_set.cases.in_contrast, range(0, len(queries), MANY)
    parts = [queries[start : start + MANY] for start in blocks]
    return joined(
        [nearest_two(unit(one.images) @ targets.unit_rows.T, targets.subjects, one.subjects) for one in parts]
    )


def match_whole(queries: SmallCases, reference_set: ReferenceSet) -> NearestTwo:
    """Return the nearest training case of each query by the matcher whole."""
    return reference_set.nearest("whole", queries, lambda: _whole(in_contrast(queries), reference_set))


def _whole(queries: SmallCases, reference_set: ReferenceSet) -> NearestTwo:
    targets, network = reference_set.targets, reference_set.pairs
    block = min(BLOCK, max(1, MOST_PAIRS // (views(queries.images.ndim - 2) * len(targets.subjects))))
    parts = [queries[start : start + block] for start in range(0, len(queries), block)]
    return joined([_whole_block(part, targets, network) for part in parts])


def _whole_block(queries: SmallCases, targets: Targets, network: nn.Module | None) -> NearestTwo:
    """Register the most alike training case of each of some subjects to a block of queries, and weigh the best."""
    found = registered(queries.images, queries.subjects, targets)
    pairs, k = (found.query.flatten(0, 1), found.fitted.flatten(0, 1)), found.case.shape[1]
    if network is None:
        fitted = agreement(*pairs).view(-1, k)
        sure = FITTED * torch.atanh(fitted.clamp(-MOST_FITTED, MOST_FITTED))
    else:
        sure = SURE * log_odds(network, *pairs).view(-1, k)
    total = found.likeness + sure
    value, order = total.sort(1, descending=True)
    best, second = value[:, 0], value[:, 1] if k > 1 else torch.zeros(len(value))
    at = torch.arange(len(order)), order[:, 0]
    case, r = found.case[at], agreement(found.query[at], found.fitted[at])
    score = best - torch.where(second.isfinite(), second, torch.zeros_like(second))
    return NearestTwo(case.numpy(), r.double().numpy(), score.double().numpy())

"""What detectors learn and match is kept in a cache, if one is named, for the next evaluation of the same real cohort.

Encoders depend on the training cases, the transformations and the seed, matches on these and on the queries; none of it
on the request. So a second synthetic cohort, a screened one, or the copies that an audit injects are judged without
learning anything twice. What is read is, bit for bit, what computing again would give (evaluation/cache.py); encoders
have memorised patients, so that a cache is INTERNAL.
**Checked** in tests/evaluation/privacy/copies/test_kept.py (the same bits; what misses; damaged entries).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from understudy.evaluation.cache import Cache
from understudy.evaluation.privacy.copies.cases import NearestTwo, SmallCases, fingerprint
from understudy.evaluation.privacy.copies.encoder import Lesson, learn, network
from understudy.evaluation.privacy.copies.pairs import PairLesson, PairNetwork, learn_pairs
from understudy.evaluation.privacy.copies.transforms import Transform, Transformation
from understudy.training.parallel import seeded


def nearest(
    cache: Cache, targets: Callable[[], str], matcher: str, queries: SmallCases, match: Callable[[], NearestTwo]
) -> NearestTwo:
    """Return what a matcher finds for queries: from the cache, or by matching. ``targets`` hashes what it searches."""
    if cache.folder is None:
        return match()
    searched = {"targets": targets(), "queries": queries.fingerprint}
    key = {"what": "nearest training cases", "matcher": matcher, **searched}
    if (found := cache.load(key)) is not None:
        return NearestTwo(found[0].astype(np.int64), found[1], found[2])
    near = match()
    cache.store(key, np.stack([near.case.astype(float), near.first, near.score]))
    return near


def learned(cache: Cache, lesson: Lesson, done: Callable[[], None] = lambda: None) -> nn.Module:
    """Return the encoder that :func:`learn` gives: from the cache, or by learning."""
    if cache.folder is None:
        return learn(lesson, done)
    key = {"what": "encoder of copies", "updates": lesson.updates, "seed": lesson.seed}
    key |= {"images": fingerprint(lesson.images, lesson.subjects), "transformations": _names(lesson.transformations)}
    return _network(cache, key, lambda: learn(lesson, done), lambda: network(lesson.images.shape[1]))


def learned_pairs(cache: Cache, lesson: PairLesson, done: Callable[[], None] = lambda: None) -> nn.Module:
    """Return the pair network that :func:`learn_pairs` gives: from the cache, or by learning."""
    if cache.folder is None:
        return learn_pairs(lesson, done)
    targets = lesson.targets
    assert targets.encoder is not None
    encoder = targets.encoder.state_dict().values()
    key = {"what": "pair network of copies", "queries": lesson.queries, "seed": lesson.seed}
    key["transformations"] = _names(lesson.transformations)
    key["images"] = fingerprint(lesson.images, targets.subjects, targets.known, *encoder)
    return _network(cache, key, lambda: learn_pairs(lesson, done), PairNetwork)


def _network(
    cache: Cache, key: Mapping[str, Any], learn: Callable[[], nn.Module], untrained: Callable[[], nn.Module]
) -> nn.Module:
    """Return a network in evaluation mode: its weights from the cache, or by learning."""
    if (found := cache.load(key)) is None:
        network = learn()
        cache.store(key, np.concatenate([one.double().flatten().numpy() for one in network.state_dict().values()]))
        return network
    with seeded(0):  # what is drawn is overwritten
        network = untrained()
    rest = torch.from_numpy(found)
    for one in network.state_dict().values():
        one.copy_(rest[: one.numel()].view(one.shape))
        rest = rest[one.numel() :]
    return network.eval()


def _names(transformations: Sequence[Transformation]) -> list[tuple[str, str]]:
    return [(one.family, _name(one.augment)) for one in transformations]


def _name(way: Transform | None) -> str:
    """Return the name of a function; of one without a name what no other process says, so that nothing is found."""
    name = getattr(way, "__qualname__", "<")
    return repr(way) if "<" in name or way is None else f"{way.__module__}.{name}"

"""Do a query and a training case that was registered to it show the same person? A small network says how sure it is.

Measures of likeness nearly always name the right training case of a copy (likeness.py). How sure they are depends on
how alike people are; and a stranger's image, deformed, fits as well as a copy does. Where it fits tells them apart. So
the network sees by place, of each channel, where the case shows something::

    query, case     in local contrast
    correlation     of both about each pixel; -1 where a contrast was inverted

Each channel of the query is compared with the channel of the case that has the highest squared correlation: neither
order nor sign of contrasts counts. The result is the log of the odds that both are of one subject. Of unlike pairs
none is less unlike: below :data:`LEAST` they are the same.

It learns from training cases alone: transformed as for the encoder, beside the subjects that they are most alike to,
their own among them; and each as it is, beside other subjects.
**Source**: verification after retrieval, Philbin et al., CVPR 2007, with a learned decision in the place of their count
of inliers; local correlation with a Gaussian window, Cachier et al., Computer Vision and Image Understanding 89 (2003).
**Checked** in tests/evaluation/privacy/copies/test_pairs.py (by hand; same seed, same bits; copies above strangers).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from understudy.core.seed import derive
from understudy.evaluation.privacy.copies.cases import local_contrast
from understudy.evaluation.privacy.copies.encoder import batch, by_family, convolution
from understudy.evaluation.privacy.copies.likeness import Targets, best_start, candidates, viewed
from understudy.evaluation.privacy.copies.registration import blur, disc, register, showing
from understudy.evaluation.privacy.copies.transforms import Transformation
from understudy.training.engine import has_fast_bf16
from understudy.training.parallel import seeded

CANDIDATES = 4  # training cases that are registered to a query, each of another subject
REGISTERED, BLOCK = 64, 256  # queries, pairs at once
WINDOW, LEAST_VARIANCE = 2.5 / 64, 0.01  # of the local correlation: width, a share of the side; what counts as plain
WIDTH, HIDDEN = 16, 32
QUERIES, AGAIN = 2048, 8  # transformed training cases that pairs are made of; how often each case at most
PASSES, BATCH = 4, 64
LEAST = -2.0  # log odds
LEARNING_RATE = 4e-3
INVERTED = 0.3  # channels of a pair that are shown inverted


@dataclass(frozen=True)
class Registered:
    """The K training cases that N queries are most alike to, registered to them."""

    case: Tensor  # int64 (N, K)
    likeness: Tensor  # (N, K) sum of three standard scores; -inf where there is none
    query: Tensor  # (N, K, C, *S) in the view in which it is like the case
    fitted: Tensor  # (N, K, C, *S) the case


def registered(queries: Tensor, own: Tensor, targets: Targets) -> Registered:
    """Register to queries (N, C, *S), in local contrast, the training cases most like them; not those of their own."""
    found = candidates(queries, own, targets, CANDIDATES)
    k, parts = found.case.shape[1], []
    for part in torch.arange(len(queries)).split(REGISTERED):
        view = viewed(queries[part].repeat_interleave(k, 0), found.view[part].flatten())
        case = found.case[part].flatten()
        parts.append(register(view, targets.images[case], best_start(view, targets.images, case)))
    query, fitted = (torch.cat(one).unflatten(0, (-1, k)) for one in zip(*parts, strict=True))
    return Registered(found.case, found.likeness, query, fitted)


def _deviation(images: Tensor, mean: Tensor) -> Tensor:
    """Return the standard deviation about each pixel, of plain places that of LEAST_VARIANCE."""
    return ((blur(images * images, WINDOW) - mean * mean).clamp_min(0) + LEAST_VARIANCE).sqrt()


def local_correlation(a: Tensor, b: Tensor) -> Tensor:
    """Return the correlation (C, N, C, *S) about each pixel of each channel of images (N, C, *S) and all of others.

    The first axis says by how many channels the others are rolled. Near 0 where one of both is plain.
    """
    mean_a, mean_b = blur(a, WINDOW), blur(b, WINDOW)
    spread_a, spread_b, found = _deviation(a, mean_a), _deviation(b, mean_b), []
    for shift in range(a.shape[1]):
        other, mean, spread = (x.roll(shift, 1) for x in (b, mean_b, spread_b))
        found.append((blur(a * other, WINDOW) - mean_a * mean) / (spread_a * spread))
    return torch.stack(found)


def compared(query: Tensor, fitted: Tensor) -> Tensor:
    """Return what the network sees (P, C, 3, *S) of pairs (P, C, *S): query, case and correlation of each channel."""
    inside = disc(query.shape[-1], query.ndim - 2) * showing(fitted)
    correlation = local_correlation(query, fitted)
    best = (correlation.square() * inside).flatten(3).sum(3).argmax(0)  # (P, C)
    pair, channel = torch.arange(len(query))[:, None], torch.arange(query.shape[1])
    case = fitted[pair, (channel - best) % query.shape[1]]
    return torch.stack([query, case, correlation[best, pair, channel]], 2) * inside[:, :, None]


class PairNetwork(nn.Module):
    """Pairs (P, C, 3, 64, 64) -> log odds (P,): one small network for every channel; mean and maximum over them."""

    def __init__(self) -> None:
        super().__init__()
        w = WIDTH
        layers = [(3, w, 2), (w, w, 1), (w, 2 * w, 2), (2 * w, 2 * w, 1), (2 * w, 4 * w, 2)]
        self.channel = nn.Sequential(*(convolution(*one) for one in layers))
        self.decision = nn.Sequential(nn.Linear(8 * w, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 1))

    def forward(self, pairs: Tensor) -> Tensor:
        """Return the log of the odds (P,) that both are of one subject."""
        channels = pairs.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        seen = self.channel(channels).unflatten(0, pairs.shape[:2])
        everywhere = seen.mean((1, 3, 4)), seen.mean((3, 4)).amax(1)
        log_odds: Tensor = self.decision(torch.cat(everywhere, 1))[:, 0]
        return log_odds


@torch.inference_mode()
def log_odds(network: nn.Module, query: Tensor, fitted: Tensor) -> Tensor:
    """Return the log odds (P,) that query and registered case (P, C, 64, 64) are of one subject."""
    parts = []
    for one in zip(query.split(BLOCK), fitted.split(BLOCK), strict=True):
        shown = compared(*one)
        with torch.autocast("cpu", torch.bfloat16, enabled=has_fast_bf16("cpu")):
            parts.append(network(shown).float())
    return torch.cat(parts).clamp_min(LEAST)


@dataclass(frozen=True)
class PairLesson:
    """What a pair network learns from: images (M, C, 64, 64), not in local contrast, of targets with an encoder."""

    images: Tensor
    targets: Targets
    transformations: Sequence[Transformation]
    seed: int
    queries: int = QUERIES  # transformed cases that pairs are made of, at most


def learn_pairs(lesson: PairLesson, done: Callable[[], None] = lambda: None) -> nn.Module:
    """Return a pair network, in evaluation mode, that has learned; each update ends with ``done``."""
    with seeded(derive(lesson.seed, "copies", "pairs", "weights")):
        network = PairNetwork().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    draw = torch.Generator().manual_seed(derive(lesson.seed, "copies", "pairs"))
    pairs, same = _examples(lesson, draw)
    batches = max(1, len(pairs) // BATCH)
    optimizer = torch.optim.AdamW(network.parameters(), LEARNING_RATE, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=PASSES * batches)
    for _ in range(PASSES):
        for chosen in torch.randperm(len(pairs), generator=draw).split(BATCH)[:batches]:
            shown = _as_any(pairs[chosen].float(), draw)
            with torch.autocast("cpu", torch.bfloat16, enabled=has_fast_bf16("cpu")):
                found = network(shown).float()
            optimizer.zero_grad(set_to_none=True)
            F.binary_cross_entropy_with_logits(found, same[chosen]).backward()
            optimizer.step()
            schedule.step()
            done()
    return network.eval()


def pair_updates(cases: int, queries: int = QUERIES) -> int:
    """Return in how many updates a pair network learns from queries of so many training cases of enough subjects."""
    shown = min(AGAIN * cases, queries) + min(cases, queries // 2)
    return PASSES * max(1, shown * CANDIDATES // BATCH)


def _examples(lesson: PairLesson, draw: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return pairs (P, C, 3, 64, 64) of training cases, and whether (P,) both are of one subject."""
    targets, ways = lesson.targets, by_family(lesson.transformations)
    known = targets.known.nonzero()[:, 0]
    orders = [known[torch.randperm(len(known), generator=draw)] for _ in range(AGAIN)]
    again, as_they_are = torch.cat(orders)[: lesson.queries], orders[0][: lesson.queries // 2]
    changed = (batch(lesson.images[rows], ways, draw, untouched=0) for rows in again.split(REGISTERED))
    transformed, nobody = local_contrast(torch.cat(list(changed))), torch.full((len(again),), -1)
    asked = [*zip(transformed.split(BLOCK), nobody.split(BLOCK), again.split(BLOCK), strict=True)]
    asked += [(targets.images[rows], targets.subjects[rows], rows) for rows in as_they_are.split(BLOCK)]
    most = CANDIDATES * (len(again) + len(as_they_are))
    pairs, same = torch.empty(most, targets.images.shape[1], 3, *targets.images.shape[2:], dtype=torch.bfloat16), []
    filled = 0  # in place: the pairs are most of what is in memory
    for one in asked:
        seen, alike = _beside_others(*one, targets)
        pairs[filled : filled + len(seen)] = seen
        filled += len(seen)
        same.append(alike)
    return pairs[:filled], torch.cat(same)


def _beside_others(shown: Tensor, own: Tensor, rows: Tensor, targets: Targets) -> tuple[Tensor, Tensor]:
    """Return pairs of what was made of some training cases and its candidates, and whether both are of one subject."""
    found = registered(shown, own, targets)
    there = found.likeness.isfinite()
    same = targets.subjects[found.case] == targets.subjects[rows][:, None]
    blocks = zip(found.query[there].split(BLOCK), found.fitted[there].split(BLOCK), strict=True)
    return torch.cat([compared(*one).bfloat16() for one in blocks]), same[there].float()


def _as_any(pairs: Tensor, draw: torch.Generator) -> Tensor:
    """Return pairs (P, C, 3, 64, 64) turned and mirrored together, some channels of the query inverted."""
    sign = 1.0 - 2.0 * (torch.rand(pairs.shape[:2], generator=draw) < INVERTED).float()
    signs = torch.stack([sign, torch.ones_like(sign), sign], 2)
    turned = torch.rot90(pairs * signs[..., None, None], int(torch.randint(4, (1,), generator=draw)), (3, 4))
    return turned.flip(4) if torch.rand(1, generator=draw) < 0.5 else turned

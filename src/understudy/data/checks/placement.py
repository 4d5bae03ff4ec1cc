"""Placement: would label maps fit their images better turned, mirrored or shifted?

A label map fits where it explains the image near it: the share of the variance of the pixels in and within ``RING``
pixels of its structures that lies between its classes, the mean over channels. It is compared with the
same map under the other elements of the square group (transposed only where sides are equal; in 3D every order and
direction of the axes) and shifted by up to 3 pixels along each axis (in 3D by the same number along each).

**All are wrong**: another placement fits clearly better (score from ``MIN_SCORE``, the own one at most ``MAX_LEFT`` of
it), in the mean over subjects and in ``MIN_WINS`` of the subjects, which no chance explains: sign test over subjects,
p < ``ALPHA`` over all placements (so 13 subjects at least). **Some are wrong**: the cases that fit clearly better in
one other turn are at least ``MIN_CASES``, ``MIN_SHARE`` of those that fit clearly anywhere, of ``MIN_SUBJECTS``, and
``TIMES`` as many as in the next frequent turn and one more, which shows how often that comes about by chance.
**Differs** from registration: nothing is estimated between pixels. Structures that hardly differ from what is around
them (a hippocampus in T1: score 0.08) tell nothing either way, and nothing is said of them.
**Checked** in tests/data/checks/test_placement.py.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import permutations, product

import numpy as np
from scipy import ndimage
from scipy.stats import binomtest

from understudy.core.cohort import Cohort
from understudy.core.statistics import Groups, by_subject
from understudy.data.checks.notice import Notice, evenly, warning

RING, FARTHEST = 3, 3  # pixels
MIN_SIDE = 16  # pixels
MIN_INSIDE = 0.75  # share of the pixels
MAX_POINTS = 1024  # of a case
MAX_CASES = {2: 1000, 3: 100}  # looked at, by dimensions
MIN_SCORE, MAX_LEFT = 0.15, 2 / 3
MIN_WINS, ALPHA = 0.8, 0.01
MIN_CASES, MIN_SHARE, MIN_SUBJECTS, TIMES = 8, 0.08, 3, 4
TURNS: dict[tuple[tuple[int, ...], tuple[int, ...]], str] = {
    ((0, 1), (1, -1)): "mirrored left to right",
    ((0, 1), (-1, 1)): "mirrored top to bottom",
    ((0, 1), (-1, -1)): "turned by 180 degrees",
    ((1, 0), (1, 1)): "transposed",
    ((1, 0), (-1, -1)): "transposed along the other diagonal",
    ((1, 0), (1, -1)): "turned by 90 degrees clockwise",
    ((1, 0), (-1, 1)): "turned by 90 degrees anticlockwise",
}


@dataclass(frozen=True)
class Placement:
    """Where a label map is put: its axes in this order, then directions (1 or -1), then a shift, per new axis."""

    axes: tuple[int, ...]
    directions: tuple[int, ...]
    shift: tuple[int, ...]

    @property
    def is_turn(self) -> bool:
        """Whether nothing is shifted."""
        return not any(self.shift)

    @property
    def words(self) -> str:
        """The placement in words."""
        if not self.is_turn:
            return self._shift_words()
        if len(self.axes) == 2:
            return TURNS[self.axes, self.directions]
        mirrored = [str(axis + 1) for axis, direction in enumerate(self.directions) if direction < 0]
        order = "" if self.axes == (0, 1, 2) else f"with axes in the order {', '.join(str(a + 1) for a in self.axes)}"
        flip = f"mirrored along axis {' and '.join(mirrored)}" if mirrored else ""
        return " and ".join(filter(None, [order, flip]))

    def _shift_words(self) -> str:
        if len(self.axes) == 3:
            return f"shifted by {self.shift} voxels"
        ways = zip(self.shift, (("up", "down"), ("left", "right")), strict=True)
        return f"shifted by {' and '.join(f'{abs(by)} px {names[by > 0]}' for by, names in ways if by)}"


def placements(size: tuple[int, ...]) -> list[Placement]:
    """Return the placements that keep the size: as it is, the other turns, the shifts."""
    dims = len(size)
    orders = [axes for axes in permutations(range(dims)) if tuple(size[a] for a in axes) == tuple(size)]
    turns = [Placement(axes, ways, (0,) * dims) for axes in orders for ways in product((1, -1), repeat=dims)]
    steps = [range(-FARTHEST, FARTHEST + 1)] if dims == 2 else [(-s, 0, s) for s in range(1, FARTHEST + 1)]
    shifts = [shift for step in steps for shift in product(step, repeat=dims) if any(shift)]
    return turns + [Placement(tuple(range(dims)), (1,) * dims, shift) for shift in shifts]


def scores(image: np.ndarray, labels: np.ndarray, places: list[Placement]) -> np.ndarray:
    """Return how well a label map (*S) explains an image (C, *S), up to 1, in each placement; 0 is chance.

    The share of the variance is that of the population (epsilon squared), so that few pixels explain no more than
    many. A placement that brings more than a quarter of them off the picture scores 0.
    """
    near = ndimage.binary_dilation(labels > 0, iterations=RING)
    points = np.argwhere(near)
    points = points[:: -(-len(points) // MAX_POINTS)]
    known = np.unique(labels[tuple(points.T)], return_inverse=True)[1]
    classes = np.eye(known.max() + 1, dtype=np.float32)[known]
    inside, flat = _moved(points, labels.shape, places)
    pixels = image.reshape(len(image), -1).astype(np.float32)
    pixels -= pixels.mean(1, keepdims=True)
    values = pixels[:, flat] * inside  # channel, placement, point
    number = inside.astype(np.float32) @ classes
    sums, n = values @ classes, np.maximum(number.sum(-1), 1)
    mean = sums.sum(-1) ** 2 / n
    total = (values**2).sum(-1) - mean
    between = (sums**2 / np.maximum(number, 1)).sum(-1) - mean
    freedom = (number > 0).sum(-1)
    between = between - (freedom - 1) * (total - between) / np.maximum(n - freedom, 1)
    told = total > 1e-6 * np.maximum((pixels**2).mean(1), 1e-12)[:, None] * n
    told &= n >= MIN_INSIDE * len(points)
    share = np.divide(between, total, out=np.zeros_like(total), where=told)
    return np.asarray(np.maximum(share, 0).mean(0))


def _moved(points: np.ndarray, size: tuple[int, ...], places: list[Placement]) -> tuple[np.ndarray, np.ndarray]:
    """Whether points (n, dims) of a label map lie on the picture in each placement, and at which pixel; both (T, n)."""
    axes, ways, shift = (np.array([getattr(place, name) for place in places]) for name in Placement.__annotations__)
    last = np.array(size) - 1
    moved = points[:, axes] * ways + np.where(ways < 0, last, 0) + shift  # point, placement, axis
    inside = ((moved >= 0) & (moved <= last)).all(-1).T
    return inside, np.ravel_multi_index(tuple(np.moveaxis(np.clip(moved, 0, last), -1, 0)), size).T


def misplaced(cohort: Cohort, labelled: list[int]) -> Iterable[Notice]:
    """Say where the label maps of these rows, which hold something, fit their images better in another placement."""
    if cohort.images is None or cohort.labels is None or min(cohort.size) < MIN_SIDE or not labelled:
        return
    rows, places = evenly(labelled, MAX_CASES[len(cohort.size)]), placements(cohort.size)
    labels = np.asarray(cohort.labels)
    found = np.array([scores(cohort.images[row], labels[row], places) for row in rows])
    subjects = by_subject(cohort.column("subject_id")[rows])
    if best := all_wrong(found, subjects):
        yield warning(
            f"the label maps fit their images better {places[best].words}, in {(found[:, best] > found[:, 0]).sum()} "
            f"of {len(found)} cases looked at: look at some (--look), mend the source, and import again"
        )
        return
    turns = sum(place.is_turn for place in places)
    best, count, chance = some_wrong(found[:, :turns], subjects)
    if best:
        yield warning(
            f"the label maps of {count} of {len(found)} cases looked at fit their images clearly better "
            f"{places[best].words}, where chance gives about {chance}: are those of one reader or scanner turned? "
            "Look at them (--look)"
        )


def all_wrong(found: np.ndarray, subjects: Groups) -> int:
    """Return the placement that fits better in nearly all subjects, by scores (cases, placements); 0 if none does."""
    sums = np.zeros((len(subjects.counts), found.shape[1]))
    np.add.at(sums, subjects.number, found)
    means = sums / subjects.counts[:, None]
    mean, wins = means.mean(0), (means > means[:, :1]).sum(0)
    best = int(mean.argmax())
    clear = mean[best] >= MIN_SCORE and mean[0] <= MAX_LEFT * mean[best] and wins[best] >= MIN_WINS * len(means)
    p = binomtest(int(wins[best]), len(means), alternative="greater").pvalue
    return best if clear and p < ALPHA / (found.shape[1] - 1) else 0


def some_wrong(turned: np.ndarray, subjects: Groups) -> tuple[int, int, int]:
    """Return the turn that some cases fit clearly better in, by scores (cases, turns); how many; how many by chance.

    All three are 0 where no turn stands out.
    """
    second, first = np.sort(turned, 1)[:, -2:].T
    clear = np.flatnonzero((first >= MIN_SCORE) & (second <= MAX_LEFT * first))
    turn = turned[clear].argmax(1)
    counts = np.bincount(turn, minlength=turned.shape[1])
    best = 1 + int(counts[1:].argmax())
    count, chance = int(counts[best]), int(np.delete(counts[1:], best - 1).max())
    people = len(np.unique(subjects.number[clear[turn == best]]))
    enough = count >= max(MIN_CASES, MIN_SHARE * len(clear)) and people >= MIN_SUBJECTS
    return (best, count, chance) if enough and count >= TIMES * (chance + 1) else (0, 0, 0)

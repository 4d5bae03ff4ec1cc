"""Content: labels that lie on air, channels that hold one picture twice, channels that are one value nearly throughout.

Air is where every channel has the lowest value of its image, where that is ``MIN_AIR`` of the picture or more: a crop
without air has none. All is counted block by block. **Checked** in tests/data/checks/test_content.py.
"""

from collections import Counter
from collections.abc import Iterable
from itertools import combinations

import numpy as np

from understudy.core.cohort import Cohort
from understudy.data.checks.notice import Notice, warning

MIN_AIR = 0.05  # share of a picture at its lowest value
ON_AIR = 0.5  # share of the pixels of a class in a case, from which on the case counts
SAME = 0.9999  # correlation of two channels
SPARSE = 0.99  # share of pixels with one value
AIR_NAMES = {"air", "background", "outside", "outside the body"}  # classes that belong there


class Content:
    """Counts over a cohort; blocks are added one by one."""

    def __init__(self, cohort: Cohort) -> None:
        """Start with nothing counted."""
        self.cohort = cohort
        self.classes = len(cohort.scheme or ())
        self.on_air = np.zeros(self.classes, int)  # cases, by class
        self.with_class = np.zeros(self.classes, int)
        self.same: Counter[tuple[int, int]] = Counter()  # cases, by a pair of channels
        self.varied: Counter[tuple[int, int]] = Counter()  # cases in which both channels vary
        self.lowest = np.zeros(cohort.encoding.image_channels)  # pixels
        self.seen = 0  # pixels

    def add(self, images: np.ndarray, labels: np.ndarray | None) -> None:
        """Count a block: images (n, C, *S) without NaN, label maps (n, *S) of 0..K-1 or None."""
        flat = images.reshape(*images.shape[:2], -1)
        at_lowest = flat == flat.min(2, keepdims=True)
        self.lowest += at_lowest.sum((0, 2))
        self.seen += flat.shape[0] * flat.shape[2]
        if labels is not None:
            self._air(at_lowest.all(1), labels.reshape(len(labels), -1))
        if flat.shape[1] > 1:
            self._channels(flat)

    def _air(self, air: np.ndarray, labels: np.ndarray) -> None:
        """Count the cases whose pixels of a class lie on air; both (n, P)."""
        n, classes = len(labels), max(self.classes, int(labels.max()) + 1)
        index = labels + classes * (air + 2 * np.arange(n)[:, None])
        counts = np.bincount(index.reshape(-1), minlength=2 * n * classes).reshape(n, 2, classes)[..., : self.classes]
        there, on_air = counts.sum(1), counts[:, 1]
        has_air = air.mean(1) >= MIN_AIR
        self.with_class += (there > 0).sum(0)
        self.on_air += ((there > 0) & (on_air >= ON_AIR * there) & has_air[:, None]).sum(0)

    def _channels(self, flat: np.ndarray) -> None:
        """Count the cases in which two channels (n, C, P) are the same but for scale."""
        values = flat.astype(np.float32)
        values -= values.mean(2, keepdims=True)
        gram = values @ values.transpose(0, 2, 1)
        power = np.sqrt(np.maximum(np.diagonal(gram, axis1=1, axis2=2), 0))
        for a, b in combinations(range(flat.shape[1]), 2):
            product = power[:, a] * power[:, b]
            varied = product > 0
            self.varied[a, b] += int(varied.sum())
            self.same[a, b] += int((np.abs(gram[:, a, b]) > SAME * product)[varied].sum())

    def notices(self) -> Iterable[Notice]:
        """Say what was counted."""
        channels = self.cohort.encoding.channels
        for (a, b), count in sorted(self.same.items()):
            if 2 * count > self.varied[a, b]:
                yield warning(
                    f"the channels {channels[a].name!r} and {channels[b].name!r} hold one picture, brightness aside, "
                    f"in {count} of {self.varied[a, b]} cases: leave one out (a grey picture stored as colour?)"
                )
        for channel, lowest in zip(channels, self.lowest, strict=True):
            if self.seen and SPARSE * self.seen < lowest < self.seen:
                yield warning(
                    f"{100 * lowest / self.seen:.4g} % of the pixels of channel {channel.name!r} have the lowest value "
                    "of their image: percentiles of so sparse a picture are those of its background; import with "
                    "--intensity minmax or volume-max, or crop"
                )
        names = self.cohort.scheme.names if self.cohort.scheme else ()
        for k, name in enumerate(names):
            if k and self.on_air[k] and name.lower() not in AIR_NAMES:
                yield warning(
                    f"the class {name!r} lies on air in {self.on_air[k]} of the {self.with_class[k]} cases that have "
                    "it: half of its pixels or more are where every channel has the lowest value of the image; are "
                    "these label maps of other images?"
                )

"""Parts of an image that are a real one's: a channel, or a plane of a volume, where the whole image is none.

Each channel is compared with the same one of every real image, each plane of a volume with every real plane of that
channel, by Pearson's r; both block by block, exactly (evaluation/nearest.py). A plane counts where a quarter of its
pixels are brighter than its darkest: the first slices of a head are alike by chance.
**Checked** in tests/release/test_parts.py (one channel brighter or with less contrast, one plane in another place).
"""

from collections.abc import Iterator

import numpy as np

from understudy.core.cohort import Cohort
from understudy.evaluation.nearest import Rows, nearest, unit_vectors
from understudy.evaluation.privacy.pearson import ImageVectors

FILLED = 0.25  # share of a plane's pixels


def nearest_parts(cohort: Cohort, real: Cohort) -> Iterator[tuple[str, float]]:
    """Yield what was compared, and the highest r of any such part of a cohort to any real one."""
    if cohort.images is None or real.images is None:
        return
    for c, channel in enumerate(cohort.encoding.channels):
        if len(cohort.encoding.channels) > 1:
            one, other = (ImageVectors(each, each.rows(), np.array([c])) for each in (cohort, real))
            yield f"channel {channel.name!r}", _highest(one, other)
        if len(cohort.size) == 3:
            yield f"a plane of channel {channel.name!r}", _highest(PlaneVectors(cohort, c), PlaneVectors(real, c))


def _highest(query: Rows, target: Rows) -> float:
    return float(nearest(query, target).r.max())


class PlaneVectors:
    """The planes of all volumes of a cohort, of one channel, as centred unit vectors; zeros where one is too empty."""

    def __init__(self, cohort: Cohort, channel: int) -> None:
        self._cohort, self._channel, self._depth = cohort, channel, cohort.size[0]
        self.dimension = int(np.prod(cohort.size[1:]))

    def __len__(self) -> int:
        """Return the number of planes."""
        return len(self._cohort) * self._depth

    def block(self, start: int, stop: int) -> np.ndarray:
        """Return the planes ``start`` to ``stop`` as float32 (n, dimension)."""
        assert self._cohort.images is not None
        first, last = start // self._depth, -(-stop // self._depth)
        images = self._cohort.encoding.encode_images(np.asarray(self._cohort.images[first:last]))[:, self._channel]
        planes = images.reshape(-1, self.dimension)[start - first * self._depth : stop - first * self._depth]
        filled = (planes > planes.min(1, keepdims=True)).mean(1, keepdims=True) >= FILLED
        return unit_vectors(planes) * filled

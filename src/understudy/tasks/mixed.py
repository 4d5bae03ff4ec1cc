"""Training cases of two kinds in a given share: what is seen too seldom is repeated, as often as it takes.

**Source**: Akbar et al., Brain tumor segmentation using synthetic MR images (Sci Data 11:259, 2024): real slices are
repeated so that real and synthetic ones are seen equally often, a share of a half. **Differs**: any share of whole
percents. Within a kind no case stands more than once oftener than another.
**Checked** in tests/tasks/test_mixed.py (shares are exact; a half is what it always was).
"""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from understudy.tasks.fitting import Cases


@dataclass(frozen=True)
class Mixed:
    """Cases of two sets in a cycle of positions: of every q positions the last p are the second set's.

    Attributes:
        first: e.g. real cases.
        second: e.g. synthetic cases.
        share: p / q, of the positions that are the second set's; above 0 and below 1, in whole percents.
    """

    first: Cases
    second: Cases
    share: float = 0.5

    @property
    def _slots(self) -> tuple[int, int]:
        """Positions of either set in a cycle: q - p and p."""
        share = Fraction(round(100 * self.share), 100)
        return share.denominator - share.numerator, share.numerator

    def __len__(self) -> int:
        """Return the number of positions, in whole cycles; each case of either set stands in them at least once."""
        sets = zip((self.first, self.second), self._slots, strict=True)
        return sum(self._slots) * max(-(-len(cases) // slots) for cases, slots in sets)

    def read(self, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return images and targets at the chosen positions; see :class:`understudy.tasks.fitting.Cases`."""
        images: list[np.ndarray] = [np.empty(0)] * len(chosen)
        targets: list[np.ndarray] = [np.empty(0)] * len(chosen)
        cycle, slot = np.divmod(chosen, sum(self._slots))
        begin = 0
        for cases, slots in zip((self.first, self.second), self._slots, strict=True):
            places = np.flatnonzero((begin <= slot) & (slot < begin + slots))
            if len(places):
                found = cases.read((cycle[places] * slots + slot[places] - begin) % len(cases))
                for place, image, target in zip(places.tolist(), *found, strict=True):
                    images[place], targets[place] = image, target
            begin += slots
        return np.stack(images), np.stack(targets)

"""Training cases of two kinds, equally represented: the smaller set is repeated, as often as it takes.

**Source**: Akbar et al., Brain tumor segmentation using synthetic MR images (Sci Data 11:259, 2024): real slices are
repeated so that real and synthetic ones are seen equally often. **Checked** in tests/tasks/test_balanced.py.
"""

from dataclasses import dataclass

import numpy as np

from understudy.tasks.fitting import Cases


@dataclass(frozen=True)
class Balanced:
    """Cases of two sets in turn: even positions are the first set's, odd ones the second's."""

    first: Cases
    second: Cases

    def __len__(self) -> int:
        """Return the number of positions; the larger set stands in it once."""
        return 2 * max(len(self.first), len(self.second))

    def read(self, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return images and targets at the chosen positions; see :class:`understudy.tasks.fitting.Cases`."""
        images: list[np.ndarray] = [np.empty(0)] * len(chosen)
        targets: list[np.ndarray] = [np.empty(0)] * len(chosen)
        for parity, cases in enumerate((self.first, self.second)):
            places = np.flatnonzero(chosen % 2 == parity)
            if len(places):
                found = cases.read(chosen[places] // 2 % len(cases))
                for place, image, target in zip(places.tolist(), *found, strict=True):
                    images[place], targets[place] = image, target
        return np.stack(images), np.stack(targets)

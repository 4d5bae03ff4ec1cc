"""Label maps as good as equal: a real one, shifted, mirrored, turned by quarters, or with a few voxels changed.

A map is laid over a real one so that the centroids of their foregrounds meet, once for each mirror image along an axis
and, in square planes, with rows and columns exchanged. They are as good as equal where at most 3 % of the foreground
differ, and always where two voxels do; a voxel counts twice where both maps have a class there, and not the same.
Maps with less foreground than the policy's ``label_voxels`` are alike by chance, and do not count.
**Not covered**: a map that was cut at the border by its shift, deformed, or changed in more voxels: ``evaluate
privacy`` compares label maps by how near those of unseen subjects lie.
**Checked** in tests/release/test_map_copies.py. Of lgg_tcga's label maps at 64 px none is as good as equal to another
subject's, and from 8 % on three of 302 are.
"""

from collections.abc import Iterator
from itertools import product

import numpy as np

DIFFERENT = 0.03  # of the foreground
VOXELS = 2  # that may differ in any case


class RealMaps:
    """Label maps uint8 (N, *S) of real cases, those with at least ``fewest`` voxels of foreground."""

    def __init__(self, labels: np.ndarray, fewest: int) -> None:
        """Move the centroid of each map's foreground to the first voxel, around the border."""
        self._fewest = fewest
        moved = []
        for i in range(len(labels)):
            label = np.asarray(labels[i], np.uint8)
            places = np.argwhere(label)
            if len(places) >= fewest:
                middle = np.rint(places.mean(0)).astype(int)
                moved.append((len(places), np.roll(label, -middle, range(label.ndim)).ravel()))
        moved.sort(key=lambda one: one[0])
        self._sizes = np.array([size for size, _ in moved], int)
        self._maps = np.array([flat for _, flat in moved], np.uint8)

    def copies(self, labels: np.ndarray) -> int:
        """Count the label maps (n, *S) that are as good as equal to a real one."""
        if not len(self._maps) or np.prod(labels.shape[1:]) != self._maps.shape[1]:
            return 0
        return sum(self._is_copy(np.asarray(labels[i], np.uint8)) for i in range(len(labels)))

    def _is_copy(self, label: np.ndarray) -> bool:
        places = np.argwhere(label)
        n, allowed = len(places), max(VOXELS, int(DIFFERENT * len(places)))
        first, last = np.searchsorted(self._sizes, [n - allowed, n + allowed + 1])
        if n < self._fewest or first == last:
            return False
        classes, sizes, maps = label[tuple(places.T)], self._sizes[first:last], self._maps[first:last]
        for index in _laid(places, label.shape):
            equal = (maps[:, index] == classes).sum(1)
            if (sizes + n - 2 * equal <= allowed).any():
                return True
        return False


def _laid(places: np.ndarray, shape: tuple[int, ...]) -> Iterator[np.ndarray]:
    """Yield the flat indices of some voxels (n, dims) with their centroid at the first one, in each way it can lie."""
    ways = [places, places[:, [*range(places.shape[1] - 2), -1, -2]]] if shape[-1] == shape[-2] else [places]
    for one, signs in product(ways, product((1, -1), repeat=places.shape[1])):
        mirrored = one * np.array(signs)
        middle = mirrored.mean(0)
        for corner in set(product(*zip(np.floor(middle).astype(int), np.ceil(middle).astype(int), strict=True))):
            yield np.ravel_multi_index(tuple(((mirrored - np.array(corner)) % np.array(shape)).T), shape)

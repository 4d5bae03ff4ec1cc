"""Real pixels among arrays of images: the same patch, at any place; nearly the same image; the same label map.

Images are brought to one scale of 65,536 levels over each channel's range. **Patches**: every block of 8 x 8 of a fixed
grid over the real images, if it has at least 16 different values, is looked for at every place of every image and
channel: whatever holds 15 x 15 real pixels as they are holds a whole block. **Near**: the highest Pearson r of the
whole image to any real one, as ``evaluate privacy`` measures it. **Label maps**: equality.
**Not covered**: a real image that was mirrored, turned, warped or mixed; `evaluate privacy` looks for copies in
disguise, this for real data that slipped in. **Checked** in tests/release/test_pixels.py. On lgg_tcga at 64 px no image
of 210 of the test subjects has a patch in common with other subjects' 100,765, and the highest r between subjects is
0.918.
"""

import hashlib
from collections.abc import Iterator

import numpy as np

from understudy.core.cohort import Cohort
from understudy.evaluation.privacy.correlation import ImageVectors, nearest
from understudy.evaluation.search import ArrayRows, UnitRows

BLOCK = 8  # side of a patch
FEWEST_VALUES = 16  # different ones in a patch: fewer can be equal by chance
ROWS = 32  # cases read at once
LEVELS = 2**16 - 1


class RealPixels:
    """The real images and label maps, ready to be compared with.

    Args:
        real: the real cohort.
        label_voxels: foreground from which a label map counts; None: label maps may be real ones.
    """

    def __init__(self, real: Cohort, label_voxels: int | None) -> None:
        """Hash the patches and label maps of all cases, of all splits."""
        self.cohort, self._fewest = real, label_voxels
        random = np.random.default_rng(8)  # any weights serve: they only have to be the same on both sides
        self._weights = random.integers(1, 2**63, (2, BLOCK), dtype=np.uint64) | np.uint64(1)
        blocks = [self._blocks(planes) for planes in _cohort_planes(real)]
        self._patches = np.unique(np.concatenate([*blocks, np.empty(0, np.uint64)]))
        self._maps = set(self._map_hashes(real.labels)) if real.labels is not None else set()

    def same_patches(self, images: np.ndarray) -> int:
        """Count the planes with a real patch among images float (n, C, *S) in [-1, 1]."""
        return sum(self._with_patch(planes(images[i : i + ROWS])) for i in range(0, len(images), ROWS))

    def same_patches_of(self, cohort: Cohort) -> int:
        """Count the planes with a real patch in a cohort."""
        return sum(self._with_patch(each) for each in _cohort_planes(cohort))

    def nearest_of(self, cohort: Cohort) -> float:
        """Return the highest r of any image of a cohort to any real one; -1 without images."""
        if cohort.images is None or self.cohort.images is None:
            return -1.0
        target = ImageVectors(self.cohort, self.cohort.rows())
        return float(nearest(ImageVectors(cohort, cohort.rows()), target).r.max())

    def nearest_to(self, images: np.ndarray) -> float:
        """Return the highest r of images float (n, C, *S) in [-1, 1] to any real one of the same size; else -1."""
        if self.cohort.images is None or images.shape[1:] != self.cohort.images.shape[1:] or not len(images):
            return -1.0
        return float(nearest(UnitRows(ArrayRows(images)), ImageVectors(self.cohort, self.cohort.rows())).r.max())

    def same_maps(self, labels: np.ndarray) -> int:
        """Count the label maps (n, *S) that equal a real one."""
        return sum(digest in self._maps for digest in self._map_hashes(labels))

    def _map_hashes(self, labels: np.ndarray) -> Iterator[bytes]:
        """Yield the hash of each label map with enough foreground."""
        if self._fewest is None:
            return
        for i in range(len(labels)):
            case = np.ascontiguousarray(labels[i], np.uint8)
            if np.count_nonzero(case) >= self._fewest:
                yield hashlib.sha256(case.tobytes()).digest()

    def _with_patch(self, levels: np.ndarray) -> int:
        if min(levels.shape[1:]) < BLOCK or not len(self._patches):
            return 0
        windows = self._windows(levels).reshape(len(levels), -1)
        at = np.searchsorted(self._patches, windows).clip(max=len(self._patches) - 1)
        return int((self._patches[at] == windows).any(1).sum())

    def _blocks(self, levels: np.ndarray) -> np.ndarray:
        """Return the hashes of the blocks of a fixed grid that have enough different values."""
        m, height, width = levels.shape
        if min(height, width) < BLOCK:
            return np.empty(0, np.uint64)
        high, wide = height // BLOCK, width // BLOCK
        cut = levels[:, : high * BLOCK, : wide * BLOCK].reshape(m, high, BLOCK, wide, BLOCK)
        flat = np.sort(cut.transpose(0, 1, 3, 2, 4).reshape(-1, BLOCK * BLOCK), 1)
        rich = 1 + (np.diff(flat, axis=1) != 0).sum(1) >= FEWEST_VALUES
        return self._windows(levels)[:, ::BLOCK, ::BLOCK][:, :high, :wide].ravel()[rich]

    def _windows(self, levels: np.ndarray) -> np.ndarray:
        """Return the hash of the window at each place, uint64 (m, H - 7, W - 7); sums wrap at 2^64."""
        m, high, wide = len(levels), levels.shape[1] - BLOCK + 1, levels.shape[2] - BLOCK + 1
        rows, result = np.zeros((m, high, levels.shape[2]), np.uint64), np.zeros((m, high, wide), np.uint64)
        for i in range(BLOCK):
            rows += self._weights[0, i] * levels[:, i : i + high].astype(np.uint64)
        for j in range(BLOCK):
            result += self._weights[1, j] * rows[:, :, j : j + wide]
        return result


def planes(encoded: np.ndarray) -> np.ndarray:
    """Return images float (n, C, *S) in [-1, 1] as planes (m, H, W) of 65,536 levels, uint16."""
    levels = np.rint((encoded.astype(np.float64) + 1) / 2 * LEVELS).clip(0, LEVELS).astype(np.uint16)
    return levels.reshape(-1, *levels.shape[-2:])


def _cohort_planes(cohort: Cohort) -> Iterator[np.ndarray]:
    for start in range(0, len(cohort) if cohort.images is not None else 0, ROWS):
        assert cohort.images is not None
        yield planes(cohort.encoding.encode_images(np.asarray(cohort.images[start : start + ROWS])))

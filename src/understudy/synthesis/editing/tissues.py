"""Tissue classes without labels: a mixture of Gaussians on the intensities of all channels; background beside the body.

The mixture is fitted on body voxels of the training cases, lesions left out, and read on every case; its classes are
ordered by their mean in the first channel. Before that, each channel of a subject is shifted and scaled by its own
median and spread within the body, over all cases of the subject, for scanners differ in gain; this can be left out. The
body is what is brighter, in some channel, than a threshold by Otsu's method over the training cases, without specks and
with its holes filled.
**Source**: the mixture is scikit-learn's; N. Otsu, A threshold selection method from gray-level histograms, IEEE Trans.
Syst. Man Cybern. 9, 1979. **Differs** from an atlas-based segmentation (FreeSurfer, as Platscher et al. use): classes
are intensities, and know neither place nor name.
**Checked** in tests/synthesis/editing/test_tissues.py (known classes, also at another gain; a body with holes; seeds).
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from sklearn.mixture import GaussianMixture

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.seed import derive, rng

VOXELS, SUBJECT_VOXELS = 100_000, 5_000  # that a mixture is fitted on; that a subject's median and spread are read from
SPREAD = (10, 90)  # percentiles
NARROWEST = 0.01  # spread of a channel, of its range from -1 to 1
BINS = 256
SPECK = 0.01  # of the image: connected parts smaller than this share are no body
RIM = 0.5  # of the way from air to Otsu's threshold: what shares its voxel with air is body
AGAIN, DISTINCT, DARK = 2, 0.8, 0.2  # how often what is dark is parted again, how well it must part, and how far


@dataclass(frozen=True)
class Mixture:
    """Settings of tissue classes."""

    tissues: int  # how many, 1 to 50
    smoothing: float = 0.5  # voxels, 0 to 20; width of the Gaussian that smooths each class's probability
    adapt: bool = True  # shift and scale each subject's channels by their own median and spread first
    whole: bool = False  # all of the image is body, as in images cut out of one

    def __post_init__(self) -> None:
        if not 1 <= self.tissues <= 50 or not 0 <= self.smoothing <= 20:
            raise UsageError(
                "anatomy has 1 to 50 tissue classes and a smoothing of 0 to 20 voxels; found "
                f"{self.tissues} and {self.smoothing:g}"
            )


class Tissues:
    """Tissue classes of a cohort.

    Attributes:
        mixture: of channel intensities.
        order: (K,) its components by their mean in the first channel.
        threshold: above it, in some channel, is body; None: all is body.
    """

    def __init__(self, cohort: Cohort, rows: np.ndarray, config: Mixture, seed: int) -> None:
        """Fit on rows, lesions left out; raises UnderstudyError for fewer different body voxels than classes."""
        self.cohort, self.config, self.seed = cohort, config, seed
        self.threshold: float | None = None
        self._levels: dict[str, np.ndarray] = {}
        self._rows: dict[str, list[int]] = {}
        for row, name in enumerate(cohort.column("subject_id").tolist()):
            self._rows.setdefault(name, []).append(row)
        each = max(1, VOXELS // len(rows))
        if not config.whole:
            everywhere = [_drawn(images_of(cohort, row), None, each, seed, row) for row in rows.tolist()]
            self.threshold = body_threshold(np.concatenate(everywhere).max(1))
        values = np.concatenate([(self._within(row, each) - self._level(row)[0]) / self._level(row)[1] for row in rows])
        if len(np.unique(values, axis=0)) < config.tissues:
            raise UnderstudyError(
                f"{config.tissues} tissue classes were asked for, and the images of {cohort.path} have fewer different "
                "values within the body: ask for fewer"
            )
        self.mixture = GaussianMixture(
            config.tissues, max_iter=500, reg_covar=1e-5, random_state=derive(seed, "tissues") % 2**32
        )
        self.mixture.fit(values)
        self.order = np.argsort(self.mixture.means_[:, 0], kind="stable")

    def read(self, row: int) -> np.ndarray:
        """Return the tissue classes of a case, uint8 (*S): 0 outside the body, else 1..K."""
        x = images_of(self.cohort, row)
        inside = body(x, self.threshold)
        out = np.zeros(inside.shape, np.uint8)
        if not inside.any():
            return out
        middle, width = self._level(row)
        likely = np.zeros((len(self.order), *inside.shape))
        likely[:, inside] = self.mixture.predict_proba((x[:, inside].T - middle) / width)[:, self.order].T
        if self.config.smoothing:
            likely = np.stack([ndimage.gaussian_filter(p, self.config.smoothing, mode="constant") for p in likely])
        out[inside] = 1 + likely[:, inside].argmax(0)
        return out

    def _within(self, row: int, each: int) -> np.ndarray:
        """Draw body voxels of a case, without its lesions: (n, C) in [-1, 1]."""
        x = images_of(self.cohort, row)
        mask = body(x, self.threshold)
        if self.cohort.labels is not None:
            mask &= self.cohort.labels[row] == 0
        return _drawn(x, mask, each, self.seed, row)

    def _level(self, row: int) -> np.ndarray:
        """Return median and spread (2, C) of a case's subject within the body."""
        if not self.config.adapt:
            return np.array([[0.0], [1.0]])
        name = self.cohort.entry("subject_id", row)
        if name not in self._levels:
            mine = self._rows[name]
            values = np.concatenate([self._within(r, max(1, SUBJECT_VOXELS // len(mine))) for r in mine])
            if not len(values):
                return np.array([[0.0], [1.0]])  # nothing is body: nothing will be read
            low, high = np.percentile(values, SPREAD, axis=0)
            self._levels[name] = np.stack([np.median(values, axis=0), np.maximum(high - low, NARROWEST)])
        return self._levels[name]


def _drawn(x: np.ndarray, mask: np.ndarray | None, each: int, seed: int, row: int) -> np.ndarray:
    """Draw some voxels of a case, where a mask is true: (n, C)."""
    voxels = x.reshape(len(x), -1).T if mask is None else x[:, mask].T
    return voxels[rng(seed, "voxels", row).permutation(len(voxels))[:each]]


def images_of(cohort: Cohort, row: int) -> np.ndarray:
    """Return a case's channels, float32 (C, *S) in [-1, 1]; raises UnderstudyError where the cohort has no images."""
    if cohort.images is None:
        raise UnderstudyError(f"anatomy is read from images, and the cohort {cohort.path} has none")
    return cohort.encoding.encode_images(cohort.images[row : row + 1])[0]


def body_threshold(values: np.ndarray) -> float:
    """Return the value of the brightest channel (n,) above which is body, half-way from air to Otsu's threshold.

    What is below the threshold is parted again as long as it falls into two, for it may be air and dark tissue.
    """
    threshold, _ = _otsu(values)
    for _ in range(AGAIN):
        below = values[values <= threshold]
        lower, distinct = _otsu(below)
        air, dark = below[below <= lower], below[below > lower]
        if distinct < DISTINCT or not len(dark) or dark.mean() - air.mean() < DARK * (threshold - air.mean()):
            break
        threshold = lower
    nothing = float(values[values <= threshold].mean())
    return nothing + RIM * (threshold - nothing)


def _otsu(values: np.ndarray) -> tuple[float, float]:
    """Return Otsu's threshold, and the share of the variance that it explains (two thirds where there is one hump)."""
    counts, edges = np.histogram(values, BINS)
    share, middle = counts / counts.sum(), (edges[1:] + edges[:-1]) / 2
    below = share.cumsum()[:-1]
    mean = (share * middle).cumsum()[:-1]
    total = (share * middle).sum()
    between = (total * below - mean) ** 2 / (below * (1 - below)).clip(1e-12)  # eq. 18
    best = np.flatnonzero(between >= between.max() * (1 - 1e-9))
    variance = (share * (middle - total) ** 2).sum()
    return float(edges[1:-1][best].mean()), float(between.max() / variance) if variance else 0.0


def body(x: np.ndarray, threshold: float | None) -> np.ndarray:
    """Return where the body is, bool (*S), from channels (C, *S); everywhere without a threshold."""
    if threshold is None:
        return np.ones(x.shape[1:], bool)
    bright = ndimage.binary_fill_holes(ndimage.binary_opening(x.max(0) > threshold))
    parts, _ = ndimage.label(bright)
    sizes = np.bincount(parts.reshape(-1))
    sizes[0] = 0
    return (sizes >= SPECK * bright.size)[parts]

"""Diversity as MS-SSIM: how much two random cases of one set resemble each other, synthetic beside real.

The mean over random pairs of cases of two different subjects. 1: always the same image. Neither lower nor higher is
better: as high as among real cases is right; higher means less diverse than patients are, lower often means noise.
**Source**: Wang, Simoncelli and Bovik, Multiscale structural similarity for image quality assessment (2003, doi
10.1109/ACSSC.2003.1292216), equation 7 with the weights of its section 3.2; as a measure of diversity: Odena et al.
(2017, arXiv 1610.09585), section 4.2, and Karras et al., ProGAN (2018, arXiv 1710.10196), section 5; Akbar et al. (Sci
Data 11:259, 2024) for brain tumours.
**Differs**: as in ProGAN's code a window that is larger than an image shrinks with it, and negative structure counts
as 0; only as many scales as leave ``SMALLEST`` voxels on every side, their weights divided by their sum; also volumes;
channels are averaged; pairs of different subjects, because slices of one subject resemble each other for a reason.
**Checked** in tests/evaluation/fidelity/test_ms_ssim.py (1 on equal images; MONAI 1e-5; torchmetrics' scales 1e-4).
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from understudy.core.cohort import Cohort
from understudy.core.encoding import Encoding
from understudy.core.result import Result
from understudy.core.seed import rng
from understudy.core.statistics import by_subject, percentile_interval
from understudy.evaluation.features import extractor
from understudy.evaluation.fidelity.baseline import halves
from understudy.evaluation.folder import join_notes
from understudy.evaluation.metric import few_cases

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
WINDOW, SIGMA = 11, 1.5
C1, C2 = 0.01**2, 0.03**2  # for intensities in [0, 1]
SMALLEST = 4
POOL: dict[int, Callable[..., Tensor]] = {2: F.avg_pool2d, 3: F.avg_pool3d}


def scales(size: tuple[int, ...]) -> int:
    """Return how many scales an image of this size has, 1..5."""
    return max(1, min(len(WEIGHTS), int(np.log2(max(1, min(size) // SMALLEST))) + 1))


def ms_ssim(x: Tensor, y: Tensor) -> Tensor:
    """Return the MS-SSIM (n,) of pairs of images (n, C, *S) in [0, 1]; at most 1, at equal images."""
    number = scales(tuple(x.shape[2:]))
    total, found = sum(WEIGHTS[:number]), torch.ones(len(x))
    for scale, weight in enumerate(WEIGHTS[:number]):
        if scale:
            x, y = (POOL[x.ndim - 2](side, 2) for side in (x, y))
        luminance, structure = _similarity(x, y)
        whole = luminance * structure if scale == number - 1 else structure
        found *= whole.flatten(1).mean(1).clamp(min=0) ** (weight / total)
    return found


def _similarity(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return luminance, and contrast times structure, (n, C, *S - window + 1)."""
    mean_x, mean_y = _smooth(x), _smooth(y)
    variance_x, variance_y = (_smooth(side * side) - mean**2 for side, mean in ((x, mean_x), (y, mean_y)))
    covariance = _smooth(x * y) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + C1) / (mean_x**2 + mean_y**2 + C1)
    return luminance, (2 * covariance + C2) / (variance_x + variance_y + C2)


def _smooth(x: Tensor) -> Tensor:
    """Apply the Gaussian window axis by axis; only where it lies wholly inside."""
    for axis in range(2, x.ndim):
        x = (x.movedim(axis, -1) @ _window(x.shape[axis]).to(x)).movedim(-1, axis)
    return x


@lru_cache(maxsize=32)
def _window(side: int) -> Tensor:
    """Return the window at each of its places along a side, (side, places); a matrix is faster than a convolution."""
    length = min(WINDOW, side)
    at = torch.arange(side)[:, None] - torch.arange(side - length + 1)
    window = torch.exp(-0.5 * ((at.double() - (length - 1) / 2) / (SIGMA * length / WINDOW)) ** 2)
    return window * ((at >= 0) & (at < length)) / window[:length, 0].sum()


def random_pairs(subjects: np.ndarray, number: int, seed: int) -> np.ndarray:
    """Draw pairs of cases of different subjects, with replacement, of cases of at least two subjects (n,).

    Positions (P, 2); the first is uniform over cases, the second over the cases of other subjects.
    """
    draw, owner = rng(seed, "ms-ssim", "pairs"), by_subject(subjects).number
    firsts = draw.integers(len(owner), size=number)
    return np.array([(first, draw.choice(np.flatnonzero(owner != owner[first]))) for first in firsts])


@torch.inference_mode()
def pair_values(cohort: Cohort, rows: np.ndarray, pairs: np.ndarray, encoding: Encoding) -> np.ndarray:
    """Return the MS-SSIM (P,) of pairs (P, 2) of positions in `rows`, read pair by pair in blocks of bounded size."""
    ends = [extractor.image_blocks(cohort, rows[pairs[:, end]], encoding) for end in (0, 1)]
    found = [ms_ssim(*((torch.from_numpy(end) + 1) / 2 for end in pair)) for pair in zip(*ends, strict=True)]
    return torch.cat(found).numpy()


def set_result(
    name: str, cohort: Cohort, rows: np.ndarray, encoding: Encoding, pairs: int, draws: int, seed: int
) -> Result:
    """Return the mean over random pairs of one set, with a 95 % range: of pairs within each of `draws` random halves.

    The halves are of the subjects; images are read by the real cohort's encoding.
    """
    subjects = cohort.column("subject_id")[rows]
    if len(set(subjects.tolist())) < 2:
        return Result(name, None, n=len(rows), seed=seed, note="two subjects are needed to make a pair")
    chosen = random_pairs(subjects, pairs, seed)
    values = pair_values(cohort, rows, chosen, encoding)
    inside = [np.isin(chosen, half).all(1) for half, _ in halves(subjects, draws, seed)]
    means = [float(values[within].mean()) for within in inside if within.any()]
    low, high = percentile_interval(means) if means else (None, None)
    number, side = scales(cohort.size), min(cohort.size)
    coarse = f"{number} scales, the coarsest {side >> (number - 1)} of {side} voxels wide"
    note = f"mean over {pairs} pairs of cases of different subjects; 95 % range of {len(means)} random halves; {coarse}"
    note = join_notes(note, few_cases(len(rows)))
    return Result(name, float(values.mean()), low, high, "", "", len(rows), seed, note)

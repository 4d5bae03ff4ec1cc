"""Heads: volumes of heads whose skull and scalp are there, from which a face can be reconstructed.

From the edge of the head inwards, by the median at each depth: scalp is bright, skull is dark, brain is brighter again.
A slice has a skull where, in any channel, the dip is ``DIP`` or less of what lies before it and ``RISE`` or less of
what follows, and the head lies in air (``IN_AIR`` of the picture's edge). Looked at are the middle slices of volumes,
and 2D cases that are cut from volumes.
**Differs** from face detection: whether the face itself was removed (defaced) or lies outside the picture is not told,
nor is a head in CT (skull bright) or with suppressed fat.
**Checked** in tests/data/checks/test_heads.py.
"""

from collections.abc import Iterable

import numpy as np
from scipy import ndimage

from understudy.core.cohort import Cohort
from understudy.data.checks.notice import Notice, evenly, warning

MAX_CASES, SLICES = 60, (0.4, 0.5, 0.6)
MIN_SIDE, MIN_SLICES = 24, 20  # pixels; slices of a subject, on average
TISSUE, IN_AIR = 0.12, 0.5
STEP, SHELL, INNER, DEPTH = 0.03, 6, 11, 15  # of the head's radius; and in such steps
DIP, RISE = 0.7, 0.8
MIN_SHARE = 0.5  # of cases


def heads(cohort: Cohort, rows: list[int]) -> Iterable[Notice]:
    """Say that these cases look like heads with skull and scalp."""
    if cohort.images is None or cohort.modality.upper() == "CT" or min(cohort.size[-2:]) < MIN_SIDE:
        return
    if len(cohort.size) == 2:
        rows = [row for row in rows if cohort.slice_index(row) is not None]
        if len(rows) < MIN_SLICES * len(set(cohort.column("subject_id")[rows].tolist())):
            return
    looked = evenly(rows, MAX_CASES)
    count = sum(_has_skull(cohort.images[row]) for row in looked)
    if count and count >= MIN_SHARE * len(looked):
        yield warning(
            f"{count} of {len(looked)} cases looked at seem to be heads with skull and scalp: a face can be "
            "reconstructed from the volume, and recognised; remove the face or the skull before the import"
        )


def _has_skull(image: np.ndarray) -> bool:
    """Tell whether most of the slices looked at of an image (C, *S) have a skull."""
    depth = image.shape[1]
    slices = [image] if image.ndim == 3 else [image[:, int(share * depth)] for share in SLICES]
    return 2 * sum(any(skull(channel) for channel in one) for one in slices) > len(slices)


def skull(picture: np.ndarray) -> bool:
    """Tell whether a picture (H, W) shows a head with skull and scalp."""
    low, high = float(picture.min()), float(np.quantile(picture, 0.99))
    if not high > low:
        return False
    values = np.clip((picture.astype(np.float32) - low) / (high - low), 0, 1.5)
    tissue = values > TISSUE
    edge = np.concatenate([tissue[0], tissue[-1], tissue[:, 0], tissue[:, -1]])
    head = _largest(ndimage.binary_opening(ndimage.binary_fill_holes(tissue)))
    if head.mean() < 0.05 or edge.mean() > 1 - IN_AIR:
        return False
    inward = ndimage.distance_transform_edt(head) / np.sqrt(head.sum() / np.pi) / STEP
    shells = np.minimum(inward[head].astype(int), DEPTH)
    profile = ndimage.median(values[head], shells, range(DEPTH))
    profile = np.where(np.bincount(shells, minlength=DEPTH)[:DEPTH] > 0, profile, np.nan)
    if np.isnan(profile[:SHELL]).all():
        return False
    scalp = int(np.nanargmax(profile[:SHELL]))
    dip = scalp + int(np.nanargmin(profile[scalp:INNER]))
    return bool(profile[dip] <= DIP * profile[scalp] and profile[dip] <= RISE * np.nanmax(profile[dip:]))


def _largest(mask: np.ndarray) -> np.ndarray:
    """The largest piece of a mask (H, W), without holes."""
    marked, n = ndimage.label(mask)
    if not n:
        return mask
    piece = marked == 1 + int(np.bincount(marked.reshape(-1))[1:].argmax())
    return np.asarray(ndimage.binary_fill_holes(ndimage.binary_closing(piece, iterations=2)))

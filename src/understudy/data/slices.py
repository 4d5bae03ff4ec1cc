"""Slices: cut a volume into slices along its first axis and keep those that a rule wants.

**Source** for ``akbar``: Akbar et al., Sci Data 11:259 (2024), official code: volume scaled by its maximum to 8 bits,
slices zero-padded to 256 x 256, a slice kept if more than 15 % of these pixels have T1 > 50.
**Differs**: a volume whose slices are larger than 256 x 256 is judged by 15 % of its own pixels; without a T1 contrast
the first one stands in, and the manifest says so. **Checked** in tests/data/test_slices.py (the threshold exactly).
"""

from collections.abc import Iterator

import numpy as np

from understudy.data.listing import Reading

AKBAR_SIDE, AKBAR_LEVEL, AKBAR_SHARE = 256, 50, 0.15


def cut(reading: Reading, rule: str, judged_by: int = 0) -> Iterator[Reading]:
    """Yield slices of a volume along its first axis, each with its own affine.

    The rule is ``all``; ``tumour``, those with any class but 0; or ``akbar``, which wants 8-bit images and looks at the
    channel ``judged_by``.
    """
    for d in range(reading.size[0]):
        image = None if reading.image is None else reading.image[:, d]
        labels = None if reading.labels is None else reading.labels[d]
        if not _kept(image, labels, rule, judged_by):
            continue
        affine = None
        if reading.affine is not None:
            affine = reading.affine.copy()
            affine[:, 3] += d * affine[:, 0]
        spacing = None if reading.spacing_mm is None else reading.spacing_mm[1:]
        yield Reading(image, labels, spacing, affine, d, reading.remarks)


def _kept(image: np.ndarray | None, labels: np.ndarray | None, rule: str, judged_by: int) -> bool:
    if rule == "tumour":
        return labels is not None and bool(labels.any())
    if rule == "akbar":
        if image is None:
            return False
        height, width = (max(side, AKBAR_SIDE) for side in image.shape[1:])
        return int((image[judged_by] > AKBAR_LEVEL).sum()) > AKBAR_SHARE * height * width
    return True

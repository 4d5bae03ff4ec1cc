"""Cases -> the bytes that a browser gets: real and synthetic ones by one and the same way.

A pixel is the share of the channel's range, which both cohorts have in common, at one depth; images are not resized:
both lie on the grid of one import, and what enlarges them is the same code in the browser. All items have the same
number of bytes, no header, no compression: what is not a pixel tells nothing.

    uint16, little-endian, (C, D, H, W); then, where label maps are shown, uint8 (D, H, W); of a pair left, then right

**Checked** in tests/reader/test_rendering.py.
"""

import numpy as np

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError

BITS = {"uint8": 8, "int8": 8}  # of images in other types: 12, more than a monitor shows at once
RGB = ({"red", "green", "blue"}, {"r", "g", "b"})


def levels(*cohorts: Cohort) -> int:
    """Return the highest pixel value: that of the coarsest type among the cohorts."""
    return int(2 ** min(BITS.get(cohort.encoding.dtype, 12) for cohort in cohorts) - 1)


def shape(cohort: Cohort) -> tuple[int, int, int, int]:
    """Return (C, D, H, W) of an image; D is 1 in two dimensions."""
    c, size = cohort.encoding.image_channels, cohort.size
    d, h, w = size if len(size) == 3 else (1, *size)
    return c, d, h, w


def aspect(cohort: Cohort) -> tuple[float, float, float]:
    """Return the spacing along (D, H, W) with which all images are shown: the median of the real ones; 1 if unknown."""
    known = [found for row in range(len(cohort)) if (found := cohort.spacing_mm(row)) is not None]
    if not known:
        return 1.0, 1.0, 1.0
    middle = np.median(np.array(known), 0).tolist()
    d, h, w = middle if len(middle) == 3 else (1.0, *middle)
    return float(d), float(h), float(w)


def is_colour(cohort: Cohort) -> bool:
    """Tell whether the channels are red, green and blue, in this order."""
    names = [channel.name.lower() for channel in cohort.encoding.channels]
    return set(names) in RGB and [name[0] for name in names] == ["r", "g", "b"]


def pixels(cohort: Cohort, row: int, highest: int) -> bytes:
    """Return the image of a case."""
    if cohort.images is None:
        raise UnderstudyError(f"a reader needs images, and the cohort {cohort.path.name} has none")
    image = cohort.encoding.encode_images(cohort.images[row : row + 1])[0]
    return np.rint((image.astype(np.float64) + 1) / 2 * highest).astype("<u2").tobytes()


def label_map(cohort: Cohort, row: int) -> bytes:
    """Return the label map of a case."""
    if cohort.labels is None:
        raise UnderstudyError(
            f"the questions need label maps, and the cohort {cohort.path.name} has none: leave labels and annotation "
            "out"
        )
    return np.ascontiguousarray(cohort.labels[row], dtype=np.uint8).tobytes()

"""Burnt-in text: letters that are part of the pixels, as ultrasound, secondary captures and old x-rays have them.

Letters are thin (what an opening by a small square takes away), stand out (``CONTRAST`` of the range of the image), are
about equally tall, and stand side by side on one line, ``LETTERS`` or more; where they cover ``MAX_MARKED`` of the
picture, they are texture. One picture in 300 without any text has
such a row, so the cohort counts: ``MIN_IMAGES`` and ``MIN_SHARE`` of the images, or ``MIN_IMAGES`` with the row in one
place (a cell of ``CELLS`` x ``CELLS``).
**Differs** from reading: nothing is recognised. Letters below about 7 pixels, on bright ground or joined in handwriting
are missed; what is found is that there is text, not that there is none. **Checked** in
tests/data/checks/test_burnt_in.py.
"""

from collections import Counter
from collections.abc import Iterable

import numpy as np
from scipy import ndimage

from understudy.core.cohort import Cohort
from understudy.data.checks.notice import Notice, evenly, warning

MAX_IMAGES = 500  # looked at
MIN_SIDE = 48  # pixels
CONTRAST, LETTERS = 0.2, 4
MAX_MARKED = 0.12  # share of the pixels; more is texture
MIN_IMAGES, MIN_SHARE, CELLS = 3, 0.02, 6


def burnt_in(cohort: Cohort, rows: list[int]) -> Iterable[Notice]:
    """Say where images of these 2D cases seem to hold burnt-in text."""
    if cohort.images is None or len(cohort.size) != 2 or min(cohort.size) < MIN_SIDE:
        return
    looked = evenly(rows, MAX_IMAGES)
    lines = {row: line for row in looked if (line := text_line(cohort.images[row].astype(np.float32).mean(0)))}
    cells = Counter(
        tuple(CELLS * at // side for at, side in zip(line, cohort.size, strict=True)) for line in lines.values()
    )
    recurring = max(cells.values(), default=0) >= MIN_IMAGES
    if recurring or len(lines) >= max(MIN_IMAGES, MIN_SHARE * len(looked)):
        names = ", ".join(cohort.entry("case_id", row) for row in list(lines)[:3])
        yield warning(
            f"{len(lines)} of {len(looked)} images looked at seem to hold burnt-in text ({names}): it may name a "
            "person, and a generator would learn it; look at them (--look), and crop or blank it before the import"
        )


def text_line(image: np.ndarray) -> tuple[int, int] | None:
    """Return the row and column of the first letter of a row of letters in an image (H, W), or None."""
    spread = float(np.ptp(image))
    if not spread:
        return None
    values = (image - image.min()) / spread
    square = (2 * (min(image.shape) // 64) + 1,) * 2 if min(image.shape) >= 64 else (3, 3)
    for thin in (values - ndimage.grey_opening(values, square), ndimage.grey_closing(values, square) - values):
        marked = thin > CONTRAST
        if marked.mean() < MAX_MARKED and (found := _first_line(_letters(marked, min(image.shape)))):
            return found
    return None


def _letters(thin: np.ndarray, side: int) -> np.ndarray:
    """The boxes (n, 4) top, bottom, left, right, of what is as large as a letter, from the left."""
    marked, n = ndimage.label(thin, np.ones((3, 3)))
    if n < LETTERS:
        return np.empty((0, 4))
    boxes = np.array([[s.start, s.stop, t.start, t.stop] for s, t in ndimage.find_objects(marked)])
    height, width = boxes[:, 1] - boxes[:, 0], boxes[:, 3] - boxes[:, 2]
    filled = np.bincount(marked.reshape(-1), minlength=n + 1)[1:] / (height * width)
    kept = (height >= 5) & (height <= side / 6) & (width <= 2.5 * height) & (filled > 0.15) & (filled < 0.9)
    boxes = boxes[kept]
    return boxes[np.argsort(boxes[:, 2], kind="stable")]


def _first_line(boxes: np.ndarray) -> tuple[int, int] | None:
    """The place of the first of the most letters side by side, where they are enough."""
    if len(boxes) < LETTERS:
        return None
    top, bottom, left, right = boxes.T
    height = bottom - top
    gap = left[None] - right[:, None]
    follows = (gap >= -1) & (gap <= 1.2 * height[:, None]) & (left[None] > left[:, None])
    follows &= np.abs(bottom[None] - bottom[:, None]) <= 0.2 * height[:, None] + 0.5
    follows &= np.maximum(height[None], height[:, None]) <= 1.35 * np.minimum(height[None], height[:, None]) + 1
    length = np.ones(len(boxes), int)
    for i in range(len(boxes) - 2, -1, -1):
        length[i] += length[follows[i]].max(initial=0)
    best = int(length.argmax())
    return (int(top[best]), int(left[best])) if length[best] >= LETTERS else None

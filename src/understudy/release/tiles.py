"""Real images drawn in figures: pictures are cut into their tiles, and each tile is compared with every real image.

A picture is cut where a whole row or column is paper, again and again; what is left is a tile, or a mosaic without
gaps, which is cut into tiles of the cohort's shape. Each is scaled to the cohort's size and compared by Pearson's r
with every slice of every real image, each channel and their mean; for the five nearest again without the tenth of the
pixels that fits worst, so that an outline of a lesion drawn over it does not hide it.
**Not covered**: real images that overlap, were turned, were drawn in other colours than grey or their own, or have
outlines over more than a tenth of their pixels.
**Checked** in tests/release/test_tiles.py (planted in the report's own figures). On lgg_tcga at 64 px, 24 images of
test subjects drawn as the report does: r to themselves at least 0.9998, also outlined; to others at most 0.9903.
"""

from collections.abc import Iterator, Sequence
from io import BytesIO

import numpy as np
from PIL import Image

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError
from understudy.evaluation.search import unit_vectors

PAPER = 250  # of 255: lighter in all colours is paper
SMALLEST = 16  # pixels: the side of a tile
MOSAIC = 16  # tiles in a row of a mosaic without gaps, at most; none is narrower than the cohort's images
CANDIDATES = 5
WORTH = 0.8  # r from which a pair is looked at again
DROPPED = 0.1  # of the pixels, an outline's
BATCH = 256  # real cases compared at once
PLAIN = {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"pHYs", b"sRGB", b"gAMA", b"tRNS"}
Box = tuple[int, int, int, int]


def open_png(data: bytes, where: str) -> np.ndarray:
    """Return a PNG as float32 (H, W, 3) in 0..255, on white paper.

    Raises:
        UnderstudyError: no PNG, or one that carries text or other data beside the picture.
    """
    if data[:8] != b"\x89PNG\r\n\x1a\n" or not set(_chunks(data)) <= PLAIN:
        raise UnderstudyError(f"{where} should be a PNG that holds a picture and nothing else: make the evidence again")
    with Image.open(BytesIO(data)) as image:
        layers = image.convert("RGBA")
        paper = Image.new("RGBA", layers.size, "white")
        return np.asarray(Image.alpha_composite(paper, layers).convert("RGB"), np.float32)


def _chunks(data: bytes) -> Iterator[bytes]:
    """Yield the types of a PNG's chunks, and b"" for bytes after its end."""
    at = 8
    while at + 8 <= len(data):
        kind = data[at + 4 : at + 8]
        yield kind
        at += 12 + int.from_bytes(data[at : at + 4], "big")
        if kind == b"IEND":
            break
    if at != len(data):
        yield b""


def tiles(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return the tiles of a picture at a size, float32 (n, H, W): the mean of colours, and each where they differ."""
    found = []
    for box in _cut(np.any(picture < PAPER, axis=-1), (0, 0, *picture.shape[:2])):
        for top, left, bottom, right in [box, *_mosaic(box, size)]:
            colours = [_scaled(picture[top:bottom, left:right, k], size) for k in range(3)]
            grey = np.mean(colours, 0)
            found += [grey] if np.ptp(colours, 0).max() < 1 else [*colours, grey]
    return np.array(found, np.float32).reshape(-1, *size)


def _cut(ink: np.ndarray, box: Box) -> Iterator[Box]:
    """Yield the boxes that no row or column of paper cuts any more."""
    top, left, bottom, right = box
    for axis in (1, 0):
        runs = _runs(np.any(ink[top:bottom, left:right], axis=axis))
        whole = (0, bottom - top if axis else right - left)
        if runs != [whole]:
            for first, last in runs:
                yield from _cut(
                    ink, (top + first, left, top + last, right) if axis else (top, left + first, bottom, left + last)
                )
            return
    if min(bottom - top, right - left) >= SMALLEST:
        yield box


def _runs(marks: np.ndarray) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], marks, [False]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _mosaic(box: Box, size: tuple[int, int]) -> Iterator[Box]:
    """Yield the tiles of a box that could hold several of this shape without gaps."""
    (top, left, bottom, right), narrowest = box, max(SMALLEST, size[1])
    for across in range(1, MOSAIC + 1):
        wide = (right - left) / across
        down = (bottom - top) / (wide * size[0] / size[1])
        if across * round(down) < 2 or abs(down - round(down)) > 0.02 * down or wide < narrowest:
            continue
        high = (bottom - top) / round(down)
        for i in range(round(down)):
            for j in range(across):
                yield (
                    round(top + i * high),
                    round(left + j * wide),
                    round(top + (i + 1) * high),
                    round(left + (j + 1) * wide),
                )


def _scaled(plane: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    image = Image.fromarray(np.ascontiguousarray(plane))
    return np.asarray(image.resize((size[1], size[0]), Image.Resampling.BOX), np.float32)


def highest(drawn: np.ndarray, real: Cohort) -> float:
    """Return the highest r, outlines left out, of any tile to any slice of any real image; -1 where there are none.

    Args:
        drawn: tiles as greys (n, H, W).
        real: the real cohort, with images (N, C, *S).
    """
    if real.images is None or not len(drawn):
        return -1.0
    queries = drawn.reshape(-1, drawn.shape[-2] * drawn.shape[-1])
    queries = queries[np.ptp(queries, 1) > 0]
    units, r, index = unit_vectors(queries), np.empty((len(queries), 0)), np.empty((len(queries), 0), np.int64)
    first = 0
    for start in range(0, len(real), BATCH):
        product = units @ unit_vectors(_slices(real, range(start, min(start + BATCH, len(real))))).T
        joined = np.concatenate([r, product], 1)
        numbers = np.concatenate([index, np.broadcast_to(first + np.arange(product.shape[1]), product.shape)], 1)
        best = np.argpartition(-joined, min(CANDIDATES, joined.shape[1]) - 1, 1)[:, :CANDIDATES]
        r, index = np.take_along_axis(joined, best, 1), np.take_along_axis(numbers, best, 1)
        first += product.shape[1]
    each = first // len(real)  # slices of a case
    pairs = [(i, int(j)) for i, j in zip(np.nonzero(r > WORTH)[0], index[r > WORTH], strict=True)]
    found = [_robust(queries[i], _slices(real, [j // each])[j % each]) for i, j in pairs]
    return max(found, default=float(r.max(initial=-1)))


def _slices(real: Cohort, rows: Sequence[int]) -> np.ndarray:
    """Return the slices of some real cases, each channel and the mean of all, float32 (m, H * W)."""
    assert real.images is not None
    images = real.encoding.encode_images(np.asarray(real.images[list(rows)]))
    joined = np.concatenate([images, images.mean(1, keepdims=True)], 1) if images.shape[1] > 1 else images
    return joined.reshape(-1, images.shape[-2] * images.shape[-1])


def _robust(x: np.ndarray, y: np.ndarray) -> float:
    """Return Pearson's r of two vectors without the tenth that lies farthest from their common line."""
    a, b = x - x.mean(), y - y.mean()
    off = np.abs(a - (a @ b) / (b @ b) * b)
    kept = off <= np.partition(off, int(len(off) * (1 - DROPPED)))[int(len(off) * (1 - DROPPED))]
    a, b = x[kept] - x[kept].mean(), y[kept] - y[kept].mean()
    length = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / length if length > 0 else -1.0

"""The disclosure check: nothing real in a bundle.

Every image of the bundle is compared with every real image, and every byte is searched for identifiers of real cases
(identifiers.py). Images are those of the cohort in each of its forms, of the public arrays, and of every picture, also
of those embedded in HTML. What is found is never released: a policy sets from where images count as the same, and no
override reaches this check. Messages name the file of the bundle, never the real case.

**Patches**: images are brought to 65,536 levels over each channel's range. Every block of 8 x 8 of a fixed grid over
the real images that has at least 16 different values is looked for at every place of every image and channel: whatever
holds 15 x 15 real pixels as they are holds a whole block. **Near**: the highest Pearson r of a whole image to any real
one, as ``evaluate privacy`` measures it, and that of each channel, and of each plane of a volume (parts.py).
**Label maps**: as good as equal, also shifted, mirrored and renumbered, as ``evaluate privacy`` judges them.
**Numbers**: of every text, array and tensor (numbers.py). **Figures**: a picture is cut where a whole row or column is
background, again and again; what is left is a panel, or a mosaic without gaps, which is cut into panels of
the cohort's shape. Each panel is scaled to the cohort's size and compared by Pearson's r with every slice of every real
image, each channel and their mean; for the five nearest again without the tenth of the pixels that fits worst, so that
an outline drawn over it does not hide it.

**Not covered**: real images that were mirrored, rotated, deformed or mixed (``evaluate privacy`` looks for transformed
copies, this for real data that slipped in); in figures also those that overlap, are drawn in other colours than grey or
their own, or have outlines over more than a tenth of their pixels.
**Checked** in tests/release/test_disclosure.py (one real thing of each kind, in each kind of file). On lgg_tcga at 64
px no image of 210 of the test subjects has a patch in common with other subjects' 100,765, and the highest r between
subjects is 0.918; drawn as the report does, r to themselves is at least 0.9998, to others at most 0.9903.
"""

from base64 import b64decode
from collections.abc import Iterator, Sequence
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image
from pydantic import BaseModel

from understudy.core.cohort import PATIENTS_OWN, Cohort
from understudy.core.documents import STRICT
from understudy.core.errors import UnderstudyError
from understudy.evaluation.guard import refuse_unfitting
from understudy.evaluation.nearest import UnitRows, nearest, unit_vectors
from understudy.evaluation.privacy.copies.label_maps import RealMaps
from understudy.evaluation.privacy.pearson import ImageVectors
from understudy.release.formats import FORMS
from understudy.release.identifiers import EMBEDDED, forbidden_identifiers, refuse_names
from understudy.release.numbers import RealNumbers
from understudy.release.parts import nearest_parts
from understudy.release.policy import RealCheck
from understudy.release.weights import TENSORS, numbers_of
from understudy.report.reading import read_arrays

BLOCK = 8  # side of a patch
MIN_VALUES = 16  # different ones in a patch: fewer can be equal by chance
ROWS = 32  # cases read at once
LEVELS = 2**16 - 1
BACKGROUND = 250  # of 255: lighter in all colours is background
MIN_PANEL = 16  # pixels: the side of a panel
MAX_PANELS_ACROSS = 16  # of a mosaic without gaps; none is narrower than the cohort's images
CANDIDATES = 5
REFINED_FROM = 0.8  # r from which a pair is looked at again
TRIMMED = 0.1  # of the pixels, an outline's
BATCH = 256  # real cases compared at once
PICTURE_CHUNKS = {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"pHYs", b"sRGB", b"gAMA", b"tRNS"}
Box = tuple[int, int, int, int]
TEXTS = {".json", ".csv", ".tsv", ".html", ".md", ".yaml"}
KNOWN = {*TEXTS, ".npy", ".npz", ".png", ".sig"}


class Comparison(BaseModel):
    """What was compared, as counts, and the highest r; it goes into the card."""

    model_config = STRICT

    files: int
    real_cases: int
    names_too_short: int
    pictures: int
    highest_r: float
    highest_r_drawn: float


def compare_with_real(folder: Path, forms: Sequence[str], real: Cohort, rule: RealCheck) -> Comparison:
    """Compare a bundle, with its cohort in these forms, with the real cohort (all splits) that stands behind it.

    Raises:
        UsageError: cohorts of different sizes or channels, which cannot be compared.
        UnderstudyError: it holds a real image, patch, label map, name or unkeyed hash, or a file of unknown kind.
    """
    forbidden, files = forbidden_identifiers(real), sorted(file for file in folder.rglob("*") if file.is_file())
    known = KNOWN.union(*(FORMS[name].suffixes for name in forms))
    for file in files:
        if file.suffix not in known and _name(file, folder) != TENSORS:
            raise UnderstudyError(f"release is refused: {_name(file, folder)} is of a kind that is not looked into")
    searched = refuse_names(folder, forbidden)
    numbers = RealNumbers(real)
    images, near = _compare_forms(folder, forms, real, rule, numbers)
    for file in folder.rglob("*.npz"):
        near = max(near, _compare_arrays(read_arrays(file), images, rule, _name(file, folder)))
    _refuse_numbers(folder, files, numbers)
    cases = {FORMS[name].folder for name in forms}  # whose pictures were compared as the cohort
    drawn, n = _compare_pictures(folder, [f for f in files if f.relative_to(folder).parts[0] not in cases], real, rule)
    return Comparison(
        files=searched,
        real_cases=len(real),
        names_too_short=forbidden.short,
        pictures=n,
        highest_r=round(near, 4),
        highest_r_drawn=round(drawn, 4),
    )


class RealImages:
    """The real images and label maps; a map counts from ``label_voxels`` of foreground on, or never (None)."""

    def __init__(self, real: Cohort, label_voxels: int | None) -> None:
        """Read the patches and label maps of all cases, of all splits."""
        self.cohort = real
        random = np.random.default_rng(8)  # any weights serve: they only have to be the same on both sides
        self._weights = random.integers(1, 2**63, (2, BLOCK), dtype=np.uint64) | np.uint64(1)
        blocks = [self._blocks(planes) for planes in _cohort_planes(real)]
        self._patches = np.unique(np.concatenate([*blocks, np.empty(0, np.uint64)]))
        self._maps = None
        if label_voxels is not None and real.labels is not None:
            self._maps = RealMaps(real.labels, label_voxels)

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
        return float(nearest(UnitRows(images), ImageVectors(self.cohort, self.cohort.rows())).r.max())

    def same_maps(self, labels: np.ndarray) -> int:
        """Count the label maps (n, *S) that are as good as equal to a real one."""
        return 0 if self._maps is None else int((self._maps.copied(labels) >= 0).sum())

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
        rich = 1 + (np.diff(flat, axis=1) != 0).sum(1) >= MIN_VALUES
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
    levels = in_levels((encoded.astype(np.float64) + 1) / 2)
    return levels.reshape(-1, *levels.shape[-2:])


def in_levels(images: np.ndarray) -> np.ndarray:
    """Return images in [0, 1] in 65,536 levels, uint16; what is no number becomes 0."""
    return np.nan_to_num(np.rint(images * LEVELS)).clip(0, LEVELS).astype(np.uint16)


def _cohort_planes(cohort: Cohort) -> Iterator[np.ndarray]:
    for start in range(0, len(cohort) if cohort.images is not None else 0, ROWS):
        assert cohort.images is not None
        yield planes(cohort.encoding.encode_images(np.asarray(cohort.images[start : start + ROWS])))


def _compare_forms(
    folder: Path, forms: Sequence[str], real: Cohort, rule: RealCheck, numbers: RealNumbers
) -> tuple[RealImages, float]:
    """Return the real images, and the highest r of the cohort in any form; forms that hold one cohort count once."""
    released = [FORMS[name].read(folder) for name in forms]
    for one in released:
        refuse_unfitting(real, one, labels=False)
        if len(released) > 1:
            one.verify()  # so that cohorts of one id are equal
    owned = released[0].label_source in PATIENTS_OWN  # a policy that let these in knows whose they are
    images = RealImages(real, None if owned else rule.label_voxels)
    once = {one.id: (name, one) for name, one in reversed(list(zip(forms, released, strict=True)))}
    for name, one in once.values():
        _refuse(numbers.in_labels(one), "image", f"the cohort ({name}) (label maps)")
    return images, max(_compare_cohort(one, images, rule, name) for name, one in once.values())


def _compare_cohort(released: Cohort, images: RealImages, rule: RealCheck, form: str) -> float:
    where = f"the cohort ({form})"
    _refuse(images.same_patches_of(released), "patch", where)
    if released.labels is not None:
        _refuse(images.same_maps(released.labels), "label map", where)
    highest_r = _refuse_near(images.nearest_of(released), rule.near, where)
    for part, r in nearest_parts(released, images.cohort):
        _refuse_near(r, rule.near, f"{where}, {part},")
    return highest_r


def _refuse_numbers(folder: Path, files: Sequence[Path], numbers: RealNumbers) -> None:
    """Refuse real pixels among the numbers of a text, or in an array of whatever type and shape."""
    for file in files:
        if file.suffix == ".npz":
            found = any(numbers.in_array(array) for array in read_arrays(file).values())
        else:
            found = file.suffix in TEXTS and numbers.in_file(file)
        _refuse(int(found), "row of pixels", f"{_name(file, folder)} (its numbers)")
    if (folder / TENSORS).exists():
        _refuse(int(any(map(numbers.in_stream, numbers_of(folder)))), "row of pixels", f"{TENSORS} (its numbers)")


def _compare_arrays(arrays: dict[str, np.ndarray], images: RealImages, rule: RealCheck, where: str) -> float:
    """Compare every array of an .npz file that can hold images or label maps."""
    highest_r = -1.0
    for array in arrays.values():
        if array.dtype.kind == "f" and array.ndim >= 3:
            encoded = (array if array.ndim > 3 else array[:, None]) * 2 - 1
            _refuse(images.same_patches(encoded), "patch", where)
            highest_r = max(highest_r, _refuse_near(images.nearest_to(encoded), rule.near, where))
        elif array.dtype.kind in "iu" and array.ndim >= 3:
            _refuse(images.same_maps(array), "label map", where)
    return highest_r


def _compare_pictures(folder: Path, files: list[Path], real: Cohort, rule: RealCheck) -> tuple[float, int]:
    """Return the highest r of any panel of any picture, and the number of pictures."""
    best, n = -1.0, 0
    height, width = real.size[-2:]
    for where, data in _pictures(folder, files):
        found, n = highest_correlation(figure_panels(open_png(data, where), (height, width)), real), n + 1
        best = max(best, _refuse_near(found, rule.drawn, where))
    return best, n


def _pictures(folder: Path, files: list[Path]) -> Iterator[tuple[str, bytes]]:
    for file in files:
        if file.suffix == ".png":
            yield _name(file, folder), file.read_bytes()
        elif file.suffix == ".html":
            for i, embedded in enumerate(EMBEDDED.findall(file.read_bytes()), start=1):
                yield f"{_name(file, folder)} (picture {i})", b64decode(embedded)


def _refuse(n: int, what: str, where: str) -> None:
    if n:
        raise UnderstudyError(
            f"release is refused: {n} image(s) in {where} hold a real {what}, as it is: screen the cohort, or make "
            "that evidence again. Nothing was written"
        )


def _refuse_near(r: float, limit: float, where: str) -> float:
    if r >= limit:
        raise UnderstudyError(
            f"release is refused: an image in {where} is a real one, or as good as that (r = {r:.4f}, and the policy "
            f"says below {limit:g}): screen the cohort, or make that evidence again. Nothing was written"
        )
    return r


def _name(file: Path, folder: Path) -> str:
    return file.relative_to(folder).as_posix()


def open_png(data: bytes, where: str) -> np.ndarray:
    """Return a PNG as float32 (H, W, 3) in 0..255, on white; refuse any other file, or data beside the picture."""
    if data[:8] != b"\x89PNG\r\n\x1a\n" or not set(_chunks(data)) <= PICTURE_CHUNKS:
        raise UnderstudyError(f"{where} should be a PNG that holds a picture and nothing else: make the evidence again")
    with Image.open(BytesIO(data)) as image:
        layers = image.convert("RGBA")
        white = Image.new("RGBA", layers.size, "white")
        return np.asarray(Image.alpha_composite(white, layers).convert("RGB"), np.float32)


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


def figure_panels(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return the panels of a picture at a size, float32 (n, H, W): the mean of colours, and each where they differ."""
    found = []
    for box in _cut(np.any(picture < BACKGROUND, axis=-1), (0, 0, *picture.shape[:2])):
        for top, left, bottom, right in [box, *_mosaic(box, size)]:
            colours = [_scaled(picture[top:bottom, left:right, k], size) for k in range(3)]
            grey = np.mean(colours, 0)
            found += [grey] if np.ptp(colours, 0).max() < 1 else [*colours, grey]
    return np.array(found, np.float32).reshape(-1, *size)


def _cut(ink: np.ndarray, box: Box) -> Iterator[Box]:
    """Yield the boxes that no row or column of background cuts any more."""
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
    if min(bottom - top, right - left) >= MIN_PANEL:
        yield box


def _runs(marks: np.ndarray) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], marks, [False]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _mosaic(box: Box, size: tuple[int, int]) -> Iterator[Box]:
    """Yield the panels of a box that could hold several of this shape without gaps."""
    (top, left, bottom, right), narrowest = box, max(MIN_PANEL, size[1])
    for across in range(1, MAX_PANELS_ACROSS + 1):
        wide = (right - left) / across
        down = (bottom - top) / (wide * size[0] / size[1])
        if across * round(down) < 2 or abs(down - round(down)) > 0.02 * down or wide < narrowest:
            continue
        high = (bottom - top) / round(down)
        rows = [round(top + i * high) for i in range(round(down) + 1)]
        columns = [round(left + j * wide) for j in range(across + 1)]
        yield from ((a, c, b, d) for a, b in pairwise(rows) for c, d in pairwise(columns))


def _scaled(plane: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    image = Image.fromarray(np.ascontiguousarray(plane))
    return np.asarray(image.resize((size[1], size[0]), Image.Resampling.BOX), np.float32)


def highest_correlation(drawn: np.ndarray, real: Cohort) -> float:
    """Return the highest r, outlines left out, of panels (n, H, W) of greys to any slice of any real image; else -1."""
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
    pairs = [(i, int(j)) for i, j in zip(np.nonzero(r > REFINED_FROM)[0], index[r > REFINED_FROM], strict=True)]
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
    kept = off <= np.partition(off, int(len(off) * (1 - TRIMMED)))[int(len(off) * (1 - TRIMMED))]
    a, b = x[kept] - x[kept].mean(), y[kept] - y[kept].mean()
    length = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / length if length > 0 else -1.0

"""Real pixels written as numbers: in a table, in the JSON of a curve, in a text, in an array of any type and shape.

All numbers of a file are read in their order, of tables also column by column, of texts also every second to eighth of
them, of arrays also with the last axis first.
Real images are read row by row. Which of two neighbours is the larger does not change when an image is scaled or
shifted in brightness: 40 such signs in a row that are those of a real image are looked for, and then compared by
Spearman's rank correlation. Two finds refuse.
**Not covered**: fewer than about 80 pixels in a row, numbers rounded until neighbours are equal, other orders, codes.
**Checked** in tests/release/test_numbers.py. On lgg_tcga at 64 px each of 200 images was found in each of three ways of
writing it, and none in 1,097 files of results and documents.
"""

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from understudy.core.cohort import Cohort

SIGNS = 40  # base 3, in 64 bits
STRIDE = 20  # from one run of a real image to the next
MIN_CHANGES = 30  # signs of a run that are not 0: flat background is like any other
MIN_TURNS = 4  # and that follow their opposite: so is a flank
MIN_R = 0.995
MIN_FINDS = 2
FEW_CLASSES = 8  # of label maps that are not looked into: more can be the grey levels of an image
APART = 8  # pixels stand at most so many numbers apart in a text, others between them
MAX_EQUAL = 20  # real runs of the same signs that are compared
NUMBER = re.compile(rb"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
EMBEDDED = re.compile(rb"base64,[A-Za-z0-9+/=]+")


class RealNumbers:
    """The runs of signs of all images of a real cohort."""

    def __init__(self, real: Cohort) -> None:
        """Read all images, plane by plane."""
        self._real, runs, places = real, [np.empty(0, np.uint64)], [np.empty(0, np.int64)]
        n = len(real) if real.images is not None else 0
        for case in range(n):
            values = self._values(case)
            found, at = _runs(values, STRIDE)
            runs.append(found)
            places.append(at + case * len(values))
        every = np.concatenate(runs)
        order = np.argsort(every, kind="stable")
        self._runs, self._places = every[order], np.concatenate(places)[order]

    def in_stream(self, numbers: np.ndarray) -> bool:
        """Tell whether numbers in a row (n,), or backwards, are pixels of a real image."""
        numbers = np.asarray(numbers, np.float64)
        return any(self._finds(one) >= MIN_FINDS for one in (numbers, numbers[::-1]))

    def _finds(self, numbers: np.ndarray) -> int:
        runs, places = _runs(numbers, 1)
        first, last = (np.searchsorted(self._runs, runs, side) for side in ("left", "right"))
        finds = 0
        for k in np.flatnonzero(first < last).tolist():
            ours = numbers[places[k] : places[k] + SIGNS + 1]
            finds += any(self._equal(ours, j) for j in range(first[k], min(last[k], first[k] + MAX_EQUAL)))
        return finds

    def _equal(self, ours: np.ndarray, j: int) -> bool:
        """Tell whether numbers are those of the real run j but for their scale."""
        assert self._real.images is not None
        case, at = divmod(int(self._places[j]), int(np.prod(self._real.images.shape[1:])))
        theirs = self._values(case)[at : at + SIGNS + 1]
        return float(abs(np.corrcoef(ours.argsort().argsort(), theirs.argsort().argsort())[0, 1])) >= MIN_R

    def _values(self, case: int) -> np.ndarray:
        assert self._real.images is not None
        return np.asarray(self._real.images[case], np.float64).reshape(-1)

    def in_file(self, file: Path) -> bool:
        """Tell whether a text file holds pixels of a real image."""
        content = EMBEDDED.sub(b" ", file.read_bytes())
        streams = list(_streams(content, file.suffix == ".csv"))
        return any(self.in_stream(one[k::step]) for one in streams for step in range(1, APART + 1) for k in range(step))

    def in_labels(self, cohort: Cohort) -> int:
        """Count the label maps of many classes that hold pixels of a real image."""
        if cohort.labels is None or len(cohort.scheme or ()) <= FEW_CLASSES:
            return 0
        return sum(self.in_array(np.asarray(one)) for one in cohort.labels)

    def in_array(self, array: np.ndarray) -> bool:
        """Tell whether an array holds pixels of a real image, also with its channels last, or as text."""
        if array.dtype.kind not in "fiub":
            return any(self.in_stream(one) for one in _streams(" ".join(map(str, array.ravel())).encode(), False))
        orders = [array, np.moveaxis(array, -1, 0), array.T] if array.ndim > 1 else [array]
        return any(self.in_stream(one.reshape(-1)) for one in orders)


def _streams(content: bytes, table: bool) -> Iterator[np.ndarray]:
    """Yield the numbers of a text in their order, and of a table column by column."""
    yield _numbers(content)
    if table:
        rows = list(csv.reader(io.StringIO(content.decode("utf-8", "replace"), newline="")))
        columns = [[row[k] if k < len(row) else "" for row in rows] for k in range(max(map(len, rows), default=0))]
        yield _numbers(" ".join(" ".join(column) for column in columns).encode())


def _numbers(content: bytes) -> np.ndarray:
    return np.array([float(number) for number in NUMBER.findall(content)], np.float64)


def _runs(numbers: np.ndarray, stride: int) -> tuple[np.ndarray, np.ndarray]:
    """Return runs of signs that turn often enough, as uint64, the first sign but 0 being +; and their places."""
    if len(numbers) <= SIGNS:
        return np.empty(0, np.uint64), np.empty(0, np.int64)
    signs = np.sign(np.nan_to_num(np.diff(np.nan_to_num(numbers)))).astype(np.int8)
    windows = np.lib.stride_tricks.sliding_window_view(signs, SIGNS)[::stride]
    changes, turns = (windows != 0).sum(1), (windows[:, 1:] * windows[:, :-1] < 0).sum(1)
    places = np.flatnonzero((changes >= MIN_CHANGES) & (turns >= MIN_TURNS))
    windows = windows[places]
    first = np.take_along_axis(windows, (windows != 0).argmax(1)[:, None], 1)
    digits = (windows * first + 1).astype(np.uint64)
    return digits @ (np.uint64(3) ** np.arange(SIGNS, dtype=np.uint64)), places * stride

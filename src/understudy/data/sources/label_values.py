"""What the numbers in label maps are: any integer type, named by a scheme or inferred, one palette over all files.

A label scheme is inferred only where there is nothing to guess: values 0..K-1 without a gap. Of label maps with a
palette, one colour is one value in every file of an import, and one value one colour; else they are refused, since the
index says something else in each file.
**Checked** in tests/data/sources/test_label_values.py.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from understudy.core.errors import UnderstudyError
from understudy.core.labels import LabelScheme
from understudy.data import formats
from understudy.data.formats.tiff import UNSURE

LARGEST = 15
NARROW = 65535  # spans of label values up to this one are counted in a table
BLOCK = 2**22  # values counted at a time
Colour = tuple[int, int, int]
BLACK: Colour = (0, 0, 0)


class Palettes:
    """The colours of label values over the files of an import.

    Attributes:
        colour: the colour of each value seen.
        value: the value of each colour seen that stands for one.
    """

    def __init__(self) -> None:
        """Begin with no file seen."""
        self.colour: dict[int, Colour] = {}
        self.value: dict[Colour, int] = {}

    def add(self, file: Path, colours: dict[int, Colour] | None) -> None:
        """Note the colours of the values in a file; nothing where it has no palette.

        Raises:
            UnderstudyError: a colour was another value in a file before, or a value another colour.
        """
        found = colours or {}
        several = {colour for colour in found.values() if list(found.values()).count(colour) > 1}  # they say nothing
        for value, colour in sorted(found.items()):
            known, other = self.colour.setdefault(value, colour), value
            if colour not in several:
                other = self.value.setdefault(colour, value)
            if known != colour or other != value:
                raise UnderstudyError(
                    f"the palette of {file} differs from those of label maps before it: the colour {_hex(colour)} is "
                    f"value {value} in it, and "
                    + (f"value {other}" if other != value else f"value {value} is the colour {_hex(known)}")
                    + " in another file; save all label maps with one palette, or as grey class numbers"
                )


def _hex(colour: Colour) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)


def _refuse_unsure(file: Path, remarks: tuple[str, ...]) -> None:
    if UNSURE in remarks:
        raise UnderstudyError(
            f"{file} is a 1-bit TIFF marked min-is-white by tifffile, which so marks every boolean array: whether "
            "0 or 1 is the lesion is not said; name the stored values with --label-scheme, or save it as PNG"
        )


def inferred_scheme(files: Sequence[Path]) -> LabelScheme:
    """Read all label maps and name their values background, class1, class2 ... (two classes: background, lesion).

    Raises:
        UnderstudyError: the values are not 0..K-1 without a gap, K at most 16, or a file does not tell them apart; the
            message names --label-scheme. Or palettes differ, or by them black, the colour of a background, is not 0.
    """
    values: set[int] = set()
    palettes = Palettes()
    for file in files:
        picture = formats.stored_labels(file)
        _refuse_unsure(file, picture.remarks)
        palettes.add(file, picture.colours)
        values.update(distinct(picture.array).tolist())
        if len(values) > 4 * LARGEST:
            break
    found = sorted(values)
    if palettes.value.get(BLACK, 0) != 0 and palettes.colour.get(0, BLACK) != BLACK:
        raise UnderstudyError(
            f"by the palette of the label maps black is value {palettes.value[BLACK]}, and value 0 has a colour: say "
            f"which is the background, for example --label-scheme {_example(found, palettes.value[BLACK])}"
        )
    if found == list(range(len(found))) and len(found) <= LARGEST + 1:
        names = ("background", "lesion") if len(found) == 2 else ("background", *(f"class{k}" for k in found[1:]))
        return LabelScheme(names, tuple(found))
    if len(found) > LARGEST + 1:
        raise UnderstudyError(
            f"the label maps hold more than {LARGEST + 1} values ({', '.join(map(str, found[:5]))}, ...): are they "
            "images? Otherwise name every value with --label-scheme 0=background,1=..."
        )
    raise UnderstudyError(
        f"the label maps hold the values {', '.join(map(str, found))}, and what they mean is not said: name them, for "
        f"example --label-scheme {_example(sorted({0, *found}), 0)}"
    )


def _example(values: Sequence[int], background: int) -> str:
    return ",".join(f"{v}={'background' if v == background else f'class{k}'}" for k, v in enumerate(values))


def mapped(scheme: LabelScheme, values: np.ndarray, where: str) -> np.ndarray:
    """Map whole numbers to classes, uint8, as ``LabelScheme.from_source`` does, through a table: fast on volumes."""
    low, high = int(values.min()), int(values.max())
    if not _narrow(low, high):
        return scheme.from_source(values, where)
    present = distinct(values)
    table = np.zeros(high - low + 1, np.uint8)
    table[present - low] = scheme.from_source(present, where)
    out = np.empty(values.size, np.uint8)
    start = 0
    for block in _blocks(values):
        out[start : start + len(block)] = table[block - low]
        start += len(block)
    return out.reshape(values.shape)


def distinct(values: np.ndarray) -> np.ndarray:
    """Return the different whole numbers in an array, ascending; int64, or uint64 beyond it."""
    low, high = int(values.min()), int(values.max())
    if not _narrow(low, high):
        return np.unique(values)
    seen = np.zeros(high - low + 1, bool)
    for block in _blocks(values):
        seen[block - low] = True
    return np.flatnonzero(seen) + low


def _blocks(values: np.ndarray) -> Iterator[np.ndarray]:
    """The values in a row as int64, some at a time, so that large volumes are not held eight times."""
    flat = values.reshape(-1)
    for start in range(0, flat.size, BLOCK):
        yield flat[start : start + BLOCK].astype(np.int64)


def _narrow(low: int, high: int) -> bool:
    return high - low <= NARROW and high < 2**63  # what int64 holds

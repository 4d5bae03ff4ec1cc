"""Label values of source files: map them by a scheme; find the scheme where none is given.

A scheme is found only where there is nothing to guess: values 0..K-1 without a gap.

**Checked** in tests/data/test_folder.py (0/1 and 0..3 named; 0/255 refused with the option that mends it).
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from understudy.core.errors import UnderstudyError
from understudy.core.labels import LabelScheme
from understudy.data import formats

LARGEST = 15


def inferred_scheme(files: Sequence[Path]) -> LabelScheme:
    """Read all label maps and name their values background, class1, class2 ... (two classes: background, lesion).

    Raises:
        UnderstudyError: the values are not 0..K-1 without a gap, K at most 16; the message names --label-scheme.
    """
    values: set[int] = set()
    for file in files:
        values.update(distinct(formats.labels(file).array))
        if len(values) > 4 * LARGEST:
            break
    found = sorted(values)
    if found == list(range(len(found))) and len(found) <= LARGEST + 1:
        names = ("background", "lesion") if len(found) == 2 else ("background", *(f"class{k}" for k in found[1:]))
        return LabelScheme(names, tuple(found))
    if len(found) > LARGEST + 1:
        raise UnderstudyError(
            f"the label maps hold more than {LARGEST + 1} values ({', '.join(map(str, found[:5]))}, ...): are they "
            "images? Otherwise name every value with --label-scheme 0=background,1=..."
        )
    example = ",".join(f"{value}={'background' if value == 0 else f'class{k}'}" for k, value in enumerate(found))
    raise UnderstudyError(
        f"the label maps hold the values {', '.join(map(str, found))}, and what they mean is not said: name them, for "
        f"example --label-scheme {example}"
    )


def mapped(scheme: LabelScheme, values: np.ndarray, where: str) -> np.ndarray:
    """Map source values to classes 0..K-1, as ``LabelScheme.from_source`` does, through a table: fast on volumes.

    Args:
        scheme: what the values mean.
        values: whole numbers (*S).
        where: the file, for the message.

    Returns:
        uint8 (*S).

    Raises:
        UnderstudyError: a value is not in the scheme.
    """
    low, high = int(values.min()), int(values.max())
    if high - low > 65535:
        return scheme.from_source(values, where)
    shifted = values.astype(np.int32) - low
    present = np.flatnonzero(np.bincount(shifted.reshape(-1)))
    table = np.zeros(high - low + 1, np.uint8)
    table[present] = scheme.from_source(present + low, where)
    return table[shifted]


def distinct(values: np.ndarray) -> list[int]:
    """Return the different whole numbers in an array, ascending."""
    low = int(values.min())
    if int(values.max()) - low > 65535:
        return [int(v) for v in np.unique(values)]
    counts = np.bincount((values.astype(np.int32) - low).reshape(-1))
    return [int(v) + low for v in np.flatnonzero(counts)]

"""Merging: anatomy and lesion, each with a label scheme of its own, become one label map with one scheme.

**Source** of the layout: Platscher et al. (2020, arXiv 2010.02745, official code): background, 27 anatomical structures
and stroke as 29 classes, the lesion last, laid over the anatomy. **Checked** in tests/synthesis/test_merging.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from understudy.core.errors import UsageError
from understudy.core.labels import LabelScheme


@dataclass(frozen=True)
class Joining:
    """Two schemes made one.

    Attributes:
        scheme: the anatomy's classes, then the lesion's.
        anatomy: uint8 (K of the anatomy,), the joint class of each of its classes.
        lesion: uint8 (K of the lesion's scheme,), the joint class of each class; 0 where it is no lesion.
    """

    scheme: LabelScheme
    anatomy: np.ndarray
    lesion: np.ndarray


def joining(anatomy: LabelScheme, lesion: LabelScheme, names: Sequence[str]) -> Joining:
    """Join two label schemes.

    Args:
        anatomy: its classes come first; one that is also named as lesion is lesion. If it has all classes of the
            lesion, the joint scheme is this one as it is.
        lesion: has the classes of the lesion, and maybe others, which are left out.
        names: which classes form the lesion.

    Raises:
        UsageError: a name that neither scheme has, none at all, or the background among them.
    """
    for name in names:
        if name not in lesion.names + anatomy.names:
            raise UsageError(f"there is no class {name!r}: there are {', '.join((*anatomy.names, *lesion.names[1:]))}")
    if not names or lesion.names[0] in names or anatomy.names[0] in names:
        raise UsageError(f"name the classes that form the lesion, out of {', '.join(lesion.names[1:])}")
    first = [name for name in anatomy.names if name not in names]
    last = [name for name in dict.fromkeys((*lesion.names, *anatomy.names)) if name in names]
    joint = anatomy.names if set(names) <= set(anatomy.names) else (*first, *last)
    values = dict(zip(anatomy.names, anatomy.source_values, strict=True))
    for name, value in zip(lesion.names, lesion.source_values, strict=True):
        if name in last and name not in values:
            values[name] = value if value not in values.values() else max((*values.values(), *lesion.source_values)) + 1
    return Joining(
        LabelScheme(joint, tuple(values[name] for name in joint)),
        np.array([joint.index(name) for name in anatomy.names], np.uint8),
        np.array([joint.index(name) if name in last else 0 for name in lesion.names], np.uint8),
    )


def merge(anatomy: np.ndarray, lesion: np.ndarray, both: Joining) -> np.ndarray:
    """Lay a lesion over anatomy.

    Args:
        anatomy: label map (*S) in the anatomy's scheme.
        lesion: label map (*S) in the lesion's scheme.
        both: the joint scheme, from :func:`joining`.

    Returns:
        uint8 (*S) in the joint scheme.
    """
    over = both.lesion[lesion]
    return np.where(over > 0, over, both.anatomy[anatomy]).astype(np.uint8)

"""Header and Picture: what every file format gives."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Header:
    """What a file says of itself before its pixels are read: C channels, spatial size, stored data type."""

    channels: int
    size: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class Picture:
    """A file's content.

    Attributes:
        array: image (C, *S), or label map (*S).
        spacing_mm: per array axis, or None where the file does not say.
        affine: (4, 4), array indices (d, h, w, 1) to millimetres right, anterior, superior; or None. In 2D, d is 0.
    """

    array: np.ndarray
    spacing_mm: tuple[float, ...] | None = None
    affine: np.ndarray | None = None


def storable(dtype: np.dtype) -> str:
    """Return the type in which a cohort keeps values of a file's type: uint8, int16, uint16 or float32.

    8-bit signed becomes int16; 32-bit and longer integers and 64-bit floats become float32 (exact to 16,777,216).
    """
    if dtype == np.bool_ or dtype == np.uint8:
        return "uint8"
    if dtype in (np.dtype("int8"), np.dtype("int16")):
        return "int16"
    return "uint16" if dtype == np.uint16 else "float32"

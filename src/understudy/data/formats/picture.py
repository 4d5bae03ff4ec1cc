"""What pictures of all formats share: bounds, orientation, alpha, palettes, colour profiles.

A viewer honours these, and so does every reader. An orientation (EXIF or TIFF tag 274, values 1 to 8) is applied to the
pixels and to the size. Alpha is no contrast: where it is opaque everywhere it is left out; otherwise the picture is
refused, since what shows behind it is not in the file. Colour profiles are not applied, which is told; gamma is
ignored.
**Source**: EXIF 2.3, 4.6.4 (Orientation).
**Checked** in tests/data/formats/test_picture.py, test_raster.py and test_tiff.py.
"""

from pathlib import Path

import numpy as np

from understudy.core.errors import UnderstudyError
from understudy.data.formats.decoded import refuse_large

MOST_PIXELS = 81_000_000  # of one picture: 9,000 x 9,000
MOST_BYTES = 2**29  # of one picture, decoded: 9,000 x 9,000 in 16-bit colour
TURNED = "pictures are turned as their orientation (EXIF or TIFF tag) says"
OPAQUE = "an alpha channel that is opaque everywhere is left out"
PROFILE = "colour profiles are not applied"


def refuse_size(file: Path, channels: int, size: tuple[int, int], item: int = 1) -> None:
    """Refuse a picture that claims to be larger than is read, or to have no pixels; nothing is allocated.

    Args:
        file: for the message.
        channels: C, alpha counted.
        size: (H, W).
        item: bytes per value.
    """
    refuse_large(file, size)
    pixels = size[0] * size[1]
    if pixels > MOST_PIXELS or pixels * channels * item > MOST_BYTES:
        raise UnderstudyError(
            f"{file} says that it is {size[0]} x {size[1]} pixels, which take {pixels * channels * item:,} bytes, and "
            f"pictures of at most {MOST_PIXELS:,} pixels and {MOST_BYTES:,} bytes are read: it is damaged, or must be "
            "cut into smaller files"
        )


def upright(array: np.ndarray, orientation: int) -> np.ndarray:
    """Turn an array (C, H, W) as a viewer does; orientations other than 2 to 8 leave it."""
    if 5 <= orientation <= 8:
        array = array.swapaxes(1, 2)
    if orientation in (3, 4, 7, 8):
        array = array[:, ::-1]
    if orientation in (2, 3, 6, 7):
        array = array[:, :, ::-1]
    return np.ascontiguousarray(array)


def upright_size(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    """Return the size (H, W) after :func:`upright`."""
    return (size[1], size[0]) if 5 <= orientation <= 8 else size


def refuse_see_through(file: Path, opaque: bool) -> None:
    """Refuse a picture that is not opaque everywhere."""
    if not opaque:
        raise UnderstudyError(
            f"{file} is see-through in places (its last channel, or a colour of its palette, is alpha), and alpha is "
            "neither a contrast nor a class: flatten it onto a background, or save it without alpha (and contrasts as "
            "one file each)"
        )


def foreign_profile(profile: bytes | None) -> bool:
    """Tell whether an embedded ICC profile is another one than sRGB."""
    return bool(profile) and not any("sRGB".encode(code) in (profile or b"") for code in ("ascii", "utf-16-be"))


def coloured(indices: np.ndarray, palette: np.ndarray, file: Path) -> np.ndarray:
    """Return the colours (3, H, W) of indices (1, H, W) into a palette (N, 3); indices beyond it are refused."""
    refuse_beyond(indices, palette, file)
    return np.moveaxis(palette[indices[0]], -1, 0)


def colours(indices: np.ndarray, palette: np.ndarray, file: Path) -> dict[int, tuple[int, int, int]]:
    """Return the colour (red, green, blue) of each index that occurs; indices beyond the palette are refused."""
    refuse_beyond(indices, palette, file)
    found = np.flatnonzero(np.bincount(indices.reshape(-1)))
    return {int(value): (int(r), int(g), int(b)) for value, (r, g, b) in zip(found, palette[found], strict=True)}


def refuse_beyond(indices: np.ndarray, palette: np.ndarray, file: Path) -> None:
    """Refuse palette indices for which the palette has no colour."""
    if int(indices.max()) >= len(palette):
        raise UnderstudyError(
            f"{file} holds the palette index {int(indices.max())}, and its palette has {len(palette)} colours: it is "
            "damaged; save it as a grey picture, or with a whole palette"
        )


def one_channel(array: np.ndarray, file: Path) -> np.ndarray:
    """Return (1, H, W) from (C, H, W) whose channels are equal; UnderstudyError where they are not."""
    if len(array) > 1 and (array != array[:1]).any():
        raise UnderstudyError(
            f"{file} has {len(array)} channels that differ, and a label map has one channel of class numbers: "
            "save it as grey or palette image"
        )
    return array[:1]


def refuse_lossy(file: Path, kind: str) -> None:
    """Refuse a label map in a lossy format, by the name of the format."""
    raise UnderstudyError(
        f"{file} is a label map stored as {kind}, and {kind} is lossy and changes label values at every edge: save "
        "label maps as PNG (from the original, for what is lost does not come back)"
    )

"""What pictures share: orientation, alpha, palettes, profiles, bounds and types."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from understudy.core.errors import UnderstudyError
from understudy.data.formats.picture import (
    coloured,
    colours,
    foreign_profile,
    one_channel,
    refuse_size,
    upright,
    upright_size,
)

FILE = Path("a.png")
ARRAY = np.arange(12, dtype=np.uint8).reshape(1, 3, 4)


@pytest.mark.parametrize("orientation", range(10))
def test_upright_is_what_pillow_makes_of_it(orientation: int) -> None:
    picture = Image.fromarray(ARRAY[0])
    picture.getexif()[274] = orientation
    expected = np.asarray(ImageOps.exif_transpose(picture))
    assert np.array_equal(upright(ARRAY, orientation)[0], expected)
    assert upright_size((3, 4), orientation) == expected.shape


def test_sizes_have_bounds() -> None:
    refuse_size(FILE, 3, (9000, 9000), 2)
    for channels, size, item in ((1, (0, 5), 1), (1, (70_000, 5), 1), (1, (9001, 9001), 1), (4, (9000, 9000), 8)):
        with pytest.raises(UnderstudyError, match="are read"):
            refuse_size(FILE, channels, size, item)


def test_palettes() -> None:
    table = np.arange(36, dtype=np.uint8).reshape(12, 3)
    assert coloured(ARRAY, table, FILE)[:, 2, 3].tolist() == [33, 34, 35]
    assert colours(ARRAY[:, :, :2] // 4, table, FILE) == {0: (0, 1, 2), 1: (3, 4, 5), 2: (6, 7, 8)}
    for read in (coloured, colours):
        with pytest.raises(UnderstudyError, match="index 11, and its palette has 11 colours"):
            read(ARRAY, table[:11], FILE)


def test_profiles() -> None:
    assert not foreign_profile(None)
    assert not foreign_profile(b"...sRGB IEC61966-2.1")
    assert not foreign_profile("sRGB".encode("utf-16-be"))
    assert foreign_profile(b"Display P3")


def test_one_channel() -> None:
    assert one_channel(ARRAY.repeat(3, 0), FILE).shape == (1, 3, 4)
    with pytest.raises(UnderstudyError, match="2 channels that differ"):
        one_channel(np.concatenate([ARRAY, ARRAY + 1]), FILE)
    assert one_channel(np.full((1, 2, 2), np.nan), FILE).shape == (
        1,
        2,
        2,
    )  # one channel does not differ from itself; that it has NaN is said later

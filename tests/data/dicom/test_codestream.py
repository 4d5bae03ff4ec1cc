"""Compressed frames: the size that a stream states, and that it must be the header's."""

from types import ModuleType

import numpy as np
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGBaseline8Bit, RLELossless

from understudy.core.errors import UnderstudyError
from understudy.data.dicom.codestream import refuse_other_size, stated_size
from understudy.data.dicom.instance import Pixels

JPEG = bytes.fromhex("ffd8ffe000040000fffec00004ffffffc0000b080007000901011100ffd9")
J2K = bytes.fromhex("ff4fff5100290000000000130000001100000003000000010000000000000000")


@pytest.mark.parametrize(("stream", "size"), [
    (bytes.fromhex("ffd8ffe000040000ffc0000b08000700090101"), (7, 9)),
    (bytes.fromhex("ffd8fff7000b0800070009010111"), (7, 9)),
    (bytes.fromhex("ffd8ffffffc4000400ffffc2000b080007000901"), (7, 9)),
    (J2K, (16, 16)),
    (b"\0\0\0\x0cjP  \r\n\x87\n" + J2K, (16, 16)),
    (b"\0\0\0\x01", None), (b"", None), (b"\xff\xd8", None), (b"\xff\xd8\xff\xe0\0\0" * 3, None),
])  # fmt: skip
def test_stated_sizes(stream: bytes, size: tuple[int, int] | None) -> None:
    assert stated_size(stream) == size


@pytest.mark.parametrize(("frames", "count", "says"), [
    ([bytes.fromhex("ffd8ffc0000b08000700090101")], 1, "another size"),
    ([b"\0\0", b"\0\0"], 3, "3 compressed frames should follow"),
])  # fmt: skip
def test_refused(made: ModuleType, frames: list[bytes], count: int, says: str) -> None:
    data = made.dataset(np.zeros((6, 8), np.uint8), JPEGBaseline8Bit if count == 1 else RLELossless)
    data.PixelData = encapsulate(frames)
    with pytest.raises(UnderstudyError, match=says):
        refuse_other_size(data, Pixels(6, 8, 1, count, 8, 8, 7, False, "MONOCHROME2"), "it")

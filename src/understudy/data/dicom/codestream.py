"""The size that a compressed frame states of itself, compared with the header before a decoder allocates anything.

**Source**: ITU-T T.81, B.2.2 (JPEG frame header; JPEG-LS alike); ITU-T T.800, A.5.1 (JPEG 2000 SIZ).
**Checked** in tests/data/dicom/test_codestream.py.
"""

import struct
from typing import Any

from understudy.data.dicom.instance import Pixels
from understudy.data.dicom.opening import damaged, pydicom, reading

_FRAME_HEADERS = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}
_BARE = {0x01, *range(0xD0, 0xD9)}  # markers without a length


def refuse_other_size(dataset: Any, pixels: Pixels, where: str) -> None:
    """Refuse compressed frames that state another size than the header, or of which there are fewer."""
    if not dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        return
    with reading(where, "compressed frames"):
        encapsulated = pydicom().encaps.generate_frames(dataset.PixelData, number_of_frames=pixels.frames)
        count = 0
        for frame in encapsulated:
            count += 1
            size = stated_size(frame)
            if size is not None and size != (pixels.rows, pixels.columns):
                raise damaged(where, "a compressed frame has another size than the header says")
    if count < pixels.frames:
        raise damaged(where, f"{pixels.frames} compressed frames should follow, and {count} do")


def stated_size(frame: bytes) -> tuple[int, int] | None:
    """Return (H, W) of a JPEG, JPEG-LS or JPEG 2000 stream; None of anything else (RLE states none)."""
    if frame[:4] == b"\xff\x4f\xff\x51" and len(frame) >= 24:
        x1, y1, x0, y0 = struct.unpack(">IIII", frame[8:24])
        return y1 - y0, x1 - x0
    if frame[:8] == b"\x00\x00\x00\x0cjP  ":
        start = frame.find(b"\xff\x4f\xff\x51")
        return stated_size(frame[start:]) if start > 0 else None
    return _jpeg_size(frame) if frame[:2] == b"\xff\xd8" else None


def _jpeg_size(frame: bytes) -> tuple[int, int] | None:
    position = 2
    while position + 9 <= len(frame):
        if frame[position] != 0xFF:
            return None
        marker = frame[position + 1]
        if marker in _FRAME_HEADERS:
            height, width = struct.unpack(">HH", frame[position + 5 : position + 9])
            return height, width
        if marker == 0xFF:
            position += 1
        elif marker in _BARE:
            position += 2
        else:
            position += 2 + struct.unpack(">H", frame[position + 2 : position + 4])[0]
    return None

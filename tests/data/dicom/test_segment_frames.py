"""Frames of a SEG: bits that cross bytes, sizes that compressed frames state, what is said of each frame."""

from io import BytesIO
from types import ModuleType

import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.pixels.utils import pack_bits
from pydicom.uid import JPEGLSLossless

from understudy.data.dicom.segment_frames import frames_of, kind_of, stated_size, stored_frames


def test_bits_that_cross_bytes(annotated: ModuleType) -> None:
    masks = np.random.default_rng(0).integers(0, 2, (7, 5, 3)).astype(np.uint8)  # 15 bits a frame
    file = Dataset()
    file.file_meta = annotated.structures({}).file_meta
    file.Rows, file.Columns, file.NumberOfFrames, file.BitsAllocated = 5, 3, 7, 1
    file.PixelData = pack_bits(masks)
    found = dict(stored_frames(file, set(range(7))))
    assert np.array_equal(np.stack([found[n] for n in range(7)]), masks)
    assert [number for number, _ in stored_frames(file, {5, 2})] == [2, 5]
    assert np.array_equal(dict(stored_frames(file, {5}))[5], masks[5])


def test_what_is_said_of_frames(annotated: ModuleType) -> None:
    grid = annotated.grid_of(annotated.affine_of((0.1, 0.2, 0.3), (1, 2, 3), (4, 5, 6)), (6, 7, 3))
    labels = np.zeros((6, 7, 3), np.uint8)
    labels[..., 0], labels[2:, 2:, 2] = 1, 2
    file = annotated.seg(annotated.series(grid), annotated.slices(labels), **annotated.spatial(grid))
    assert kind_of(file) == "BINARY"
    frames = frames_of(file, "BINARY")
    assert [(frame.number, frame.segment) for frame in frames] == [(0, 1), (1, 2)]
    assert frames[0].between == pytest.approx(3)
    for frame, k in zip(frames, (0, 2), strict=True):
        assert frame.affine is not None
        assert np.allclose(frame.affine @ [5, 6, 0, 1], grid.affine @ [5, 6, k, 1])
        assert np.allclose(frame.affine[:3, 2] * 3, grid.affine[:3, 2])


def test_sizes_in_compressed_frames(annotated: ModuleType) -> None:
    picture = Image.fromarray(np.zeros((33, 40), np.uint8))
    for form, options in (("JPEG2000", {"no_jp2": True}), ("JPEG", {}), ("JPEG", {"progressive": True})):
        stream = BytesIO()
        picture.save(stream, form, **options)
        assert stated_size(stream.getvalue()) == (33, 40)
    grid = annotated.grid_of(np.eye(4), (6, 7, 2))
    file = annotated.seg(
        annotated.series(grid), np.ones((2, 7, 6), np.uint8), "LABELMAP", transfer_syntax_uid=JPEGLSLossless
    )
    start = file.PixelData.index(b"\xff\xd8")
    assert stated_size(file.PixelData[start:]) == (7, 6)
    for nothing in (b"", b"\xff\xd8", b"\xff\xd8\xff\xf7\0", bytes(64), b"\xff\xd8" + bytes(64)):
        assert stated_size(nothing) is None

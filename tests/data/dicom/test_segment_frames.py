"""Frames of a SEG: bits that cross bytes, what is said of each frame."""

from types import ModuleType

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.pixels.utils import pack_bits

from understudy.data.dicom.segment_frames import frames_of, kind_of, stored_frames


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

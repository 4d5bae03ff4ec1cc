"""What all formats share: types kept, bounds before anything is allocated, sentences, turning."""

import os
from pathlib import Path

import numpy as np
import pytest

from understudy.core.errors import UnderstudyError
from understudy.data import formats
from understudy.data.formats.decoded import (
    EXACT,
    MOST_SIDE,
    DecodedFile,
    Header,
    as_kept,
    refuse_large,
    refuse_odd,
    refuse_short,
    storable,
    unreadable,
    without_alpha,
)

AFFINE = np.diag([-1.0, -2.0, 3.0, 1.0])  # left, posterior, superior
FILE = Path("a.nii")


@pytest.mark.parametrize(("dtype", "kept"), [
    ("bool", "uint8"), ("uint8", "uint8"), ("int8", "int16"), ("int16", "int16"), (">i2", "int16"),
    ("uint16", "uint16"), (">u2", "uint16"), ("int32", "float32"), ("uint32", "float32"), ("int64", "float32"),
    ("uint64", "float32"), ("float16", "float32"), ("float32", "float32"), (">f8", "float32"),
])  # fmt: skip
def test_storable_holds_every_value(dtype: str, kept: str) -> None:
    assert storable(np.dtype(dtype)) == kept
    values = np.array([0, 1, 100], dtype)
    assert as_kept(values, FILE).dtype == kept
    assert np.array_equal(as_kept(values, FILE), values)


@pytest.mark.parametrize("value", [EXACT + 1, -EXACT - 1, 2**31 - 1])
def test_whole_numbers_that_float32_would_round_are_refused(value: int) -> None:
    with pytest.raises(UnderstudyError, match="16,777,216 exactly"):
        as_kept(np.array([0, value]), FILE)
    assert as_kept(np.array([-EXACT, EXACT]), FILE).tolist() == [-EXACT, EXACT]


def test_the_largest_unsigned_number_is_seen() -> None:
    with pytest.raises(UnderstudyError, match="18446744073709551615"):
        as_kept(np.array([2**64 - 1], np.uint64), FILE)


def test_what_float32_does_not_reach_is_refused_and_infinity_is_left_to_the_reader(
    recwarn: pytest.WarningsRecorder,
) -> None:
    assert np.isinf(as_kept(np.array([np.inf]), FILE)).all()
    for array, says in ((np.array([1e300]), "beyond 3.4e38"), (np.zeros(3, np.complex64), "complex64")):
        with pytest.raises(UnderstudyError, match=says):
            as_kept(array, FILE)
    assert not recwarn.list


@pytest.mark.parametrize(("dtype", "stored"), [
    (">i2", "int16"), (">u2", "uint16"), ("<u4", "float32"), (">i8", "float32"), (">f2", "float32"), ("bool", "uint8"),
])  # fmt: skip
def test_types_are_kept_in_the_byte_order_of_the_machine(dtype: str, stored: str) -> None:
    array = np.array([0, 1, 1]).astype(dtype)
    out = as_kept(array, FILE)
    assert out.dtype == stored and out.dtype.isnative and np.array_equal(out, array)


def test_alpha() -> None:
    picture = np.arange(16, dtype=np.uint8).reshape(4, 2, 2)
    with pytest.raises(UnderstudyError, match="alpha channel"):
        without_alpha(picture, FILE)
    picture[3] = 255
    assert np.array_equal(without_alpha(picture, FILE), picture[:3])


@pytest.mark.parametrize("size", [
    (), (0, 5), (5, -1), (MOST_SIDE + 1, 1), (32767, 32767, 32767), (2**62, 2**62), (2**15, 2**14 + 1)
])  # fmt: skip
def test_sizes_beyond_bounds_are_refused(size: tuple[int, ...]) -> None:
    with pytest.raises(UnderstudyError, match="in all are read"):
        refuse_large(FILE, size)


def test_sizes_within_bounds_pass() -> None:
    refuse_large(FILE, (1024, 1024, 512))
    refuse_large(FILE, (MOST_SIDE, 1))
    refuse_short(FILE, "NIfTI", 10, 10)


def test_a_header_that_needs_more_than_there_is() -> None:
    with pytest.raises(UnderstudyError, match="needs 1,011 bytes, and at most 1,010 are there"):
        refuse_short(FILE, "NIfTI", 1011, 1010)


def test_unreadable_says_one_line() -> None:
    assert "\n" not in str(unreadable(FILE, "NIfTI", "one\n  two"))
    assert "(EOFError)" in str(unreadable(FILE, "NIfTI", EOFError()))


def test_pipes_and_folders_are_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.nii")
    (tmp_path / "folder.nii").mkdir()
    for name in ("pipe.nii", "folder.nii"):
        with pytest.raises(UnderstudyError, match="no regular file"):
            refuse_odd(tmp_path / name)
        with pytest.raises(UnderstudyError, match="no regular file"):
            formats.header(tmp_path / name)  # would wait for ever
    (tmp_path / "file").write_bytes(b"")
    refuse_odd(tmp_path / "file")


def test_turned() -> None:
    array = np.arange(24).reshape(1, 2, 3, 4)
    found = DecodedFile(array, affine=AFFINE, remarks=("a",))
    axial = found.turned()
    assert np.array_equal(axial.array, array.transpose(0, 3, 2, 1))
    assert axial.spacing_mm == (3.0, 2.0, 1.0)
    assert axial.remarks == ("a",)
    assert found.turned("sagittal").array.shape == (1, 2, 4, 3)
    bare = DecodedFile(array, affine=AFFINE, placed=False).turned()
    assert bare.affine is None
    assert bare.spacing_mm == (3.0, 2.0, 1.0)
    picture = DecodedFile(array[0], spacing_mm=(2.0, 1.0)).turned()
    assert picture.array is not None
    assert picture.spacing_mm == (2.0, 1.0)


def test_a_header_says_its_size_in_a_plane() -> None:
    head = Header(1, (2, 3, 4), "uint8", AFFINE)
    assert head.size == (4, 3, 2)
    assert head.turned_size("sagittal") == (2, 4, 3)
    assert Header(1, (2, 3), "uint8").size == (2, 3)

"""Rows: types of number kept exactly, memory maps read in blocks, centred vectors of length one, work in pieces."""

from pathlib import Path

import numpy as np
import pytest

from understudy.core.errors import UnderstudyError
from understudy.evaluation.search.rows import PIECE_VALUES, ArrayRows, UnitRows, in_pieces


@pytest.mark.parametrize(
    ("kind", "becomes"),
    [("uint8", "float32"), ("int16", "float32"), ("uint16", "float32"), ("float16", "float32"), ("float32", "float32")]
    + [("float64", "float64"), ("int32", "float64")],
)
def test_every_value_of_every_type_is_kept(kind: str, becomes: str, tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(-30000, 65000, (7, 3, 4)).astype(kind)
    np.save(tmp_path / "images.npy", values)
    rows = ArrayRows(np.load(tmp_path / "images.npy", mmap_mode="r"), np.array([6, 2, 2]))
    block = rows.block(0, 3)
    assert (len(rows), rows.dimension, block.dtype) == (3, 12, becomes)
    assert np.array_equal(block.astype(np.float64), values[[6, 2, 2]].reshape(3, 12).astype(np.float64))
    assert np.array_equal(rows.block(1, 2), block[1:2])


def test_unit_rows_have_mean_0_and_length_1_and_constants_are_zero() -> None:
    values = np.random.default_rng(0).normal(1000, 3, (5, 400))
    values[3] = 1e-3
    block = UnitRows(ArrayRows(values)).block(0, 5)
    assert np.abs(block.mean(1)).max() < 1e-7
    assert np.abs((block.astype(np.float64) ** 2).sum(1) - [1, 1, 1, 0, 1]).max() < 1e-7
    assert not block[3].any()


def test_nan_is_refused() -> None:
    with pytest.raises(UnderstudyError, match="NaN or infinite"):
        UnitRows(ArrayRows(np.array([[1.0, np.nan], [1, 2]]))).block(0, 2)


def test_pieces_cover_all_once_and_are_small() -> None:
    seen: list[tuple[int, int]] = []
    in_pieces(lambda a, b: seen.append((a, b)), 10, PIECE_VALUES // 3)
    assert sorted(seen) == [(0, 3), (3, 6), (6, 9), (9, 10)]
    in_pieces(lambda a, b: seen.append((a, b)), 2, 10 * PIECE_VALUES)
    assert seen[-2:] == [(0, 1), (1, 2)] or seen[-2:] == [(1, 2), (0, 1)]


def test_an_error_of_a_piece_is_not_lost() -> None:
    def fail(start: int, stop: int) -> None:
        raise UnderstudyError(f"piece {start} to {stop}")

    with pytest.raises(UnderstudyError, match="piece 0 to 5"):
        in_pieces(fail, 5, 10)

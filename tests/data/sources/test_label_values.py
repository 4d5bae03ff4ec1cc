"""What the numbers in label maps are: any integer type, and one palette over all files."""

import re
from pathlib import Path

import numpy as np
import pytest

from understudy.core.errors import UnderstudyError
from understudy.core.labels import LabelScheme
from understudy.data.sources.label_values import distinct, mapped


@pytest.mark.parametrize(
    "values",
    [
        np.array([[-(2**63), 0, 1]], np.int64),  # what NaN becomes
        np.array([[0, 2**63]], np.uint64),
        np.array([[2**64 - 1, 2**64 - 2]], np.uint64),
        np.array([[0, 70_000]], np.uint32),
    ],
)
def test_values_of_any_width_are_named_and_refused(values: np.ndarray) -> None:
    assert distinct(values).tolist() == sorted({int(v) for v in values.flat})
    with pytest.raises(UnderstudyError, match=re.escape(str(max(map(int, values.flat), key=abs)))):
        mapped(LabelScheme(("background", "lesion"), (0, 1)), values, "a file")


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64])
def test_labels_of_any_integer_type(dtype: type) -> None:
    values = np.array([[0, 3], [7, 0]], dtype)
    scheme = LabelScheme(("background", "a", "b"), (0, 3, 7))
    assert mapped(scheme, values, "a file").tolist() == [[0, 1], [2, 0]]

"""Values of a column: told with their subjects where at least two have them, otherwise counted or refused."""

from pathlib import Path

import pytest

from understudy.core.errors import UnderstudyError, UsageError
from understudy.data.column_values import MOST, ColumnValues, column_values


def written(folder: Path, *rows: str) -> Path:
    file = folder / "t.csv"
    file.write_text("\n".join(["patient,institution", *rows]) + "\n")
    return file


def test_values_with_their_subjects(tmp_path: Path) -> None:
    table = written(tmp_path, "a,north", "a,north", "b, north", "c,south", "d,south", "d,north", "e,Jones", "f,", "g,")
    assert column_values(table, "institution", "patient") == ColumnValues({"north": 3, "south": 2}, rare=1, blank=2)


def test_a_column_of_names_is_never_shown(tmp_path: Path) -> None:
    few = written(tmp_path, *(f"p{i},Jones-{i}" for i in range(9)))
    assert column_values(few, "institution", "patient") == ColumnValues({}, rare=9)
    many = [f"p{i},Jones-{i // 2}" for i in range(2 * MOST)]
    assert len(column_values(written(tmp_path, *many), "institution", "patient").subjects) == MOST
    with pytest.raises(UnderstudyError, match="has 51 different values, and at most 50") as caught:
        column_values(written(tmp_path, *many, "x,Smith"), "institution", "patient")
    assert "Jones" not in str(caught.value) and "Smith" not in str(caught.value)


def test_columns_that_do_not_do(tmp_path: Path) -> None:
    table = written(tmp_path, "a,north", ",south")
    with pytest.raises(UsageError, match="subjects are never listed"):
        column_values(table, "patient", "patient")
    with pytest.raises(UsageError, match="no column 'clinic'"):
        column_values(table, "clinic", "patient")
    with pytest.raises(UnderstudyError, match="says no subject in 1 of 2 places"):
        column_values(table, "institution", "patient")

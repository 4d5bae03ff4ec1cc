"""The values of a table column and how many subjects each has: what a loop over institutions is made from.

A column could hold anything, names of patients too. So a value is told only where at least ``LEAST`` subjects have it;
the others are counted, and a column with more than ``MOST`` values is refused without naming any.
**Checked** in tests/data/test_column_values.py.
"""

from dataclasses import dataclass
from pathlib import Path

from understudy.core.errors import UnderstudyError, UsageError
from understudy.data import identity
from understudy.data.sources.table import read_columns

LEAST, MOST = 2, 50


@dataclass(frozen=True)
class ColumnValues:
    """What a column holds.

    Attributes:
        subjects: how many subjects have each value, in the order of the values.
        rare: values that fewer than ``LEAST`` subjects have, which are not told.
        blank: rows without a value.
    """

    subjects: dict[str, int]
    rare: int = 0
    blank: int = 0


def column_values(table: Path, column: str, subject: str) -> ColumnValues:
    """Return the values of a column as ``leave_out`` compares them; a subject with several counts for each.

    Args:
        table: a CSV table, as ``import folder`` reads it.
        column: whose values are wanted, such as ``institution``.
        subject: the column that names the subjects.

    Raises:
        UsageError: the table or a column is not there, or both are one.
        UnderstudyError: the column has more than ``MOST`` values, or a row names no subject.
    """
    if column == subject:
        raise UsageError(
            f"the column {column!r} names the subjects, and subjects are never listed: name another column"
        )
    read = read_columns(table, (column, subject))
    whose = identity.subjects(read.column(subject), f"the column {subject!r} of {table}", "fill it in")
    found: dict[str, set[str]] = {}
    for value, one in zip(read.column(column), whose, strict=True):
        found.setdefault(identity.plain(value), set()).add(one)
    found.pop("", None)
    if len(found) > MOST:
        raise UnderstudyError(
            f"the column {column!r} of {table} has {len(found)} different values, and at most {MOST} are listed: a "
            "column of groups, such as institutions, was expected"
        )
    told = {value: len(subjects) for value, subjects in sorted(found.items()) if len(subjects) >= LEAST}
    blank = sum(not identity.plain(value) for value in read.column(column))
    return ColumnValues(told, len(found) - len(told), blank)

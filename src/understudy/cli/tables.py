"""Results as plain text tables on the terminal. **Checked** in tests/cli/test_tables.py."""

import csv
from collections.abc import Sequence
from pathlib import Path

import typer

from understudy.core.errors import UnderstudyError
from understudy.core.result import SCORES, read_results

UTILITY = ("trained on", "class", "", "95 % interval", "ratio to real", "95 % interval", "test subjects", "repeats")
RESULTS = ("result", "value", "95 % interval", "unit", "n")


def show_results(folder: Path) -> None:
    """Print what ``evaluate`` measured: scores side by side with their ratio for utility, every result otherwise.

    Args:
        folder: a results folder.

    Raises:
        UnderstudyError: the folder holds no readable results.
    """
    file = folder / "tables" / "utility.csv"
    typer.echo(utility_table(file) if file.is_file() else results_table(folder))


def results_table(folder: Path) -> str:
    """Return the results of a folder as a table: name, value, 95 % interval, unit, n."""
    rows = []
    for result in read_results(folder)[0]:
        missing = "not measured" if result.note.startswith("not measured") else "withheld"
        value = missing if result.value is None else _number(result.value)
        rows.append((result.name, value, _interval(result.low, result.high), result.unit, str(result.n)))
    return text_table(RESULTS, rows)


def utility_table(file: Path) -> str:
    """Return tables/utility.csv as text: the score of each side, its interval, its ratio to the real side, n.

    Raises:
        UnderstudyError: the file is not the table that ``evaluate utility`` writes.
    """
    try:
        with file.open(newline="") as handle:
            table = csv.DictReader(handle)
            score = next(name for name in SCORES if name in (table.fieldnames or ()))
            rows = [_utility_row(row, score) for row in table]
    except (KeyError, ValueError, StopIteration) as error:
        raise UnderstudyError(
            f"{file} is not the table that `understudy evaluate utility` writes ({error!r}): evaluate again"
        ) from error
    return text_table([name or SCORES[score] for name in UTILITY], rows)


def _utility_row(row: dict[str, str], score: str) -> tuple[str, ...]:
    value, low, high, ratio, ratio_low, ratio_high = (
        float(row[name]) if row[name] else None for name in (score, "low", "high", "ratio", "ratio_low", "ratio_high")
    )
    values = (
        ("none" if row["n_subjects"] == "0" else "withheld") if value is None else f"{value:.3f}",
        _interval(low, high),
        "" if ratio is None else f"{ratio:.3f}",
        _interval(ratio_low, ratio_high),
    )
    return (row["trained_on"], row["class"], *values, row["n_subjects"], row["repeats"])


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{_number(low)} to {_number(high)}"


def _number(value: float) -> str:
    return f"{value:.2g}" if 0 < abs(value) < 0.01 else f"{value:.3f}"  # a KID is small


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return rows under a header in aligned columns, two spaces apart; columns of numbers are right-aligned."""
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]
    right = [i > 0 and all(row[i][:1] in "-0123456789w" for row in rows) for i in range(len(header))]
    lines = []
    for line in (header, ["-" * width for width in widths], *rows):
        cells = [cell.rjust(w) if r else cell.ljust(w) for cell, w, r in zip(line, widths, right, strict=True)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)

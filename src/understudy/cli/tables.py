"""Tables on the terminal, by rich where a person looks at them. **Checked** in tests/cli/test_tables.py."""

import csv
import sys
from collections.abc import Sequence
from pathlib import Path

import typer

from understudy.core.errors import UnderstudyError

UTILITY = ("trained on", "class", "", "95 % interval", "ratio to real", "95 % interval", "test subjects", "repeats")
Shown = tuple[Sequence[str], Sequence[Sequence[str]]]
ONE_LINE = 1000
RESULTS = ("result", "value", "95 % interval", "unit", "n")


def show_results(folder: Path) -> None:
    """Print what ``evaluate`` measured: scores side by side with their ratio for utility, every result otherwise.

    Raises:
        UnderstudyError: the folder holds no readable results.
    """
    file = folder / "tables" / "utility.csv"
    show_table(*(utility_table(file) if file.is_file() else results_table(folder)))


def results_table(folder: Path) -> Shown:
    """Return the results of a folder as a header and rows: name, value, 95 % interval, unit, n."""
    from understudy.core.result import read_results

    rows = []
    for result in read_results(folder)[0]:
        missing = "not measured" if result.note.startswith("not measured") else "withheld"
        value = missing if result.value is None else _number(result.value)
        rows.append((result.name, value, _interval(result.low, result.high), result.unit, str(result.n)))
    return RESULTS, rows


def utility_table(file: Path) -> Shown:
    """Return tables/utility.csv as a header and rows: score, interval, ratio to the real arm, n.

    Raises:
        UnderstudyError: the file is not the table that ``evaluate utility`` writes.
    """
    from understudy.core.result import SCORES

    try:
        with file.open(newline="") as handle:
            table = csv.DictReader(handle)
            score = next(name for name in SCORES if name in (table.fieldnames or ()))
            rows = [_utility_row(row, score) for row in table]
    except (KeyError, ValueError, StopIteration) as error:
        raise UnderstudyError(
            f"{file} is not the table that `understudy evaluate utility` writes ({error!r}): evaluate again"
        ) from error
    return [name or SCORES[score] for name in UTILITY], rows


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


def show_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under a header: fitted to a terminal, or one line a row of plain ASCII where there is none."""
    from rich.box import Box
    from rich.console import Console
    from rich.table import Table

    terminal = sys.stdout.isatty()
    rule = Box("    \n    \n " + ("──" if terminal else "--") + " \n" + "    \n" * 5, ascii=not terminal)
    table = Table(box=rule, pad_edge=False, show_edge=False)
    for i, name in enumerate(header):
        number = bool(rows) and i > 0 and all(row[i][:1] in "-0123456789w" for row in rows)
        table.add_column(name, justify="right" if number else "left", overflow="fold", no_wrap=not terminal)
    for row in rows:
        table.add_row(*row)
    width = None if terminal else ONE_LINE
    console = Console(width=width, markup=False, highlight=False, emoji=False, soft_wrap=not terminal)
    with console.capture() as captured:
        console.print(table)
    typer.echo("\n".join(line.rstrip() for line in captured.get().splitlines()))

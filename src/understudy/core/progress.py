"""The progress bar of evaluations: on standard error, only where a person looks at it."""

import sys

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


def progress_bar(unit: str) -> Progress:
    """Return a bar that shows a description, what is done and the time; silent where standard error is no terminal.

    Args:
        unit: what is counted, e.g. ``updates``.
    """
    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total} " + unit)
    timing = TimeElapsedColumn(), TimeRemainingColumn()
    return Progress(*columns, *timing, console=Console(stderr=True), disable=not sys.stderr.isatty(), transient=True)

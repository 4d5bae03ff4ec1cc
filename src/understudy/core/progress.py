"""The one progress bar: on standard error, only where a person looks at it."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

T = TypeVar("T")
Update = Callable[..., None]


@contextmanager
def progress(title: str, total: int | None = None, unit: str = "", quiet: bool = False) -> Iterator[Update]:
    """Show how many units are done, of how many (None: not known yet), and the time.

    Nothing is shown where standard error is no terminal, or if ``quiet``.

    Yields:
        ``update(advance=, completed=, total=, description=)``, each of them where it changes.
    """
    columns = TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TextColumn(unit)
    off = quiet or not sys.stderr.isatty()
    timing = TimeElapsedColumn(), TimeRemainingColumn()
    with Progress(*columns, *timing, console=Console(stderr=True), disable=off, transient=True) as bar:
        yield partial(bar.update, bar.add_task(title, total=total))


def tracked(
    items: Iterable[T], title: str, total: int | None = None, done: int = 0, quiet: bool = False
) -> Iterator[T]:
    """Yield items and show how many are done, of ``total``, or of as many as ``items`` has, where it can tell.

    ``done`` were done before; nothing is shown if ``quiet``.
    """
    with progress(title, len(items) if total is None and isinstance(items, Sized) else total, quiet=quiet) as update:
        update(completed=done)
        for item in items:
            yield item
            update(advance=1)

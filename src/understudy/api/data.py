"""Real data, or the built-in phantom, become a cohort. **Checked** in tests/api/test_data.py."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from understudy.api import paths
from understudy.api.settings import configure, one_of
from understudy.core.cohort import Cohort
from understudy.core.errors import UsageError
from understudy.data.sources import SOURCES


def import_cohort(
    source: str,
    path: Path | str | None,
    out: Path | str,
    *,
    progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> Cohort:
    """Make a cohort from source data.

    Args:
        source: a name out of the menu of sources, e.g. ``folder`` or ``brats``.
        path: the folder that holds the data; None for the phantom.
        out: the cohort folder to make.
        progress: called with (items done, items in all).
        options: the source's options; ``understudy settings SOURCE`` lists them.

    Raises:
        UsageError: the request cannot be right.
        UnderstudyError: the data cannot be right.
    """
    out = paths.output(out, "cohort.json")
    settings = configure(one_of(SOURCES, source, "source").options, options, f"import {source}")
    _refuse_missing(path)
    from understudy.data.importing import import_cohort as make

    return Cohort.open(make(source, None if path is None else Path(path), out, settings, progress))


def preview_import(
    source: str,
    path: Path | str | None,
    *,
    progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Return what :func:`import_cohort` would read, as plain data: counts, sizes, spacings, values; nothing is written.

    Raises:
        UsageError: the request cannot be right.
        UnderstudyError: the data cannot be right.
    """
    settings = configure(one_of(SOURCES, source, "source").options, options, f"import {source}")
    _refuse_missing(path)
    from understudy.data.preview import preview

    return preview(source, None if path is None else Path(path), settings, progress)


def _refuse_missing(path: Path | str | None) -> None:
    if path is not None and not Path(path).is_dir():
        raise UsageError(
            f"a folder with the data to import was expected at {path}, and there is none: correct the path"
        )


def import_folder(path: Path | str, out: Path | str, **options: Any) -> Cohort:
    """Make a cohort from a folder of images and label maps, matched by name or through a CSV table.

    Options are e.g. ``images="images", labels="masks", subject_pattern="^[^_]+"``; ``understudy settings folder`` lists
    all.
    """
    return import_cohort("folder", path, out, **options)


def import_phantom(out: Path | str, **options: Any) -> Cohort:
    """Make a cohort of the built-in procedural brain with a tumour.

    Options are e.g. ``subjects=24, size=64``; ``understudy settings phantom`` lists all.
    """
    return import_cohort("phantom", None, out, **options)

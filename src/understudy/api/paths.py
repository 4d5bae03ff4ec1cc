"""What is not there is told first, in well under a second: before torch is imported, and by file names alone.

**Checked** in tests/api/test_paths.py, and for every verb in tests/cli/test_refusals.py.
"""

from collections.abc import Sequence
from pathlib import Path

from understudy.core.errors import UsageError

KINDS = {
    "cohort.json": ("a cohort", "make one with `understudy import`, `sample` or `edit`"),
    "run.json": ("a training run", "name a folder that `understudy train` made"),
    "results.json": ("an evaluation", "name a folder that `understudy evaluate` made"),
    "classifier.json": ("a classifier", "name a folder that `understudy classify` made"),
    "manifest.json": ("a bundle", "name a folder that `understudy release` made"),
}


def folder(path: Path | str, holds: str) -> Path:
    """Return a folder that holds the file, out of KINDS, that makes it what it should be.

    Raises:
        UsageError: there is no such folder, or it is another one.
    """
    path, (what, remedy) = Path(path), KINDS[holds]
    if not path.is_dir():
        raise UsageError(f"{what} folder was expected at {path}, and there is none: {remedy}")
    if not (path / holds).is_file():
        raise UsageError(f"{path} is not {what} (no {holds} in it): {remedy}")
    return path


def output(out: Path | str, holds: str) -> Path:
    """Return a place where an output may be made, or lies finished: then it holds the file that is named.

    Raises:
        UsageError: something else lies there, or there is no folder to make it in.
    """
    out = Path(out)
    if out.exists() and not (out / holds).is_file() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(
            f"the output {out} exists and is not a finished output of this command: choose another --out or remove it"
        )
    parent = out.absolute().parent
    if not parent.is_dir():
        raise UsageError(f"the folder {parent}, in which the output would lie, does not exist: make it first")
    return out


def outside(out: Path, inputs: Sequence[Path]) -> None:
    """Refuse an output inside a folder that is read: its seal would no longer hold. UsageError."""
    for one in inputs:
        if one.resolve() in out.absolute().resolve().parents:
            raise UsageError(
                f"the output {out} lies inside {one}, which is read and must stay as it is: choose another --out"
            )


def cohort_or_run(path: Path | str) -> Path:
    """Return a folder that is a cohort, or a training run; one that is neither is a UsageError."""
    return folder(path, "run.json" if (Path(path) / "run.json").is_file() else "cohort.json")


def several(given: Path | str | Sequence[Path | str]) -> list[Path]:
    """Return paths as a list, whether one was given or several."""
    return [Path(given)] if isinstance(given, (str, Path)) else [Path(path) for path in given]

"""``understudy screen``: a synthetic cohort without the cases that evidence speaks against, and what that costs."""

from pathlib import Path
from typing import Annotated

import typer

from understudy.api import paths
from understudy.cli.help import example
from understudy.cli.options import DryRun, Key, Out, names, option, show, writing
from understudy.core.errors import UsageError

EXAMPLE = example(
    "understudy screen synthetic --evidence results-consistency --out screened",
    "understudy screen synthetic --evidence results-consistency results-privacy --out screened",
    "understudy screen synthetic --evidence results-consistency --threshold mean=real,tumour=0.5 --out screened",
)


def screen(
    cohort: Annotated[Path, typer.Argument(metavar="COHORT", help="The synthetic cohort.")],
    evidence: Annotated[list[Path], option("RESULTS...", "What evaluate consistency or evaluate privacy said of it.")],
    out: Out,
    more: Annotated[list[Path] | None, typer.Argument(metavar="RESULTS", hidden=True)] = None,
    threshold: Annotated[
        str | None,
        typer.Option(
            metavar="DICE|CLASS=DICE,...",
            help="Least consistency of a case's mean, or of classes; real stands for the low quantile of real pairs. "
            "Default: mean=real.",
        ),
    ] = None,
    key: Key = None,
    dry_run: DryRun = False,
) -> None:
    """Remove the cases whose image and label map disagree, or that are flagged as copies; say what is lost."""
    folders, thresholds = [*evidence, *(more or [])], read_thresholds(threshold)
    if dry_run:
        show("screen", {"cohort": cohort, "evidence": folders, "out": out, "thresholds": thresholds})
        return
    paths.folder(cohort, "cohort.json")
    for folder in folders:
        paths.folder(folder, "results.json")
    paths.output(out, "cohort.json")
    from understudy.core.cohort import Cohort
    from understudy.release.screen import screen_cohort, screening_summary

    with writing(out):
        screen_cohort(cohort, folders, out, thresholds, key=key)
    for sentence in screening_summary(Cohort.open(out)):
        typer.echo(sentence)
    typer.echo(f"cohort: {out}")


def read_thresholds(text: str | None) -> dict[str, float | str] | None:
    """Read ``--threshold``: ``0.6``, which is ``mean=0.6``, or ``mean=real,tumour=0.5``.

    Raises:
        UsageError: a value that is neither a number in 0..1 nor ``real``, or a class named twice.
    """
    if text is None:
        return None
    found: dict[str, float | str] = {}
    for entry in names(text):
        name, _, value = entry.rpartition("=")
        name = name or "mean"
        if name in found:
            raise UsageError(f"--threshold names {name} twice: give it once")
        found[name] = "real" if value == "real" else _dice(value, text)
    return found


def _dice(value: str, text: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise UsageError(f"--threshold wants a Dice from 0 to 1, or real, e.g. mean=real,tumour=0.5; found {text!r}")
    return number

"""``understudy classify``: a classifier learns the class columns of a cohort; ``condition`` and ``evaluate`` use it."""

from pathlib import Path
from typing import Annotated

import typer

from understudy.cli.options import DryRun, Out, Seed, Set, configure, example, parse_settings, quiet, show, writing
from understudy.core.cohort import Cohort

EXAMPLE = example(
    "understudy classify xrays --out classifier",
    "understudy classify xrays --set network=densenet-small --set updates=2000 --out classifier-small",
)


def classify(
    cohort: Annotated[Path, typer.Argument(metavar="COHORT", help="A cohort with class columns of 0 and 1.")],
    out: Out,
    settings: Set = None,
    seed: Seed = 0,
    dry_run: DryRun = False,
) -> None:
    """Train a classifier of class columns on the train split, chosen on the validation split."""
    from understudy.tasks.classification import ClassificationConfig
    from understudy.tasks.classify import make_classifier

    config = configure(ClassificationConfig, parse_settings(settings), "classify")
    if dry_run:
        show("classify", {"cohort": cohort, "out": out, "seed": seed, **config.model_dump()})
        return
    quiet()
    with writing(out):
        make_classifier(Cohort.open(cohort), out, seed, config)
    typer.echo(f"classifier: {out}")


command = classify

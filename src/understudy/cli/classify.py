"""``understudy classify``: a classifier learns the class columns of a cohort; ``condition`` and ``evaluate`` use it."""

from pathlib import Path
from typing import Annotated

import typer

import understudy as us
from understudy.cli.help import example
from understudy.cli.options import DryRun, Out, Seed, Set, parse_settings, show, writing

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
    told = parse_settings(settings, us.classify)
    if dry_run:
        from understudy.api.settings import CONFIGS, configure

        config = configure(CONFIGS["classify"], told, "classify")
        show("classify", {"cohort": cohort, "out": out, "seed": seed, **config.model_dump()})
        return
    with writing(out):
        us.classify(cohort, out, seed=seed, **told)
    typer.echo(f"classifier: {out}")

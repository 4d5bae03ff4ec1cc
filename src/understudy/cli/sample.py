"""``understudy sample``: a trained generator becomes a synthetic cohort, one recorded seed a case."""

from pathlib import Path
from typing import Annotated

import typer

from understudy.cli.options import DryRun, Out, Seed, example, names, quiet, show, writing
from understudy.core.errors import UsageError

EXAMPLE = example("understudy sample run-diffusion --n 1000 --seed 0 --out synthetic")


def sample(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A folder that train made.")],
    n: Annotated[int, typer.Option("--n", min=1, help="How many cases.")],
    out: Out,
    snapshot: Annotated[int | None, typer.Option(metavar="IMAGES_SEEN", help="Not the last.")] = None,
    classes: Annotated[str | None, typer.Option(metavar="NAME=VALUE,...", help="For a conditional run.")] = None,
    accelerator: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    seed: Seed = 0,
    dry_run: DryRun = False,
) -> None:
    """Draw synthetic cases; case number i is the same however many are drawn."""
    values = class_values(classes)
    if dry_run:
        show("sample", {"run": run, "out": out, "n": n, "snapshot": snapshot, "classes": values, "seed": seed})
        return
    from understudy.synthesis.sample import sample_cohort
    from understudy.training.engine import Engine

    quiet()
    with writing(out):
        sample_cohort(run, n, seed, out, snapshot=snapshot, classes=values, engine=Engine(accelerator=accelerator))
    typer.echo(f"cohort: {out}")


def class_values(text: str | None) -> dict[str, float] | None:
    """Read ``--classes``, e.g. ``pneumonia=1,age=60``.

    Raises:
        UsageError: an entry that is not NAME=NUMBER.
    """
    if not text:
        return None
    values = {}
    for name, _, value in (entry.rpartition("=") for entry in names(text)):
        try:
            values[name] = float(value)
        except ValueError as error:
            raise UsageError(f"--classes wants NAME=NUMBER with commas, e.g. pneumonia=1; found {text!r}") from error
    return values


command = sample

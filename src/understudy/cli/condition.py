"""``understudy condition``: an unconditional run and a classifier become a cohort that shows wanted classes."""

from pathlib import Path
from typing import Annotated, Any

import typer

import understudy as us
from understudy.cli.help import example
from understudy.cli.options import Accelerator, DryRun, Out, Seed, Set, Snapshot, option, parse_settings, show, writing
from understudy.cli.sample import class_request

EXAMPLE = example(
    "understudy condition run-progan --classifier classifier --n 1000 --out conditioned",
    "understudy condition run-stylegan2 --classifier classifier --n 500 --classes balanced --set space=w --out even",
    "understudy condition run-progan --classifier classifier --n 100 --classes virus=1,normal=0 --out virus",
)


def condition(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A folder that train made, without conditional=true.")],
    classifier: Annotated[Path, option("CLASSIFIER", "A folder that classify made.")],
    n: Annotated[int, typer.Option("--n", min=1, help="How many cases are searched for.")],
    out: Out,
    classes: Annotated[
        str, option("data|balanced|NAME=VALUE,...", "As in the data, evenly, or these: 1 wanted, 0 not.")
    ] = "data",
    snapshot: Snapshot = None,
    accelerator: Accelerator = "auto",
    settings: Set = None,
    seed: Seed = 0,
    dry_run: DryRun = False,
) -> None:
    """Search the latents of a generator for cases to which a classifier gives wanted classes."""
    wanted, told = class_request(classes) or "data", parse_settings(settings, us.condition)
    if dry_run:
        from understudy.api.settings import CONFIGS, configure

        config = configure(CONFIGS["condition"], told, "condition")
        request = {"run": run, "classifier": classifier, "n": n, "classes": wanted, "out": out, "snapshot": snapshot}
        show("condition", {**request, "seed": seed, **config.model_dump()})
        return
    machine: dict[str, Any] = {"snapshot": snapshot, "accelerator": accelerator, "seed": seed}
    with writing(out):
        us.condition(run, classifier, n, out, classes=wanted, **machine, **told)
    typer.echo(f"cohort: {out}")

"""``understudy condition``: an unconditional run and a classifier become a cohort that shows wanted classes."""

from pathlib import Path
from typing import Annotated

import typer

from understudy.cli.options import DryRun, Out, Seed, Set, configure, example, parse_settings, quiet, show, writing
from understudy.cli.sample import class_request

EXAMPLE = example(
    "understudy condition run-progan --classifier classifier --n 1000 --out conditioned",
    "understudy condition run-stylegan2 --classifier classifier --n 500 --classes balanced --set space=w --out even",
    "understudy condition run-progan --classifier classifier --n 100 --classes virus=1,normal=0 --out virus",
)


def condition(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A folder that train made, without conditional=true.")],
    classifier: Annotated[Path, typer.Option(metavar="CLASSIFIER", help="A folder that classify made.")],
    n: Annotated[int, typer.Option("--n", min=1, help="How many cases are searched for.")],
    out: Out,
    classes: Annotated[
        str,
        typer.Option(metavar="data|balanced|NAME=VALUE,...", help="As in the data, evenly, or these: 1 wanted, 0 not."),
    ] = "data",
    snapshot: Annotated[int | None, typer.Option(metavar="IMAGES_SEEN", help="Not the last.")] = None,
    accelerator: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    settings: Set = None,
    seed: Seed = 0,
    dry_run: DryRun = False,
) -> None:
    """Search the latents of a generator for cases to which a classifier gives wanted classes."""
    from understudy.synthesis.conditioning.search import ConditionConfig

    wanted = class_request(classes) or "data"
    config = configure(ConditionConfig, parse_settings(settings), "condition")
    if dry_run:
        request = {"run": run, "classifier": classifier, "n": n, "classes": wanted, "out": out, "snapshot": snapshot}
        show("condition", {**request, "seed": seed, **config.model_dump()})
        return
    from understudy.synthesis.conditioning.stage import condition_cohort
    from understudy.training.engine import Engine

    quiet()
    engine = Engine(accelerator=accelerator)
    with writing(out):
        condition_cohort(run, classifier, n, seed, out, classes=wanted, config=config, snapshot=snapshot, engine=engine)
    typer.echo(f"cohort: {out}")


command = condition

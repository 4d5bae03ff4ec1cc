"""``understudy train``: a generator learns the training split of a cohort; run again = resume."""

from pathlib import Path
from typing import Annotated

import typer

from understudy.cli.options import (
    DryRun,
    Out,
    Seed,
    Set,
    configure,
    example,
    one_of,
    parse_settings,
    quiet,
    show,
    writing,
)
from understudy.core.cohort import Cohort

EXAMPLE = example(
    "understudy train diffusion phantom --preset demo --out run-diffusion",
    "understudy train stylegan2 phantom --preset cpu --set images_seen=200000 --out run-stylegan2",
)

MENU = "progan, stylegan1, stylegan2, stylegan3, diffusion, mask_gan, pix2pix, spade or cyclegan."


def train(
    generator: Annotated[str, typer.Argument(metavar="GENERATOR", help=MENU)],
    cohort: Annotated[Path, typer.Argument(metavar="COHORT", help="A cohort folder with a train split.")],
    out: Out,
    preset: Annotated[
        str, typer.Option(help="Settings to start from; auto looks at the number of training images.")
    ] = "auto",
    settings: Set = None,
    other: Annotated[Path | None, typer.Option(metavar="COHORT", help="A second, unpaired cohort.")] = None,
    start: Annotated[Path | None, typer.Option(metavar="RUN", help="Begin with its weights.")] = None,
    accelerator: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    devices: Annotated[int, typer.Option(min=1, help="Processes, one device each.")] = 1,
    seed: Seed = 0,
    dry_run: DryRun = False,
) -> None:
    """Train a generator on a cohort's train split; the same command again resumes, and does nothing once complete."""
    from understudy.generators import GENERATORS
    from understudy.training.engine import Engine

    quiet()
    method = one_of(GENERATORS, generator, "generator")
    values = one_of({"auto": {}, **method.PRESETS}, preset, f"preset of {generator}")
    if preset == "auto":
        values = method.settings_for(len(Cohort.open(cohort).rows("train")))
    config = configure(method.Config, {**values, **parse_settings(settings)}, generator)
    if dry_run:
        request = {"cohort": cohort, "out": out, "preset": preset, "start": start, "seed": seed}
        show(f"train {generator}", {**request, **config.model_dump()})
        return
    engine = Engine(config.precision, accelerator, devices)
    second = Cohort.open(other) if other else None
    with writing(out):
        method(config).fit(Cohort.open(cohort), out, seed, other=second, engine=engine, preset=preset, start=start)
    if engine.rank == 0:
        typer.echo(f"run: {out}")


command = train

"""``understudy train``: a generator learns the training split of a cohort; run again = resume."""

from pathlib import Path
from typing import Annotated, Any

import typer

import understudy as us
from understudy.cli.help import example
from understudy.cli.options import (
    Accelerator,
    Devices,
    DryRun,
    Nodes,
    Out,
    Seed,
    Set,
    is_first,
    option,
    parse_settings,
    show,
    writing,
)

EXAMPLE = example(
    "understudy train diffusion phantom --preset demo --out run-diffusion",
    "understudy train stylegan2 phantom --preset cpu --set images_seen=200000 --out run-stylegan2",
)


def train(
    generator: Annotated[str, typer.Argument(metavar="GENERATOR", help="{generators}.")],
    cohort: Annotated[Path, typer.Argument(metavar="COHORT", help="A cohort folder with a train split.")],
    out: Out,
    preset: Annotated[
        str, typer.Option(help="Settings to start from; auto looks at the number of training images.")
    ] = "auto",
    settings: Set = None,
    other: Annotated[
        Path | None, option("COHORT", "A second cohort: images alone (diffusion), or unpaired (cyclegan).")
    ] = None,
    start: Annotated[Path | None, option("RUN", "Begin with its weights.")] = None,
    accelerator: Accelerator = "auto",
    devices: Devices = 1,
    nodes: Nodes = 1,
    seed: Seed = 0,
    dry_run: DryRun = False,
) -> None:
    """Train a generator on a cohort's train split; the same command again resumes, and does nothing once complete."""
    told = parse_settings(settings, us.train)
    if dry_run:
        from understudy.api.generators import training_config

        config = training_config(generator, cohort, preset, told)
        request = {"cohort": cohort, "out": out, "preset": preset, "start": start, "seed": seed}
        show(f"train {generator}", {**request, **config.model_dump()})
        return
    machine: dict[str, Any] = {"accelerator": accelerator, "devices": devices, "nodes": nodes, "seed": seed, **told}
    with writing(out):
        us.train(generator, cohort, out, preset=preset, other=other, start=start, **machine)
    if is_first():
        typer.echo(f"run: {out}")

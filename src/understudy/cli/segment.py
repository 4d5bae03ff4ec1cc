"""``understudy segment``: images without label maps get those that a segmenter of labelled cases predicts."""

from pathlib import Path
from typing import Annotated

import typer

import understudy as us
from understudy.cli.help import example
from understudy.cli.options import DryRun, Key, Out, Seed, Set, parse_settings, show, writing

EXAMPLE = example(
    "understudy segment labelled images --out both",
    "understudy segment labelled images --set network=segresnet --set updates=2000 --out both-segresnet",
)


def segment(
    labelled: Annotated[Path, typer.Argument(metavar="LABELLED", help="A real cohort with label maps.")],
    images: Annotated[Path, typer.Argument(metavar="IMAGES", help="A real cohort of other subjects' images.")],
    out: Out,
    key: Key = None,
    settings: Set = None,
    seed: Seed = 0,
    dry_run: DryRun = False,
) -> None:
    """Make one cohort of labelled cases and of images with the label maps that a segmenter predicts.

    The segmenter learns the train split of LABELLED, and is chosen on its validation split.
    """
    told = parse_settings(settings, us.segment)
    if dry_run:
        from understudy.api.settings import CONFIGS, configure

        config = configure(CONFIGS["segment"], told, "segment")
        request = {"labelled": labelled, "images": images, "out": out, "seed": seed}
        show("segment", {**request, **config.model_dump()})
        return
    with writing(out):
        made = us.segment(labelled, images, out, key=key, seed=seed, **told)
    dice, n = (made.preprocessing["segmenter"][name] for name in ("validation_dice", "validation_subjects"))
    interval = f"{dice['low']:.3f} to {dice['high']:.3f}"
    typer.echo(f"segmenter: Dice {dice['value']:.3f} ({interval}) on {n} validation subjects, by whom it was chosen")
    typer.echo(f"cohort: {out}")

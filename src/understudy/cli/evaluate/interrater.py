"""``understudy evaluate interrater``: how far do two annotators of the same real cases agree?"""

from pathlib import Path
from typing import Annotated

import typer

from understudy.cli.evaluate.judge import Real, judge
from understudy.cli.help import example
from understudy.cli.options import DryRun, Out, Seed, Set

EXAMPLE = example(
    "understudy evaluate interrater --real phantom --other second-rater --out results-interrater",
)


def interrater(
    real: Real,
    other: Annotated[Path, typer.Option(metavar="COHORT", help="The same images with another rater's label maps.")],
    out: Out,
    settings: Set = None,
    seed: Seed = 0,
    dry_run: DryRun = False,
) -> None:
    """Compare the label maps that two people drew on the same real images: the ceiling of any segmenter."""
    judge("interrater", out, settings, seed, dry_run, real=real, other=other)


command = interrater

"""``understudy evaluate utility``: do task networks learn from synthetic cases what they learn from real ones?"""

from typing import Annotated

import typer

from understudy.cli.evaluate.judge import More, Real, Synthetic, judge
from understudy.cli.help import example
from understudy.cli.options import DryRun, Out, Seed, Set

EXAMPLE = example(
    "understudy evaluate utility --real phantom --synthetic synthetic --out results-utility",
    "understudy evaluate utility --real phantom --synthetic synthetic --set shares=[0.25,0.5] --out results-mixing",
    "understudy evaluate utility --real phantom --synthetic synthetic --set arms=[both,finetuned] "
    "--set real_subjects=[5,10] --out results-few",
    "understudy evaluate utility --task classification --real xrays --synthetic conditioned --out results-classes",
)


def utility(
    real: Real,
    synthetic: Synthetic,
    out: Out,
    more: More = None,
    task: Annotated[
        str | None,
        typer.Option(
            metavar="segmentation|classification", help="What is learned; default: what the cohorts are made for."
        ),
    ] = None,
    settings: Set = None,
    seed: Seed = 0,
    dry_run: DryRun = False,
) -> None:
    """Train task networks on synthetic or on real cases, and test them on real subjects that no training saw."""
    judge("utility", out, settings, seed, dry_run, real=real, synthetic=[*synthetic, *(more or [])], task=task)


command = utility

"""``understudy evaluate privacy``: what do synthetic cases tell of the patients behind them?"""

from pathlib import Path
from typing import Annotated

import typer

from understudy.cli.evaluate.judge import More, Real, Synthetic, judge
from understudy.cli.help import example
from understudy.cli.options import DryRun, Out, Seed, Set

EXAMPLE = example(
    "understudy evaluate privacy --real phantom --synthetic synthetic --out results-privacy",
    "understudy evaluate privacy --real phantom --synthetic synthetic --audit --out results-audit",
    "understudy evaluate privacy --real phantom --synthetic synthetic --generator run-diffusion --out results-attacks",
)


def privacy(
    real: Real,
    synthetic: Synthetic,
    out: Out,
    more: More = None,
    generator: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help="The run that made the cohort: white-box attacks ask it for scores, too."),
    ] = None,
    audit: Annotated[
        bool, typer.Option("--audit", help="Also inject copies and report how many are found; reads the test split.")
    ] = False,
    settings: Set = None,
    seed: Seed = 0,
    dry_run: DryRun = False,
) -> None:
    """Search synthetic cases for copies of training cases, and attack them as an outsider would."""
    cohorts = [*synthetic, *(more or [])]
    given = {"audit": audit or None}
    judge("privacy", out, settings, seed, dry_run, given, real=real, synthetic=cohorts, generator=generator)


command = privacy

"""``understudy evaluate correlation``: does fidelity tell usefulness, over many synthetic cohorts?"""

from pathlib import Path
from typing import Annotated

import typer

from understudy.cli.evaluate.judge import judge
from understudy.cli.help import example
from understudy.cli.options import DryRun, Out, Seed, Set

EXAMPLE = example(
    "understudy evaluate correlation results-utility results-fidelity --out results-correlation",
)


def correlation(
    results: Annotated[
        list[Path],
        typer.Argument(metavar="RESULTS...", help="Results of fidelity and utility, or folders that hold such."),
    ],
    out: Out,
    settings: Set = None,
    seed: Seed = 0,
    dry_run: DryRun = False,
) -> None:
    """Correlate each fidelity metric with utility, over the synthetic cohorts that both were measured on."""
    judge("correlation", out, settings, seed, dry_run, results=results)


command = correlation

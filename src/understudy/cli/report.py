"""``understudy report``: results folders become one self-contained HTML page."""

from pathlib import Path
from typing import Annotated

import typer

import understudy as us
from understudy.cli.help import example
from understudy.cli.options import DryRun, Out, show, writing

EXAMPLE = example("understudy report results-utility results-fidelity results-privacy --out report")


def report(
    results: Annotated[list[Path], typer.Argument(metavar="RESULTS...", help="Folders that evaluate made.")],
    out: Out,
    internal: Annotated[
        bool,
        typer.Option("--internal", help="Also the INTERNAL edition: real images, for the institution alone."),
    ] = False,
    dry_run: DryRun = False,
) -> None:
    """Join results into report.html, the PUBLIC edition; with --internal, the INTERNAL one beside it."""
    if dry_run:
        show("report", {"results": results, "out": out, "internal": internal})
        return
    with writing(out):
        page = us.report(results, out, internal=internal)
    typer.echo(f"report: {page}")

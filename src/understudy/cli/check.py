"""``understudy check``: what is wrong with this cohort, in plain words, and a page to look at it."""

from pathlib import Path
from typing import Annotated

import typer

from understudy.api import paths
from understudy.cli.help import example
from understudy.cli.options import option, writing

EXAMPLE = example("understudy check phantom --planned 10", "understudy check phantom --look look")


def check(
    cohort: Annotated[Path, typer.Argument(metavar="COHORT", help="A cohort folder.")],
    planned: Annotated[int | None, typer.Option(min=1, help="Training subjects that the study counts on.")] = None,
    look: Annotated[
        Path | None,
        option(
            "DIR",
            "Also make an INTERNAL page there: every subject's middle case with its label map, histograms, sizes.",
        ),
    ] = None,
) -> None:
    """Say what is wrong with a cohort, in plain words; exit code 1 when something must be mended."""
    paths.folder(cohort, "cohort.json")
    if look is not None:
        paths.output(look, "look.html")
    from understudy.data.check import check_cohort

    findings = check_cohort(cohort, planned)
    for finding in findings:
        typer.echo(f"{finding.level}: {finding.sentence}")
    count = {level: sum(finding.level == level for finding in findings) for level in ("error", "warning")}
    typer.echo(f"{cohort}: {count['error']} errors, {count['warning']} warnings")
    if look is not None:
        from understudy.report.look import write_look

        with writing(look):
            page = write_look(cohort, findings, look, planned)
        typer.echo(f"look: {page}")
    if count["error"]:
        raise typer.Exit(1)

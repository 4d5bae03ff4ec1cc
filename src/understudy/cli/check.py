"""``understudy check``: what is wrong with this cohort, in plain words."""

from pathlib import Path
from typing import Annotated

import typer

from understudy.api import paths
from understudy.cli.help import example

EXAMPLE = example("understudy check phantom --planned 10")


def check(
    cohort: Annotated[Path, typer.Argument(metavar="COHORT", help="A cohort folder.")],
    planned: Annotated[int | None, typer.Option(min=1, help="Training subjects that the study counts on.")] = None,
) -> None:
    """Say what is wrong with a cohort, in plain words; exit code 1 when something must be mended."""
    paths.folder(cohort, "cohort.json")
    from understudy.data.check import check_cohort

    findings = check_cohort(cohort, planned)
    for finding in findings:
        typer.echo(f"{finding.level}: {finding.sentence}")
    count = {level: sum(finding.level == level for finding in findings) for level in ("error", "warning")}
    typer.echo(f"{cohort}: {count['error']} errors, {count['warning']} warnings")
    if count["error"]:
        raise typer.Exit(1)

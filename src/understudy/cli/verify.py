"""``understudy verify``: is a bundle whole, unchanged and within its policy?"""

from pathlib import Path
from typing import Annotated

import typer

import understudy as us
from understudy.cli.help import example
from understudy.cli.options import DryRun, show

EXAMPLE = example("understudy verify bundle")


def verify(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="The folder that release made.")],
    dry_run: DryRun = False,
) -> None:
    """Check every file of a bundle, judge every limit again; exit code 1 where one was overridden."""
    if dry_run:
        show("verify", {"bundle": bundle})
        return
    typer.echo(us.verify(bundle))

"""``understudy verify``: is a bundle whole, unchanged, within its policy, and of a signer that one trusts?"""

from pathlib import Path
from typing import Annotated

import typer

import understudy as us
from understudy.cli.help import example
from understudy.cli.options import DryRun, option, show

EXAMPLE = example(
    "understudy verify bundle --key steward.pub",
    "understudy verify bundle --key steward.pub --against cohort",
)


def verify(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="The folder that release made.")],
    key: Annotated[
        Path | None, option("PUBLIC", "The public key of the signer: exit code 0 only for what that signer released.")
    ] = None,
    against: Annotated[
        Path | None, option("COHORT", "The real cohort, for who holds it: the bundle is compared with it again.")
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Check every file of a bundle, judge every limit again; exit code 1 where one was overridden."""
    if dry_run:
        show("verify", {"bundle": bundle, "key": key, "against": against})
        return
    typer.echo(us.verify(bundle, key=key, against=against))

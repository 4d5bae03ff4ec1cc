"""``understudy key``: the pair of keys with which an institution signs what it releases."""

from pathlib import Path
from typing import Annotated

import typer

from understudy.cli.help import CommandGroup, Verb, example, group

app = group(CommandGroup, "understudy key new steward")


@app.callback()
def key() -> None:
    """Make the keys with which bundles are signed and verified."""


@app.command("new", cls=Verb, epilog=example("understudy key new steward"))
def new(
    file: Annotated[Path, typer.Argument(metavar="KEY", help="The private key to write; the public one is KEY.pub.")],
) -> None:
    """Make a private key, which signs, and its public key, which recipients verify with."""
    from understudy.release.signature import new_key

    public = new_key(file)
    typer.echo(f"private key: {file} (who has it can sign in your name: keep it, and keep a copy)")
    typer.echo(f"public key: {file}.pub (give it to recipients, not with the bundle; it is {public})")

"""``understudy settings``: what may be set, of which type, with which default, and what it means."""

from typing import Annotated

import typer

from understudy.cli.help import example
from understudy.cli.tables import show_table

EXAMPLE = example("understudy settings", "understudy settings diffusion", "understudy settings privacy")


def settings(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="A generator, a source or a stage; without: their names.")
    ] = None,
) -> None:
    """List every setting of a generator, an import or an evaluation: name, type, default and meaning.

    Settings of generators and evaluations are given by --set NAME=VALUE, those of an import as options.
    """
    from understudy.api.settings import described, names, presets_of, settings_of

    if name is None:
        for kind, known in names().items():
            typer.echo(f"{kind}: {', '.join(known)}")
        return
    show_table(("setting", "type", "default", "meaning"), [*described(settings_of(name))])
    for preset, values in presets_of(name).items():
        typer.echo(f"preset {preset}: {', '.join(f'{key}={value}' for key, value in values.items()) or 'the defaults'}")

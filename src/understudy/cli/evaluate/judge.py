"""What the evaluations share: their inputs, and the one way from what was typed to a results folder."""

from pathlib import Path
from typing import Annotated, Any

import typer

import understudy as us
from understudy.cli.options import parse_settings, show, writing
from understudy.cli.tables import show_results
from understudy.core.errors import UsageError

Real = Annotated[Path, typer.Option(metavar="COHORT", help="The real cohort that the generators were trained on.")]
Synthetic = Annotated[list[Path], typer.Option(metavar="COHORT...", help="One or more synthetic cohorts.")]
More = Annotated[list[Path] | None, typer.Argument(metavar="COHORT", hidden=True)]


def judge(
    kind: str,
    out: Path,
    settings: list[str] | None,
    seed: int,
    dry_run: bool,
    options: dict[str, Any] | None = None,
    **inputs: Any,
) -> None:
    """Make a results folder and show what is in it, or show what would be made.

    Args:
        kind: what is measured.
        out: the results folder.
        settings: what --set was given.
        seed: everything random follows from it.
        dry_run: whether only to show.
        options: options that stand for settings; None where one was not given.
        inputs: cohorts and more; None where one was not given.

    Raises:
        UsageError: a setting was given twice, and all that the evaluation refuses.
    """
    given = {name: value for name, value in inputs.items() if value is not None}
    told, named = parse_settings(settings), {n: v for n, v in (options or {}).items() if v is not None}
    for name in named.keys() & told.keys():
        raise UsageError(f"{name} was given twice, by --{name.replace('_', '-')} and by --set: give it once")
    if dry_run:
        from understudy.api.evidence import evaluation_config

        config = evaluation_config(kind, {**told, **named}, given.get("task"))
        show(f"evaluate {kind}", {**given, "out": out, "seed": seed, **config.model_dump()})
        return
    with writing(out):
        us.evaluate(kind, out=out, seed=seed, **given, **told, **named)
    show_results(out)
    typer.echo(f"results: {out}")

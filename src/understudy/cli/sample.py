"""``understudy sample``: trained generators become a synthetic cohort, one recorded seed a case."""

from pathlib import Path
from typing import Annotated

import typer

from understudy.cli.options import DryRun, Out, Seed, Set, example, names, parse_settings, quiet, show, writing
from understudy.core.classes import WISHES, Wish
from understudy.core.errors import UsageError

EXAMPLE = example(
    "understudy sample run-diffusion --n 1000 --seed 0 --out synthetic",
    "understudy sample run-seed0 run-seed1 run-seed2 --n 3000 --out ensemble",
    "understudy sample run-diffusion --n 1000 --set sampler_steps=32 --out finer",
    "understudy sample run-conditional --n 1000 --classes balanced --out labelled",
)


def sample(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Folders that train made; several are mixed.")],
    n: Annotated[int, typer.Option("--n", min=1, help="How many cases.")],
    out: Out,
    snapshot: Annotated[int | None, typer.Option(metavar="IMAGES_SEEN", help="Not the last.")] = None,
    classes: Annotated[
        str | None,
        typer.Option(
            metavar="data|balanced|NAME=VALUE,...", help="Conditional runs: as in training, evenly, or these."
        ),
    ] = None,
    settings: Set = None,
    accelerator: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    seed: Seed = 0,
    dry_run: DryRun = False,
) -> None:
    """Draw synthetic cases; case number i is the same however many are drawn."""
    wish, changed = class_wish(classes), parse_settings(settings)
    if dry_run:
        request = {"run": runs[0] if len(runs) == 1 else runs, "out": out, "n": n, "snapshot": snapshot}
        show("sample", {**request, "classes": wish, "settings": changed, "seed": seed})
        return
    from understudy.synthesis.sample import sample_cohort
    from understudy.training.engine import Engine

    quiet()
    with writing(out):
        engine = Engine(accelerator=accelerator)
        sample_cohort(runs, n, seed, out, snapshot=snapshot, classes=wish, settings=changed, engine=engine)
    typer.echo(f"cohort: {out}")


def class_wish(text: str | None) -> Wish | None:
    """Read ``--classes``: data, balanced, or values such as ``pneumonia=1,age=60``.

    Raises:
        UsageError: an entry that is not NAME=NUMBER.
    """
    if text in WISHES:
        return text
    if not text:
        return None
    values = {}
    for name, _, value in (entry.rpartition("=") for entry in names(text)):
        try:
            values[name] = float(value)
        except ValueError as error:
            raise UsageError(
                f"--classes wants {', '.join(WISHES)} or NAME=NUMBER with commas, e.g. pneumonia=1; found {text!r}"
            ) from error
    return values


command = sample

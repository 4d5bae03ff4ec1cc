"""``understudy sample``: trained generators become a synthetic cohort, one recorded seed a case."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import understudy as us
from understudy.cli.help import example
from understudy.cli.options import (
    Accelerator,
    Devices,
    DryRun,
    Key,
    Nodes,
    Out,
    Seed,
    Set,
    Snapshot,
    is_first,
    names,
    option,
    parse_settings,
    show,
    writing,
)
from understudy.core.errors import UsageError

if TYPE_CHECKING:
    from understudy.core.classes import ClassRequest

EXAMPLE = example(
    "understudy sample run-diffusion --n 1000 --seed 0 --out synthetic",
    "understudy sample run-seed0 run-seed1 run-seed2 --n 3000 --out ensemble",
    "understudy sample run-diffusion --n 1000 --set sampler_steps=32 --out finer",
    "understudy sample run-diffusion --n 1000 --away-from cohort --out guided",
    "understudy sample run-conditional --n 1000 --classes balanced --out labelled",
    "understudy sample run-spade --labels run-mask_gan --anatomy cohort --n 1000 --out rendered",
)


def sample(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Folders that train made; several are mixed.")],
    n: Annotated[int, typer.Option("--n", min=1, help="How many cases.")],
    out: Out,
    snapshot: Snapshot = None,
    classes: Annotated[
        str | None, option("data|balanced|NAME=VALUE,...", "Conditional runs: as in training, evenly, or these.")
    ] = None,
    labels: Annotated[Path | None, option("COHORT|RUN", "Translators: the label maps to render.")] = None,
    anatomy: Annotated[Path | None, option("COHORT|RUN", "Place the lesions of --labels into this anatomy.")] = None,
    lesion: Annotated[str | None, option("A,B", "Classes of --labels that are placed.")] = None,
    inside: Annotated[str | None, option("A,B", "Classes that a placed lesion may cover.")] = None,
    forbidden: Annotated[str | None, option("A,B", "Classes that it may not cover.")] = None,
    where: Annotated[
        str | None, option("anywhere|nearest", "A placed lesion lies at random, or next to its place.")
    ] = None,
    away_from: Annotated[
        Path | None, option("COHORT", "Diffusion: stay away from the images of the cohort of its training.")
    ] = None,
    key: Key = None,
    settings: Set = None,
    accelerator: Accelerator = "auto",
    devices: Devices = 1,
    nodes: Nodes = 1,
    seed: Seed = 0,
    dry_run: DryRun = False,
) -> None:
    """Draw synthetic cases; case number i is the same however many are drawn; killed, the same command goes on."""
    wanted, told = class_request(classes), parse_settings(settings, us.sample)
    maps: dict[str, Any] = {"labels": labels, "anatomy": anatomy, "where": where}
    maps |= {"lesion": names(lesion), "inside": names(inside), "forbidden": names(forbidden)}
    if labels is not None and wanted:
        raise UsageError("a translator is given label maps, not classes: leave --classes or --labels out")
    if dry_run:
        from understudy.api.generators import placing

        placing(**maps)
        given = {name: value for name, value in {**maps, "classes": wanted, "away_from": away_from}.items() if value}
        request = {"run": runs[0] if len(runs) == 1 else runs, "out": out, "n": n, "snapshot": snapshot}
        show("sample", {**request, **given, "settings": told, "seed": seed})
        return
    machine: dict[str, Any] = {"snapshot": snapshot, "key": key, "accelerator": accelerator, "devices": devices}
    machine |= {"nodes": nodes, "seed": seed, "away_from": away_from, **told}
    with writing(out):
        us.sample(runs, n, out, classes=wanted, **maps, **machine)
    if is_first():
        typer.echo(f"cohort: {out}")


def class_request(text: str | None) -> "ClassRequest | None":
    """Read ``--classes``: data, balanced, or values such as ``pneumonia=1,age=60``; another entry is a UsageError."""
    from understudy.core.classes import CLASS_REQUESTS

    if text in CLASS_REQUESTS:
        return text
    if not text:
        return None
    values = {}
    for name, _, value in (entry.rpartition("=") for entry in names(text)):
        try:
            values[name] = float(value)
        except ValueError as error:
            raise UsageError(
                f"--classes wants {', '.join(CLASS_REQUESTS)} or NAME=NUMBER with commas, e.g. pneumonia=1; "
                f"found {text!r}"
            ) from error
    return values

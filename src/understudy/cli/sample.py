"""``understudy sample``: trained generators become a synthetic cohort, one recorded seed a case."""

from pathlib import Path
from typing import Annotated, Any

import typer

from understudy.cli.options import DryRun, Out, Seed, Set, example, names, parse_settings, quiet, show, writing
from understudy.core.classes import CLASS_REQUESTS, ClassRequest
from understudy.core.errors import UsageError
from understudy.core.seed import derive

EXAMPLE = example(
    "understudy sample run-diffusion --n 1000 --seed 0 --out synthetic",
    "understudy sample run-seed0 run-seed1 run-seed2 --n 3000 --out ensemble",
    "understudy sample run-diffusion --n 1000 --set sampler_steps=32 --out finer",
    "understudy sample run-conditional --n 1000 --classes balanced --out labelled",
    "understudy sample run-spade --labels run-mask_gan --anatomy cohort --n 1000 --out rendered",
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
    labels: Annotated[
        Path | None, typer.Option(metavar="COHORT|RUN", help="Translators: the label maps to render.")
    ] = None,
    anatomy: Annotated[
        Path | None, typer.Option(metavar="COHORT|RUN", help="Place the lesions of --labels into this anatomy.")
    ] = None,
    lesion: Annotated[str | None, typer.Option(metavar="A,B", help="Classes of --labels that are placed.")] = None,
    inside: Annotated[str | None, typer.Option(metavar="A,B", help="Classes that a placed lesion may cover.")] = None,
    forbidden: Annotated[str | None, typer.Option(metavar="A,B", help="Classes that it may not cover.")] = None,
    where: Annotated[
        str | None,
        typer.Option(metavar="anywhere|nearest", help="A placed lesion lies at random, or next to its place."),
    ] = None,
    key: Annotated[Path | None, typer.Option(metavar="FILE", help="Pseudonym key; default: the user's own.")] = None,
    settings: Set = None,
    accelerator: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    seed: Seed = 0,
    dry_run: DryRun = False,
) -> None:
    """Draw synthetic cases; case number i is the same however many are drawn."""
    requested, changed = class_request(classes), parse_settings(settings)
    places = _places(
        labels, anatomy, lesion=names(lesion), inside=names(inside), forbidden=names(forbidden), where=where
    )
    if labels is not None and requested:
        raise UsageError("a translator is given label maps, not classes: leave --classes or --labels out")
    if dry_run:
        request = {"run": runs[0] if len(runs) == 1 else runs, "out": out, "n": n, "snapshot": snapshot}
        told = {"labels": labels, **places} if labels else {"classes": requested}
        show("sample", {**request, **told, "settings": changed, "seed": seed})
        return
    from understudy.synthesis.label_maps import MapRequest
    from understudy.synthesis.render import render_cohort
    from understudy.synthesis.sample import sample_cohort
    from understudy.training.engine import Engine

    quiet()
    with writing(out):
        engine = Engine(accelerator=accelerator)
        drawing: dict[str, Any] = {"snapshot": snapshot, "settings": changed, "engine": engine}
        if labels is None:
            sample_cohort(runs, n, seed, out, classes=requested, **drawing)
        else:
            maps = MapRequest(labels, derive(seed, "maps"), engine=engine, **places)
            render_cohort(runs, maps, n, seed, out, key=key, **drawing)
    typer.echo(f"cohort: {out}")


def _places(labels: Path | None, anatomy: Path | None, **told: Any) -> dict[str, Any]:
    """Return what was said of how lesions are placed into anatomy.

    Raises:
        UsageError: nothing is placed, or a word that is not known.
    """
    if told["where"] not in (None, "anywhere", "nearest"):
        raise UsageError(f"--where is anywhere or nearest, found {told['where']!r}")
    places = {name: value for name, value in {"anatomy": anatomy, **told}.items() if value}
    if places and (labels is None or anatomy is None):
        raise UsageError(
            "--lesion, --inside, --forbidden and --where say how lesions of --labels are placed into --anatomy: "
            "name both"
        )
    return places


def class_request(text: str | None) -> ClassRequest | None:
    """Read ``--classes``: data, balanced, or values such as ``pneumonia=1,age=60``.

    Raises:
        UsageError: an entry that is not NAME=NUMBER.
    """
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


command = sample

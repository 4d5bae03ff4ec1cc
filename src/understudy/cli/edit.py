"""``understudy edit``: label maps of a cohort with lesions grown, moved, turned or exchanged; or with anatomy."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from understudy.api import paths
from understudy.cli.help import example
from understudy.cli.options import DryRun, Key, Out, Seed, names, option, progress, show, writing
from understudy.core.errors import UsageError

if TYPE_CHECKING:
    from understudy.synthesis.editing.stage import EditConfig

EXAMPLE = example(
    "understudy edit phantom --lesion necrosis,oedema,enhancing --grow 2 --move 0,5 --out edited",
    "understudy edit phantom --lesion necrosis,oedema,enhancing --grow 0.5:2 --move 0:8 --per-case 4 --out varied",
    "understudy edit phantom --anatomy 4 --out tissues",
    "understudy edit tissues --lesion enhancing --place masks --inside tissue2,tissue3 --out placed",
)

LESIONS = (
    "lesion", "grow", "move", "rotate", "deform", "transplant", "at", "place", "inside", "forbidden", "fill", "augment",
    "mirror",
)  # fmt: skip


def edit(
    cohort: Annotated[Path, typer.Argument(metavar="COHORT", help="A cohort with label maps.")],
    out: Out,
    lesion: Annotated[str | None, option("NAME,...", "Classes that form the lesion.")] = None,
    grow: Annotated[str | None, option("FACTOR|LOW:HIGH", "Volume factor; below 1 shrinks.")] = None,
    move: Annotated[str | None, option("D,H,W|LOW:HIGH", "Voxels, or mm: 5,0,0mm; LOW:HIGH: any direction.")] = None,
    rotate: Annotated[str | None, option("DEG|LOW:HIGH", "Turn around its centroid.")] = None,
    axis: Annotated[int, typer.Option(min=0, max=2, help="In 3D: the axis that stays.")] = 0,
    deform: Annotated[str | None, option("STRENGTH|LOW:HIGH", "Deform it; 0 to 1.")] = None,
    transplant: Annotated[Path | None, option("COHORT", "Another case's lesion, at the same relative place.")] = None,
    at: Annotated[str | None, option("D,H,W", "Where a transplant's centroid lies.")] = None,
    place: Annotated[Path | None, option("COHORT", "Another case's, anywhere it may lie.")] = None,
    which: Annotated[str, typer.Option(help="all of a lesion, or its largest connected part.")] = "all",
    inside: Annotated[str | None, option("NAME,...", "Classes a lesion may cover.")] = None,
    forbidden: Annotated[str | None, option("NAME,...", "Classes it may not cover.")] = None,
    fill: Annotated[str | None, option("NAME,...", "Classes that fill the place it leaves.")] = None,
    augment: Annotated[float | None, option("STRENGTH", "First rotate, zoom, shear all; 1: by 5 %.", min=0)] = None,
    mirror: Annotated[bool, typer.Option("--mirror", help="First flip half of the maps along the last axis.")] = False,
    minimum: Annotated[int, option("VOXELS", "Smallest lesion.", min=1)] = 1,
    per_case: Annotated[int, typer.Option(min=1, help="New maps of each case.")] = 1,
    splits: Annotated[str, option("NAME,...", "Cases to edit; those in no split always.")] = "train",
    anatomy: Annotated[
        str | None, option("K|RUN", "Instead: lay the label maps over tissue classes; images stay.")
    ] = None,
    smoothing: Annotated[float, typer.Option(min=0, help="Of K tissue classes, in voxels.")] = 0.5,
    adapt: Annotated[bool, typer.Option(help="K tissue classes: even out each subject's gain first.")] = True,
    whole: Annotated[bool, typer.Option("--whole", help="K tissue classes: all of the image is body.")] = False,
    key: Key = None,
    seed: Seed = 0,
    dry_run: DryRun = False,
) -> None:
    """Make new label maps from a cohort's: lesions changed, moved or exchanged; or lay them over anatomy."""
    given = dict(locals())
    if not dry_run:
        _look(given)
    if anatomy is not None:
        if told := [name for name in LESIONS if given[name] is not None and given[name] is not False]:
            raise UsageError(f"--anatomy is a step of its own: edit lesions in the cohort that it makes (--{told[0]})")
        _anatomy(cohort, out, anatomy, {"smoothing": smoothing, "adapt": adapt, "whole": whole}, seed, key, dry_run)
        return
    from understudy.synthesis.editing.stage import edit_cohort

    config = _config(given)
    if dry_run:
        request = {"cohort": cohort, "out": out, "transplant": transplant, "place": place, "seed": seed}
        show("edit", {**request, **config.model_dump()})
        return
    with writing(out), progress("edit") as update:
        edit_cohort(cohort, out, config, seed, donors=transplant or place, key=key, progress=update)
    typer.echo(f"cohort: {out}")


def _look(given: dict[str, Any]) -> None:
    """Refuse what is not there before anything is imported."""
    for path in filter(None, (given["cohort"], given["transplant"], given["place"])):
        paths.folder(path, "cohort.json")
    if given["anatomy"] is not None and not given["anatomy"].isdecimal():
        paths.folder(Path(given["anatomy"]), "run.json")
    paths.output(given["out"], "cohort.json")


def _config(given: dict[str, Any]) -> "EditConfig":
    """Turn what was typed into settings; what cannot be is a UsageError."""
    from understudy.api.settings import configure
    from understudy.synthesis.editing.request import EditRequest
    from understudy.synthesis.editing.stage import EditConfig

    if given["transplant"] and given["place"]:
        raise UsageError("--transplant and --place both say where another lesion goes: give one of them")
    ranges = {name: span(given[name], f"--{name}") for name in ("grow", "rotate", "deform")}
    settings = {name: given[name] for name in ("which", "minimum", "per_case", "mirror")}
    settings["augment"] = given["augment"] or 0
    settings |= {name: names(given[name]) for name in ("lesion", "inside", "forbidden", "fill", "splits")}
    settings["request"] = configure(EditRequest, {**_move(given["move"]), **ranges, "axis": given["axis"]}, "edit")
    settings["origin"] = "transplant" if given["transplant"] else "place" if given["place"] else "own"
    settings["at"] = vector(given["at"], "--at") if given["at"] else None
    return configure(EditConfig, settings, "edit")


def _anatomy(
    cohort: Path, out: Path, anatomy: str, settings: dict[str, Any], seed: int, key: Path | None, dry_run: bool
) -> None:
    from understudy.synthesis.editing.anatomy import Mixture, anatomy_cohort

    source = Mixture(int(anatomy), **settings) if anatomy.isdecimal() else Path(anatomy)
    if dry_run:
        shown = vars(source) if isinstance(source, Mixture) else {"run": source}
        show("edit", {"cohort": cohort, "out": out, "anatomy": shown, "seed": seed})
        return
    with writing(out), progress("edit") as update:
        anatomy_cohort(cohort, out, source, seed, key=key, progress=update)
    typer.echo(f"cohort: {out}")


def span(text: str | None, option: str) -> tuple[float, float] | None:
    """Read ``2`` or ``0.5:2``; something else than a number or two is a UsageError."""
    if text is None:
        return None
    low, _, high = text.partition(":")
    try:
        return float(low), float(high or low)
    except ValueError as error:
        raise UsageError(f"{option} wants a number or LOW:HIGH, e.g. {option} 0.5:2; found {text!r}") from error


def vector(text: str, option: str) -> tuple[float, ...]:
    """Read ``4,0,-2``; something else than numbers with commas is a UsageError."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise UsageError(f"{option} wants a number for each axis, e.g. {option} 4,0,-2; found {text!r}") from error


def _move(text: str | None) -> dict[str, Any]:
    """Read ``--move``: a vector or a range of distances, in voxels or with mm behind it."""
    if text is None:
        return {}
    plain, unit = (text.removesuffix("mm"), "mm") if text.endswith("mm") else (text, "voxel")
    if ":" in plain:
        return {"distance": span(plain, "--move"), "unit": unit}
    return {"move": vector(plain, "--move"), "unit": unit}

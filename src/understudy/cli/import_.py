"""``understudy import``: real data, or the built-in phantom, becomes a cohort folder."""

from pathlib import Path
from typing import Annotated, Any

import typer

from understudy.cli.options import DryRun, Out, Seed, configure, example, names, numbers, progress, show, writing

EXAMPLE = example(
    "understudy import phantom --subjects 24 --size 64 --out phantom",
    "understudy import folder DATA --images images --labels masks --subject-pattern '^[^_]+' --out mine",
)
FOLDER, BRATS, PHANTOM = "Source folder", "Source brats", "Source phantom"
IMAGE, SPLIT = "Images and label maps", "Split and pseudonyms"
T = typer.Option


def import_(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="folder, brats or phantom.")],
    out: Out,
    path: Annotated[Path | None, typer.Argument(metavar="PATH", help="Where the data lies; none for phantom.")] = None,
    images: Annotated[str | None, T(help="Folder of images below PATH.", rich_help_panel=FOLDER)] = None,
    labels: Annotated[str | None, T(help="Folder of label maps below PATH.", rich_help_panel=FOLDER)] = None,
    table: Annotated[
        str | None, T(help="CSV; its column file names the image below --images.", rich_help_panel=FOLDER)
    ] = None,
    label_column: Annotated[
        str | None, T(help="Table column that names the label map; else the image's stem.", rich_help_panel=FOLDER)
    ] = None,
    subject: Annotated[str | None, T(help="Table column that names the subject.", rich_help_panel=FOLDER)] = None,
    subject_pattern: Annotated[
        str | None, T(help="Regular expression in the file name; group 1 is the subject.", rich_help_panel=FOLDER)
    ] = None,
    one_image_per_subject: Annotated[
        bool, T("--one-image-per-subject", help="Every image is a subject of its own.", rich_help_panel=FOLDER)
    ] = False,
    classes: Annotated[
        str | None, T(metavar="A,B", help="Table columns to keep as classes; blank is missing.", rich_help_panel=FOLDER)
    ] = None,
    rule: Annotated[str | None, T(help="Which slices: akbar, tumour or all.", rich_help_panel=BRATS)] = None,
    subjects: Annotated[int | None, T(help="How many subjects.", rich_help_panel=PHANTOM)] = None,
    slices: Annotated[int | None, T(help="Slices a subject, or depth in 3D.", rich_help_panel=PHANTOM)] = None,
    label_scheme: Annotated[
        str | None,
        T(metavar="0=background,255=tumour", help="What the values in label maps mean.", rich_help_panel=IMAGE),
    ] = None,
    channels: Annotated[
        str | None, T(metavar="A,B", help="Names of channels; brats: which contrasts.", rich_help_panel=IMAGE)
    ] = None,
    size: Annotated[str | None, T(metavar="64 | H,W | D,H,W", help="Size of a case.", rich_help_panel=IMAGE)] = None,
    fit: Annotated[str | None, T(help="How to reach the size: resize, crop or pad.", rich_help_panel=IMAGE)] = None,
    intensity: Annotated[
        str | None, T(help="dtype, minmax, percentile, volume-max or volume-percentile.", rich_help_panel=IMAGE)
    ] = None,
    dims: Annotated[
        int | None, T(help="2 (slices) or 3 (volumes); default: as the files are.", rich_help_panel=IMAGE)
    ] = None,
    modality: Annotated[str | None, T(help="For example MR.", rich_help_panel=IMAGE)] = None,
    split: Annotated[
        str | None,
        T(metavar="train=0.6,...", help="Shares of train, validation, control, test.", rich_help_panel=SPLIT),
    ] = None,
    split_column: Annotated[str | None, T(help="Table column with a published split.", rich_help_panel=SPLIT)] = None,
    key: Annotated[
        Path | None,
        T(metavar="FILE", help="Pseudonym key; else UNDERSTUDY_KEY_FILE, else your own.", rich_help_panel=SPLIT),
    ] = None,
    seed: Seed = 0,
    dry_run: DryRun = False,
) -> None:
    """Turn real data, or the built-in phantom, into a cohort: images, label maps, subjects, splits, pseudonyms."""
    given: dict[str, Any] = dict(locals())
    from understudy.data.importing import ImportOptions, import_cohort

    for name in ("source", "out", "path", "dry_run"):
        given.pop(name)
    given |= {"classes": names(classes), "channels": names(channels), "size": numbers(size, "--size")}
    options = configure(ImportOptions, {k: v for k, v in given.items() if v is not None}, f"import {source}")
    if dry_run:
        show(f"import {source}", {"path": path, "out": out, **options.model_dump()})
        return
    with writing(out), progress("import") as update:
        import_cohort(source, path, out, options, update)
    typer.echo(f"cohort: {out}")


command = import_

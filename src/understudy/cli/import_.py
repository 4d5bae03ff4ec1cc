"""``understudy import``: real data, or the built-in phantom, becomes a cohort folder."""

from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer

from understudy.cli.options import DryRun, Out, Seed, configure, example, names, numbers, progress, show, writing

EXAMPLE = example(
    "understudy import phantom --subjects 24 --size 64 --out phantom",
    "understudy import folder DATA --images images --labels masks --subject-pattern '^[^_]+' --out mine",
)
FOLDER, BRATS, PHANTOM, IMAGE, SPLIT = (
    partial(typer.Option, rich_help_panel=panel)
    for panel in ("Source folder", "Source brats", "Source phantom", "Images and label maps", "Split and pseudonyms")
)
Text: TypeAlias = str | None
Number: TypeAlias = int | None


def import_(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="folder, brats or phantom.")],
    out: Out,
    path: Annotated[Path | None, typer.Argument(metavar="PATH", help="Where the data lies; none for phantom.")] = None,
    images: Annotated[Text, FOLDER(help="Folder of images below PATH.")] = None,
    labels: Annotated[Text, FOLDER(help="Folder of label maps below PATH.")] = None,
    table: Annotated[Text, FOLDER(help="CSV; its column file names the image below --images.")] = None,
    label_column: Annotated[Text, FOLDER(help="Table column that names the label map; else the stem does.")] = None,
    subject: Annotated[Text, FOLDER(help="Table column that names the subject.")] = None,
    subject_pattern: Annotated[Text, FOLDER(help="Regular expression in the file name; group 1 or all of it.")] = None,
    one_image_per_subject: Annotated[bool, FOLDER("--one-image-per-subject", help="Each image a subject.")] = False,
    synthetic: Annotated[bool, FOLDER("--synthetic", help="Made by a generator elsewhere; judged here.")] = False,
    classes: Annotated[Text, FOLDER(metavar="A,B", help="Table columns kept as classes; blank is missing.")] = None,
    rule: Annotated[Text, BRATS(help="Which slices: akbar (default), tumour or all.")] = None,
    subjects: Annotated[Number, PHANTOM(help="How many subjects; default 24.")] = None,
    slices: Annotated[Number, PHANTOM(help="Slices a subject, or depth in 3D; default 8.")] = None,
    label_scheme: Annotated[Text, IMAGE(metavar="0=background,255=tumour", help="What label values mean.")] = None,
    channels: Annotated[Text, IMAGE(metavar="A,B", help="Names of channels; brats: which contrasts.")] = None,
    size: Annotated[Text, IMAGE(metavar="64 | H,W | D,H,W", help="Size of a case; default as it is.")] = None,
    fit: Annotated[Text, IMAGE(help="How to reach the size: resize (default), crop or pad.")] = None,
    intensity: Annotated[Text, IMAGE(help="dtype, minmax, percentile, volume-max or volume-percentile.")] = None,
    dims: Annotated[Number, IMAGE(help="2 (slices) or 3 (volumes); default: as the files are.")] = None,
    modality: Annotated[Text, IMAGE(help="For example MR.")] = None,
    split: Annotated[Text, SPLIT(metavar="train=0.6,...", help="Shares of train, validation, control, test.")] = None,
    split_column: Annotated[Text, SPLIT(help="Table column with a published split.")] = None,
    leave_out: Annotated[Text, SPLIT(metavar="COLUMN=VALUE", help="Table rows that alone make the test split.")] = None,
    train_subjects: Annotated[Number, SPLIT(help="Keep so many training subjects, drawn at random.")] = None,
    draw: Annotated[Number, SPLIT(help="Seed of that draw; default 0.")] = None,
    key: Annotated[Path | None, SPLIT(metavar="FILE", help="Pseudonym key; default: the user's own.")] = None,
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

"""``understudy import-weights``: an official StyleGAN2 or StyleGAN3 file becomes a run to sample from."""

from pathlib import Path
from typing import Annotated, Any

import typer

from understudy.api import paths
from understudy.cli.help import example
from understudy.cli.options import DryRun, Out, names, option, show, writing
from understudy.core.errors import UsageError

EXAMPLE = example(
    "understudy import-weights stylegan2 network-snapshot-025000.pkl --out run-official",
    "understudy import-weights stylegan3 network-snapshot-025000.pkl --channels T1,T1CE,T2,FLAIR "
    "--label-scheme 0=background,51=necrosis,102=oedema,204=enhancing --out run-brats",
)


def import_weights(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="stylegan2 or stylegan3.")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The official network-snapshot-....pkl.")],
    out: Out,
    channels: Annotated[str | None, option("A,B", "Names of the image channels; default channel0,channel1 ...")] = None,
    label_scheme: Annotated[
        str, option("0=background,255=tumour", "What the label map in the last channels means.")
    ] = "",
    classes: Annotated[str | None, option("A,B", "Names of the classes of a conditional network.")] = None,
    modality: Annotated[str, typer.Option(help="For example MR.")] = "unknown",
    dry_run: DryRun = False,
) -> None:
    """Read official StyleGAN weights, without running anything in the file, into a run that `sample` draws from."""
    given: dict[str, Any] = {"channels": names(channels), "label_scheme": label_scheme, "classes": names(classes)}
    given["modality"] = modality
    if dry_run:
        show(f"import-weights {kind}", {"file": file, "out": out, **given})
        return
    if not file.exists():
        raise UsageError(f"official weights were expected at {file}, found nothing: correct the path")
    paths.output(out, "run.json")
    from understudy.generators.pretrained.weights import Meaning, import_weights

    with writing(out):
        import_weights(kind, file, out, Meaning(**given))
    typer.echo(f"run: {out}")

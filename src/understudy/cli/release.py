"""``understudy release``: a cohort, a card and the public evidence as one folder, behind a gate that refuses."""

from pathlib import Path
from typing import Annotated

import typer

import understudy as us
from understudy.cli.help import example
from understudy.cli.options import DryRun, Out, names, option, show, writing

EXAMPLE = example(
    "understudy release screened --evidence results-privacy results-utility --real cohort --out bundle",
    "understudy release screened --evidence results-privacy results-before --real cohort --policy policy.yaml "
    "--out bundle",
    "understudy release screened --evidence results-privacy --real cohort --sign steward --out bundle",
    "understudy release screened --evidence results-privacy --format nifti,dicom --licence CC-BY-4.0 --out bundle",
    "understudy release screened --evidence results-privacy results-fresh --real cohort --weights run --fresh fresh "
    "--out bundle",
    "understudy release plan --train 60 --others 140",
)


def release(
    cohort: Annotated[Path, typer.Argument(metavar="COHORT", help="The synthetic cohort, screened or not.")],
    evidence: Annotated[
        list[Path], option("RESULTS...", "What evaluate said of it, and of what it was before screening.")
    ],
    out: Out,
    more: Annotated[list[Path] | None, typer.Argument(metavar="RESULTS", hidden=True)] = None,
    policy: Annotated[
        Path | None,
        option("FILE", "The limits: YAML, or one of those shipped: default, open, research-agreement, internal."),
    ] = None,
    real: Annotated[Path | None, option("COHORT", "The real cohort: nothing of it may be in the bundle.")] = None,
    override: Annotated[
        str | None, option("REASON", "Release although limits do not hold; the bundle says so for ever.")
    ] = None,
    formats: Annotated[
        str, typer.Option("--format", metavar="NAME,...", help="Forms in which the cohort is stored: {forms}.")
    ] = "folder",
    sign: Annotated[Path | None, option("KEY", "Sign it with this private key; see `understudy key new`.")] = None,
    licence: Annotated[
        str | None, option("NAME", "Of the bundle: an SPDX identifier or address; default: that of the source data.")
    ] = None,
    weights: Annotated[
        Path | None, option("RUN", "Release the generator's weights as well, of the run that drew the cohort.")
    ] = None,
    fresh: Annotated[
        Path | None, option("COHORT", "Of --weights: sampled from that run with another seed, and evaluated.")
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Write what may leave the institution, or refuse: each limit of the policy is held against the evidence."""
    folders, forms = [*evidence, *(more or [])], names(formats)
    if dry_run:
        from understudy.release.policy import read_policy

        limits = read_policy(policy).policy.model_dump(mode="json", exclude_none=True)
        request = {"cohort": cohort, "evidence": folders, "real": real, "out": out, "override": override}
        request |= {"formats": forms, "sign": sign, "licence": licence, "weights": weights, "fresh": fresh}
        show("release", {**request, "policy": limits})
        return
    with writing(out):
        us.release(
            cohort, folders, out,
            policy=policy, real=real, override=override, formats=forms, sign=sign, licence=licence, weights=weights,
            fresh=fresh,
        )  # fmt: skip
    if override is not None:
        typer.echo("warning: released over its policy; `understudy verify` will say so")
    typer.echo(f"bundle: {out}")

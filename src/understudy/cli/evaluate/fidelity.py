"""``understudy evaluate fidelity``: how near do synthetic images, label maps and classes lie to real ones?"""

from pathlib import Path
from typing import Annotated

import typer

from understudy.cli.evaluate.judge import More, Real, Synthetic, judge
from understudy.cli.help import example
from understudy.cli.options import DryRun, Out, Seed, Set

EXAMPLE = example(
    "understudy evaluate fidelity --real phantom --synthetic synthetic --out results-fidelity",
    "understudy evaluate fidelity --real phantom --synthetic synthetic --features random --cache features "
    "--out results-random",
)


def fidelity(
    real: Real,
    synthetic: Synthetic,
    out: Out,
    more: More = None,
    features: Annotated[
        str | None, typer.Option(metavar="encoder|random|texture|torchscript", help="As --set features=...")
    ] = None,
    network: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Scripted network of --features torchscript; it is code.")
    ] = None,
    network_sha256: Annotated[
        str | None, typer.Option(metavar="HEX", help="SHA-256 of that file; another file is not loaded.")
    ] = None,
    classifier: Annotated[
        Path | None, typer.Option(metavar="CLASSIFIER", help="Also the diversity of classes, as it sees them.")
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where features are kept for the next time; INTERNAL.")
    ] = None,
    settings: Set = None,
    seed: Seed = 0,
    dry_run: DryRun = False,
) -> None:
    """Measure how near synthetic images, label maps and classes lie to real ones.

    Metrics of images: {metrics}.
    """
    digest = network_sha256 and network_sha256.lower()
    given = {"features": features, "network_sha256": digest}
    inputs = {"classifier": classifier, "network": network, "cache": cache}
    cohorts = [*synthetic, *(more or [])]
    judge("fidelity", out, settings, seed, dry_run, given, real=real, synthetic=cohorts, **inputs)


command = fidelity

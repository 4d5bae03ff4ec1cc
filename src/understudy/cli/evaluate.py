"""``understudy evaluate``: utility, fidelity or privacy of synthetic cohorts, against the real one they stand for."""

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from understudy.cli.options import DryRun, Out, Seed, Set, configure, example, parse_settings, quiet, show, writing
from understudy.cli.tables import show_results

if TYPE_CHECKING:
    from pydantic import BaseModel

EXAMPLE = example(
    "understudy evaluate utility --real phantom --synthetic synthetic --out results-utility",
    "understudy evaluate fidelity --real phantom --synthetic synthetic --out results-fidelity",
    "understudy evaluate privacy --real phantom --synthetic synthetic --out results-privacy",
)


class Kind(StrEnum):
    """What is judged."""

    utility = "utility"
    fidelity = "fidelity"
    privacy = "privacy"


def evaluate(
    kind: Annotated[Kind, typer.Argument(metavar="KIND", help="What is judged: utility, fidelity or privacy.")],
    real: Annotated[Path, typer.Option(metavar="COHORT", help="The real cohort that the generators were trained on.")],
    synthetic: Annotated[list[Path], typer.Option(metavar="COHORT...", help="One or more synthetic cohorts.")],
    out: Out,
    more: Annotated[list[Path] | None, typer.Argument(metavar="COHORT", hidden=True)] = None,
    settings: Set = None,
    seed: Seed = 0,
    dry_run: DryRun = False,
) -> None:
    """Measure how useful, how realistic or how private synthetic cohorts are; held-out real subjects are the judges."""
    model, stage = _stage(kind)
    config = configure(model, parse_settings(settings), f"evaluate {kind}")
    cohorts = [*synthetic, *(more or [])]
    if dry_run:
        request = {"real": real, "synthetic": cohorts, "out": out, "seed": seed}
        show(f"evaluate {kind}", {**request, **config.model_dump()})
        return
    quiet()
    with writing(out):
        stage(real, cohorts, out, seed, config)
    show_results(out)
    typer.echo(f"results: {out}")


def _stage(kind: Kind) -> tuple[type["BaseModel"], Callable[[Path, list[Path], Path, int, Any], Path]]:
    if kind is Kind.utility:
        from understudy.evaluation.utility.protocol import UtilityConfig, evaluate_utility

        return UtilityConfig, evaluate_utility
    if kind is Kind.fidelity:
        from understudy.evaluation.fidelity.protocol import FidelityConfig, evaluate_fidelity

        return FidelityConfig, evaluate_fidelity
    from understudy.evaluation.privacy import PrivacyConfig, evaluate_privacy

    return PrivacyConfig, evaluate_privacy


command = evaluate

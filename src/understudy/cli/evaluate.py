"""``understudy evaluate``: how synthetic cohorts fare against the real one they stand for: one KIND, one evaluation."""

from collections.abc import Callable
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from understudy.cli.options import (
    DryRun,
    Out,
    Seed,
    Set,
    configure,
    example,
    one_of,
    parse_settings,
    quiet,
    show,
    writing,
)
from understudy.cli.tables import show_results
from understudy.core.errors import UsageError

if TYPE_CHECKING:
    from pydantic import BaseModel

EXAMPLE = example(
    "understudy evaluate utility --real phantom --synthetic synthetic --out results-utility",
    "understudy evaluate utility --real phantom --synthetic synthetic --set shares=[0.25,0.5] --out results-mixing",
    "understudy evaluate utility --real phantom --synthetic synthetic --set sides=[both,finetuned] "
    "--set real_subjects=[5,10] --out results-few",
    "understudy evaluate utility --task classification --real xrays --synthetic archive --out results-classes",
    "understudy evaluate fidelity --real phantom --synthetic synthetic --out results-fidelity",
    "understudy evaluate privacy --real phantom --synthetic synthetic --out results-privacy",
    "understudy evaluate agreement --real phantom --synthetic synthetic --out results-agreement",
)
Stage = tuple[type["BaseModel"], Callable[[Path, list[Path], Path, int, Any], Path]]


class Kind(StrEnum):
    """What is judged."""

    utility = "utility"
    fidelity = "fidelity"
    privacy = "privacy"
    agreement = "agreement"


def evaluate(
    kind: Annotated[
        Kind, typer.Argument(metavar="KIND", help="What is judged: utility, fidelity, privacy or agreement.")
    ],
    real: Annotated[Path, typer.Option(metavar="COHORT", help="The real cohort that the generators were trained on.")],
    synthetic: Annotated[list[Path], typer.Option(metavar="COHORT...", help="One or more synthetic cohorts.")],
    out: Out,
    more: Annotated[list[Path] | None, typer.Argument(metavar="COHORT", hidden=True)] = None,
    task: Annotated[
        str | None,
        typer.Option(help="Utility: segmentation or classification; default: what the cohorts are made for."),
    ] = None,
    classifier: Annotated[
        Path | None,
        typer.Option(metavar="CLASSIFIER", help="Fidelity: also the diversity of classes, as it sees them."),
    ] = None,
    settings: Set = None,
    seed: Seed = 0,
    dry_run: DryRun = False,
) -> None:
    """Measure how useful, how realistic or how private synthetic cohorts are, or whether images and label maps agree.

    Held-out real subjects are the judges.
    """
    cohorts = [*synthetic, *(more or [])]
    if kind is Kind.utility and task is None:
        task = "segmentation" if dry_run and not real.exists() else _default_task(real, cohorts)
    model, stage = _stage(kind, task, classifier)
    config = configure(model, parse_settings(settings), f"evaluate {kind}")
    if dry_run:
        request = {"real": real, "synthetic": cohorts, "out": out, "seed": seed}
        chosen = {k: v for k, v in (("task", task), ("classifier", classifier)) if v is not None}
        show(f"evaluate {kind}", {**request, **chosen, **config.model_dump()})
        return
    quiet()
    with writing(out):
        stage(real, cohorts, out, seed, config)
    if task:
        typer.echo(f"task: {task}")
    show_results(out)
    typer.echo(f"results: {out}")


def _default_task(real: Path, synthetic: list[Path]) -> str:
    from understudy.evaluation.utility.protocol import default_task

    return default_task(real, synthetic)


def _stage(kind: Kind, task: str | None, classifier: Path | None) -> Stage:
    for option, value, owner in (("--task", task, Kind.utility), ("--classifier", classifier, Kind.fidelity)):
        if value is not None and kind is not owner:
            raise UsageError(f"{option} is for `evaluate {owner}`, and `evaluate {kind}` was asked for: leave it out")
    if kind is Kind.utility:
        from understudy.evaluation.utility.protocol import TASKS, evaluate_utility

        name = task or "segmentation"
        return one_of(TASKS, name, "task").Config, partial(evaluate_utility, task=name)
    if kind is Kind.fidelity:
        from understudy.evaluation.fidelity.protocol import FidelityConfig, evaluate_fidelity

        return FidelityConfig, partial(evaluate_fidelity, classifier=classifier)
    if kind is Kind.agreement:
        from understudy.evaluation.agreement.config import AgreementConfig
        from understudy.evaluation.agreement.stage import evaluate_agreement

        return AgreementConfig, evaluate_agreement
    from understudy.evaluation.privacy import PrivacyConfig, evaluate_privacy

    return PrivacyConfig, evaluate_privacy


command = evaluate

"""``understudy evaluate``: how synthetic cohorts fare against the real one they stand for: one KIND, one evaluation."""

from collections.abc import Callable
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from understudy.cli.comparisons import comparison
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
from understudy.cli.oracle import asking
from understudy.cli.tables import show_results
from understudy.core.errors import UsageError

if TYPE_CHECKING:
    from pydantic import BaseModel

EXAMPLE = example(
    "understudy evaluate utility --real phantom --synthetic synthetic --out results-utility",
    "understudy evaluate utility --real phantom --synthetic synthetic --set shares=[0.25,0.5] --out results-mixing",
    "understudy evaluate utility --real phantom --synthetic synthetic --set arms=[both,finetuned] "
    "--set real_subjects=[5,10] --out results-few",
    "understudy evaluate utility --task classification --real xrays --synthetic conditioned --out results-classes",
    "understudy evaluate fidelity --real phantom --synthetic synthetic --out results-fidelity",
    "understudy evaluate privacy --real phantom --synthetic synthetic --out results-privacy",
    "understudy evaluate privacy --real phantom --synthetic synthetic --audit --out results-audit",
    "understudy evaluate privacy --real phantom --synthetic synthetic --generator run --out results-attacks",
    "understudy evaluate agreement --real phantom --synthetic synthetic --out results-agreement",
    "understudy evaluate agreement --over results-utility results-fidelity --out results-over",
    "understudy evaluate readers --real phantom --other second-reader --out results-readers",
)
Stage = tuple[type["BaseModel"], Callable[[Path, list[Path], Path, int, Any], Path]]


class Kind(StrEnum):
    """What is judged."""

    utility = "utility"
    fidelity = "fidelity"
    privacy = "privacy"
    agreement = "agreement"
    readers = "readers"


Judged = Annotated[
    Kind, typer.Argument(metavar="KIND", help="What is judged: utility, fidelity, privacy, agreement or readers.")
]
Real = Annotated[
    Path | None, typer.Option(metavar="COHORT", help="The real cohort that the generators were trained on.")
]
Synthetic = Annotated[list[Path] | None, typer.Option(metavar="COHORT...", help="One or more synthetic cohorts.")]
More = Annotated[list[Path] | None, typer.Argument(metavar="COHORT", hidden=True)]
Over = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="RESULTS...",
        help="Agreement, in the place of cohorts: results of fidelity and utility on many synthetic cohorts, or "
        "folders that hold them: does fidelity tell usefulness?",
    ),
]
Other = Annotated[
    Path | None, typer.Option(metavar="COHORT", help="Readers: the images of --real with another reader's label maps.")
]
TaskName = Annotated[
    str | None, typer.Option(help="Utility: segmentation or classification; default: what the cohorts are made for.")
]
Classifier = Annotated[
    Path | None,
    typer.Option(metavar="CLASSIFIER", help="Fidelity: also the diversity of classes, as it sees them."),
]
Features = Annotated[
    str | None,
    typer.Option(help="Fidelity: encoder (default), random, texture or torchscript; as `--set features=...`."),
]
Network = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Fidelity: the scripted network of --features torchscript; it is code."),
]
NetworkHash = Annotated[
    str | None, typer.Option(metavar="HEX", help="Fidelity: SHA-256 of that file; another file is not loaded.")
]
CacheFolder = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Fidelity: where features are kept for the next time; INTERNAL."),
]
GeneratorRun = Annotated[
    Path | None,
    typer.Option(
        "--generator", metavar="RUN", help="Privacy: the run that made the cohort; attacks ask it as well as the cases."
    ),
]

Audit = Annotated[
    bool,
    typer.Option(
        "--audit",
        help="Privacy: also plant copies in disguise and report how many are flagged; reads the test split.",
    ),
]


def evaluate(
    kind: Judged,
    out: Out,
    real: Real = None,
    synthetic: Synthetic = None,
    more: More = None,
    over: Over = None,
    other: Other = None,
    task: TaskName = None,
    classifier: Classifier = None,
    features: Features = None,
    network: Network = None,
    network_sha256: NetworkHash = None,
    cache: CacheFolder = None,
    generator: GeneratorRun = None,
    audit: Audit = False,
    settings: Set = None,
    seed: Seed = 0,
    dry_run: DryRun = False,
) -> None:
    """Measure how useful, how realistic or how private synthetic cohorts are, or whether images and label maps agree.

    Held-out real subjects are the judges. With --over: whether fidelity agrees with usefulness over many cohorts.
    With readers: how far two annotators of the same real cases agree.
    """
    inputs = {"real": real, "synthetic": synthetic, "more": more, "over": over, "other": other}
    further: dict[str, Any] = {"classifier": classifier, "network": network, "cache": cache}
    given: dict[str, Any] = {"features": features, "network_sha256": network_sha256 and network_sha256.lower()}
    asked = {"generator": generator, "audit": audit or None}
    if apart := comparison(kind, {**inputs, "task": task, **asked, **further, **given}):
        apart.run(out, settings, seed, dry_run)
        return
    if real is None or not synthetic:
        raise UsageError(f"evaluate {kind} needs --real COHORT and --synthetic COHORT...: name both")
    cohorts = [*synthetic, *(more or [])]
    if kind is Kind.utility and task is None:
        task = "segmentation" if dry_run and not real.exists() else _default_task(real, cohorts)
    _refuse_unfitting(kind, task, asked, {**further, **given})
    given["audit"] = audit or None
    model, stage = _stage(kind, task, generator, further)
    config = configure(model, _joined(parse_settings(settings), given), f"evaluate {kind}")
    if dry_run:
        request = {"real": real, "synthetic": cohorts, "out": out, "seed": seed}
        chosen = {k: v for k, v in {"task": task, "generator": generator, **further}.items() if v is not None}
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
    from understudy.evaluation.utility.stage import default_task

    return default_task(real, synthetic)


def _refuse_unfitting(kind: Kind, task: str | None, privacy: dict[str, Any], fidelity: dict[str, Any]) -> None:
    """Refuse an option of one evaluation that was given to another."""
    owners = {"task": (task, Kind.utility), **{name: (value, Kind.privacy) for name, value in privacy.items()}}
    owners |= {name: (value, Kind.fidelity) for name, value in fidelity.items()}
    for name, (value, owner) in owners.items():
        if value is not None and kind is not owner:
            option = f"--{name.replace('_', '-')}"
            raise UsageError(f"{option} is for `evaluate {owner}`, and `evaluate {kind}` was asked for: leave it out")


def _joined(settings: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    """Add the options that stand for settings; one that is given both ways is refused."""
    named = {name: value for name, value in options.items() if value is not None}
    for name in named.keys() & settings.keys():
        raise UsageError(f"{name} was given twice, by --{name.replace('_', '-')} and by --set: give it once")
    return {**settings, **named}


def _stage(kind: Kind, task: str | None, generator: Path | None, further: dict[str, Any]) -> Stage:
    if kind is Kind.utility:
        from understudy.evaluation.utility.stage import TASKS, evaluate_utility

        name = task or "segmentation"
        return one_of(TASKS, name, "task").Config, partial(evaluate_utility, task=name)
    if kind is Kind.fidelity:
        from understudy.evaluation.fidelity.stage import FidelityConfig, evaluate_fidelity

        return FidelityConfig, partial(evaluate_fidelity, **further)
    if kind is Kind.agreement:
        from understudy.evaluation.consistency.config import ConsistencyConfig
        from understudy.evaluation.consistency.stage import evaluate_consistency

        return ConsistencyConfig, evaluate_consistency
    from understudy.evaluation.privacy import PrivacyConfig, evaluate_privacy

    return PrivacyConfig, evaluate_privacy if generator is None else asking(generator)


command = evaluate

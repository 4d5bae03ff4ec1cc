"""``understudy evaluate``: how synthetic cohorts fare against the real one they stand for: a sub-command an evaluation.

**Checked** in tests/cli/test_evaluate.py.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

import understudy as us
from understudy.cli.help import CommandGroup, Verb, example, group
from understudy.cli.options import DryRun, Out, Seed, Set, option, parse_settings, show, writing
from understudy.cli.tables import show_results
from understudy.core.errors import UsageError

Real = Annotated[Path, option("COHORT", "The real cohort that the generators were trained on.")]
Synthetic = Annotated[list[Path], option("COHORT...", "One or more synthetic cohorts.")]
More = Annotated[list[Path] | None, typer.Argument(metavar="COHORT", hidden=True)]
Function = Callable[..., None]

app = group(CommandGroup, "understudy evaluate utility --real phantom --synthetic synthetic --out results-utility")


@app.callback()
def evaluate() -> None:
    """Measure how useful and realistic synthetic cohorts are and what attacks find, by real subjects never seen."""


def verb(*examples: str) -> Callable[[Function], Function]:
    """Register the function of an evaluation as a sub-command whose help shows examples."""
    return app.command(cls=Verb, epilog=example(*examples))


def judge(
    kind: str,
    out: Path,
    settings: list[str] | None,
    seed: int,
    dry_run: bool,
    options: dict[str, Any] | None = None,
    **inputs: Any,
) -> None:
    """Make a results folder and show what is in it, or show what would be made: the one way of all evaluations.

    Options stand for settings; inputs are cohorts and more; both are None where one was not given.

    Raises:
        UsageError: a setting was given twice, as an option and by ``--set``, and all that the evaluation refuses.
    """
    given = {name: value for name, value in inputs.items() if value is not None}
    told, named = parse_settings(settings, us.evaluate), {n: v for n, v in (options or {}).items() if v is not None}
    for name in (named | given).keys() & told.keys():
        raise UsageError(f"{name} was given twice, by --{name.replace('_', '-')} and by --set: give it once")
    if dry_run:
        from understudy.api.evidence import evaluation_config

        config = evaluation_config(kind, {**told, **named}, given.get("task"))
        show(f"evaluate {kind}", {**given, "out": out, "seed": seed, **config.model_dump()})
        return
    with writing(out):
        us.evaluate(kind, out=out, seed=seed, **given, **told, **named)
    show_results(out)
    typer.echo(f"results: {out}")


@verb(
    "understudy evaluate utility --real phantom --synthetic synthetic --out results-utility",
    "understudy evaluate utility --real phantom --synthetic synthetic --set shares=[0.25,0.5] --out results-mixing",
    "understudy evaluate utility --real phantom --synthetic synthetic --set arms=[both,finetuned] "
    "--set real_subjects=[5,10] --out results-few",
    "understudy evaluate utility --task classification --real xrays --synthetic conditioned --out results-classes",
    "understudy evaluate utility --real phantom --synthetic synthetic --cache kept --out results-again",
)
def utility(
    real: Real,
    synthetic: Synthetic,
    out: Out,
    more: More = None,
    task: Annotated[
        str | None, option("segmentation|classification", "What is learned; default: what the cohorts are made for.")
    ] = None,
    cache: Annotated[
        Path | None, option("DIR", "Where test scores of networks are kept for the next time; INTERNAL.")
    ] = None,
    settings: Set = None,
    seed: Seed = 0,
    dry_run: DryRun = False,
) -> None:
    """Train task networks on synthetic or on real cases, and test them on real subjects that no training saw."""
    cohorts = [*synthetic, *(more or [])]
    judge("utility", out, settings, seed, dry_run, real=real, synthetic=cohorts, task=task, cache=cache)


@verb(
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
        str | None, option("encoder|imagenet|random|texture|torchscript", "As --set features=...")
    ] = None,
    network: Annotated[Path | None, option("FILE", "Scripted network of --features torchscript; it is code.")] = None,
    network_sha256: Annotated[str | None, option("HEX", "SHA-256 of that file; another file is not loaded.")] = None,
    classifier: Annotated[
        Path | None, option("CLASSIFIER", "Also classes as it sees them: their diversity, and if cases show theirs.")
    ] = None,
    guide: Annotated[Path | None, option("CLASSIFIER", "What condition followed, beside the classifier.")] = None,
    cache: Annotated[Path | None, option("DIR", "Where features are kept for the next time; INTERNAL.")] = None,
    settings: Set = None,
    seed: Seed = 0,
    dry_run: DryRun = False,
) -> None:
    """Measure how near synthetic images, label maps and classes lie to real ones.

    Metrics of images: {metrics}.
    """
    given = {"features": features, "network_sha256": network_sha256 and network_sha256.lower()}
    inputs = {"classifier": classifier, "guide": guide, "network": network, "cache": cache}
    cohorts = [*synthetic, *(more or [])]
    judge("fidelity", out, settings, seed, dry_run, given, real=real, synthetic=cohorts, **inputs)


@verb(
    "understudy evaluate privacy --real phantom --synthetic synthetic --out results-privacy",
    "understudy evaluate privacy --real phantom --synthetic synthetic --audit --cache kept --out results-audit",
    "understudy evaluate privacy --real phantom --synthetic synthetic --generator run-diffusion --out results-attacks",
)
def privacy(
    real: Real,
    synthetic: Synthetic,
    out: Out,
    more: More = None,
    generator: Annotated[
        Path | None, option("RUN", "The run that made the cohort: white-box attacks ask it for scores, too.")
    ] = None,
    audit: Annotated[
        bool, typer.Option("--audit", help="Also inject copies and report how many are found; reads the test split.")
    ] = False,
    transformations: Annotated[
        Path | None, option("FILE", "Your own transformations of copies, as YAML, for --audit to inject, too.")
    ] = None,
    cache: Annotated[
        Path | None, option("DIR", "Where what the detector learns and matches is kept for the next time; INTERNAL.")
    ] = None,
    settings: Set = None,
    seed: Seed = 0,
    dry_run: DryRun = False,
) -> None:
    """Search synthetic cases for copies of training cases, and attack them as an outsider would."""
    given: dict[str, Any] = {"audit": audit or None}
    if transformations:
        from understudy.evaluation.privacy.canaries.inject import read_recipes

        if not audit:
            raise UsageError("--transformations is for the audit: give --audit, too")
        given["audit_transformations"] = [one.model_dump(exclude_unset=True) for one in read_recipes(transformations)]
    cohorts = [*synthetic, *(more or [])]
    inputs = {"generator": generator, "cache": cache}
    judge("privacy", out, settings, seed, dry_run, given, real=real, synthetic=cohorts, **inputs)


@verb("understudy evaluate consistency --real phantom --synthetic synthetic --out results-consistency")
def consistency(
    real: Real,
    synthetic: Synthetic,
    out: Out,
    more: More = None,
    settings: Set = None,
    seed: Seed = 0,
    dry_run: DryRun = False,
) -> None:
    """Measure image-label consistency: a segmenter trained on real cases reads each synthetic image."""
    judge("consistency", out, settings, seed, dry_run, real=real, synthetic=[*synthetic, *(more or [])])


@verb("understudy evaluate correlation results-utility results-fidelity --out results-correlation")
def correlation(
    results: Annotated[
        list[Path],
        typer.Argument(metavar="RESULTS...", help="Results of fidelity and utility, or folders that hold such."),
    ],
    out: Out,
    settings: Set = None,
    seed: Seed = 0,
    dry_run: DryRun = False,
) -> None:
    """Correlate each fidelity metric with utility, over the synthetic cohorts that both were measured on."""
    judge("correlation", out, settings, seed, dry_run, results=results)


@verb("understudy evaluate interrater --real phantom --other second-rater --out results-interrater")
def interrater(
    real: Real,
    other: Annotated[Path, option("COHORT", "The same images with another rater's label maps.")],
    out: Out,
    settings: Set = None,
    seed: Seed = 0,
    dry_run: DryRun = False,
) -> None:
    """Compare the label maps that two people drew on the same real images: the ceiling of any segmenter."""
    judge("interrater", out, settings, seed, dry_run, real=real, other=other)

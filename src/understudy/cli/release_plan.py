"""``understudy release plan``: which limits can hold with so many subjects, before anybody trains."""

from pathlib import Path
from typing import Annotated

import typer

from understudy.cli.help import example
from understudy.cli.options import DryRun, Seed, option, show
from understudy.cli.tables import show_table

EXAMPLE = example(
    "understudy release plan --train 60 --others 140",
    "understudy release plan --train 48 --others 24 --cases 500 --policy research-agreement",
)


def release_plan(
    train: Annotated[int, option("N", "Subjects that the generator will learn from.")],
    others: Annotated[int, option("N", "Subjects that nothing learns from: control and test, all that attacks read.")],
    cases: Annotated[int, option("N", "Synthetic cases that will be released.")] = 1000,
    each: Annotated[int, option("N", "Real cases of a subject.")] = 5,
    recall: Annotated[float, option("SHARE", "Share of copies that the detector finds; an audit tells it.")] = 0.95,
    images_alone: Annotated[
        bool, typer.Option(help="No label maps; else sampled ones are judged and attacked.")
    ] = False,
    policy: Annotated[Path | None, option("FILE", "The limits: YAML, or the name of those shipped.")] = None,
    studies: Annotated[int, option("N", "Simulated studies; more are exacter and slower.")] = 100,
    seed: Seed = 0,
    dry_run: DryRun = False,
) -> None:
    """Simulate how often each limit passes a perfect generator, and refuses one that copies 1, 5 or 20 % of cases."""
    from understudy.release.plan import PlannedCohorts, plan, told, verdict
    from understudy.release.policy import read_policy

    cohorts, limits = PlannedCohorts(train, others, cases, each, recall, not images_alone), read_policy(policy).policy
    if dry_run:
        show("release plan", {**vars(cohorts), "policy": limits.name, "studies": studies, "seed": seed})
        return
    planned = plan(limits, cohorts, seed, studies)
    show_table(("limit", "perfect passes", "1 % refused", "5 % refused", "20 % refused"), told(planned))
    typer.echo(verdict(planned))

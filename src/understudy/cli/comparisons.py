"""Evaluations that take no synthetic cohorts: of results over many of them (``--over``), of two readers.

**Checked** in tests/cli/test_comparisons.py.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from understudy.cli.options import configure, parse_settings, show, writing
from understudy.cli.tables import show_results
from understudy.core.errors import UsageError

if TYPE_CHECKING:
    from pydantic import BaseModel

TAKEN = {"over": ("over", "more"), "readers": ("real", "other")}
WORDS = {"over": "--over takes results in the place of cohorts", "readers": "`evaluate readers` compares two readers"}


@dataclass(frozen=True)
class Comparison:
    """A request: what it is called, its settings, its inputs, and what makes it.

    Attributes:
        command: e.g. ``evaluate readers``.
        model: its settings.
        inputs: what a dry run shows.
        make: takes the output folder, the seed and the settings.
    """

    command: str
    model: "type[BaseModel]"
    inputs: dict[str, Any]
    make: Callable[[Path, int, Any], Path]

    def run(self, out: Path, settings: list[str] | None, seed: int, dry_run: bool) -> None:
        """Make the results folder and show what is in it, or show what would be made."""
        config = configure(self.model, parse_settings(settings), self.command)
        if dry_run:
            show(self.command, {**self.inputs, "out": out, "seed": seed, **config.model_dump()})
            return
        with writing(out):
            self.make(out, seed, config)
        show_results(out)
        typer.echo(f"results: {out}")


def comparison(kind: str, given: Mapping[str, Any]) -> Comparison | None:
    """Return the request of an evaluation without synthetic cohorts; None where it is another one.

    Args:
        kind: what is judged.
        given: the options by name, ``more`` what stands behind them.

    Raises:
        UsageError: an option that does not belong to it, or one that is missing.
    """
    for name, owner in (("over", "agreement"), ("other", "readers")):
        if given[name] and kind != owner:
            raise UsageError(f"--{name} is for `evaluate {owner}`, and `evaluate {kind}` was asked for: leave it out")
    which = "over" if given["over"] else kind
    if which not in TAKEN:
        return None
    for name, value in given.items():
        if value and name not in TAKEN[which]:
            told = f"--{name.replace('_', '-')}" if name != "more" else str(value[0])
            raise UsageError(f"{WORDS[which]}, and {told} was given too: leave it out")
    if which == "over":
        return _over([*given["over"], *(given["more"] or [])])
    if not (given["real"] and given["other"]):
        raise UsageError(f"{WORDS[which]}: name both with --real COHORT and --other COHORT")
    return _readers(given["real"], given["other"])


def _over(results: list[Path]) -> Comparison:
    from understudy.evaluation.correlation.config import CorrelationConfig
    from understudy.evaluation.correlation.stage import evaluate_correlation

    def make(out: Path, seed: int, config: CorrelationConfig) -> Path:
        return evaluate_correlation(results, out, seed, config)

    return Comparison("evaluate agreement --over", CorrelationConfig, {"over": results}, make)


def _readers(real: Path, other: Path) -> Comparison:
    from understudy.evaluation.interrater.config import InterraterConfig
    from understudy.evaluation.interrater.stage import evaluate_interrater

    def make(out: Path, seed: int, config: InterraterConfig) -> Path:
        return evaluate_interrater(real, other, out, seed, config)

    return Comparison("evaluate readers", InterraterConfig, {"real": real, "other": other}, make)

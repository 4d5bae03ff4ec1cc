"""``understudy evaluate``: how synthetic cohorts fare against the real one they stand for: one file, one evaluation."""

import typer

from understudy.cli.evaluate import consistency, correlation, fidelity, interrater, privacy, utility
from understudy.cli.help import CommandGroup, Verb, example

app = typer.Typer(
    cls=CommandGroup,
    rich_markup_mode=None,
    no_args_is_help=True,
    epilog=example("understudy evaluate utility --real phantom --synthetic synthetic --out results-utility"),
)
for verb in (utility, fidelity, privacy, consistency, correlation, interrater):
    app.command(verb.__name__.rpartition(".")[2], cls=Verb, epilog=verb.EXAMPLE)(verb.command)


@app.callback()
def evaluate() -> None:
    """Measure how useful and realistic synthetic cohorts are and what attacks find, by real subjects never seen."""

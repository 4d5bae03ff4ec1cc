"""``understudy demo``: the whole chain on the built-in phantom, as the very commands that it prints."""

import shlex
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from understudy.cli.help import example
from understudy.cli.options import DryRun, Seed
from understudy.cli.tables import show_results

EXAMPLE = example("understudy demo --out demo-output --seed 1")
GENERATORS = ("progan", "diffusion")
EVALUATIONS = {"utility": "--set updates=300 --set batch_size=16", "fidelity": "", "privacy": "--set updates=100"}
PHANTOM = "--subjects 40 --slices 8 --size 64 --split train=0.55,validation=0.1,control=0.15,test=0.2"
CASES = 256


def demo(
    context: typer.Context,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Default: demo-output, or demo-output-SEED.")] = None,
    seed: Seed = 0,
    dry_run: DryRun = False,
) -> None:
    """Run the whole chain on the built-in phantom, in minutes; ends with a Dice table and report.html."""
    out = out or Path(f"demo-output-{seed}" if seed else "demo-output")
    commands = chain(out, seed)
    if dry_run:
        for line in commands:
            typer.echo(shlex.join(["understudy", *line]))
        return
    for folder in (out, out / "runs", out / "synthetic", out / "results"):
        folder.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    for line in commands:
        _run(context, line)
    typer.echo("\nDice of a segmenter on real test subjects that no generator saw, by what it was trained on:")
    show_results(out / "results" / "utility")
    typer.echo(f"\ndone in {time.monotonic() - start:.0f} s; everything lies in {out}")
    typer.echo(f"report: {out / 'report' / 'report.html'}")


def chain(out: Path, seed: int) -> list[list[str]]:
    """Return the commands of the demo in order, without the leading ``understudy``.

    Args:
        out: the folder of the demo.
        seed: seed of every stage.
    """
    cohort, key, report = out / "cohort", out / "demo.key", out / "report"
    runs = {name: out / "runs" / name for name in GENERATORS}
    synthetic = {name: out / "synthetic" / name for name in GENERATORS}
    results = {kind: out / "results" / kind for kind in EVALUATIONS}
    commands = [f"import phantom {PHANTOM} --key {_q(key)} --out {_q(cohort)} --seed {seed}", f"check {_q(cohort)}"]
    for name in GENERATORS:
        commands += [
            f"train {name} {_q(cohort)} --preset demo --out {_q(runs[name])} --seed {seed}",
            f"sample {_q(runs[name])} --n {CASES} --out {_q(synthetic[name])} --seed {seed}",
        ]
    judged = f"--real {_q(cohort)} --synthetic {_q(*synthetic.values())}"
    for kind, settings in EVALUATIONS.items():
        commands += [f"evaluate {kind} {judged} {settings} --out {_q(results[kind])} --seed {seed}"]
    commands += [f"report {_q(*results.values())} --internal --out {_q(report)}"]
    return [shlex.split(command) for command in commands]


def _q(*paths: Path) -> str:
    return shlex.join(str(path) for path in paths)


def _run(context: typer.Context, line: list[str]) -> None:
    typer.echo("$ " + shlex.join(["understudy", *line]))
    root: Any = context.find_root().command
    code = root.main(args=line, prog_name="understudy", standalone_mode=False)
    if code:
        raise typer.Exit(code)


command = demo

"""``understudy demo``: the whole chain on the built-in phantom, as the very commands that it prints."""

import csv
import shlex
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from understudy.cli.help import example
from understudy.cli.options import DryRun, Seed
from understudy.cli.tables import show_results

EXAMPLE = example("understudy demo --out demo-output --seed 1")
PHANTOM = "--tumour regions --subjects 60 --slices 8 --size 48 --split train=0.6,validation=0.1,control=0.1,test=0.2"
RENDERERS = {"pix2pix": "demo", "diffusion": "demo-labels"}  # what renders label maps, and with which preset
EVALUATIONS = {
    "utility": "--set 'classes=[core,oedema]' --set updates=300 --set batch_size=12 --set repeats=1 --set checks=6",
    "fidelity": "--set encoder_updates=100",
    "privacy": "--set updates=60 --set 'matchers=[pixels,whole]'",
}
CASES = 200


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
    typer.echo(conclusion(out / "results" / "utility" / "tables" / "utility.csv"))


def conclusion(table: Path) -> str:
    """Say in words what was shown: the score of the better generator beside that of real cases.

    Args:
        table: tables/utility.csv.
    """
    with table.open(newline="") as file:
        rows = {row["trained_on"]: row for row in csv.DictReader(file) if row["class"] == "mean"}
    real = rows.pop("real")
    best = max(rows.values(), key=lambda row: float(row["dice"]))
    ratio, low, high = (float(best[name]) for name in ("ratio", "ratio_low", "ratio_high"))
    return (
        f"Shown: a segmenter that learned only synthetic cases ({best['trained_on']}; label maps drawn first, then "
        f"images) reaches a Dice of {float(best['dice']):.2f} on {real['n_subjects']} subjects whom no generator saw; "
        f"one that learned the real cases {float(real['dice']):.2f}. That is {ratio:.0%} (95 % interval {low:.0%} to "
        f"{high:.0%}), on a phantom in minutes: it shows the chain, and says nothing of your data."
    )


def chain(out: Path, seed: int) -> list[list[str]]:
    """Return the commands of the demo in order, without the leading ``understudy``.

    Args:
        out: the folder of the demo.
        seed: seed of every stage.
    """
    cohort, tissues, maps, report = out / "cohort", out / "tissues", out / "runs" / "mask_gan", out / "report"
    key, end = f"--key {_q(out / 'demo.key')}", f"--seed {seed}"
    runs = {name: out / "runs" / name for name in RENDERERS}
    synthetic = {name: out / "synthetic" / name for name in RENDERERS}
    results = {kind: out / "results" / kind for kind in EVALUATIONS}
    commands = [
        f"import phantom {PHANTOM} {key} --out {_q(cohort)} {end}",
        f"edit {_q(cohort)} --anatomy 4 {key} --out {_q(tissues)} {end}",
        f"check {_q(tissues)}",
        f"train mask_gan {_q(tissues)} --preset demo --out {_q(maps)} {end}",
    ]
    for name, preset in RENDERERS.items():
        commands += [
            f"train {name} {_q(tissues)} --preset {preset} --out {_q(runs[name])} {end}",
            f"sample {_q(runs[name])} --labels {_q(maps)} --n {CASES} --out {_q(synthetic[name])} {end}",
        ]
    judged = f"--real {_q(tissues)} --synthetic {_q(*synthetic.values())}"
    for kind, settings in EVALUATIONS.items():
        commands += [f"evaluate {kind} {judged} {settings} --out {_q(results[kind])} {end}"]
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

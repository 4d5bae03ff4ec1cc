"""How good and how fast a trained diffusion draws with each sampler and number of steps.

    python benchmarks/sampling_steps.py RUN --real COHORT --out DIR [--choices heun:18 heun:8 dpmpp_2m:8:0.2 ...]
        [--n 1000] [--seeds 0 1 2] [--utility [updates=600 repeats=2]] [--set features=random] [--rounds 5]
        [--against heun:18] [--reference heun:64] [--beside DIR ...]

RUN is a diffusion that draws from noise, without classes; COHORT is the one that it learned. A choice is a sampler, its
steps and, where it is not 0.002, the lowest noise level (`sigma_min`). Every choice draws the same n cases, from the
same noise, for each seed; `evaluate fidelity` compares them with the training split, and with `--utility` a segmenter,
with these settings, learns from those of the first seed. The rate is measured apart: in each round every choice draws
one block, in turn, so that what else the machine does weighs on all; `speed` is the ratio to `--against`, round by
round. Cohorts and results that are there are not made again: a killed call goes on, and a later one adds choices.

    sampling_steps.csv   a row a choice: network evaluations a case, images a second and speed with the range of rounds;
                         rms, the difference to `--reference` from the same noise in the first block, in the network's
                         range of -1 .. 1, all channels (blank for ddpm, which draws noise on its way); the Frechet
                         distance, precision, recall and coverage, means over seeds with their range, and beside them
                         those of unseen real subjects; the segmenter's ratio to real cases on test subjects, and its
                         first score on real validation subjects, which a choice of steps may look at
    sampling_steps.json  command, machine, threads, precision
    sampling_steps.png, .svg   distance, precision and recall, and with `--utility` the ratio, against evaluations, and
                         against images a second; with the rows of other calls (`--beside`, of the same cohort)
    cohorts/, fidelity/, utility/   what was drawn and found: INTERNAL parts stay where they are

**Checked** in tests/benchmarks/test_sampling_steps.py.
"""

import argparse
import csv
import json
import platform
import shlex
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

import understudy as us
from understudy.cli.options import parse_settings
from understudy.core.seed import derive

CHOICES = ("heun:4", "heun:6", "heun:8", "heun:12", "heun:18", "dpmpp_2m:6", "dpmpp_2m:8", "dpmpp_2m:10", "dpmpp_2m:15",
           "dpmpp_2m:25", "ddim:15", "ddim:35")  # fmt: skip
METRICS = ("frechet", "precision", "recall", "coverage")
COLOURS = ("#9c2f45", "#1f5f8b", "#5a7d2a", "#7a4b94", "#c07a1c", "#3d4650", "#12897b", "#d4689f")
Row = dict[str, Any]


@dataclass(frozen=True)
class Choice:
    """A sampler, its number of steps, and its lowest noise level where that is not the run's."""

    sampler: str
    steps: int
    lowest: float | None = None

    @classmethod
    def read(cls, text: str) -> "Choice":
        """Read ``heun:8`` or ``heun:8:0.2``; ValueError for anything else."""
        sampler, steps, *lowest = text.split(":")
        return cls(sampler, int(steps), *map(float, lowest[:1]))

    @property
    def name(self) -> str:
        """The name of its folder."""
        return f"{self.sampler}-{self.steps:03d}" + ("" if self.lowest is None else f"-{self.lowest:g}")

    @property
    def line(self) -> str:
        """The name of its line in the figure."""
        return self.sampler + ("" if self.lowest is None else f", from {self.lowest:g}")

    @property
    def evaluations(self) -> int:
        """Passes of the network a case: Heun takes two a step, but the last."""
        return 2 * self.steps - 1 if self.sampler == "heun" else self.steps

    @property
    def settings(self) -> dict[str, Any]:
        """What `sample` is told."""
        more = {} if self.lowest is None else {"sigma_min": self.lowest}
        return {"sampler": self.sampler, "sampler_steps": self.steps, **more}


def blocks(
    run: Path, choices: list[Choice], rounds: int
) -> tuple[dict[Choice, list[float]], dict[Choice, torch.Tensor]]:
    """Return seconds (rounds,) of drawing one block by each choice, in turns, and the cases drawn (N, C + L, *S)."""
    generators = {choice: us.load(run, **choice.settings) for choice in choices}
    seconds: dict[Choice, list[float]] = {choice: [] for choice in choices}
    drawn = {}
    with torch.no_grad():
        for turn in range(rounds + 1):  # the first loads what is loaded at the first call
            for choice, generator in generators.items():
                seeds = [derive(0, "case", i) for i in range(generator.config.sample_block)]
                start = time.perf_counter()
                drawn[choice] = generator.draw(seeds).cpu()
                if turn:
                    seconds[choice].append(time.perf_counter() - start)
    return seconds, drawn


def ranged(name: str, values: list[float]) -> Row:
    """Return the columns of a number: its mean, and the lowest and highest."""
    return {name: f"{statistics.fmean(values):.6g}", f"{name}_low": f"{min(values):.6g}",
            f"{name}_high": f"{max(values):.6g}"}  # fmt: skip


def speeds(run: Path, choices: list[Choice], against: Choice, reference: Choice, rounds: int) -> dict[Choice, Row]:
    """Return the columns of rate, speed and difference."""
    seconds, drawn = blocks(run, list(dict.fromkeys([*choices, against])), rounds)
    _, converged = blocks(run, [reference], 0)
    rows = {}
    for choice in choices:
        n, rms = len(drawn[choice]), float((drawn[choice] - converged[reference]).square().mean().sqrt())
        rows[choice] = ranged("images_s", [n / s for s in seconds[choice]])
        rows[choice] |= ranged("speed", [a / s for a, s in zip(seconds[against], seconds[choice], strict=True)])
        rows[choice]["rms"] = "" if choice.sampler == "ddpm" else f"{rms:.4g}"
    return rows


def table(path: Path) -> list[dict[str, str]]:
    """Read a table."""
    with path.open(newline="") as handle:
        return list(csv.DictReader(handle))


def named(cohorts: list[Path]) -> list[str]:
    """Return what evaluations call the cohorts, which are all a diffusion's."""
    return [f"diffusion-{i}" for i in range(1, len(cohorts) + 1)] if len(cohorts) > 1 else ["diffusion"]


def fidelity(real: Path, drawn: dict[Choice, list[Path]], out: Path, settings: Row) -> dict[Choice, Row]:
    """Return the columns of the metrics: over seeds, and of unseen real subjects."""
    cohorts = [cohort for several in drawn.values() for cohort in several]
    us.evaluate("fidelity", real=real, synthetic=cohorts, out=out, **settings)
    names = dict(zip(cohorts, named(cohorts), strict=True))
    found = {(row["cohort"], row["metric"]): row for row in table(out / "tables" / "fidelity.csv")}
    rows: dict[Choice, Row] = {choice: {} for choice in drawn}
    for choice, several in drawn.items():
        for metric in METRICS:
            each = [found[names[cohort], metric] for cohort in several]
            rows[choice] |= ranged(metric, [float(row["value"]) for row in each])
            rows[choice][f"{metric}_unseen"] = each[0]["unseen"]
    return rows


def utility(real: Path, drawn: dict[Choice, list[Path]], out: Path, settings: Row) -> dict[Choice, Row]:
    """Return the columns of a segmenter that learned the cohorts of the first seed."""
    cohorts = [several[0] for several in drawn.values()]
    us.evaluate("utility", real=real, synthetic=cohorts, out=out, **settings)
    rows = table(out / "tables" / "utility.csv")
    seen = {result["name"]: result["value"] for result in json.loads((out / "results.json").read_text())["results"]}
    found: dict[Choice, Row] = {}
    for choice, name in zip(drawn, named(cohorts), strict=True):
        row = next(row for row in rows if row["trained_on"] == name)
        found[choice] = {f"utility_{column}": row[column] for column in ("ratio", "ratio_low", "ratio_high")}
        ending = f".{name}" if len(cohorts) > 1 else ""
        validation = seen[f"utility.validation{ending}.{row['network']}.dice"]
        found[choice]["utility_validation"] = f"{validation:.4f}"
    return found


def draw(rows: list[Row]) -> Figure:
    """Draw the metrics against evaluations and against the rate, a line a sampler."""
    shown = {"frechet": "Fréchet distance", "precision": "precision (full), recall (dashed)"}
    shown |= {"utility_ratio": "Dice, divided by real"} if all("utility_ratio" in row for row in rows) else {}
    figure = Figure(figsize=(9.6, 3.2 * len(shown)), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(shown), 2)
    for line, (metric, title) in zip(axes, shown.items(), strict=True):
        for axis, x in zip(line, ("evaluations", "images_s"), strict=True):
            curves(axis, rows, x, metric, "-")
            if metric == "precision":
                curves(axis, rows, x, "recall", "--")
            axis.set(
                xscale="log",
                yscale="log" if metric == "frechet" else "linear",
                ylabel=title,
                xlabel=x.replace("images_s", "images a second").replace("eval", "network eval"),
            )
            axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5, 7)))
            axis.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
            axis.xaxis.set_minor_formatter(NullFormatter())
            axis.grid(alpha=0.25)
    axes[0][0].legend(frameon=False, fontsize=8)
    return figure


def curves(axis: Any, rows: list[Row], x: str, metric: str, style: str) -> None:
    """Draw one metric with the range of its seeds, and that of unseen real subjects as a level."""
    for i, name in enumerate(dict.fromkeys(row["line"] for row in rows)):
        own = sorted((row for row in rows if row["line"] == name), key=lambda row: float(row[x]))
        at, (value, low, high) = [float(row[x]) for row in own], (
            np.array([float(row[f"{metric}{end}"]) for row in own]) for end in ("", "_low", "_high"))  # fmt: skip
        axis.errorbar(at, value, [value - low, high - value], color=COLOURS[i % len(COLOURS)], linestyle=style,
                      marker="o", markersize=3, capsize=2, label=name)  # fmt: skip
    if unseen := rows[0].get(f"{metric}_unseen"):
        axis.axhline(float(unseen), color="#5b6875", linewidth=1, linestyle=style, label="unseen real subjects")


def asked(given: argparse.Namespace, drawn: dict[Choice, list[Path]], kind: str, words: list[str]) -> tuple[Path, Row]:
    """Return the folder of an evaluation of these cohorts with these settings, and the settings."""
    request = "-".join(["n", str(given.n), *(path.name for several in drawn.values() for path in several), *words])
    return given.out / kind / f"{derive(0, request):08x}"[:8], parse_settings(words, us.evaluate)


def measured(given: argparse.Namespace, formulation: str) -> list[Row]:
    """Draw, time and evaluate; return the rows of the table."""
    choices = list(dict.fromkeys(given.choices))
    for part in ("cohorts", "fidelity", "utility"):
        (given.out / part).mkdir(parents=True, exist_ok=True)
    drawn: dict[Choice, list[Path]] = {choice: [] for choice in choices}
    for choice in choices:
        for seed in given.seeds:
            out = given.out / "cohorts" / f"{choice.name}-seed{seed}-n{given.n}"
            us.sample(given.run, given.n, out, seed=seed, **choice.settings)
            drawn[choice].append(out)
    columns = [speeds(given.run, choices, given.against, given.reference, given.rounds)]
    columns.append(fidelity(given.real, drawn, *asked(given, drawn, "fidelity", given.set)))
    if given.utility is not None:
        columns.append(utility(given.real, drawn, *asked(given, drawn, "utility", given.utility)))
    rows = []
    for choice in choices:
        row: Row = {"sampler": choice.sampler, "steps": choice.steps, "lowest": choice.lowest or ""}
        row |= {"line": f"{formulation}: {choice.line}", "evaluations": choice.evaluations}
        row |= {"n": given.n, "seeds": " ".join(map(str, given.seeds)), "rounds": given.rounds}
        for found in columns:
            row |= found[choice]
        rows.append(row)
    return rows


def main() -> None:
    """Read the command line; draw, time, evaluate, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, metavar="RUN")
    parser.add_argument("--real", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--choices", type=Choice.read, nargs="+", default=[Choice.read(text) for text in CHOICES])
    parser.add_argument("--against", type=Choice.read, default=Choice("heun", 18))
    parser.add_argument("--reference", type=Choice.read, default=Choice("heun", 64))
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--beside", type=Path, nargs="+", default=[], metavar="DIR", help="drawn in the same figure")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--utility", nargs="*", metavar="KEY=VALUE", help="judge it as well, with these settings")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of evaluate fidelity"
    )
    given = parser.parse_args()
    generator = us.load(given.run)
    if generator.name != "diffusion" or generator.given or generator.classes:
        parser.error(f"{given.run} is no diffusion that draws from noise without classes: name another run")
    rows = measured(given, generator.config.formulation)
    about = {
        "command": shlex.join(sys.argv),
        "machine": f"{platform.platform()}, {platform.processor()}",
        "device": generator.engine.device.type,
        "precision": generator.engine.precision,
        "threads": torch.get_num_threads(),
        "block": generator.config.sample_block,
        "torch": torch.__version__,
    }
    (given.out / "sampling_steps.json").write_text(json.dumps(about, indent=1) + "\n")
    with (given.out / "sampling_steps.csv").open("w", newline="") as handle:
        writer = csv.DictWriter(handle, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    figure = draw([*rows, *(row for folder in given.beside for row in table(folder / "sampling_steps.csv"))])
    figure.savefig(given.out / "sampling_steps.png", metadata={"Software": None})
    figure.savefig(given.out / "sampling_steps.svg", metadata={"Date": None})
    print((given.out / "sampling_steps.csv").read_text())


if __name__ == "__main__":
    main()

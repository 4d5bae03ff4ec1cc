"""What a guarantee costs: the Dice ratio beside every epsilon, of a small diffusion model; patients are the unit.

    python benchmarks/dp_utility.py COHORT --out DIR [--epsilons none inf 50 8 1] [--steps 150] [--n 400] [--seed 0]

COHORT is a real cohort with label maps. ``none`` trains without privacy, ``inf`` with clipping and without noise; both
promise nothing. All runs have the same network, take the same number of steps and see the same number of cases. Steps
of half of the subjects each: with noise, few large steps of a small network are worth more than many small ones. Every
command is printed before it runs; a finished step is not done twice. The table stands in DIR/table.json as well.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

from understudy.core.cohort import Cohort
from understudy.evaluation.guard import short_names

SLICES, DRAWS = 4, 2
SHARE = 0.5  # of the subjects in a step, on average
NETWORK = ("channels=[16,24,32]", "attention_levels=[]", "sampler_steps=12", "ema_images=3000", "warmup_images=0")


def understudy(*arguments: object) -> None:
    """Run a verb and print it."""
    command = [str(a) for a in arguments]
    print("understudy", *command, flush=True)
    subprocess.run([sys.executable, "-m", "understudy.cli.main", *command], check=True)


def made(cohort: Path, epsilon: str, out: Path, steps: int, n: int, seed: int) -> tuple[Path, float | None]:
    """Train and sample with one epsilon; return the synthetic cohort, and the epsilon that its record claims."""
    subjects = len(Cohort.open(cohort).subjects("train"))
    batch = round(SHARE * SLICES * subjects)
    settings = [*NETWORK, f"batch_size={batch}", f"images_seen={batch * steps}", f"snapshot_every={batch * steps}"]
    settings += [f"grid_every={batch * steps}"]
    if epsilon != "none":
        asked = "dp.noise=0" if epsilon == "inf" else f"dp.epsilon={epsilon}"
        settings += [asked, f"dp.slices={SLICES}", f"dp.draws={DRAWS}"]
    run, synthetic = out / f"run-{epsilon}", out / f"synthetic-{epsilon}"
    options = [part for setting in settings for part in ("--set", setting)]
    understudy("train", "diffusion", cohort, "--preset", "small", *options, "--seed", seed, "--out", run)
    understudy("sample", run, "--n", n, "--seed", seed, "--out", synthetic)
    claim = Cohort.open(synthetic).sampling.get("differential_privacy", {})
    return synthetic, claim.get("epsilon")


def main() -> None:
    """Make the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cohort", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--epsilons", nargs="+", default=["none", "inf", "50", "8", "1"])
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--n", type=int, default=400)
    parser.add_argument("--updates", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    args.out.mkdir(exist_ok=True)
    claims = {}
    for epsilon in args.epsilons:
        synthetic, claimed = made(args.cohort, epsilon, args.out, args.steps, args.n, args.seed)
        claims[synthetic] = claimed
    fit = ["--set", f"updates={args.updates}", "--set", f"repeats={args.repeats}", "--set", "arms=[synthetic]"]
    results = args.out / "utility"
    cohorts = [part for synthetic in claims for part in ("--synthetic", synthetic)]
    understudy("evaluate", "utility", "--real", args.cohort, *cohorts, *fit, "--seed", args.seed, "--out", results)
    found = json.loads((results / "results.json").read_text())["results"]
    names = dict(zip(claims, short_names([Cohort.open(synthetic) for synthetic in claims]), strict=True))
    rows = [
        {"cohort": synthetic.name, "claimed": claimed, **result}
        for synthetic, claimed in claims.items()
        for result in found
        if result["name"].startswith(f"utility.ratio.{names[synthetic]}.") and ".dice" in result["name"]
    ]
    (args.out / "table.json").write_text(json.dumps(rows, indent=1) + "\n")
    print("| cohort | epsilon claimed | number | value | 95 % interval | n |\n|---|---|---|---|---|---|")
    for r in rows:
        told = ["none" if v is None else f"{v:.3f}" for v in (r["claimed"], r["value"], r["low"], r["high"])]
        print(f"| {r['cohort']} | {told[0]} | {r['name']} | {told[1]} | {told[2]} .. {told[3]} | {r['n']} |")


if __name__ == "__main__":
    main()

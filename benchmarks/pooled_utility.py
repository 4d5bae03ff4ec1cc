"""Utility over several results folders as one number: folds, generator seeds, draws of training subjects.

    python benchmarks/pooled_utility.py UTILITY... [--class lesion] [--seed 0] [--out FILE.json]
    python benchmarks/pooled_utility.py NAME=UTILITY... [--class lesion] [--seed 0] [--out FILE.json]

UTILITY are folders of `understudy evaluate utility`. Those with the same test subjects differ by the seed of the
generator or the draw of training subjects; those with others are folds. With names, such as the institution that was
left out, each folder has numbers of its own beside those of all. Printed are the Dice of real, synthetic and both, the
ratio and the gain. A study does the same by itself: `understudy study run`. The pooling is understudy/core/pooled.py.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from understudy.core.pooled import Pool, Pooled, Unit
from understudy.studies.report.scores import MEAN, NetworkScores, read_scores

KINDS = ("real", "synthetic", "both")


def units_of(folder: str, found: NetworkScores, name: str) -> list[Unit]:
    """Return the cohorts of a folder, a block each."""
    cohorts = dict.fromkeys(cohort for _, cohort in found.arms if cohort)
    named = {cohort: {"real": ("real", ""), **{k: (k, cohort) for k in KINDS[1:]}} for cohort in cohorts}
    return [
        Unit(
            found.subjects,
            f"{folder} {cohort}",
            {kind: found.measured[key, name] for kind, key in arms.items() if (key, name) in found.measured},
        )
        for cohort, arms in named.items()
    ]


def numbers(units: Sequence[Unit], seed: int) -> dict[str, Any]:
    """Return what the units give together."""
    pool = Pool(units, seed)
    found: dict[str, Pooled | None] = {f"dice.{kind}": pool.score(kind) for kind in KINDS}
    found |= {"ratio": pool.ratio("synthetic", "real"), "gain": pool.gain("both", "real")}
    told: dict[str, Any] = {name: _rounded(asdict(one)) for name, one in found.items() if one is not None}
    gains = [Pool([unit], seed).gain("both", "real") for unit in units]
    return told | {"gain of each unit": [round(one.value, 4) for one in gains if one is not None]}


def _rounded(told: dict[str, Any]) -> dict[str, Any]:
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in told.items()}


def main() -> None:
    """Read the command line; pool; print, and write if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", metavar="[NAME=]UTILITY")
    parser.add_argument("--class", dest="name", default=MEAN, help="default: the mean over classes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    named = [(text.partition("=")[0] if "=" in text else "", Path(text.rpartition("=")[2])) for text in args.folders]
    units = [(label, units_of(str(folder), read_scores(folder), args.name)) for label, folder in named]
    told: dict[str, Any] = {"class": args.name, "seed": args.seed}
    told |= {label: numbers(some, args.seed) for label, some in units if label}
    told["all"] = numbers([unit for _, some in units for unit in some], args.seed)
    print(json.dumps(told, indent=1))
    if args.out:
        args.out.write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()

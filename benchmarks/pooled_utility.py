"""Utility over several generator seeds, or several draws of training subjects: one interval nested in all of them.

    python benchmarks/pooled_utility.py UTILITY... [--class lesion] [--seed 0] [--out FILE.json]

UTILITY are folders of `understudy evaluate utility` on the same test subjects, or their files internal/per_subject.csv.
A unit is one synthetic cohort: a generator seed where one folder judges several cohorts, a draw of training subjects
where each folder has its own. A resample draws units, within each unit the segmenters of each side, and subjects (the
same for all units and sides), each with replacement; a unit keeps its own real-only segmenters. Printed are the Dice of
each side and, where the folders have them, synthetic / real, and the gain of real + synthetic over real. Other sides
(other shares, few real subjects, fine-tuning) are left out.
"""

import argparse
import csv
import json
import re
from collections import defaultdict
from pathlib import Path

import numpy as np

from understudy.core.seed import rng

DRAWS = 5000
WHOLE = "whole lesion"  # all classes as one, which is no part of their mean
PLAIN = re.compile(r"(real\+)?[a-z0-9-]+")  # real, a cohort, or both
Scores = dict[str, np.ndarray]  # side -> (repeats, subjects); NaN where a subject does not count


def read(path: Path, name: str | None) -> tuple[list[str], list[Scores]]:
    """Read a folder: its test subjects, and its units.

    Args:
        path: folder or file.
        name: of a class; None: the mean over classes.
    """
    file = path / "internal" / "per_subject.csv" if path.is_dir() else path
    cells: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    with file.open(newline="") as handle:
        for row in csv.DictReader(handle):
            wanted = row["class"] == name if name else row["class"] != WHOLE
            if wanted and row["dice"]:
                cells[row["trained_on"], row["repeat"], row["subject_id"]].append(float(row["dice"]))
    if not cells:
        raise SystemExit(f"{file} has no scores of the class {name}")
    sides, repeats, subjects = (sorted({key[i] for key in cells}) for i in range(3))
    table = {
        side: np.array([[np.mean(cells.get((side, r, s), [np.nan])) for s in subjects] for r in repeats])
        for side in sides
    }
    cohorts = sorted({side.removeprefix("real+") for side in sides if PLAIN.fullmatch(side)} - {"real"})
    named = [{"real": "real", "synthetic": cohort, "both": f"real+{cohort}"} for cohort in cohorts]
    units = [{side: table[found] for side, found in names.items() if found in table} for names in named]
    return subjects, units


def resampled(units: list[Scores], seed: int) -> dict[str, np.ndarray]:
    """Return the mean of each side in DRAWS resamples, the first being everything as it is: side -> (1 + DRAWS,)."""
    subjects, draw = units[0]["real"].shape[1], rng(seed, "pooled")
    means: dict[str, list[float]] = defaultdict(list)
    for i in range(1 + DRAWS):
        chosen = units if i == 0 else [units[u] for u in draw.integers(0, len(units), len(units))]
        who = np.arange(subjects) if i == 0 else draw.integers(0, subjects, subjects)
        for side in units[0]:
            each = []
            for unit in chosen:
                n = len(unit[side])
                times = np.arange(n) if i == 0 else draw.integers(0, n, n)
                each.append(np.nanmean(unit[side][times][:, who]))
            means[side].append(float(np.mean(each)))
    return {side: np.array(values) for side, values in means.items()}


def shown(values: np.ndarray) -> dict[str, float]:
    """Return the first value with the middle 95 % of the others."""
    low, high = np.percentile(values[1:], [2.5, 97.5])
    return {"value": round(float(values[0]), 4), "low": round(float(low), 4), "high": round(float(high), 4)}


def main() -> None:
    """Read the command line; pool; print, and write if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+", metavar="UTILITY")
    parser.add_argument("--class", dest="name", help="default: the mean over classes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    found = [read(folder, args.name) for folder in args.folders]
    if any(subjects != found[0][0] for subjects, _ in found):
        raise SystemExit("the folders were tested on different subjects: pool those with one test split")
    units = [unit for _, several in found for unit in several]
    means = resampled(units, args.seed)
    results = {f"dice.{side}": shown(values) for side, values in means.items()}
    if "synthetic" in means:
        results["ratio"] = shown(means["synthetic"] / means["real"])
    if "both" in means:
        results["gain"] = shown(means["both"] - means["real"])
        gains = [float(np.nanmean(u["both"]) - np.nanmean(u["real"])) for u in units]
        results["gain of each unit"] = [round(gain, 4) for gain in gains]  # type: ignore[assignment]
    told = {"class": args.name, "units": len(units), "subjects": len(found[0][0])}
    told |= {"segmenters": {side: [len(u[side]) for u in units] for side in units[0]}, "seed": args.seed}
    print(json.dumps({**told, **results}, indent=1))
    if args.out:
        args.out.write_text(json.dumps({**told, **results}, indent=1) + "\n")


if __name__ == "__main__":
    main()

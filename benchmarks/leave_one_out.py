"""Utility with one institution left out at a time: no network saw the institution it is tested on.

    python benchmarks/leave_one_out.py NAME=UTILITY... [--class lesion] [--seed 0] --out FILE.json

UTILITY are folders of `understudy evaluate utility` on cohorts of `understudy import --leave-out institution=NAME`,
each with test subjects of its own. Printed for each institution, and for all subjects together: the Dice of networks
that learned from real and from synthetic cases of the other institutions, and the ratio, each the mean over subjects
with an interval that resamples the network seeds of each fold and the subjects within institutions.
"""

import argparse
import csv
import json
from collections import defaultdict
from pathlib import Path

import numpy as np

from understudy.core.seed import rng

DRAWS = 5000
Fold = dict[str, np.ndarray]  # side -> (repeats, subjects)


def read(folder: Path, name: str) -> Fold:
    """Read the scores of a class, of subjects that have one on both sides."""
    cells: dict[str, dict[tuple[str, str], float]] = defaultdict(dict)
    with (folder / "internal" / "per_subject.csv").open(newline="") as handle:
        for row in csv.DictReader(handle):
            if row["class"] == name and row["dice"]:
                side = "real" if row["trained_on"] == "real" else "synthetic"
                cells[side][row["repeat"], row["subject_id"]] = float(row["dice"])
    repeats = sorted({repeat for repeat, _ in cells["real"]})
    subjects = sorted({s for _, s in cells["real"] if all((r, s) in of for of in cells.values() for r in repeats)})
    return {side: np.array([[of[r, s] for s in subjects] for r in repeats]) for side, of in cells.items()}


def resampled(folds: list[Fold], seed: int) -> dict[str, np.ndarray]:
    """Return the mean over all subjects of each side, as it is and in DRAWS resamples: side -> (1 + DRAWS,)."""
    draw = rng(seed, "leave one out")
    sums: dict[str, np.ndarray] = {side: np.zeros(1 + DRAWS) for side in ("real", "synthetic")}
    for fold in folds:
        repeats, subjects = fold["real"].shape
        who = draw.integers(0, subjects, (DRAWS, subjects))
        for side, scores in fold.items():
            seeds = draw.integers(0, repeats, (DRAWS, repeats))
            sums[side][0] += scores.mean(0).sum()
            sums[side][1:] += np.array([scores[s][:, w].mean(0).sum() for s, w in zip(seeds, who, strict=True)])
    n = sum(fold["real"].shape[1] for fold in folds)
    return {side: values / n for side, values in sums.items()}


def row(name: str, folds: list[Fold], seed: int) -> dict[str, object]:
    """Return the numbers of some folds together."""
    means = resampled(folds, seed)
    means["ratio"] = means["synthetic"] / means["real"]
    told = {side: [round(float(v), 4) for v in (x[0], *np.percentile(x[1:], [2.5, 97.5]))] for side, x in means.items()}
    return {"left_out": name, "subjects": sum(fold["real"].shape[1] for fold in folds), **told}


def main() -> None:
    """Read the command line; print and write the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folds", nargs="+", metavar="NAME=UTILITY")
    parser.add_argument("--class", dest="name", default="lesion")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    named = {name: Path(folder) for name, _, folder in (text.partition("=") for text in given.folds)}
    folds = {name: read(folder, given.name) for name, folder in named.items()}
    rows = [row(name, [fold], given.seed) for name, fold in folds.items()]
    rows.append(row("each in turn", list(folds.values()), given.seed))
    requests = [json.loads((folder / "results.json").read_text())["provenance"] for folder in named.values()]
    given.out.write_text(json.dumps({"requests": requests, "rows": rows}, indent=1) + "\n")
    for one in rows:
        print(json.dumps(one))


if __name__ == "__main__":
    main()

"""How much a generator copies, by the number of its training subjects, and how many of its copies are flagged.

    python benchmarks/memorised.py --real R8 R16 ... --synthetic S8 S16 ... [--privacy P8 P16 ...] --out DIR

R are real cohorts that differ in their training subjects, S cohorts drawn from a generator trained on each, P what
`understudy evaluate privacy` said of each (INTERNAL: internal/pairs.csv is read). What is a copy says true_copies.py,
before and apart from the detector. Written are PUBLIC aggregates and no pixel:

    memorised.csv   a row a cohort: the share of true copies and the share of training images that they are copies of;
                    true copies flagged, those whose flag names the subject copied, other cases flagged, and cases
                    flagged that lie as far from the training images as 99 % of unseen real images do
    distances.csv   a row a cohort and band of distances: how many cases, how many of them flagged
    memorised.png   the shares against training subjects, and how near the cases lie beside unseen real images

Intervals are exact ones (Clopper, Pearson) over cases drawn from one generator; they do not know that another training
would copy more or less.
**Checked** in tests/benchmarks/test_memorised.py.
"""

import argparse
import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scipy.stats import binomtest
from true_copies import BOUND, Nearest, images_of, nearest

from understudy.core.cohort import Cohort

BANDS = (0, 0.1, 0.15, 0.2, BOUND, 0.3, 0.4, np.inf)
BINS = np.linspace(0, 1, 41)
UNSEEN = ("validation", "control", "test")
COLOURS = ("#9c2f45", "#c2571a", "#5a7d2a", "#1f5f8b", "#7a4b94", "#0f7f7a")


@dataclass(frozen=True)
class CohortCopies:
    """A synthetic cohort, what the truth says of it, and what the detector says.

    Attributes:
        real: the real cohort.
        synthetic: the synthetic cohort.
        rows: (m,) rows of the training cases.
        found: the nearest training case of each of n synthetic cases, an index into ``rows``.
        unseen: (u,) distances of real images that no generator saw.
        flagged: (n,) mask, or None where no detector was asked.
        named: (n,) mask of cases whose nearest case by the detector is of the subject that the truth found.
    """

    real: Cohort
    synthetic: Cohort
    rows: np.ndarray
    found: Nearest
    unseen: np.ndarray
    flagged: np.ndarray | None
    named: np.ndarray | None

    @property
    def copies(self) -> np.ndarray:
        """Return (n,) mask of true copies."""
        return self.found.rmse < BOUND

    @property
    def far(self) -> np.ndarray:
        """Return (n,) mask of cases as far from the training cases as 99 % of unseen real images."""
        return self.found.rmse >= np.quantile(self.unseen, 0.01)

    @property
    def subjects(self) -> int:
        """Number of training subjects."""
        return len(self.real.subjects("train"))


def judge(real: Path, synthetic: Path, privacy: Path | None) -> CohortCopies:
    """Search the copies of one synthetic cohort, and read what the detector said of it."""
    cohort, other = Cohort.open(real), Cohort.open(synthetic)
    if [seen["cohort"] for seen in other.trained_on] != [cohort.id]:
        raise SystemExit(f"{synthetic} was not trained on {real}: name the cohorts in the same order")
    rows = cohort.rows("train")
    found = nearest(images_of(other, other.rows()), images_of(cohort, rows))
    distances = unseen(cohort)
    if privacy is None:
        return CohortCopies(cohort, other, rows, found, distances, None, None)
    with (privacy / "internal" / "pairs.csv").open(newline="") as handle:
        said = {r["synthetic_case"]: r for r in csv.DictReader(handle) if r["synthetic_cohort"] == other.id}
    cases = other.column("case_id")
    if missing := set(cases) - set(said):
        raise SystemExit(f"{privacy} says nothing of {len(missing)} cases of {synthetic}: evaluate that cohort")
    flagged = np.array([said[case]["flagged"] == "1" for case in cases])
    subjects = cohort.column("subject_id")[rows[found.index]]
    named = np.array([said[case]["subject"] == subject for case, subject in zip(cases, subjects, strict=True)])
    return CohortCopies(cohort, other, rows, found, distances, flagged, named)


def share(k: int, n: int) -> list[Any]:
    """Return k, n, the share and its exact 95 % interval; blank where n is 0."""
    if n == 0:
        return [k, n, "", "", ""]
    interval = binomtest(k, n).proportion_ci(0.95)
    return [k, n, *(round(float(v), 4) for v in (k / n, interval.low, interval.high))]


def names(what: str) -> list[str]:
    """Return the columns of a share."""
    return [what, f"{what}_of", f"{what}_share", f"{what}_low", f"{what}_high"]


def summary(judged: CohortCopies) -> dict[str, Any]:
    """Return a row of memorised.csv."""
    copies, rmse = judged.copies, judged.found.rmse
    copied = len(np.unique(judged.found.index[copies]))
    near = np.quantile(judged.unseen, (0, 0.01, 0.5))
    row: dict[str, Any] = {"training_subjects": judged.subjects, "training_images": len(judged.rows), "bound": BOUND}
    row |= dict(zip(names("true_copies"), share(int(copies.sum()), len(copies)), strict=True))
    row |= {"training_images_copied": copied, "median_distance": round(float(np.median(rmse)), 4)}
    row |= {f"unseen_{n}": round(float(v), 4) for n, v in zip(("lowest", "1_percent", "median"), near, strict=True)}
    if judged.flagged is not None and judged.named is not None:
        flagged = judged.flagged
        for what, mask in {
            "copies_flagged": flagged[copies],
            "flagged_copies_named": judged.named[copies & flagged],
            "others_flagged": flagged[~copies],
            "far_flagged": flagged[judged.far],
        }.items():
            row |= dict(zip(names(what), share(int(mask.sum()), len(mask)), strict=True))
    return row


def bands(judged: CohortCopies) -> list[dict[str, Any]]:
    """Return rows of distances.csv: cases and flags by distance."""
    rows = []
    for low, high in zip(BANDS[:-1], BANDS[1:], strict=True):
        inside = (judged.found.rmse >= low) & (judged.found.rmse < high)
        row: dict[str, Any] = {"training_subjects": judged.subjects, "from": low, "below": high}
        row |= {"cases": int(inside.sum())}
        if judged.flagged is not None:
            row["flagged"] = int(judged.flagged[inside].sum())
        rows.append(row)
    return rows


def unseen(real: Cohort) -> np.ndarray:
    """Return distances (n,) of real images that no generator saw from the training images."""
    rows = np.sort(np.concatenate([real.rows(split) for split in UNSEEN]))
    return nearest(images_of(real, rows), images_of(real, real.rows("train"))).rmse


def draw(judged: list[CohortCopies]) -> Figure:
    """Draw the shares against training subjects, and the distances beside those of unseen real images."""
    figure = Figure(figsize=(9.6, 3.8), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    rows, x = [summary(j) for j in judged], [j.subjects for j in judged]
    line(left, x, rows, "true_copies", COLOURS[0], "o", "true copies, of all cases")
    if all(j.flagged is not None for j in judged):
        line(left, x, rows, "copies_flagged", COLOURS[3], "s", "flagged, of the true copies")
        line(left, x, rows, "far_flagged", COLOURS[2], "^", "flagged, of those as far as unseen images")
    left.set_xscale("log", base=2)
    left.set_xticks(x, [str(n) for n in x])
    left.set(xlabel="training subjects", ylabel="share (95 % interval)", ylim=(-0.02, 1.02))
    left.legend(frameon=False, fontsize=8)
    for j, colour in zip(judged, COLOURS, strict=False):
        steps(right, j.found.rmse, colour, f"synthetic, {j.subjects} subjects")
    steps(right, judged[-1].unseen, "#3d4650", f"unseen real, {judged[-1].subjects} subjects", linestyle="--")
    right.axvline(BOUND, color="#5b6875", linewidth=1)
    right.text(BOUND - 0.01, 0.96, "bound", ha="right", color="#5b6875", fontsize=8)
    right.set(xlabel="distance to the nearest training image", ylabel="share at least as near", ylim=(-0.02, 1.02))
    right.legend(frameon=False, fontsize=8)
    for axis in (left, right):
        axis.grid(alpha=0.25)
    return figure


def line(axis: Any, x: list[int], rows: list[dict[str, Any]], what: str, colour: str, marker: str, label: str) -> None:
    """Draw a share with its intervals, where there is one."""
    known = [(n, row) for n, row in zip(x, rows, strict=True) if row[f"{what}_share"] != ""]
    value, low, high = (np.array([row[f"{what}_{end}"] for _, row in known]) for end in ("share", "low", "high"))
    axis.errorbar([n for n, _ in known], value, [value - low, high - value], color=colour, marker=marker, capsize=3,
                  label=label)  # fmt: skip


def steps(axis: Any, rmse: np.ndarray, colour: str, label: str, **style: Any) -> None:
    """Draw the share of cases at least as near, in bins."""
    total = np.concatenate([[0], np.histogram(np.minimum(rmse, 1), BINS)[0].cumsum()]) / len(rmse)
    axis.plot(BINS, total, color=colour, label=label, **style)


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write a table."""
    with path.open("w", newline="") as handle:
        writer = csv.DictWriter(handle, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def main() -> None:
    """Read the command line; search, count, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real", type=Path, nargs="+", required=True)
    parser.add_argument("--synthetic", type=Path, nargs="+", required=True)
    parser.add_argument("--privacy", type=Path, nargs="+", help="results folders; default: no detector is asked")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    privacy = given.privacy or [None] * len(given.real)
    if not len(given.real) == len(given.synthetic) == len(privacy):
        parser.error("as many --real as --synthetic, and as --privacy, were expected")
    judged = sorted(map(judge, given.real, given.synthetic, privacy), key=lambda j: j.subjects)
    given.out.mkdir(parents=True, exist_ok=True)
    write(given.out / "memorised.csv", [summary(j) for j in judged])
    write(given.out / "distances.csv", [row for j in judged for row in bands(j)])
    draw(judged).savefig(given.out / "memorised.png", metadata={"Software": None})
    print((given.out / "memorised.csv").read_text())


if __name__ == "__main__":
    main()

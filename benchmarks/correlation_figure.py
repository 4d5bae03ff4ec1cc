"""The figure of `understudy evaluate correlation`: fidelity metrics against utility, a marker a generator.

python benchmarks/correlation_figure.py CORRELATION --metrics frechet,kid,precision,recall,spectrum --out FILE.png
"""

import argparse
import csv
from pathlib import Path

import matplotlib.pyplot as plt

MARKERS = "osD^vPX*"


def read(file: Path) -> list[dict[str, str]]:
    """Return the rows of a table."""
    with file.open(newline="") as handle:
        return list(csv.DictReader(handle))


def main() -> None:
    """Read the command line and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("correlation", type=Path)
    parser.add_argument("--metrics", required=True)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    cohorts = read(given.correlation / "tables" / "correlation-cohorts.csv")
    found = {row["metric"]: row for row in read(given.correlation / "tables" / "correlation.csv")}
    metrics, generators = given.metrics.split(","), list(dict.fromkeys(row["generator"] for row in cohorts))
    figure, axes = plt.subplots(2, -(-len(metrics) // 2), figsize=(11, 6.4), sharey=True, layout="constrained")
    for metric, axis in zip(metrics, axes.flat, strict=False):
        for marker, generator in zip(MARKERS, generators, strict=False):
            mine = [row for row in cohorts if row["generator"] == generator]
            x, y = ([float(row[column]) for row in mine] for column in (metric, "utility"))
            axis.scatter(x, y, marker=marker, label=generator, s=42, alpha=0.85)
        row = found[metric]
        values = [float(row[f"spearman{end}"]) for end in ("", "_low", "_high")]
        axis.set_title("Spearman {:.2f} [{:.2f}, {:.2f}]".format(*values), fontsize=10)
        axis.set_xlabel(f"{metric} ({row['better']} is better)")
        axis.grid(alpha=0.25)
        if row["better"] == "lower" and min(float(c[metric]) for c in cohorts) > 0:
            axis.set_xscale("log")
    for axis in axes.flat[len(metrics) :]:
        axis.axis("off")
    figure.legend(
        *axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=len(generators), frameon=False
    )
    figure.supylabel("Dice of a U-Net trained on the synthetic cohort")
    given.out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(given.out, dpi=110)


if __name__ == "__main__":
    main()

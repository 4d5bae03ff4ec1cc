"""How exact every metric is: measures each against its reference and writes docs/exactness.md.

    .venv/bin/python benchmarks/exactness.py [--out docs/exactness.md]

The numbers are seeded; another processor or another version of a library moves the last digits. Exits with 1, and
writes nothing, where an error is above its bound.
"""

import argparse
import platform
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from references import Row, fidelity, privacy, statistics, utility

PAGE = Path(__file__).resolve().parents[1] / "docs" / "exactness.md"
SECTIONS: dict[str, list[Row]] = {
    "Fidelity": fidelity.ROWS,
    "Utility": utility.ROWS,
    "Privacy": privacy.ROWS,
    "Statistics": statistics.ROWS,
}
LIBRARIES = ("numpy", "scipy", "torch", "monai", "torchmetrics", "prdc", "scikit-learn")
HEAD = """# How exact the numbers are

Every metric is held against a reference: a closed form, an independent library, or a case counted out by hand. The
error is the largest that was found in the setting; a test holds it below the bound, on smaller data where the setting
is large. This page is written by

    python benchmarks/exactness.py

n: cases a side; F: features. Errors are absolute unless they are said to be relative.
How often the intervals of pooled numbers hold the truth is simulated in [coverage.md](coverage.md),
and how often flags, the swap test, attacks and policies are right in [power.md](power.md).
"""
MONAI = """## Where MONAI is not right

An empty map has no surface, and a library that answers `nan` drops the case from a mean: a lesion that was missed would
cost nothing. The rule of `tasks/overlap.py` counts the worst value where one map is empty, and leaves the
class out, counted, where both are. Distances in mm, in a volume with a diagonal of {diagonal:.3f} mm.

| case | Dice | Dice of MONAI | HD95 | HD95 of MONAI |
|---|---|---|---|---|
"""


def measured(sections: Mapping[str, Sequence[Row]]) -> dict[str, list[float]]:
    """Measure every row, in the order of the sections."""
    return {title: [row.measure() for row in rows] for title, rows in sections.items()}


def too_large(sections: Mapping[str, Sequence[Row]], errors: Mapping[str, Sequence[float]]) -> list[str]:
    """Say which rows do not keep their bound."""
    pairs = [pair for title, rows in sections.items() for pair in zip(rows, errors[title], strict=True)]
    return [f"{', '.join(r.metrics)} | {r.source}: {e:.2g} > {r.bound:g}" for r, e in pairs if not e <= r.bound]


def line(row: Row, error: float) -> str:
    """Return a line of the table."""
    unit = " relative" if row.relative else ""
    tests = ", ".join(f"`{test}`" for test in row.test.split(", "))
    cells = [
        ", ".join(row.metrics),
        row.source,
        row.setting,
        f"{error:.1e}{unit}" if error else "0",
        f"{row.bound:g}",
        tests,
    ]
    return f"| {' | '.join(cells)} |"


def page(errors: Mapping[str, Sequence[float]]) -> str:
    """Return the page as Markdown."""
    told = ", ".join(f"{name} {version(name).split('+')[0]}" for name in LIBRARIES)
    parts = [HEAD, f"Measured with Python {platform.python_version()}, {told}.\n"]
    for title, rows in SECTIONS.items():
        lines = [line(row, error) for row, error in zip(rows, errors[title], strict=True)]
        head = "| metric | reference | setting | largest error | bound | held by `tests/` |\n|---|---|---|---|---|---|"
        parts.append(f"## {title}\n\n{head}\n" + "\n".join(lines) + "\n")
    return "\n".join([*parts, empty_maps()])


def empty_maps() -> str:
    """Return the section on empty maps."""
    lines, diagonal = [], 0.0
    for name, maps in utility.empty_maps().items():
        scores = utility.empty_scores(*maps)
        ours, theirs = (scores[0], scores[6]), utility.what_monai_says(*maps)
        diagonal = max(diagonal, float(np.nan_to_num(ours[1])))
        told = [f"{v:.4g}" if np.isfinite(v) else "not counted" for v in ours]
        lines.append(f"| {name} | {told[0]} | {theirs[0]:g} | {told[1]} | {theirs[1]:g} |\n")
    return MONAI.format(diagonal=diagonal) + "".join(lines)


def main() -> None:
    """Measure, and write the page where every bound is kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=PAGE)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    errors = measured(SECTIONS)
    if complaints := too_large(SECTIONS, errors):
        sys.exit("above its bound:\n" + "\n".join(complaints))
    arguments.out.write_text(page(errors))
    print(f"{sum(map(len, errors.values()))} rows: {arguments.out}")


if __name__ == "__main__":
    main()

"""The table of generators: one results file a row, so that rows measured on different days join.

    python benchmarks/generators_table.py row RUN UTILITY FIDELITY PRIVACY --hardware TEXT --out FOLDER/NAME.json
    python benchmarks/generators_table.py table FOLDER

`row` reads a training run and the folders of the three evaluations of one synthetic cohort, and keeps the settings, the
pace and the results of aggregates only. `table` prints all rows as Markdown.
"""

import argparse
import json
from pathlib import Path
from typing import Any

KEPT = ("fidelity.frechet", "fidelity.kid", "privacy.", "utility.")
COLUMNS = (
    ("Frechet distance (new patients / training redrawn)", "fidelity.frechet", 3),
    ("KID (new patients / training redrawn)", "fidelity.kid", 4),
)


def make_row(run: Path, folders: list[Path], hardware: str) -> dict[str, Any]:
    """Join what a run and its evaluations say."""
    record = json.loads((run / "run.json").read_text())
    log = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    pace, seen = log[-1]["images_per_s"], log[-1]["images_seen"]  # the mean since the training began
    results = [r for folder in folders for r in json.loads((folder / "results.json").read_text())["results"]]
    return {
        "name": run.name.removeprefix("run-"),
        "generator": record["generator"],
        "preset": record["provenance"]["config"]["preset"],
        "config": record["config"],
        "size": record["size"],
        "seed": record["seed"],
        "images_seen": seen,
        "images_per_s": round(pace, 2),
        "hours": round(seen / pace / 3600, 2),
        "hardware": hardware,
        "results": [r for r in results if r["name"].startswith(KEPT)],
    }


def print_table(rows: list[dict[str, Any]]) -> None:
    """Print the rows as a Markdown table."""
    heads = ["generator", "images seen", "images/s", "hours", *(c[0] for c in COLUMNS)]
    heads += [
        "Dice, synthetic only",
        "Dice, real only",
        "ratio",
        "r: median / 99 % / highest",
        "r of control",
        "flagged (by chance)",
    ]
    print("| " + " | ".join(heads) + " |\n|" + "---|" * len(heads))
    for row in rows:
        named = {r["name"]: r for r in row["results"]}
        cells = [row["name"], f"{row['images_seen']:,}", f"{row['images_per_s']:.1f}", f"{row['hours']:.2f}"]
        for _, name, digits in COLUMNS:
            ends = ("size_matched", "unseen_extrapolated", "redrawn")
            made, new, redrawn = (f"{named[f'{name}.{end}']['value']:.{digits}f}" for end in ends)
            cells.append(f"{made} ({new} / {redrawn})")
        network = next(n.split(".")[2] for n in named if n.startswith("utility.real."))
        for name in ("synthetic", "real", "ratio"):
            r = named[f"utility.{name}.{network}.dice"]
            cells.append(f"{r['value']:.3f} [{r['low']:.3f}, {r['high']:.3f}]")
        for side in ("synthetic", "control"):
            values = [named[f"privacy.correlation.{side}.{word}"]["value"] for word in ("median", "q99", "max")]
            cells.append(" / ".join(f"{v:.3f}" for v in values))
        flagged, expected = (named[f"privacy.copies.{n}"]["value"] for n in ("flagged", "expected"))
        cells.append(f"{flagged:.0f} ({expected:.0f})")
        print("| " + " | ".join(cells) + " |")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(required=True, dest="verb")
    row = verbs.add_parser("row")
    row.add_argument("run", type=Path)
    row.add_argument("folders", type=Path, nargs="+", metavar="RESULTS")
    row.add_argument("--hardware", required=True)
    row.add_argument("--out", type=Path, required=True)
    verbs.add_parser("table").add_argument("folder", type=Path)
    given = parser.parse_args()
    if given.verb == "row":
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(json.dumps(make_row(given.run, given.folders, given.hardware), indent=1) + "\n")
    else:
        print_table([json.loads(file.read_text()) for file in sorted(given.folder.glob("*.json"))])


if __name__ == "__main__":
    main()

"""The tables of a study of many synthetic cohorts: one results file a cohort, so that each row can be looked up.

    python benchmarks/utility_rows.py rows RESULTS --labels A,B,C --out FOLDER
    python benchmarks/utility_rows.py table FOLDER [--network unet]

`rows` takes a folder of `understudy evaluate utility` or `fidelity` and writes (or completes) FOLDER/LABEL.json, one
for each synthetic cohort in the order in which they were given: the request, the numbers of that cohort and of the real
side. Several requests (another network, fidelity beside utility) join in one file; `table` prints rows as Markdown.
"""

import argparse
import json
import re
from pathlib import Path
from typing import Any

FIDELITY = (("frechet", 2), ("frechet_infinity", 2), ("kid", 4), ("precision", 2), ("recall", 2), ("spectrum", 2))


def add_rows(results: Path, labels: list[str], out: Path) -> None:
    """Write or complete the file of each cohort."""
    told = json.loads((results / "results.json").read_text())
    kind = told["provenance"]["command"].removeprefix("evaluate ")
    pattern = r"^utility\.synthetic\.([^.]+)\.[^.]+\.dice$" if kind == "utility" else r"^fidelity\.([^.]+)\.frechet$"
    names = [found.group(1) for r in told["results"] if (found := re.match(pattern, r["name"]))]
    if len(names) != len(labels):
        raise SystemExit(
            f"{results} measured {len(names)} cohorts ({', '.join(names)}), and {len(labels)} labels were given"
        )
    for name, label in zip(names, labels, strict=True):
        file = out / f"{label}.json"
        row = json.loads(file.read_text()) if file.is_file() else {"cohort": label, "requests": [], "results": []}
        row["requests"].append(told["provenance"])
        row["results"] += [mine for r in told["results"] if (mine := _of(r, kind, name, names))]
        out.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(row, indent=1) + "\n")


def _of(result: dict[str, Any], kind: str, name: str, names: list[str]) -> dict[str, Any] | None:
    """Return a result of one cohort without the cohort's name, or of the real side; None for another cohort's."""
    parts = result["name"].split(".")
    place = 2 if kind == "utility" else 1
    if len(parts) > place and parts[place] in names:
        if parts[place] != name:
            return None
        del parts[place]
    return result | {"name": ".".join(parts)}


def print_table(rows: list[dict[str, Any]], network: str) -> None:
    """Print the rows as a Markdown table, the most useful first."""
    heads = ["cohort", "Dice", "ratio to real-only", *(f"{name} (unseen / redrawn)" for name, _ in FIDELITY)]
    print("| " + " | ".join(heads) + " |\n|" + "---|" * len(heads))
    named = [(row["cohort"], {r["name"]: r for r in row["results"]}) for row in rows]
    kept = [(label, of) for label, of in named if f"utility.synthetic.{network}.dice" in of]
    for label, of in sorted(kept, key=lambda pair: -pair[1][f"utility.synthetic.{network}.dice"]["value"]):
        cells = [label, *(_three(of[f"utility.{side}.{network}.dice"]) for side in ("synthetic", "ratio"))]
        cells += [_with_baselines(of, name, digits) for name, digits in FIDELITY]
        print("| " + " | ".join(cells) + " |")
    print(f"\nreal-only: {_three(kept[0][1][f'utility.real.{network}.dice'])}")


def _three(result: dict[str, Any]) -> str:
    return f"{result['value']:.3f} [{result['low']:.3f}, {result['high']:.3f}]"


def _with_baselines(of: dict[str, Any], name: str, digits: int) -> str:
    """Write the size-matched number with new patients and redrawn training cases, or "" where they are not there."""
    new = of.get(f"fidelity.{name}.unseen_extrapolated") or of.get(f"fidelity.{name}.unseen")
    found = [of.get(f"fidelity.{name}.size_matched"), new, of.get(f"fidelity.{name}.redrawn")]
    if not all(found):
        return ""
    made, unseen, redrawn = (f"{one['value']:.{digits}f}" for one in found if one)
    return f"{made} ({unseen} / {redrawn})"


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(required=True, dest="verb")
    rows = verbs.add_parser("rows")
    rows.add_argument("results", type=Path)
    rows.add_argument("--labels", required=True)
    rows.add_argument("--out", type=Path, required=True)
    table = verbs.add_parser("table")
    table.add_argument("folder", type=Path)
    table.add_argument("--network", default="unet")
    given = parser.parse_args()
    if given.verb == "rows":
        add_rows(given.results, given.labels.split(","), given.out)
    else:
        print_table([json.loads(file.read_text()) for file in sorted(given.folder.glob("*.json"))], given.network)


if __name__ == "__main__":
    main()

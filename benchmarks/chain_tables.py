"""Tables of chain.py: every stage with its share of the machine's own peak, and how time grows; Markdown and CSV.

A share is FLOPs a second over those of the machine's own best matrix product, and over those of its best training step
of a 3x3 convolution; for stages that only move data it is the bytes of the folders read and written, a second, over
those of a copy in memory. FLOPs are those of matrix products and convolutions, counted in another run of the command.
"""

import csv
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

HEADS = {
    "stage": "stage",
    "seconds": "s",
    "processor_seconds": "processor s",
    "rate": "a second",
    "gflop": "GFLOP",
    "share_of_matmul": "share of matrix product",
    "share_of_convolution": "share of convolution step",
    "share_of_copy": "share of copy",
    "own_mib": "own MiB",
    "peak_mib": "peak MiB",
    "load": "load",
}
NO_GROWTH = ("train", "utility")  # their work is the settings', whatever the number of cases


def table_rows(results: dict[str, Any], machine: dict[str, float]) -> Iterator[dict[str, Any]]:
    """Yield a row a stage: what was measured, and its shares of the machine's peak."""
    for name, found in results.items():
        row = {"stage": name, **{key: found.get(key) for key in ("kind", "size", "generator", "cases", "images")}}
        if "failed" in found:
            yield row | {"failed": found["failed"]}
            continue
        seconds, units = found["seconds"], found["images"] or found["cases"]
        row |= {key: round(found[key], 1) for key in ("seconds", "processor_seconds", "own_mib", "peak_mib")}
        row |= {"rate": significant(units / seconds) if units else None, "load": found["load"]}
        if gflop := found.get("gflop"):
            row["gflop"] = round(gflop, 1)
            for kind in ("matmul", "convolution"):
                row[f"share_of_{kind}"] = significant(gflop * 1e9 / seconds / machine[f"{kind}_flops"])
        row["share_of_copy"] = significant(found["bytes"] / seconds / machine["copy_bytes"])
        yield row


def significant(number: float) -> float:
    """Round to two digits."""
    return float(f"{number:.2g}")


def exponent(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    """Return b of seconds = a size^b by least squares on logarithms, of two sizes and more."""
    x, y = ([math.log(value) for value in values] for values in (sizes, seconds))
    middle = sum(x) / len(x)
    return sum((a - middle) * b for a, b in zip(x, y, strict=True)) / sum((a - middle) ** 2 for a in x)


def growth(results: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield how the seconds of each stage grow with synthetic cases, and with the pixels of a case."""
    done = [found for found in results.values() if "failed" not in found]
    for by in ("cases", "pixels"):
        series: dict[tuple[Any, ...], dict[float, float]] = {}
        for found in done:
            if by == "cases" and (not found["cases"] or found["kind"] in NO_GROWTH):
                continue
            same = found["size"] if by == "cases" else found["cases"]
            at = found["cases"] if by == "cases" else found["size"] ** 2
            series.setdefault((found["kind"], found["generator"], same), {})[at] = found["seconds"]
        for (kind, generator, _), points in series.items():
            if len(points) > 1:
                of = exponent([*points], [*points.values()])
                yield {"stage": f"{kind} {generator}".strip(), "by": by, "points": points, "exponent": round(of, 2)}


def markdown(results: dict[str, Any], machine: dict[str, Any]) -> str:
    """Return both tables, and above them the machine."""
    lines = [machine_line(machine), "", *_table(HEADS, table_rows(results, machine))]
    grown = [
        {**row, "points": ", ".join(f"{at:g}: {seconds:.1f} s" for at, seconds in row["points"].items())}
        for row in growth(results)
    ]
    if grown:
        heads = {"stage": "stage", "by": "grows with", "points": "seconds", "exponent": "exponent"}
        lines += ["", "Start of the process included, which makes exponents of short stages smaller.", ""]
        lines += _table(heads, grown)
    return "\n".join(lines) + "\n"


def machine_line(machine: dict[str, Any]) -> str:
    """Say what the machine reaches by itself."""
    return (
        f"Machine ({machine['threads']} threads, torch {machine['torch']}, {machine['precision']}): matrix product "
        f"{machine['matmul_flops'] / 1e9:.0f} GFLOP/s, convolution step {machine['convolution_flops'] / 1e9:.0f} "
        f"GFLOP/s, copy {machine['copy_bytes'] / 1e9:.1f} GB/s."
    )


def _table(heads: dict[str, str], rows: Any) -> list[str]:
    lines = ["| " + " | ".join(heads.values()) + " |", "|" + "---|" * len(heads)]
    for row in rows:
        cells = ["" if row.get(key) is None else str(row[key]) for key in heads]
        if "failed" in row:
            cells = [row["stage"], row["failed"], *[""] * (len(heads) - 2)]
        lines.append("| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |")
    return lines


def write_csv(file: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write rows of whatever columns."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    with file.open("w", newline="") as handle:
        writer = csv.DictWriter(handle, columns)
        writer.writeheader()
        writer.writerows(rows)

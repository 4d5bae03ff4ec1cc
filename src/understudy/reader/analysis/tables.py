"""Tables and curves of a reader study: a row a reader, a class, an option; the ROC curves; the course of the reading.

PUBLIC: readers are numbers, cases are counted. **Checked** in tests/reader/analysis/test_tables.py.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from understudy.evaluation.folder import write_curve, write_rows, write_table
from understudy.reader.analysis.findings import FEW, Findings
from understudy.reader.analysis.readings import Readings
from understudy.reader.statistics import agreement
from understudy.reader.statistics.detection import chance_p, sensitivity, share
from understudy.reader.statistics.roc import Averages, areas, curve, means, normal_interval

READER = ("reader", "n", "right", "right_low", "right_high", "p_chance", "sensitivity", "sensitivity_low",
          "sensitivity_high", "specificity", "specificity_low", "specificity_high", "auc", "auc_low", "auc_high",
          "d_prime", "criterion", "same_reader", "seconds")  # fmt: skip
PARTS = 10  # of a reading, for its course


def write_tables(folder: Path, findings: Findings) -> None:
    """Write the public tables and curves."""
    readings = findings.readings
    write_table(folder, "readers", READER, [_reader(readings, r) for r in range(len(readings.readers))])
    if not readings.study.plan.pairs:
        write_table(folder, "classes", ("class", "source", "n", "called_synthetic", "low", "high"), _classes(findings))
        rows = _options(findings)
        if rows:
            write_table(folder, "checklists", ("question", "option", "real", "synthetic", "difference", "low", "high",
                                               "called_real_if_ticked"), rows)  # fmt: skip
        _write_roc(folder, readings)
    _write_course(folder, readings)


def write_internal(folder: Path, readings: Readings) -> None:
    """Write a row an answer, and the free texts, which may say anything."""
    asked = [one.name for one in readings.study.plan.asked]
    texts = {one.name for one in readings.study.plan.asked if one.kind == "text"}
    rows: list[list[Any]] = []
    remarks: list[list[Any]] = []
    for reader, order, said in zip(readings.readers, readings.orders, readings.said, strict=True):
        for item, answer in zip(order.tolist(), said, strict=True):
            fact = readings.facts[item]
            about = [reader, answer.position, readings.items[item], fact.source, fact.generator, fact.stratum]
            rows.append([*about, answer.seconds, *(answer.answers.get(name) for name in asked if name not in texts)])
            remarks += [[*about, name, answer.answers[name]] for name in sorted(texts & answer.answers.keys())]
    head = ["reader", "position", "item", "source", "generator", "class"]
    write_rows(folder / "answers.csv", [*head, "seconds", *(name for name in asked if name not in texts)], rows)
    write_rows(folder / "remarks.csv", [*head, "question", "text"], remarks)


def _reader(readings: Readings, r: int) -> list[Any]:
    """Return one reader: shares with exact intervals, AUC with DeLong's, d', agreement with himself, median time."""
    fakes, calls, ratings = readings.synthetic, readings.calls[r], readings.ratings[r]
    right = share(readings.correct[r])
    assert right is not None  # a study has cases
    cells: list[Any] = [readings.readers[r], right.n, right.value, right.low, right.high, chance_p(right)]
    if readings.study.plan.pairs:
        cells += [None] * 11
    else:
        for one in (share(calls[fakes]), share(~calls[~fakes])):
            cells += [None] * 3 if one is None else [one.value, one.low, one.high]
        area = areas(real=ratings[None, ~fakes], synthetic=ratings[None, fakes])
        value = float(area.values[0])
        cells += [value, *normal_interval(value, float(area.covariance[0, 0]))]
        cells += sensitivity(real=calls[~fakes], synthetic=calls[fakes])
    first, second = (ratings > 5 for ratings in readings.repeated[r])
    cells.append(agreement.cohen(first, second) if len(first) >= FEW else None)
    return [*cells, float(np.median(readings.seconds[r]))]


def _classes(findings: Findings) -> list[list[Any]]:
    """Return the share that is called synthetic of each class of real and of synthetic cases."""
    readings, rows = findings.readings, []
    for name in sorted(set(readings.stratum.tolist())):
        for source in ("", *readings.generators):
            mine = (readings.stratum == name) & (readings.generator == source)
            n = int(mine.sum())
            ends: Sequence[float | None] = (None, None, None)
            if n >= FEW:
                ends = findings.estimate(means(readings.calls[:, mine].astype(float)))[:3]
            rows.append([name or "all", source or "real", n, *ends])
    return rows


def _options(findings: Findings) -> list[list[Any]]:
    """Return for each option of the checklists how often it is ticked, and how often such synthetic cases fool."""
    readings, rows, fakes = findings.readings, [], findings.readings.synthetic
    for question in readings.study.plan.asked:
        if question.kind != "checklist":
            continue
        said = readings.values(question.name)
        for k, option in enumerate(question.options):
            ticked = np.array([[k in (one or ()) for one in row] for row in said])
            real, synthetic = means(ticked[:, ~fakes].astype(float)), means(ticked[:, fakes].astype(float))
            apart = Averages(synthetic.values - real.values, synthetic.covariance + real.covariance)
            value, low, high = _difference(apart, findings)
            fooled = ~readings.calls[:, fakes][ticked[:, fakes]]
            shares = float(real.values.mean()), float(synthetic.values.mean())
            rows.append([question.name, option, *shares, value, low, high,
                         float(fooled.mean()) if len(fooled) >= FEW else None])  # fmt: skip
    return rows


def _difference(found: Averages, findings: Findings) -> tuple[float, float | None, float | None]:
    """Return the mean of a difference over readers with its interval, which may lie below 0."""
    value = float(found.values.mean())
    _, low, high, _ = findings.estimate(Averages(found.values / 2 + 0.5, found.covariance / 4))  # -1..1 as 0..1
    return (value, None, None) if low is None or high is None else (value, 2 * low - 1, 2 * high - 1)


def _write_roc(folder: Path, readings: Readings) -> None:
    fakes = readings.synthetic
    lines: dict[str, tuple[list[float], list[float]]] = {}
    for reader, ratings in zip(readings.readers, readings.ratings, strict=True):
        x, y = curve(real=ratings[~fakes], synthetic=ratings[fakes])
        lines[f"reader {reader}"] = x.tolist(), y.tolist()
    lines["guessing"] = [0.0, 1.0], [0.0, 1.0]
    write_curve(folder, "roc", "Readers' ROC curves", "real cases called synthetic", "synthetic cases called synthetic",
                lines)  # fmt: skip


def _write_course(folder: Path, readings: Readings) -> None:
    """Write the share of right calls, part by part of the reading."""
    lines = {}
    for reader, right in zip(readings.readers, readings.correct_in_order, strict=True):
        parts = np.array_split(right, min(PARTS, len(right)))
        ends = np.cumsum([len(part) for part in parts])
        lines[f"reader {reader}"] = ends.tolist(), [float(part.mean()) for part in parts]
    write_curve(folder, "course", "Right calls on the way", "cases read", "share of right calls", lines)

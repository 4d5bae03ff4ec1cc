"""Tables and curves: what a reader, a class, an option has; no row per case in public."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from understudy.reader.analysis.findings import Findings
from understudy.reader.analysis.readings import read_readings
from understudy.reader.analysis.tables import write_internal, write_tables
from understudy.reader.create import Created
from understudy.reader.simulated import answer_all
from understudy.reader.statistics.simulation import readers_with


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as handle:
        return list(csv.DictReader(handle))


def test_every_table(make: Callable[..., Created], tmp_path: Path) -> None:
    made = make(synthetic=("gan", "edm"), n=16)
    answer_all(made.folder, readers_with(0.8))
    found = read_readings(made.folder)
    (tmp_path / "out").mkdir()
    write_tables(tmp_path / "out", Findings(found, 0))
    write_internal(tmp_path, found)
    readers = rows(tmp_path / "out" / "tables" / "readers.csv")
    assert [one["reader"] for one in readers] == ["1", "2"] and readers[0]["n"] == "48"
    assert float(readers[0]["right"]) == pytest.approx(found.correct[0].mean())
    assert float(readers[0]["right_low"]) < float(readers[0]["right"]) < float(readers[0]["right_high"])
    classes = rows(tmp_path / "out" / "tables" / "classes.csv")
    assert [(one["class"], one["source"], one["n"]) for one in classes] == [
        (stratum, source, "8") for stratum in ("ill", "none") for source in ("real", "edm", "gan")
    ]
    options = rows(tmp_path / "out" / "tables" / "checklists.csv")
    assert [one["option"] for one in options] == ["nodule", "effusion"]
    assert float(options[0]["synthetic"]) - float(options[0]["real"]) == pytest.approx(float(options[0]["difference"]))
    roc = json.loads((tmp_path / "out" / "curves" / "roc.json").read_text())
    assert [one["name"] for one in roc["series"]] == ["reader 1", "reader 2", "guessing"]
    course = json.loads((tmp_path / "out" / "curves" / "course.json").read_text())["series"][0]
    assert course["x"][-1] == len(found.orders[0])
    answers = rows(tmp_path / "answers.csv")
    assert len(answers) == 2 * len(found.orders[0]) and "comment" not in answers[0]
    assert {one["text"] for one in rows(tmp_path / "remarks.csv")} == {"simulated reader"}


def test_pairs_have_no_areas(make: Callable[..., Created], reading: Any, tmp_path: Path) -> None:
    made = make(plan=reading.plan(pairs=True, questions=(), wrong_annotations=0.0))
    answer_all(made.folder, readers_with(0.8))
    write_tables(tmp_path, Findings(read_readings(made.folder), 0))
    assert rows(tmp_path / "tables" / "readers.csv")[0]["auc"] == ""
    assert not (tmp_path / "tables" / "classes.csv").exists() and not (tmp_path / "curves" / "roc.json").exists()

"""The audit as public numbers: names, intervals by subject, notes."""

import csv
from pathlib import Path

import numpy as np
import pytest

from understudy.evaluation.privacy.calibration import clopper_pearson
from understudy.evaluation.privacy.canaries.audit import Audit, Recall
from understudy.evaluation.privacy.canaries.report import HEADER, share, write_audit


def one(flagged: list[int], subjects: list[int]) -> Recall:
    mask = np.array(flagged, bool)
    return Recall(mask, np.array(subjects), mask, {"pixels": float(mask.mean())})


def found() -> Audit:
    recalls = {
        "exact": one([1] * 8, [1, 1, 2, 2, 3, 3, 4, 5]),
        "warped": one([1, 0, 1, 0, 1, 1, 1, 1], [1, 1, 2, 2, 3, 3, 4, 5]),
    }
    strangers = one([1, 1, 1, 1, 0, 0, 0, 0], [1, 1, 1, 1, 2, 3, 4, 5])
    unlearned, hidden = {"warped": one([0, 0, 1, 1], [1, 2, 3, 4])}, one([0] * 10, list(range(10)))
    return Audit(
        recalls,
        unlearned,
        {"moved": hidden, "warped": strangers},
        strangers,
        hidden,
        (9, 10, 3, 1000),
        ["lesion: no lesion"],
    )


def test_share_by_case_and_by_subject() -> None:
    strangers = found().strangers
    value, low, high = share(strangers, 0)
    assert value == 0.5
    assert low == 0 < value < high
    assert share(strangers, 0, by_subject=True)[0] == pytest.approx(0.2)
    assert share(one([0] * 10, [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]), 0) == (0, *clopper_pearson(0, 5))  # five, not ten
    assert share(one([1] * 10, [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]), 0) == (1, *clopper_pearson(5, 5))


def test_intervals_come_from_subjects() -> None:
    draw = np.random.default_rng(0)
    whole = np.repeat(draw.integers(0, 2, 20), 10).tolist()
    by_subject, by_case = (
        share(one(whole, np.repeat(range(20), 10).tolist()), 0),
        share(one(whole, list(range(200))), 0),
    )
    assert by_subject[0] == by_case[0]
    assert by_subject[2] - by_subject[1] > 2 * (by_case[2] - by_case[1])


def test_names_values_and_notes(tmp_path: Path) -> None:
    results = {result.name.removeprefix("privacy.audit."): result for result in write_audit(tmp_path, found(), 0)}
    assert set(results) == {
        "recall.mean", "recall.worst", "recall.exact", "recall.warped", "left_out.warped", "false_alarms",
        "false_alarms_left_out",
        "false_alarms_disguised", "recall_few",
    }  # fmt: skip
    assert results["recall.exact"].value == 1
    assert results["recall.warped"].value == results["recall.worst"].value == 0.75
    assert results["recall.mean"].value == pytest.approx(0.875)
    mean = results["recall.mean"]
    assert mean.low is not None and mean.high is not None and 0.7 < mean.low < 0.875 < mean.high <= 1
    assert mean.n == 16
    assert "lesion: no lesion" in mean.note
    assert "warped" in results["recall.worst"].note
    assert results["left_out.warped"].value == 0.5 and "had not learned" in results["left_out.warped"].note
    assert results["false_alarms"].value == pytest.approx(0.2) and results["false_alarms"].better == "lower"
    assert "5 test subjects" in results["false_alarms"].note
    unlearned = results["false_alarms_left_out"]
    assert unlearned.value == pytest.approx(0.2) and unlearned.note.endswith("family: warped")
    few = results["recall_few"]
    assert (few.value, few.low, few.high) == (0.9, *clopper_pearson(9, 10))
    assert "of 10 copies among 1000" in few.note and "3 of the strangers" in few.note


def test_the_table_holds_one_row_a_disguise(tmp_path: Path) -> None:
    write_audit(tmp_path, found(), 0)
    with (tmp_path / "tables" / "privacy_audit.csv").open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert list(rows[0]) == [*HEADER, "pixels"]
    said = [(row["disguise"], row["left_out"]) for row in rows]
    assert said == [("exact", "no"), ("warped", "no"), ("warped", "yes")]
    assert float(rows[1]["found"]) == 0.75 and rows[1]["n"] == "8" and rows[1]["subjects"] == "5"
    assert rows[1]["pixels"] == "0.75"


def test_no_audit_says_why(tmp_path: Path) -> None:
    (result,) = write_audit(tmp_path, "not audited: because", 3)
    assert (result.name, result.value, result.note, result.seed) == ("privacy.audit", None, "not audited: because", 3)
    assert not (tmp_path / "tables").exists()

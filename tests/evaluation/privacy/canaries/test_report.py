"""The audit as public numbers: names, intervals by subject, notes."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from understudy.evaluation.privacy.calibration import ReferenceScores, Threshold, clopper_pearson
from understudy.evaluation.privacy.canaries.audit import AuditedCases, AuditResult, MapAudit
from understudy.evaluation.privacy.canaries.report import HEADER, recall_results, share, write_audit


def one(flagged: list[int], subjects: list[int]) -> AuditedCases:
    mask = np.array(flagged, bool)
    return AuditedCases(mask, np.array(subjects), mask, {"pixels": float(mask.mean())})


NONE = "not audited: no label maps"
THRESHOLD = Threshold(1.0, np.full(200, 1.0), ReferenceScores(np.zeros(5), np.arange(5), ""), 0.01)


def found() -> AuditResult:
    recalls = {
        "exact": one([1] * 8, [1, 1, 2, 2, 3, 3, 4, 5]),
        "warped": one([1, 0, 1, 0, 1, 1, 1, 1], [1, 1, 2, 2, 3, 3, 4, 5]),
    }
    unseen = one([1, 1, 1, 1, 0, 0, 0, 0], [1, 1, 1, 1, 2, 3, 4, 5])
    unseen = replace(unseen, nearness=2.0 * unseen.flagged)
    left_out_non_members, hidden = {"warped": one([0, 0, 1, 1], [1, 2, 3, 4])}, one([0] * 10, list(range(10)))
    return AuditResult(
        recalls,
        left_out_non_members,
        {"moved": hidden, "warped": unseen},
        unseen,
        one([1, 1], [16, 17]),
        one([0, 0, 1, 1, 0, 0], [11, 12, 13, 13, 14, 15]),
        {"compound_2": one([1, 0, 0, 0, 1], [1, 2, 3, 4, 5])},
        THRESHOLD,
        hidden,
        (9, 10, 3, 1000),
        ["lesion: no lesion"],
    )


def test_share_by_case_and_by_subject() -> None:
    unseen = found().non_members
    value, low, high = share(unseen, 0)
    assert value == 0.5
    assert low == 0 < value < high
    assert share(unseen, 0, per_subject=True)[0] == pytest.approx(0.2)
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


def test_the_interval_of_a_recall_resamples_the_threshold() -> None:
    subjects, nearness = np.arange(40), np.linspace(0.5, 1.5, 40)
    copies = AuditedCases(nearness > 1, subjects, nearness > 1, {}, nearness)
    widths = []
    for spread in (0.0, 0.3):
        draws = np.random.default_rng(0).normal(1, spread, 500)
        audit = replace(found(), threshold=replace(THRESHOLD, resampled=draws), recalls={"warped": copies}, harder={})
        worst, mean, *_ = recall_results(audit, 0)
        assert worst.value == mean.value == 0.5
        assert (worst.low, worst.high) == pytest.approx((mean.low, mean.high))
        assert worst.low is not None and worst.high is not None
        widths.append(worst.high - worst.low)
    assert widths[1] > 1.5 * widths[0] > 0.3


def test_so_does_that_of_false_positives_where_each_subject_counts_once(tmp_path: Path) -> None:
    subjects = np.r_[np.zeros(10, int), np.arange(1, 41)]
    nearness = np.r_[np.full(10, 1.2), np.linspace(0, 1.04, 40)]
    unseen = AuditedCases(nearness > 1, subjects, nearness > 1, nearness=nearness)
    lows = []
    for spread in (0.0, 0.2):
        (tmp_path / str(spread)).mkdir()
        draws = np.random.default_rng(0).normal(1, spread, 500)
        audit = replace(found(), threshold=replace(THRESHOLD, resampled=draws), non_members=unseen, transformed=unseen)
        results = {r.name: r for r in write_audit(tmp_path / str(spread), audit, NONE, 0)}
        for name in ("privacy.audit.false_positive_rate", "privacy.audit.false_positive_rate_transformed"):
            assert results[name].value == pytest.approx(
                3 / 41
            )  # of 41 subjects one, however many cases it has, and two
            lows.append(results[name].low)
    assert lows[0] == lows[1] == pytest.approx(0, abs=0.03) and lows[2] == lows[3] == 0


def test_names_values_and_notes(tmp_path: Path) -> None:
    results = {result.name.removeprefix("privacy.audit."): result for result in write_audit(tmp_path, found(), NONE, 0)}
    assert set(results) == {
        "recall.mean", "recall.worst", "recall.exact", "recall.warped", "recall.compound_2", "left_out.warped",
        "false_positive_p", "false_positive_rate", "false_positive_rate_all", "false_positive_rate_left_out",
        "false_positive_rate_transformed", "subjects_often_flagged", "recall_low_prevalence", "label_maps",
    }  # fmt: skip
    assert list(results)[:2] == ["recall.worst", "recall.mean"]  # the worst leads
    assert results["recall.exact"].value == 1
    assert results["recall.compound_2"].value == pytest.approx(0.4)  # and neither the worst nor the mean knows of it
    assert results["false_positive_rate_all"].value == pytest.approx(4 / 12)
    assert (
        results["subjects_often_flagged"].value == 4
        and "of 12 unseen subjects" in results["subjects_often_flagged"].note
    )
    assert results["recall.warped"].value == results["recall.worst"].value == 0.75
    assert results["recall.mean"].value == pytest.approx(0.875)
    mean = results["recall.mean"]
    assert mean.low is not None and mean.high is not None and 0.7 < mean.low < 0.875 < mean.high <= 1
    assert mean.n == 16
    assert "lesion: no lesion" in mean.note
    assert "warped" in results["recall.worst"].note
    assert results["left_out.warped"].value == 0.5 and "had not learned" in results["left_out.warped"].note
    assert (
        results["false_positive_rate"].value == pytest.approx(0.2) and results["false_positive_rate"].better == "lower"
    )
    assert "5 test subjects" in results["false_positive_rate"].note
    p = results["false_positive_p"]  # only the one of ten subjects that is flagged exceeds what any five allow
    assert p.value == pytest.approx(0.5, abs=0.05) and p.better == "higher"
    left_out_non_members = results["false_positive_rate_left_out"]
    assert left_out_non_members.value == pytest.approx(0.2) and left_out_non_members.note.endswith("family: warped")
    few = results["recall_low_prevalence"]
    assert (few.value, few.low, few.high) == (0.9, *clopper_pearson(9, 10))
    assert "of 10 copies among 1000" in few.note and "3 of these" in few.note


def test_the_table_holds_one_row_a_transformation(tmp_path: Path) -> None:
    write_audit(tmp_path, found(), NONE, 0)
    with (tmp_path / "tables" / "privacy_audit.csv").open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert list(rows[0]) == [*HEADER, "pixels"]
    said = [(row["transformation"], row["left_out"]) for row in rows]
    assert said == [("exact", "no"), ("warped", "no"), ("compound_2", "no"), ("warped", "yes")]
    assert float(rows[1]["found"]) == 0.75 and rows[1]["n"] == "8" and rows[1]["subjects"] == "5"
    assert rows[1]["pixels"] == "0.75"


def test_no_audit_says_why(tmp_path: Path) -> None:
    one, other = write_audit(tmp_path, "not audited: because", NONE, 3)
    assert (one.name, one.value, one.note, one.seed) == ("privacy.audit", None, "not audited: because", 3)
    assert (other.name, other.value, other.note) == ("privacy.audit.label_maps", None, NONE)
    assert not (tmp_path / "tables").exists()


def test_label_maps_stand_apart(tmp_path: Path) -> None:
    near = np.array([2.0, 2, 0, 0, 2, 2, 2, 2])
    moved = AuditedCases(near > 1, np.array([1, 1, 2, 2, 3, 3, 4, 5]), near > 1, nearness=near)
    equal = replace(moved, flagged=np.ones(8, bool))  # two are as good as equal, whatever their nearness
    unseen = AuditedCases(np.array([True, True, True, False, False]), np.array([1, 1, 1, 2, 3]), np.zeros(5, bool))
    results = write_audit(tmp_path, "not audited", MapAudit({"as_it_is": equal, "grown": moved}, unseen, THRESHOLD), 0)
    found = {one.name.removeprefix("privacy.audit.label_maps."): one for one in results}
    assert list(found) == [
        "privacy.audit", "recall.worst", "recall.mean", "recall.as_it_is", "recall.grown", "false_positive_rate",
    ]  # fmt: skip
    assert found["recall.as_it_is"].value == 1 and found["recall.grown"].value == 0.75
    assert found["recall.worst"].value == 0.75 and "grown" in found["recall.worst"].note
    assert found["recall.mean"].value == pytest.approx(0.875) and found["recall.mean"].n == 16
    assert found["false_positive_rate"].value == pytest.approx(1 / 3) and found["false_positive_rate"].n == 5
    with (tmp_path / "tables" / "privacy_audit.csv").open(newline="") as handle:
        assert [row["transformation"] for row in csv.DictReader(handle)] == ["label_map.as_it_is", "label_map.grown"]

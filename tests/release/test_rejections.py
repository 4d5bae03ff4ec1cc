"""What evidence says about single cases, and evidence that is refused."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError, UsageError
from understudy.release.rejections import (
    Rejection,
    Rejections,
    consistency_rejections,
    open_evidence,
    privacy_rejections,
)

Write = Callable[..., Path]
MEAN = [0.1, 0.2, 0.3, 0.4, 0.499999999999, 0.5, 0.6, 0.7, 0.8, 0.9]


def verdict(folder: Path, cohort: Path, thresholds: dict[str, float | str]) -> Rejections:
    opened = Cohort.open(cohort)
    return consistency_rejections(open_evidence(folder, opened), opened, thresholds)


def test_cases_below_the_low_quantile_of_real_pairs(cohort: Path, consistency: Write) -> None:
    found = verdict(consistency(cohort, MEAN), cohort, {"mean": "real"})
    assert list(found.reasons) == ["case0", "case1", "case2", "case3"]  # case4 is 0.5 within what a CSV holds
    assert found.reasons["case2"] == [Rejection("consistency", "mean", 0.3, 0.5)] and found.thresholds == {"mean": 0.5}
    assert found.seen[0]["subjects"] == ["t1", "t2", "v1"]
    assert [(t["split"], t["for"]) for t in found.data_used] == [
        ("train", "weights of the segmenter"),
        ("validation", "choice of the segmenter"),
        ("control", "threshold"),
    ]


def test_a_number_by_class(cohort: Path, consistency: Write) -> None:
    folder = consistency(cohort, MEAN, MEAN[::-1])
    found = verdict(folder, cohort, {"mean": 0.15, "tumour": 0.25, "small cyst": 0.9})
    assert {case: [r.what for r in reasons] for case, reasons in found.reasons.items()} == {
        "case0": ["mean"],
        "case8": ["tumour"],
        "case9": ["tumour"],
    }
    assert "control" not in {t["split"] for t in found.data_used}  # a number touches no calibration


@pytest.mark.parametrize(
    ("quantile", "thresholds", "kind", "says"),
    [
        (0.5, {"liver": 0.5}, UsageError, "mean or for one of tumour, small cyst; found 'liver'"),
        (0.0, {"mean": "real"}, UsageError, "quantile of real pairs .mean. is 0, so nothing would be rejected"),
        (None, {"tumour": "real"}, UnderstudyError, "withheld: 3 subjects.*--threshold tumour=0.5"),
    ],
)
def test_thresholds_that_are_none(
    cohort: Path, consistency: Write, quantile: float | None, thresholds: dict[str, float | str], kind: type, says: str
) -> None:
    with pytest.raises(kind, match=says):
        verdict(consistency(cohort, MEAN, quantile=quantile), cohort, thresholds)


def test_flagged_cases(cohort: Path, privacy: Write) -> None:
    opened = Cohort.open(cohort)
    found = privacy_rejections(open_evidence(privacy(cohort, [2, 7]), opened), opened, {})
    assert found.reasons == {f"case{i}": [Rejection("privacy", "nearness", 0.95, 0.9)] for i in (2, 7)}
    assert found.thresholds == {"nearness": 0.9} and found.seen == [] and found.data_used[0]["split"] == "train"


def test_flagged_label_maps_are_rejected_too(cohort: Path, privacy: Write) -> None:
    opened, folder = Cohort.open(cohort), privacy(cohort, [2])
    pairs = folder / "internal" / "pairs.csv"
    head, *rows = pairs.read_text().splitlines()
    rows = [f"{row},{int(i in (2, 5))}" for i, row in enumerate(rows)]
    pairs.write_text("\n".join([f"{head},label_map_flagged", *rows]) + "\n")
    found = privacy_rejections(open_evidence(folder, opened), opened, {})
    maps = Rejection("privacy", "label map flagged", None, None)
    assert found.reasons == {"case2": [Rejection("privacy", "nearness", 0.95, 0.9), maps], "case5": [maps]}


def test_privacy_without_a_verdict_is_refused(cohort: Path, privacy: Write) -> None:
    opened = Cohort.open(cohort)
    with pytest.raises(UnderstudyError, match="gives no verdict about synthetic: withheld: few"):
        privacy_rejections(open_evidence(privacy(cohort, [], verdict=False), opened), opened, {})


def test_evidence_of_another_cohort_is_bad_usage(cohort: Path, another: Write, consistency: Write) -> None:
    other = another("other", [3, 3, 3, 3])
    with pytest.raises(UsageError, match="is about the synthetic cohort.*`understudy evaluate consistency` on this"):
        open_evidence(consistency(other, [1] * 4), Cohort.open(cohort))


def test_evidence_of_another_kind_is_bad_usage(cohort: Path, consistency: Write) -> None:
    folder = consistency(cohort, MEAN)
    text = (folder / "results.json").read_text().replace("evaluate consistency", "evaluate utility")
    (folder / "results.json").write_text(text)
    with pytest.raises(
        UsageError, match="results of 'utility', which say nothing about single cases.*consistency or privacy"
    ):
        open_evidence(folder, Cohort.open(cohort))


@pytest.mark.parametrize(
    ("file", "change", "says"),
    [
        ("cases.csv", lambda text: None, "is missing"),
        ("internal/seen.json", lambda text: None, "is missing"),
        ("cases.csv", lambda text: text.replace("case3", "case33"), "each of the 10 cases of synthetic once"),
        ("cases.csv", lambda text: text.rsplit("\n", 2)[0] + "\n", "found 9 rows"),
        ("cases.csv", lambda text: text.replace("mean", "average"), "a number in the column 'mean'"),
    ],
)
def test_partial_folders_are_refused(
    cohort: Path, consistency: Write, file: str, change: Callable[[str], str | None], says: str
) -> None:
    folder = consistency(cohort, MEAN)
    changed = change((folder / file).read_text())
    (folder / file).unlink()
    if changed is not None:
        (folder / file).write_text(changed)
    with pytest.raises(UnderstudyError, match=says):
        verdict(folder, cohort, {"mean": 0.5})


@pytest.mark.parametrize("content", [bytes(range(256)), "a,b\n".encode("utf-16"), b"a\n" + b"x" * 200_000])
def test_a_table_that_is_none_is_refused_in_a_sentence(cohort: Path, consistency: Write, content: bytes) -> None:
    folder = consistency(cohort, MEAN)
    (folder / "cases.csv").write_bytes(content)
    with pytest.raises(UnderstudyError, match="cases.csv is no table in UTF-8 .*: evaluate again"):
        verdict(folder, cohort, {"mean": 0.5})


def test_seen_is_what_the_stage_writes(cohort: Path, consistency: Write) -> None:
    told = json.loads((consistency(cohort, MEAN) / "internal" / "seen.json").read_text())
    assert set(told) == {"seen", "calibrated_on"}  # held against the stage in tests/cli/test_screen.py

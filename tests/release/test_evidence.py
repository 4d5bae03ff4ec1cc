"""What evidence says about single cases, and evidence that is refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.result import Result
from understudy.release.evidence import Reason, Verdict, agreement_verdict, open_dossier, open_evidence, privacy_verdict
from understudy.release.gate import judge
from understudy.release.package import release_cohort
from understudy.release.policy import read_policy
from understudy.release.verify import verify_bundle

Write = Callable[..., Path]
MEAN = [0.1, 0.2, 0.3, 0.4, 0.499999999999, 0.5, 0.6, 0.7, 0.8, 0.9]


def verdict(folder: Path, cohort: Path, thresholds: dict[str, float | str]) -> Verdict:
    opened = Cohort.open(cohort)
    return agreement_verdict(open_evidence(folder, opened), opened, thresholds)


def test_cases_below_the_low_quantile_of_real_pairs(cohort: Path, agreement: Write) -> None:
    found = verdict(agreement(cohort, MEAN), cohort, {"mean": "real"})
    assert list(found.reasons) == ["case0", "case1", "case2", "case3"]  # case4 is 0.5 within what a CSV holds
    assert found.reasons["case2"] == [Reason("agreement", "mean", 0.3, 0.5)] and found.thresholds == {"mean": 0.5}
    assert found.seen[0]["subjects"] == ["t1", "t2", "v1"]
    assert [(t["split"], t["for"]) for t in found.touched] == [
        ("train", "weights of the segmenter"),
        ("validation", "choice of the segmenter"),
        ("control", "threshold"),
    ]


def test_a_number_by_class(cohort: Path, agreement: Write) -> None:
    folder = agreement(cohort, MEAN, MEAN[::-1])
    found = verdict(folder, cohort, {"mean": 0.15, "tumour": 0.25, "small cyst": 0.9})
    assert {case: [r.what for r in reasons] for case, reasons in found.reasons.items()} == {
        "case0": ["mean"],
        "case8": ["tumour"],
        "case9": ["tumour"],
    }
    assert "control" not in {t["split"] for t in found.touched}  # a number touches no calibration


@pytest.mark.parametrize(
    ("quantile", "thresholds", "kind", "says"),
    [
        (0.5, {"liver": 0.5}, UsageError, "mean or for one of tumour, small cyst; found 'liver'"),
        (0.0, {"mean": "real"}, UsageError, "quantile of real pairs .mean. is 0, so nothing would be rejected"),
        (None, {"tumour": "real"}, UnderstudyError, "withheld: 3 subjects.*--threshold tumour=0.5"),
    ],
)
def test_thresholds_that_are_none(
    cohort: Path, agreement: Write, quantile: float | None, thresholds: dict[str, float | str], kind: type, says: str
) -> None:
    with pytest.raises(kind, match=says):
        verdict(agreement(cohort, MEAN, quantile=quantile), cohort, thresholds)


def test_flagged_cases(cohort: Path, privacy: Write) -> None:
    opened = Cohort.open(cohort)
    found = privacy_verdict(open_evidence(privacy(cohort, [2, 7]), opened), opened, {})
    assert found.reasons == {f"case{i}": [Reason("privacy", "flagged", 0.95, 0.9)] for i in (2, 7)}
    assert found.thresholds == {"r": 0.9} and found.seen == [] and found.touched[0]["split"] == "train"


def test_privacy_without_a_verdict_is_refused(cohort: Path, privacy: Write) -> None:
    opened = Cohort.open(cohort)
    with pytest.raises(UnderstudyError, match="gives no verdict about synthetic: withheld: few"):
        privacy_verdict(open_evidence(privacy(cohort, [], verdict=False), opened), opened, {})


def test_evidence_of_another_cohort_is_bad_usage(cohort: Path, another: Write, agreement: Write) -> None:
    other = another("other", [3, 3, 3, 3])
    with pytest.raises(UsageError, match="is about the synthetic cohort.*run `understudy evaluate agreement` on this"):
        open_evidence(agreement(other, [1] * 4), Cohort.open(cohort))


def test_evidence_of_another_kind_is_bad_usage(cohort: Path, agreement: Write) -> None:
    folder = agreement(cohort, MEAN)
    text = (folder / "results.json").read_text().replace("evaluate agreement", "evaluate utility")
    (folder / "results.json").write_text(text)
    with pytest.raises(
        UsageError, match="results of 'utility', which say nothing about single cases.*agreement or privacy"
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
    cohort: Path, agreement: Write, file: str, change: Callable[[str], str | None], says: str
) -> None:
    folder = agreement(cohort, MEAN)
    changed = change((folder / file).read_text())
    (folder / file).unlink()
    if changed is not None:
        (folder / file).write_text(changed)
    with pytest.raises(UnderstudyError, match=says):
        verdict(folder, cohort, {"mean": 0.5})


def test_seen_is_what_the_stage_writes(cohort: Path, agreement: Write) -> None:
    told = json.loads((agreement(cohort, MEAN) / "internal" / "seen.json").read_text())
    assert set(told) == {"seen", "calibrated_on"}  # held against the stage in tests/cli/test_screen.py


FLAGS = [Result("privacy.copies.flagged", 1), Result("privacy.copies.expected", 0.1, 0, 1)]


def screened(bench: Any, name: str = "screened", judge: str = "privacy") -> Path:
    """Write a cohort of 8 cases that says that the bench's lost 4 to screening."""
    entry = {
        "source": {"cohort": Cohort.open(bench.synthetic).id, "provenance": {}},
        "touched": [{"evidence": judge, "cohort": bench.real_id, "split": "train", "for": "compared"}],
        "coverage": {"cases": {"before": 12, "after": 8, "share": 8 / 12}},
        "thresholds": [],
        "rejected": [{"case_id": "synthetic-000003", "reasons": []}],
    }
    return bench.cohort(name, bench.images[:8], sampling={"screened": [entry]})


def before(bench: Any, seed: int, results: list[Result] = FLAGS) -> Path:
    return bench.results(f"before-{seed}", "privacy", results, Cohort.open(bench.synthetic).id, seed)


def failed(cohort: Path, evidence: list[Path]) -> list[str]:
    return [c.what for c in judge(read_policy().policy, open_dossier(Cohort.open(cohort), evidence)) if not c.holds]


def test_what_was_flagged_before_counts_and_another_seed_judges_again(bench: Any) -> None:
    cohort = screened(bench)
    after = bench.evidence(cohort)
    assert failed(cohort, after) == ["judged again", "flagged share before screening"]
    assert failed(cohort, [*after, before(bench, 0)]) == ["judged again"]
    assert failed(cohort, [*after, before(bench, 1)]) == []
    many = [Result("privacy.copies.flagged", 2), FLAGS[1]]
    assert failed(cohort, [*after, before(bench, 2, many)]) == ["flagged share before screening"]


def test_screening_by_agreement_alone_is_no_screening_of_copies(bench: Any) -> None:
    cohort = screened(bench, judge="agreement")
    after = bench.evidence(cohort)
    assert failed(cohort, after) == []
    with pytest.raises(UnderstudyError, match="is older than screened"):
        open_dossier(Cohort.open(cohort), [*after, before(bench, 1)])


def test_the_bundle_carries_the_numbers_from_before_and_nothing_else_of_them(bench: Any) -> None:
    cohort, earlier = screened(bench), before(bench, 1)
    (earlier / "tables").mkdir()
    (earlier / "tables" / "x.csv").write_text("a\n1\n")
    out = release_cohort(cohort, [*bench.evidence(cohort), earlier], bench.root / "out", real=bench.real)
    kept = [p.name for p in (out / "evidence" / "before-screening").rglob("*.*")]
    assert kept == ["results.json"] and verify_bundle(out)
    told = Cohort.open(out / "cohort").sampling["screened"]
    assert told[0]["coverage"]["cases"]["after"] == 8 and "rejected" not in told[0]
    assert "8 of 12 cases were kept" in (out / "card.md").read_text()


def test_an_audit_of_the_detector_is_about_no_synthetic_cohort(bench: Any) -> None:
    evidence = bench.evidence(audit=None)
    results = [Result(f"privacy.audit.recall.{name}", 0.96) for name in ("mean", "worst")]
    results.append(Result("privacy.audit.false_alarms", 0.01, 0.002, 0.03))
    assert failed(bench.synthetic, [*evidence, bench.results("audit", "audit", results, "")]) == []


def test_evidence_of_two_real_cohorts_is_refused(bench: Any) -> None:
    cohort = screened(bench)
    other = bench.results("o", "privacy", FLAGS, Cohort.open(bench.synthetic).id, 1, real="another")
    with pytest.raises(UnderstudyError, match="against 2 real cohorts"):
        open_dossier(Cohort.open(cohort), [*bench.evidence(cohort), other])

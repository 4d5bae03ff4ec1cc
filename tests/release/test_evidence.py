"""Evidence before and after screening are kept apart; what is older, or about others, does not count."""

from pathlib import Path
from typing import Any

import pytest

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError
from understudy.core.provenance import Provenance
from understudy.core.result import Result
from understudy.release.evidence import open_evidence_set
from understudy.release.gate import check_limits
from understudy.release.package import release_cohort
from understudy.release.policy import read_policy
from understudy.release.screening_log import Screening
from understudy.release.verify import verify_bundle
from understudy.release.weights import drawn_by
from understudy.synthesis.editing.anatomy import anatomy_cohort
from understudy.synthesis.editing.stage import EditConfig, edit_cohort
from understudy.synthesis.editing.tissues import Mixture

FLAGS = [Result("privacy.copies.flagged", 1), Result("privacy.copies.flagged_p", 0.2), Result("privacy.swap.p", 0.3)]
AUDIT = [
    Result("privacy.audit.recall.mean", 0.97),
    Result("privacy.audit.recall.worst", 0.85),
    Result("privacy.audit.false_positive_rate", 0.012, 0.004, 0.03),
    Result("privacy.audit.false_positive_p", 0.3),
]
BEFORE = ["flagged share before screening", "swap test before screening",
          "false-positive rate of the detector before screening", "audit, mean recall", "audit, worst transformation",
          "audit, false positives"]  # fmt: skip
AGAIN = "independent evaluation after screening"


def screened(bench: Any, name: str = "screened", judge: str = "privacy", by: tuple[str, ...] = ("pixels",)) -> Path:
    """Write a cohort of 8 cases that says that the bench's lost 4 to screening."""
    used = {"evidence": judge, "cohort": bench.real_id, "split": "train", "for": "compared"}
    entry: dict[str, Any] = {
        "source": {"cohort": Cohort.open(bench.synthetic).id, "provenance": {}},
        "data_used": [used | {"matchers": name} for name in by],
        "retained": {"cases": {"before": 12, "after": 8, "share": 8 / 12}},
        "thresholds": [],
        "rejected": [{"case_id": "synthetic-000003", "reasons": []}],
    }
    made = Screening.model_validate(entry).sealed(bench.key).model_dump(mode="json")
    return bench.cohort(name, bench.images[:8], sampling={"screened": [made]})


def before(bench: Any, seed: int, results: list[Result] = FLAGS) -> Path:
    return bench.results(f"before-{seed}", "privacy", [*results, *AUDIT], Cohort.open(bench.synthetic).id, seed)


def failed(cohort: Path, evidence: list[Path]) -> list[str]:
    return [
        c.what
        for c in check_limits(read_policy().policy, open_evidence_set(Cohort.open(cohort), evidence))
        if not c.holds
    ]


def test_what_was_flagged_before_counts_and_other_matchers_judge_again(bench: Any) -> None:
    cohort = screened(bench)
    after = bench.evidence(cohort)
    assert failed(cohort, after) == BEFORE
    assert failed(cohort, [*after, before(bench, 0)]) == []
    many = [Result("privacy.copies.flagged_p", 0.001), *FLAGS[2:]]
    assert failed(cohort, [*after, before(bench, 2, many)]) == BEFORE[:1]
    maps = [*FLAGS, Result("privacy.label_maps.flagged_p", 0.001)]  # screened out since by the one measure of maps
    assert failed(cohort, [*after, before(bench, 3, maps)]) == ["label maps before screening"]


def test_matchers_that_screened_once_cannot_judge_whatever_the_seed(bench: Any) -> None:
    for i, by in enumerate((("ranks",), ("pixels", "ranks"), ("pixels,orientations", "pixels"))):
        cohort = screened(bench, f"screened-{i}", by=by)
        after = bench.evidence(cohort, mark=f"{i}-")
        assert failed(cohort, [*after, before(bench, 7 + i)]) == [AGAIN]
    unknown = screened(bench, "unknown", by=("",))
    assert failed(unknown, [*bench.evidence(unknown, mark="u-"), before(bench, 20)]) == [AGAIN]


def test_screening_by_consistency_alone_is_no_screening_of_copies(bench: Any) -> None:
    cohort = screened(bench, judge="consistency")
    after = bench.evidence(cohort)
    assert failed(cohort, after) == []
    with pytest.raises(UnderstudyError, match="is older than screened"):
        open_evidence_set(Cohort.open(cohort), [*after, before(bench, 1)])


def test_the_bundle_carries_the_numbers_from_before_and_nothing_else_of_them(bench: Any) -> None:
    cohort, earlier = screened(bench), before(bench, 1)
    (earlier / "tables").mkdir()
    (earlier / "tables" / "x.csv").write_text("a\n1\n")
    bench.sealed(earlier)
    out = release_cohort(cohort, [*bench.evidence(cohort), earlier], bench.root / "out", real=bench.real)
    kept = [p.name for p in (out / "evidence" / "before-screening").rglob("*.*")]
    assert kept == ["results.json"] and verify_bundle(out)
    told = Cohort.open(out / "cohort").sampling["screened"]
    assert told[0]["retained"]["cases"]["after"] == 8 and "rejected" not in told[0]
    assert "8 of 12 cases were kept" in (out / "card.md").read_text()


def test_an_audit_of_the_detector_is_about_no_synthetic_cohort(bench: Any) -> None:
    evidence = bench.evidence(audit=None)
    results = [Result(f"privacy.audit.recall.{name}", 0.96) for name in ("mean", "worst")]
    results.append(Result("privacy.audit.false_positive_p", 0.3))
    assert failed(bench.synthetic, [*evidence, bench.results("audit", "audit", results, "")]) == []


def test_evidence_of_two_real_cohorts_is_refused(bench: Any) -> None:
    cohort = screened(bench)
    other = bench.results("o", "privacy", FLAGS, Cohort.open(bench.synthetic).id, 1, real="another")
    with pytest.raises(UnderstudyError, match="against 2 real cohorts"):
        open_evidence_set(Cohort.open(cohort), [*bench.evidence(cohort), other])


def test_an_edit_does_not_make_a_screened_cohort_one_that_was_not(bench: Any) -> None:
    once, earlier = screened(bench), before(bench, 0)
    washed = anatomy_cohort(once, bench.root / "washed", Mixture(3), 0)
    assert drawn_by(Cohort.open(washed)).command == "edit"
    after = bench.evidence(washed, mark="washed-")
    assert failed(washed, after) == BEFORE
    assert "every limit" in verify_bundle(release_cohort(washed, [*after, earlier], bench.root / "o", real=bench.real))
    config = EditConfig(lesion=("tumour",), mirror=True, per_case=2)
    twice = edit_cohort(once, bench.root / "mirrored", config, 0)
    after = bench.evidence(twice, mark="mirrored-")
    assert len(Cohort.open(twice)) == 16 and failed(twice, after) == BEFORE
    assert "every limit" in verify_bundle(release_cohort(twice, [*after, earlier], bench.root / "p", real=bench.real))


def test_all_real_cohorts_that_a_generator_learned_must_be_the_one_compared_with(bench: Any) -> None:
    ours = {"cohort": bench.real_id, "splits": ["train"], "subjects": bench.names}
    other = {"cohort": "a" * 16, "splits": ["train"], "subjects": bench.names}
    unknown = {"cohort": "unknown", "splits": [], "subjects": []}  # imported weights
    public = {"differential_privacy": {"epsilon": 8.0, "delta": 1e-6, "unit": "patient", "public_start": True}}
    for i, (seen, sampling, refused) in enumerate((
        ([ours, other], {}, True), ([other, ours], {}, True), ([unknown, ours], {}, False),
        ([other, ours], public, False), ([ours, other], public, True),
    )):  # fmt: skip
        cohort = bench.cohort(f"seen{i}", trained_on=seen, sampling=sampling)
        evidence, out = bench.evidence(cohort, mark=f"seen{i}-"), bench.root / f"o{i}"
        if refused:
            with pytest.raises(UnderstudyError, match=f"from the real cohort {bench.real_id} alone.* {'a' * 16} too"):
                release_cohort(cohort, evidence, out, real=bench.real, override="still")
            with pytest.raises(UnderstudyError, match="names a{16} too"):
                release_cohort(cohort, evidence, out, override="still")
        else:
            assert release_cohort(cohort, evidence, out, real=bench.real, override="few" if i == 2 else None)


def test_a_real_cohort_may_be_made_of_the_other_that_was_learned(bench: Any, smooth: Any) -> None:
    made = Provenance("segment", {}, 0, {"labelled": "a" * 16, "images": "b" * 16})
    real = bench.cohort("joint", smooth(60, 0), kind="real", provenance=made, key=bench.key, trained_on=[])
    opened = Cohort.open(real)
    bench.real_id = opened.id
    seen = [opened.seen("train"), {**opened.seen("train"), "cohort": "a" * 16}]
    cohort = bench.cohort("of-both", trained_on=seen)
    assert release_cohort(cohort, bench.evidence(cohort, mark="joint-"), bench.root / "out", real=real)

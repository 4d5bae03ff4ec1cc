"""A release holds what may leave and nothing else; each refusal says why and leaves nothing."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.result import Result
from understudy.evaluation.guard import leak_note, short_names
from understudy.release.package import release_cohort
from understudy.release.policy import read_policy
from understudy.release.verify import verify_bundle


@pytest.fixture
def bundle(bench: Any) -> Path:
    return release_cohort(bench.synthetic, bench.evidence(), bench.root / "bundle", real=bench.real)


def test_the_bundle_is_whole_and_verifies(bench: Any, bundle: Path) -> None:
    assert sorted(path.name for path in bundle.iterdir()) == [
        "card.json", "card.md", "cohort", "evidence", "gate.json", "manifest.json", "policy.yaml", "report"
    ]  # fmt: skip
    assert sorted(p.relative_to(bundle).as_posix() for p in (bundle / "evidence").rglob("*.*")) == [
        "evidence/attacks/results.json", "evidence/audit/results.json", "evidence/privacy/results.json"
    ]  # fmt: skip
    assert (bundle / "policy.yaml").read_bytes() == read_policy().content
    assert "PUBLIC EDITION" in (bundle / "report" / "report.html").read_text()
    assert verify_bundle(bundle).startswith("13 files have their hashes")
    assert "bundle" not in str([p for p in bench.root.iterdir() if p.name.startswith(".")])


def test_the_cohort_keeps_its_images_and_names_nobody(bench: Any, bundle: Path) -> None:
    source, made = Cohort.open(bench.synthetic), Cohort.open(bundle / "cohort")
    assert made.images is not None and made.labels is not None
    assert np.array_equal(made.images, source.images) and np.array_equal(made.labels, source.labels)
    assert made.class_matrix().tolist() == source.class_matrix().tolist()
    assert made.encoding == source.encoding and made.kind == "synthetic" and short_names([made]) == ["diffusion"]
    assert made.column("case_id").tolist() == [f"case-{i:06d}" for i in range(1, 13)]
    assert "edited_from" not in made.columns and set(made.column("affine")) == {""}
    assert made.trained_on == [{"cohort": bench.real_id, "splits": ["train"], "subjects": [], "n_subjects": 60}]
    assert leak_note(made) == "trained_on is not recorded: a leak cannot be ruled out"
    everything = b"".join(path.read_bytes() for path in bundle.rglob("*.*"))
    assert not any(
        name.encode() in everything for name in (*bench.names, "donor-of-the-map", str(bench.root), "synthetic-0")
    )


def test_the_cohort_keeps_what_was_promised_of_its_training_and_no_more(bench: Any) -> None:
    promised = {"epsilon": 8.0, "delta": 1e-5, "unit": "patient"}
    source = bench.cohort("private", sampling={"differential_privacy": {**promised, "more": "x"}, "asked": 12})
    bundle = release_cohort(source, bench.evidence(source), bench.root / "private-bundle", real=bench.real)
    assert Cohort.open(bundle / "cohort").sampling == {"differential_privacy": promised}
    assert "Differential privacy, as recorded by the training: epsilon 8" in (bundle / "card.md").read_text()


def test_a_semi_synthetic_cohort_gets_new_subjects(bench: Any) -> None:
    strict = yaml.safe_load(read_policy().content)
    strict["label_sources"]["allowed"] = ["sampled", "edited patient"]
    (bench.root / "mild.yaml").write_text(yaml.safe_dump(strict))
    semi = bench.cohort(
        "semi",
        kind="semi-synthetic",
        label_source="edited patient",
        key=b"k",
        owners=[bench.names[i // 2] for i in range(12)],
    )
    evidence = bench.evidence(semi)
    with pytest.raises(UnderstudyError, match=r"label source: asked one of sampled; found edited patient"):
        release_cohort(semi, evidence, bench.root / "no", real=bench.real)
    out = release_cohort(semi, evidence, bench.root / "out", real=bench.real, policy=bench.root / "mild.yaml")
    made = Cohort.open(out / "cohort")
    assert made.column("subject_id").tolist()[:4] == ["subject-000001"] * 2 + ["subject-000002"] * 2
    assert verify_bundle(out)


def test_made_once_and_another_request_is_refused(bench: Any, bundle: Path) -> None:
    before = (bundle / "manifest.json").stat().st_mtime_ns
    folders = sorted(bench.root.glob("results-*"), reverse=True)
    release_cohort(bench.synthetic, folders, bundle, real=bench.real)
    assert (bundle / "manifest.json").stat().st_mtime_ns == before
    with pytest.raises(UsageError, match="another request"):
        release_cohort(bench.synthetic, folders[:2], bundle, real=bench.real)


def test_each_refusal_says_why_and_leaves_nothing(bench: Any) -> None:
    good = bench.evidence()
    privacy, audit, attacks = good
    other = bench.cohort("other", bench.images[:5])
    of_other, both = bench.evidence(other, "other-", audit=None, attacks=None), Cohort.open(bench.synthetic).id
    several = bench.results("several", "privacy", [], f"{both},{Cohort.open(other).id}")
    elsewhere = bench.results("elsewhere", "fidelity", [Result("fidelity.x", 1)], both, real="another-real")
    inside = privacy / "internal" / "deep"
    linked = bench.results("linked", "fidelity", [Result("fidelity.x", 1)], both)
    (linked / "tables").mkdir()
    (linked / "tables" / "x.csv").symlink_to(privacy / "internal" / "pairs.csv")
    rows = bench.results("rows", "fidelity", [Result("fidelity.x", 1)], both)
    (rows / "tables").mkdir()
    (rows / "tables" / "x.csv").write_text("real_case,r\na,1\n")
    before, out = bench.listing(), bench.root / "out"
    for kind, cohort, evidence, more, says in (
        (UsageError, bench.real, good, {}, "is a cohort of real cases"),
        (UsageError, bench.synthetic, [], {}, "expected, found none"),
        (UnderstudyError, bench.synthetic, of_other, {}, "is of another cohort than"),
        (UnderstudyError, bench.synthetic, [*good, several], {}, "about several cohorts at once"),
        (UnderstudyError, bench.synthetic, [*good, elsewhere], {}, "results of another cohort"),
        (UnderstudyError, bench.synthetic, [*good, inside], {}, "no results.json|INTERNAL"),
        (UnderstudyError, bench.synthetic, [*good, linked], {}, "is INTERNAL, or holds a link"),
        (UnderstudyError, bench.synthetic, [*good, rows], {}, "a row per case or subject"),
        (UsageError, bench.synthetic, [*good, audit], {}, "named twice"),
        (UnderstudyError, bench.synthetic, [privacy, attacks], {}, "no evidence: privacy.audit.recall.mean was not"),
        (UnderstudyError, bench.synthetic, good, {"real": None}, "found not compared: no --real"),
        (UsageError, bench.synthetic, good, {"real": bench.synthetic}, "--real needs the cohort of real cases"),
        (UsageError, bench.synthetic, good, {"override": " "}, "needs a reason"),
        (UsageError, bench.synthetic, good, {"override": "why not"}, "every limit holds"),
        (UsageError, bench.synthetic, good, {"policy": bench.root / "none"}, "a policy was expected"),
    ):
        with pytest.raises(kind, match=says):
            release_cohort(cohort, evidence, out, **{"real": bench.real, **more})
        assert bench.listing() == before, says


def test_a_cohort_that_changed_after_its_evidence_is_refused(bench: Any) -> None:
    evidence, file = bench.evidence(), bench.synthetic / "cohort.json"
    manifest = json.loads(file.read_text())
    manifest["trained_on"][0]["subjects"].append("s-0000000000000000")
    file.write_text(json.dumps(manifest))
    with pytest.raises(UnderstudyError, match="was changed after the evidence was made"):
        release_cohort(bench.synthetic, evidence, bench.root / "out", real=bench.real)


def test_a_subject_who_is_not_in_the_real_cohort_is_noticed(bench: Any) -> None:
    seen = [{"cohort": bench.real_id, "splits": ["train"], "subjects": [*bench.names, "s-0000000000000000"]}]
    cohort = bench.cohort("stray", trained_on=seen)
    with pytest.raises(UnderstudyError, match="1 of 61 subjects .* are not in the real cohort"):
        release_cohort(cohort, bench.evidence(cohort), bench.root / "out", real=bench.real)


def test_evidence_against_a_cohort_that_the_generator_did_not_see(bench: Any) -> None:
    cohort = bench.cohort("elsewhere", trained_on=[{"cohort": "another", "splits": [], "subjects": bench.names}])
    with pytest.raises(UnderstudyError, match="was made from another: evaluate against that one"):
        release_cohort(cohort, bench.evidence(cohort), bench.root / "out", real=bench.real)


def test_something_real_is_refused_also_with_a_reason(bench: Any) -> None:
    images = bench.images.copy()
    images[3] = Cohort.open(bench.real).images[7]
    cohort = bench.cohort("copies", images)
    before = len(bench.listing())
    for override, evidence in ((None, bench.evidence(cohort)), ("we must", bench.evidence(cohort, "b-", audit=None))):
        with pytest.raises(UnderstudyError, match="hold a real patch"):
            release_cohort(cohort, evidence, bench.root / "out", real=bench.real, override=override)
    assert len([p for p in bench.listing() if "results-" not in p]) == before


def test_an_override_stands_in_the_bundle_for_ever(bench: Any) -> None:
    out = release_cohort(
        bench.synthetic, bench.evidence(audit=None), bench.root / "out", real=bench.real, override="a demonstration"
    )
    card = (out / "card.md").read_text()
    assert "Released over its policy" in card and "Reason given: a demonstration" in card
    with pytest.raises(UnderstudyError, match=r"3 limits do not hold .*audit, worst.*Reason given: a demonstration"):
        verify_bundle(out)


def test_an_override_cannot_carry_a_name(bench: Any) -> None:
    reason = f"as patient {bench.names[3]} agreed"
    with pytest.raises(UnderstudyError, match="the pseudonym of a real subject stands in cohort.cohort.json"):
        release_cohort(
            bench.synthetic, bench.evidence(audit=None), bench.root / "out", real=bench.real, override=reason
        )
    assert not (bench.root / "out").exists()

"""A release holds what may leave and nothing else; each refusal says why and leaves nothing."""

import json
from pathlib import Path
from shutil import copytree
from typing import Any

import numpy as np
import pytest

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.result import Result
from understudy.release.bundle import Manifest
from understudy.release.package import release_cohort
from understudy.release.policy import read_policy
from understudy.release.verify import verify_bundle


@pytest.fixture
def bundle(bench: Any) -> Path:
    return release_cohort(bench.synthetic, bench.evidence(), bench.root / "bundle", real=bench.real)


def test_the_bundle_is_whole_and_verifies(bench: Any, bundle: Path) -> None:
    assert sorted(path.name for path in bundle.iterdir()) == [
        "README.md", "card.json", "card.md", "cohort", "croissant.json", "evidence", "gate.json", "manifest.json",
        "policy.yaml", "report",
    ]  # fmt: skip
    assert sorted(p.relative_to(bundle).as_posix() for p in (bundle / "evidence").rglob("*.*")) == [
        "evidence/attacks/results.json", "evidence/audit/results.json", "evidence/privacy/results.json"
    ]  # fmt: skip
    assert (bundle / "policy.yaml").read_bytes() == read_policy().content
    assert "PUBLIC EDITION" in (bundle / "report" / "report.html").read_text()
    assert verify_bundle(bundle).startswith("15 files have their hashes")
    assert "bundle" not in str([p for p in bench.root.iterdir() if p.name.startswith(".")])


def test_made_once_and_another_request_is_refused(bench: Any, bundle: Path) -> None:
    before = (bundle / "manifest.json").stat().st_mtime_ns
    folders = sorted(bench.root.glob("results-*"), reverse=True)
    release_cohort(bench.synthetic, folders, bundle, real=bench.real)
    assert (bundle / "manifest.json").stat().st_mtime_ns == before
    with pytest.raises(UsageError, match="another request"):
        release_cohort(bench.synthetic, folders[:2], bundle, real=bench.real)


def test_what_is_there_already_is_verified_before_it_is_called_finished(bench: Any, bundle: Path) -> None:
    folders, told = sorted(bench.root.glob("results-*")), json.loads((bundle / "manifest.json").read_text())
    alone = bench.root / "alone"
    alone.mkdir()
    (alone / "manifest.json").write_text(json.dumps({"provenance": told["provenance"]}))
    other = copytree(bundle, bench.root / "other")
    np.save(other / "cohort/images.npy", Cohort.open(bench.real).images[:12])  # type: ignore[index]
    (other / "gate.json").unlink()
    bare = copytree(bundle, bench.root / "bare")
    manifest = Manifest.model_validate_json((bare / "manifest.json").read_bytes())
    (bare / "manifest.json").write_bytes(manifest.model_copy(update={"seal": None}).encoded())
    for folder, why in (
        (alone, "not the manifest"),
        (other, "gate.json is missing"),
        (bare, "not sealed with the key"),
    ):
        with pytest.raises(UnderstudyError, match=f"is not its bundle .*{why}.*choose another --out or remove it$"):
            release_cohort(bench.synthetic, folders, folder, real=bench.real)
    override = release_cohort(bench.synthetic, folders[:2], bench.root / "o", real=bench.real, override="a reason")
    assert release_cohort(bench.synthetic, folders[:2], override, real=bench.real, override="a reason") == override


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


@pytest.mark.parametrize(
    "command", ["evaluate ../../x", "evaluate /tmp/x", "evaluate x\0", "evaluate a\n", "evaluate <b>"]
)
def test_evidence_whose_request_could_name_a_path_is_refused(bench: Any, command: str) -> None:
    evidence = bench.evidence()
    file = evidence[1] / "results.json"
    data = json.loads(file.read_text())
    data["provenance"]["command"] = command
    file.write_text(json.dumps(data))
    before, above = bench.listing(), sorted(bench.root.parent.iterdir())
    with pytest.raises(UnderstudyError, match="or `reader analyze`, that made it, found") as refused:
        release_cohort(bench.synthetic, evidence, bench.root / "out", real=bench.real)
    assert "\n" not in str(refused.value) and "\0" not in str(refused.value)
    assert bench.listing() == before and sorted(bench.root.parent.iterdir()) == above


@pytest.mark.parametrize(("kind", "bad"), [("uint16", 300), ("float32", np.inf), ("float32", -1e30)])
def test_values_beyond_the_channels_range_are_refused(bench: Any, kind: str, bad: float) -> None:
    images = bench.images.astype(kind)
    images[3:5, 0, 0, 0] = bad
    cohort = bench.cohort("beyond", images, dtype=kind)
    with pytest.raises(UnderstudyError, match="2 of 12 cases of beyond hold some that are outside or not finite"):
        release_cohort(cohort, bench.evidence(cohort, "beyond-"), bench.root / "out", real=bench.real)
    assert not (bench.root / "out").exists()


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

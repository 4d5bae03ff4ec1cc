"""Each limit of the default policy refuses when its number is on the wrong side, is missing or was withheld."""

from dataclasses import replace
from typing import Any

import pytest

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError
from understudy.core.result import Result, read_results
from understudy.evaluation.privacy.copies.matchers import MATCHERS
from understudy.release.evidence import EvidenceSet, open_evidence_set
from understudy.release.gate import check_labels, check_limits, check_real, refuse
from understudy.release.policy import Bound, Limit, Policy, read_policy

POLICY = read_policy().policy
AUDIT = ["audit, mean recall", "audit, worst transformation", "audit, false positives"]
ATTACK = "privacy.attack"
AGAIN = "independent evaluation after screening"
NAMED = ("nearest_pixels", "nearest_features", "density_ratio", "singling_out")


def evidence_set(bench: Any, **changed: Any) -> EvidenceSet:
    return open_evidence_set(Cohort.open(bench.synthetic), bench.evidence(**changed))


def failed(found: EvidenceSet, policy: Policy = POLICY) -> list[str]:
    return [check.what for check in check_limits(policy, found) if not check.holds]


def test_the_default_can_be_kept(bench: Any) -> None:
    found = evidence_set(bench)
    checks = check_limits(POLICY, found)
    assert all(check.holds for check in checks) and len(checks) == 22
    optional = next(check for check in checks if check.what == "further attacks, residual risk")
    assert optional.found.startswith("no evidence: privacy.attack.label_maps.risk, ") and not optional.evidence
    first = checks[0]
    assert (first.limit, first.found, first.evidence) == (
        "privacy.copies.flagged_p at least 0.01", "privacy.copies.flagged_p 1", "privacy"
    )  # fmt: skip
    four = next(check for check in checks if check.what == "attacks, AUC")
    assert four.found == "; ".join(f"{ATTACK}.{name}.auc 0.56" for name in sorted(NAMED))
    every = next(check for check in checks if check.what == "further attacks, AUC")
    assert "attribute.ill.auc 0.57" in every.found and "discriminator.auc not measured: needs the gene" in every.found


@pytest.mark.parametrize(
    ("limit", "kind", "result"),
    [
        ("cases nearer than every unseen one", "privacy", Result("privacy.copies.above_reference_max_p", 0.009)),
        ("label maps", "privacy", Result("privacy.label_maps.flagged_p", 0.009)),
        ("subjects behind the threshold", "privacy", Result("privacy.copies.threshold", 0.9, n=49)),
        ("audit, mean recall", "audit", Result("privacy.audit.recall.mean", 0.8999)),
        ("audit, worst transformation", "audit", Result("privacy.audit.recall.worst", 0.49)),
        ("audit, false positives", "audit", Result("privacy.audit.false_positive_p", 0.009)),
        ("audit, false positives", "audit", Result("privacy.audit.false_positive_p", None)),
        *(("attacks, residual risk", "attacks", Result(f"{ATTACK}.{name}.risk", 0, 0, 0.301)) for name in NAMED),
        *(("attacks, found", "attacks", Result(f"{ATTACK}.{name}.p", 0.009)) for name in NAMED),
        ("further attacks, AUC", "attacks", Result(f"{ATTACK}.denoising_loss.auc", 0.5, 0.4, 0.71)),
        ("further attacks, AUC", "attacks", Result(f"{ATTACK}.attribute.ill.auc", 0.5, 0.4, 0.71)),
        ("further attacks, residual risk", "attacks", Result(f"{ATTACK}.link_slices.risk", 0, 0, 0.301)),
        ("further attacks, residual risk", "attacks", Result(f"{ATTACK}.link_slices.risk", None, note="withheld: few")),
        ("label maps, attack found", "attacks", Result(f"{ATTACK}.label_maps.p", 0.009)),
        ("further attacks, residual risk", "attacks", Result(f"{ATTACK}.label_maps.risk", 0, 0, 0.301)),
        ("classes of patients, advantage", "attacks", Result(f"{ATTACK}.attribute.ill.advantage", 0, 0, 0.251)),
    ],
)
def test_a_number_on_the_wrong_side_fails_its_limit(bench: Any, limit: str, kind: str, result: Result) -> None:
    both = [f"{limit} before screening"] if limit == "label maps" else []
    assert failed(evidence_set(bench, **{kind: [result]})) == [limit, *both]


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize("high", [0.71, None])
def test_each_attack_on_the_released_cases_counts(bench: Any, name: str, high: float | None) -> None:
    found = evidence_set(bench, attacks=[Result(f"{ATTACK}.{name}.auc", 0.5, 0.4, high)])
    assert failed(found) == ["attacks, AUC", "further attacks, AUC"]
    found = replace(found, released=[replace(f, results=[r for r in f.results if name not in r.name])
                                     for f in found.released])  # fmt: skip
    assert failed(found) == ["attacks, found", "attacks, AUC", "attacks, residual risk"]
    unmeasured = Result(f"{ATTACK}.{name}.auc", None, note="not measured: needs 10 subjects")
    told = check_limits(POLICY, evidence_set(bench, mark="again-", attacks=[unmeasured]))
    (check,) = (check for check in told if not check.holds)
    assert check.found.startswith(f"no evidence: {unmeasured.name} was not measured; ")
    assert f"{unmeasured.name} {unmeasured.note}" in check.found


def test_more_flags_than_by_chance_fail_before_screening_too(bench: Any) -> None:
    found = evidence_set(bench, privacy=[Result("privacy.copies.flagged_p", 0.001)])
    assert failed(found) == ["flags left", "flagged share before screening"]


def test_a_withheld_number_is_no_zero(bench: Any) -> None:
    found = evidence_set(bench, privacy=[Result("privacy.copies.flagged_p", None, note="withheld: few")])
    assert failed(found) == ["flags left", "flagged share before screening"]
    assert check_limits(POLICY, found)[0].found == "privacy.copies.flagged_p withheld: few"


def test_the_cohort_itself_is_judged(bench: Any) -> None:
    found = evidence_set(bench)
    few = replace(found, facts=[Result("cohort.subjects", 49)])
    unknown = replace(found, facts=[Result("cohort.subjects", None, note="trained_on does not record all subjects")])
    for one in (few, unknown):
        assert failed(one) == ["subjects that the generator learned from"]
    assert "does not record" in check_limits(POLICY, unknown)[-1].found
    asked = next(f for f in found.released if f.section == "privacy").provenance["config"]
    rates = ["false-positive rate of the detector", "false-positive rate of the detector before screening"]
    for rate in (0.001, 0.2):
        asked["false_positive_rate"] = rate
        assert failed(found) == rates


def test_todays_evidence_alone_is_refused(bench: Any) -> None:
    alone = evidence_set(bench, audit=None, attacks=None)
    assert failed(alone) == [*AUDIT, "attacks, found", "attacks, AUC", "attacks, residual risk"]
    milder = POLICY.model_copy(
        update={"limits": tuple(x.model_copy(update={"required": False}) for x in POLICY.limits)}
    )
    assert failed(alone, milder) == []


def test_label_sources_and_the_real_check() -> None:
    assert check_labels(POLICY, "sampled").holds and check_labels(POLICY, None).holds
    for source in ("patient", "edited patient", "predicted"):
        assert not check_labels(POLICY, source).holds
    assert check_real(POLICY, True).holds and not check_real(POLICY, False).holds
    mild = POLICY.model_copy(update={"real_check": POLICY.real_check.model_copy(update={"required": False})})
    assert check_real(mild, False).holds and "not compared" in check_real(mild, False).found


def test_the_refusal_names_each_limit_with_its_number(bench: Any) -> None:
    checks = check_limits(POLICY, evidence_set(bench, audit=None, privacy=[Result("privacy.copies.flagged_p", 0.001)]))
    with pytest.raises(UnderstudyError) as refusal:
        refuse(Cohort.open(bench.synthetic), checks, None)
    assert refusal.value.exit_code == 1
    assert "5 of 22 limits do not hold: (1) flags left: asked privacy.copies.flagged_p at least 0.01; found" in str(
        refusal.value
    )
    refuse(Cohort.open(bench.synthetic), checks, "a reason")


def test_a_bound_that_is_not_known_takes_no_other_bound_away(bench: Any) -> None:
    unknown = Bound(result="nowhere")
    limit = Limit(name="x", result="a.b", at_least=0.9, at_most=unknown, required=False, why=POLICY.limits[0].why)
    policy = POLICY.model_copy(update={"limits": [limit]})
    for value, wrong in ((0.1, ["x"]), (0.95, [])):
        known = bench.results(f"ab{value}", "fidelity", [Result("a.b", value)], Cohort.open(bench.synthetic).id)
        assert failed(open_evidence_set(Cohort.open(bench.synthetic), [known]), policy) == wrong


def test_another_number_can_be_the_bound(bench: Any) -> None:
    limit = Limit(name="x", result="a.b", at_most=Bound(result="a.c"), why=POLICY.limits[0].why)
    policy = POLICY.model_copy(update={"limits": [limit]})
    for value, wrong in ((0.4, []), (0.6, ["x"])):
        both = [Result("a.b", value), Result("a.c", 0.5)]
        known = bench.results(f"bc{value}", "fidelity", both, Cohort.open(bench.synthetic).id)
        found = open_evidence_set(Cohort.open(bench.synthetic), [known])
        assert failed(found, policy) == wrong and check_limits(policy, found)[0].limit == "a.b at most the a.c (0.5)"


def test_a_judgement_that_was_cut_short_is_none(bench: Any) -> None:
    source, (privacy, *evidence) = Cohort.open(bench.synthetic), bench.evidence()
    whole = read_results(privacy)[0]
    for i, (more, wrong) in enumerate((
        ({}, []), ({"matchers": MATCHERS}, []), ({"matchers": ["pixels"]}, [AGAIN]), ({"bootstrap": 100}, [AGAIN]),
        ({"bootstrap": 2000}, []),
    )):  # fmt: skip
        judged = bench.results(f"cut{i}", "privacy", whole, source.id, **more)
        assert failed(open_evidence_set(source, [*evidence, judged])) == wrong

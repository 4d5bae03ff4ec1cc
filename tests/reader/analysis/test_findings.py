"""Results counted by hand: a study of known answers; one reader; several generators; pairs."""

from typing import Any

import numpy as np
import pytest
from scipy import stats

from understudy.core.provenance import ProvenanceRecord
from understudy.reader.analysis.findings import Findings
from understudy.reader.analysis.readings import Readings
from understudy.reader.documents import ItemTruth, StudyDocument, TruthDocument
from understudy.reader.plan import StudyPlan
from understudy.reader.statistics.mrmc import over_readers
from understudy.reader.statistics.roc import areas
from understudy.reader.store import Answer


def readings(
    ratings: np.ndarray, truth: list[str], plan: StudyPlan, wrong: tuple[int, ...] = (), more: Any = None
) -> Readings:
    """Return readings of ratings (R, N) of items, of which each truth is a generator or "", in the order shown."""
    names = [f"{i:016x}" for i in range(len(truth))]
    items = {
        name: ItemTruth(
            source="synthetic" if made else "real", generator=made, stratum=f"ill={i % 2}", cases=[i], wrong=i in wrong
        )
        for i, (name, made) in enumerate(zip(names, truth, strict=True))
    }
    study = StudyDocument(
        plan=plan, readers=len(ratings), channels=("t1",), shape=(1, 1, 2, 2), levels=255, aspect=(1, 1, 1),
        colour=False, legend=(), files={},
    )  # fmt: skip
    ask = "pair" if plan.pairs else "source"
    words = ("left", "right") if plan.pairs else ("real", "synthetic")
    said = []
    for r, row in enumerate(ratings.tolist(), start=1):
        calls = [{"call": words[v > 5], "confidence": v - 5 if v > 5 else 6 - v} for v in row]
        extra = more(r) if more else [{} for _ in row]
        said.append([Answer(r, p, {ask: c} | extra[p], 3.0, 0.0) for p, c in enumerate(calls)])
    truths = TruthDocument(provenance=ProvenanceRecord(command="reader create"), subjects=9, items=items)
    order = np.arange(len(truth))
    return Readings(study, truths, names, list(range(1, len(ratings) + 1)), [], [order] * len(ratings), said, "d")


PLAN = StudyPlan()
TRUTH = [""] * 10 + ["gan"] * 10
RATINGS = np.array([[2] * 6 + [7] * 4 + [7] * 8 + [2] * 2, [4] * 7 + [9] * 3 + [9] * 6 + [4] * 4])


def found(one: Readings, seed: int = 0) -> dict[str, Any]:
    return {result.name: result for result in Findings(one, seed, draws=40).results()}


def test_two_readers_by_hand() -> None:
    results = found(readings(RATINGS, TRUTH, PLAN))
    assert results["reader.specificity"].value == pytest.approx(0.65)  # (6 + 7) / 20
    assert results["reader.sensitivity"].value == pytest.approx(0.70)  # (8 + 6) / 20
    assert results["reader.right"].value == pytest.approx(0.675)
    assert results["reader.fooled"].value == pytest.approx(0.30)
    assert results["reader.auc"].value == pytest.approx((0.70 + 0.65) / 2)  # both readers: (se + sp) / 2
    whole = over_readers(areas(real=RATINGS[:, :10], synthetic=RATINGS[:, 10:]))
    assert (results["reader.auc"].low, results["reader.auc"].high) == pytest.approx(whole.interval_of_share())
    assert "not shown" in results["reader.equivalence_p"].note and "0.5 +- 0.1" in results["reader.equivalence_p"].note
    z = stats.norm.ppf
    rates = [(8.5 / 11, 4.5 / 11), (6.5 / 11, 3.5 / 11)]
    assert results["reader.d_prime"].value == pytest.approx(np.mean([z(h) - z(f) for h, f in rates]))
    assert results["reader.d_prime"].low < results["reader.d_prime"].value < results["reader.d_prime"].high
    assert results["reader.fooled.ill-0"].n == 5 and results["reader.seconds"].value == 3
    agreed = np.mean((RATINGS[0] > 5) == (RATINGS[1] > 5))
    assert agreed > results["reader.agreement.cohen"].value > 0
    assert "reader.agreement.same_reader" not in results  # nothing came twice


def test_one_reader_says_nothing_of_others() -> None:
    results = found(readings(RATINGS[:1], TRUTH, PLAN))
    assert results["reader.auc"].value == pytest.approx(0.70) and "one reader" in results["reader.auc"].note
    assert results["reader.equivalence_p"].value is None and "reader.agreement.fleiss" not in results


def test_readers_who_guess_are_equivalent_when_there_are_enough() -> None:
    draw = np.random.default_rng(0)
    results = found(readings(draw.integers(1, 11, (6, 300)), [""] * 150 + ["gan"] * 150, PLAN))
    assert results["reader.equivalence_p"].value < 0.05 and " shown" in results["reader.equivalence_p"].note
    assert abs(results["reader.agreement.fleiss"].value) < 0.05


def test_several_generators_are_compared() -> None:
    draw = np.random.default_rng(1)
    truth = [""] * 30 + ["edm"] * 30 + ["gan"] * 30
    ratings = np.concatenate(
        [draw.integers(1, 8, (4, 30)), draw.integers(1, 8, (4, 30)), draw.integers(5, 11, (4, 30))], 1
    )
    results = found(readings(ratings, truth, PLAN))
    assert results["reader.auc.edm"].value < 0.65 < 0.8 < results["reader.auc.gan"].value
    assert results["reader.generators_p"].value < 0.01
    assert results["reader.difference.edm.gan"].high < 0
    assert results["reader.fooled.gan"].value < results["reader.fooled.edm"].value


def test_planted_errors_scales_and_pairs() -> None:
    asked = [
        {"name": "source", "kind": "source", "text": "A"}, {"name": "outline", "kind": "annotation", "text": "B"},
        {"name": "realism", "kind": "scale", "text": "C", "options": ["no", "yes"]},
    ]  # fmt: skip
    plan = StudyPlan(questions=asked, wrong_annotations=0.25)
    wrong = (0, 1, 2, 10, 11)
    more = lambda r: [{"outline": p not in (0, 1, 10, 15), "realism": int(p < 10)} for p in range(20)]  # noqa: E731
    results = found(readings(RATINGS, TRUTH, plan, wrong, more))
    assert results["reader.outline.found"].value == pytest.approx(3 / 5)
    assert results["reader.outline.rejected"].value == pytest.approx(1 / 15)
    assert results["reader.realism.real"].value == 2 and results["reader.realism.difference"].value == -1
    guessed = lambda r: [{"outline": True, "realism": (p * r) % 2} for p in range(20)]  # noqa: E731
    scale = found(readings(RATINGS, TRUTH, plan, wrong, guessed))["reader.realism.synthetic"]
    assert 1 <= scale.low < scale.value < scale.high <= 2  # an interval ends where the scale does
    pairs = found(readings(RATINGS, ["gan"] * 20, StudyPlan(pairs=True)))
    assert pairs["reader.pairs"].value == pytest.approx(np.mean(RATINGS > 5)) and "reader.auc" not in pairs


def test_few_cases_of_a_class_are_withheld() -> None:
    results = found(readings(RATINGS[:, 6:14], TRUTH[6:14], PLAN))
    assert results["reader.fooled.ill-0"].value is None and "withheld" in results["reader.fooled.ill-0"].note

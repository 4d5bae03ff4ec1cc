"""Pooled numbers against the means that the study was written with; few subjects are withheld."""

from pathlib import Path
from typing import Any

import pytest

from understudy.core.errors import UnderstudyError
from understudy.studies.report.config import Measure
from understudy.studies.report.measures import BEST_ATTACK


def asked(**more: Any) -> Measure:
    return Measure(**{"template": "utility", "where": {"cohort": "painted"}, **more})


def test_a_score_is_pooled_over_folds_and_seeds(folds: Any) -> None:
    measures = folds.measures()
    ratio = measures.measured(asked())
    assert ratio.value == pytest.approx(0.72 / 0.8, abs=0.03) and ratio.n == 12 and ratio.low < ratio.value < ratio.high
    assert ratio.behind == "4 synthetic cohorts in 2 folds, 2 networks each" and ratio.note == ""
    assert measures.measured(asked(arm="both", measure="gain")).value == pytest.approx(0.02, abs=0.02)
    assert measures.measured(asked(arm="real", measure="score", class_="core")).value == pytest.approx(0.8, abs=0.05)
    assert measures.measured(asked(measure="difference", against={"cohort": "joint"})).value == pytest.approx(
        0.12, abs=0.02
    )


def test_one_seed_is_not_in_the_interval(folds: Any) -> None:
    found = folds.measures().measured(asked(where={"cohort": "painted", "seed": "0"}))
    assert (
        found.behind.startswith("2 synthetic cohorts in 2 folds") and "does not hold the generator seed" in found.note
    )
    two = folds.measures().measured(asked(where={"cohort": "painted", "fold": "1"}))
    assert two.note.startswith("two seeds or draws on one split")
    real = folds.measures().measured(asked(where={"cohort": "painted", "seed": "0"}, arm="real", measure="score"))
    assert real.note == ""


def test_one_number_is_one_number(folds: Any) -> None:
    with pytest.raises(UnderstudyError, match="of cohort joint, cohort painted: add where or pool"):
        folds.measures().measured(asked(where={}))
    assert folds.measures().measured(asked(where={"cohort": "painted"}, pool=("fold", "seed", "cohort"))).n == 12


def test_what_is_pooled_in_another_order_is_another_interval(folds: Any) -> None:
    measures, asked_for = folds.measures(), asked(where={"cohort": "painted", "fold": "1"})
    measures.measured(asked_for)
    judged = measures.finished.select(asked_for)
    found = measures.score(judged, ("fold",), "synthetic", measure="ratio")
    alone = folds.measures().score(judged, ("fold",), "synthetic", measure="ratio")
    assert (found.low, found.high, found.note) == (alone.low, alone.high, alone.note)


def test_few_subjects_are_withheld(builder: Any, tmp_path: Path) -> None:
    fake = builder.crossval(tmp_path, folds=1, seeds=1, subjects=4)
    found = fake.measures().measured(asked())
    assert found.value is None and found.note.startswith("withheld: 4 subjects")
    more = builder.crossval(tmp_path / "more", folds=2, seeds=1, subjects=4).measures().measured(asked())
    assert more.n == 8 and more.value is not None  # eight stand behind both folds together


def test_networks_trained_twice_alike_count_once(sizes: Any) -> None:
    """The same real networks in three evaluations: pooled over them, they are one set of two networks."""
    measures = sizes.measures(pool=("subjects",))
    found = measures.measured(Measure(template="utility", arm="real", measure="score"))
    one = sizes.measures().measured(Measure(template="utility", where={"subjects": "5"}, arm="real", measure="score"))
    assert (found.value, found.low, found.high) == (one.value, one.low, one.high)


def test_results_by_name(folds: Any) -> None:
    measures = folds.measures()
    found = measures.measured(asked(template="fidelity", result="fidelity.frechet"))
    assert (found.value, found.low, found.high, found.n) == (10.5, 9, 13, 50) and found.behind.startswith(
        "mean of 4 runs"
    )
    best = measures.measured(asked(template="privacy", result=BEST_ATTACK))
    assert best.value == pytest.approx((0.6 + 0.61) / 2) and best.note == "the best is density"
    none = measures.measured(asked(template="fidelity", result="fidelity.beauty"))
    assert none.value is None and none.note == "not among the results"


def test_what_is_not_done_is_told(builder: Any, tmp_path: Path) -> None:
    fake = builder.Fake(tmp_path)
    fake.stage("utility", "evaluate", "utility", done=False)
    assert fake.measures().measured(Measure(template="utility")).note == "no stage utility for it is done"


def test_a_loop_is_pooled_or_shown(folds: Any) -> None:
    measures = folds.measures()
    judged = measures.finished.judged[:4]
    with pytest.raises(UnderstudyError, match="'seed' has several values"):
        measures.groups(judged, ("fold",), ["cohort"])
    assert list(measures.groups(judged, ("fold", "seed"))) == [(("cohort", "painted"),), (("cohort", "joint"),)]

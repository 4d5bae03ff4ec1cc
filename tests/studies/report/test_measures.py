"""Pooled numbers against the means that the study was written with; few subjects are withheld."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from understudy.core.errors import UnderstudyError
from understudy.evaluation.guard import LEAK
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


SUBJECTS = [f"s{i}" for i in range(8)]
REAL = np.linspace(0.7, 0.9, 16).reshape(2, 8)


def test_generators_that_fail_alike_count_each(builder: Any, tmp_path: Path) -> None:
    """Two of three give Dice 0 for everybody: equal scores, and yet two draws."""
    fake = builder.Fake(tmp_path)
    for seed, dice in enumerate((0, 0, 0.6)):
        builder.judged(fake, {"real": REAL, "diffusion": np.full((2, 8), dice)}, SUBJECTS, seed=str(seed))
    found = fake.measures().measured(Measure(template="utility", measure="score"))
    assert found.value == pytest.approx(0.2)


def test_networks_on_real_cases_are_known_by_their_request_not_by_their_scores(builder: Any, tmp_path: Path) -> None:
    """Trained again on another machine they differ in the last digits, and are the same; another seed is another."""
    found = []
    for name, again, seeds in (("once", 0.0, (0, 0)), ("again", 1e-7, (0, 0)), ("others", 1e-7, (0, 1))):
        fake = builder.Fake(tmp_path / name)
        for i, seed in enumerate(seeds):
            builder.judged(fake, {"real": REAL + i * again, "diffusion": REAL - 0.1}, SUBJECTS, seed, loop=str(i))
        asked_for = Measure(template="utility", measure="score", arm="real", pool=("loop",))
        found.append(fake.measures().measured(asked_for))
    assert found[0] == found[1] and found[2].high - found[2].low != pytest.approx(found[0].high - found[0].low)


def test_two_generators_are_compared_in_the_folds_that_both_have(builder: Any, tmp_path: Path) -> None:
    """They do equally well everywhere; of one the hard fold failed."""
    fake, dice = builder.Fake(tmp_path), {"1": 0.8, "2": 0.8, "3": 0.5}
    for generator in ("one", "other"):
        for fold, mean in dice.items():
            if (generator, fold) != ("other", "3"):
                whom = [f"{fold}-{name}" for name in SUBJECTS]
                arms = {"real": REAL, "diffusion": REAL - 0.8 + mean}
                builder.judged(fake, arms, whom, real=fold, generator=generator, fold=fold)
    given = {"template": "utility", "where": {"generator": "one"}}
    found = fake.measures().measured(Measure(**given, measure="difference", against={"generator": "other"}))
    assert found.value == pytest.approx(0) and found.behind.startswith("4 synthetic cohorts in 2 folds")
    assert "without fold 3: not all that is compared was tested there" in found.note
    alone = fake.measures().measured(Measure(**given, measure="ratio"))
    assert alone.behind.startswith("3 synthetic cohorts in 3 folds") and "without" not in alone.note


def test_the_seed_of_one_network_on_real_cases_is_missed(builder: Any, tmp_path: Path) -> None:
    fake, random = builder.Fake(tmp_path), np.random.default_rng(0)
    for seed in range(3):
        arms = {"real": REAL[:1], "diffusion": REAL[:1] - 0.1 + random.normal(0, 0.02)}
        builder.judged(fake, arms, SUBJECTS, seed=str(seed))
    assert fake.measures().measured(Measure(template="utility")).note == (
        "the interval does not hold the seed of the network: there is one"
    )


def test_notes_on_leaks_and_on_too_few_stand_beside_what_is_pooled(builder: Any, tmp_path: Path) -> None:
    fake, few = builder.Fake(tmp_path), "mean of 1 of 2 classes (without core: too few test subjects)"
    for seed, note in enumerate((f"{few}; mean over 2 segmenters; {LEAK}", LEAK)):
        notes = {"utility.synthetic.unet.dice": note, "utility.validation": note}
        builder.judged(fake, {"real": REAL, "diffusion": REAL - 0.1}, SUBJECTS, notes=notes, seed=str(seed))
    found = fake.measures().measured(Measure(template="utility"))
    assert found.note.endswith(f"; {few}; {LEAK}") and "segmenters" not in found.note
    assert fake.measures().measured(Measure(template="utility", result="utility.validation")).note == f"{few}; {LEAK}"
    assert LEAK not in fake.measures().measured(Measure(template="utility", arm="real", measure="score")).note


def test_a_mean_over_other_classes_in_other_folds_says_so(builder: Any, tmp_path: Path) -> None:
    """In the second fold too few subjects have the class b: its mean area is that of a alone."""
    for few, told in ((6, False), (2, True)):
        fake = builder.Fake(tmp_path / str(few))
        for fold, having in (("1", 6), ("2", few)):
            folder = fake.out / builder.judged(fake, {}, [], real=fold, fold=fold).folder / "internal"
            (folder / "per_subject.csv").unlink()
            rows = ["case_id,subject_id,trained_on,network,repeat,class,has_class,probability"]
            for i in range(12):
                for name, has in (("a", i % 2), ("b", i < having)):
                    rows.append(f"c{fold}{i},s{fold}{i},diffusion,densenet,0,{name},{int(has)},{i / 12}")
            (folder / "per_case.csv").write_text("\n".join(rows))
        found = fake.measures().measured(Measure(template="utility", measure="score"))
        assert ("the mean is not over the same classes everywhere" in found.note) == told


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

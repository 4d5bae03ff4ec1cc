"""Classes: known distributions, a collapsed class, equal numbers; class columns; judges; all controls in one table."""

import csv
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from understudy.core.cohort import Cohort
from understudy.core.encoding import Channel
from understudy.core.provenance import Provenance
from understudy.core.result import Result, read_results
from understudy.core.writer import CohortWriter
from understudy.evaluation.fidelity import class_diversity as diversity_module
from understudy.evaluation.fidelity.class_diversity import (
    JUDGE_TABLE,
    ClassJudge,
    Seen,
    _foreknowledge,
    area,
    class_targets,
    combination_distance,
    diversity,
    from_table,
    judged,
    mean_distance,
    shared_columns,
    within,
    withins,
)
from understudy.evaluation.fidelity.config import FidelityConfig
from understudy.evaluation.fidelity.stage import evaluate_fidelity
from understudy.tasks.classification import ClassificationConfig
from understudy.tasks.classify import make_classifier


def seen(shares: tuple[float, ...], n: int, seed: int, spread: float = 1.0, each: int = 1) -> Seen:
    """n cases, ``each`` of a subject, exclusive classes with these shares, features normal around the class."""
    random = np.random.default_rng(seed)
    kind = np.repeat(np.arange(len(shares)), np.round(np.array(shares) * n).astype(int))
    features = random.normal(0, spread, (n, 8)) + 5 * kind[:, None]
    return Seen(np.eye(len(shares), dtype=bool)[kind], features.astype(np.float32), np.arange(n) // each)


def results(real: Seen, synthetic: Seen) -> dict[str, Result]:
    pairs = list(diversity("fidelity.diversity", ("a", "Class B"), real, real, synthetic, 10, 3))
    return {r.name.removeprefix("fidelity.diversity."): r for made, _ in pairs for r in made}


def test_distance_of_known_distributions() -> None:
    real, other = seen((0.5, 0.5), 100, 0), seen((0.8, 0.2), 50, 1)
    assert combination_distance(real.found, real.found) == 0
    assert combination_distance(real.found, other.found) == pytest.approx(0.3)
    assert combination_distance(real.found[:50], real.found[50:]) == 1
    both = np.array([[True, True], [False, False]])
    assert combination_distance(both, np.array([[True, False], [False, True]])) == 1  # equal shares, other combinations


def test_mean_distance_is_that_of_scipy() -> None:
    features = np.random.default_rng(0).normal(100, 1, (20, 5)).astype(np.float32)
    assert mean_distance(features) == pytest.approx(pdist(features.astype(np.float64)).mean(), rel=1e-9)


def test_a_class_that_always_looks_the_same_is_noticed() -> None:
    real = seen((0.5, 0.5), 200, 0)
    alike, collapsed = results(real, seen((0.5, 0.5), 200, 1)), results(real, seen((0.5, 0.5), 200, 1, spread=0.1))
    for name in ("within.a", "within.class-b"):
        assert alike[name].value == pytest.approx(1, abs=0.1) and alike[name].better == "higher"
        assert collapsed[name].value == pytest.approx(0.1, abs=0.01)
    assert alike["distance"].value == 0 and alike["share.a"].value == 0.5 and alike["share.a"].note == "real 0.500"


def test_the_interval_within_a_class_is_as_wide_as_other_cases_would_scatter() -> None:
    """As many synthetic cases as patients: choices of all of them are the same cases every time."""
    found = [results(seen((1.0, 0.0), 20, i), seen((1.0, 0.0), 20, 50 + i))["within.a"] for i in range(12)]
    spread = np.std([one.value for one in found], ddof=1)
    half_width = np.mean([(one.high - one.low) / 2 for one in found])
    assert 0.5 * spread < half_width / 1.96 < 3 * spread


def test_both_sides_show_as_many_cases_and_a_patient_counts_once() -> None:
    real, synthetic = seen((0.5, 0.5), 80, 0, each=4), seen((0.5, 0.5), 30, 1)
    ours, theirs, n = within(real, synthetic, 0, 5, 0)
    assert n == 10 and ours.shape == theirs.shape == (5,)  # 40 cases of 10 subjects against 15 cases
    same = seen((0.5, 0.5), 80, 0, each=4)
    same.features[:] = np.repeat(same.features[::4], 4, 0)  # the cases of a patient are copies of one another
    assert within(same, synthetic, 0, 5, 0)[0].min() > 3  # and make no class less diverse
    again = within(real, synthetic, 0, 5, 0)
    assert (again[0] == ours).all() and (again[1] == theirs).all()
    assert (within(real, synthetic, 0, 5, 1)[1] != theirs).any()


def test_large_classes_are_measured_on_some_of_their_cases(monkeypatch: pytest.MonkeyPatch) -> None:
    real, made = seen((1.0,), 300, 0), seen((1.0,), 300, 1)
    whole = within(real, made, 0, 4, 0)
    monkeypatch.setattr(diversity_module, "MAX_CASES", 60)
    some = within(real, made, 0, 4, 0)
    assert whole[2] == 300 and some[2] == 60 and some[0].mean() == pytest.approx(whole[0].mean(), rel=0.05)


def test_few_cases_have_no_number() -> None:
    found = results(seen((0.96, 0.04), 100, 0), seen((1.0, 0.0), 50, 1))
    assert found["within.class-b"].value is None and "0 case(s) on the smaller set" in found["within.class-b"].note
    assert found["share.class-b"].value == 0 and found["share.class-b"].note == "real withheld: fewer than 5 subjects"
    reals = [seen((0.96, 0.04), 100, 0)] * 2
    rows = [row for _, row in diversity("x", ("a", "b"), *reals, seen((1.0, 0.0), 50, 1), 4, 0)]
    assert rows[0] == [] and rows[2] == ["b", None, 0.0, None, None, 0]


def with_columns(toy: Callable[..., Path], out: Path, kind: str, share: float, subjects: int = 40) -> Cohort:
    """A toy cohort with the class column `sick` (1 in a share of the subjects), `age`, and `view`, at times missing."""
    given = {"sick": lambda i: f"{int(i < share * subjects)}", "age": str, "view": lambda i: ("", "0", "1")[i % 3]}
    path = toy(out, kind, subjects, 0, cases=1, splits=(*4 * ("train",), "control"), classes=tuple(given))
    table = path / "cases.csv"
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(row | {name: entry(i) for name, entry in given.items()} for i, row in enumerate(rows))
    return Cohort.open(path)


def test_classes_come_from_the_case_tables(toy: Callable[..., Path], tmp_path: Path) -> None:
    real, made = (with_columns(toy, tmp_path / k, k, s) for k, s in (("real", 0.5), ("synthetic", 0.8)))
    assert shared_columns(real, made) == ["sick", "view"]  # an age is no class
    features = np.random.default_rng(0).normal(0, 1, (40, 4))
    ours, theirs = (from_table(cohort, cohort.rows(), ["sick"], features) for cohort in (real, made))
    assert ours.found[:, 0].tolist() == [True] * 20 + [False] * 20 and len(set(ours.subjects)) == 40
    assert from_table(real, np.array([0, 1, 2]), ["view", "sick"], features[:3]).found.tolist() == [
        [False, True], [False, True], [True, True]]  # fmt: skip
    assert combination_distance(ours.found, theirs.found) == pytest.approx(0.3)


def test_class_columns_are_compared_where_both_cohorts_have_some(toy: Callable[..., Path], tmp_path: Path) -> None:
    real, made = (with_columns(toy, tmp_path / k, k, s) for k, s in (("real", 0.5), ("synthetic", 0.8)))
    bare = toy(tmp_path / "bare", "synthetic", 6, 0, generator="bare")
    config = FidelityConfig(draws=4, subsets=4, bins=16, pairs=5, features="random")
    out = evaluate_fidelity(real.path, [made.path, bare], tmp_path / "out", 0, config)
    found = {r.name: r for r in read_results(out)[0]}
    distance = found["fidelity.synthetic.classes.distance"]
    assert distance.value == pytest.approx(0.3, abs=0.05) and "according to the case tables" in distance.note
    ends = ("redrawn", "unseen", "size_matched")
    redrawn, unseen, matched = (found[f"fidelity.synthetic.classes.distance.{end}"].value or 0 for end in ends)
    assert redrawn < 0.3 < matched + 0.15 and unseen < matched
    assert found["fidelity.synthetic.classes.share.sick"].value == pytest.approx(0.8)
    assert found["fidelity.synthetic.classes.within.sick"].value == pytest.approx(1, abs=0.3)
    assert found["fidelity.bare.classes"].value is None and "no class column" in found["fidelity.bare.classes"].note
    with (out / "tables" / "classes.csv").open(newline="") as file:
        assert [(r["cohort"], r["class"]) for r in csv.DictReader(file)] == [("synthetic", c) for c in ("sick", "view")]


def judged_cases(probabilities: np.ndarray, each: int = 1) -> Seen:
    n = len(probabilities)
    return Seen(probabilities >= 0.5, np.zeros((n, 2)), np.arange(n) // each, probabilities)


def synthetic(out: Path, n: int) -> Cohort:
    """Noise, brighter on the left where the case table says ill, as in the cohort of the real ones."""
    random = np.random.default_rng(7)
    with CohortWriter(
        out, kind="synthetic", modality="MR", size=(16, 16), channels=[Channel("t1", 0, 500)], dtype="uint16",
        scheme=None, label_source=None, classes=["ill", "well"], provenance=Provenance("test"),
    ) as writer:  # fmt: skip
        for i in range(n):
            image = random.integers(0, 300, (1, 16, 16))
            image[..., :8] += 190 * (i % 2)
            row = {"case_id": f"made{i}", "subject_id": f"made{i}", "split": ""}
            writer.append(image.astype(np.uint16), None, row | {"ill": str(i % 2), "well": str(1 - i % 2)})
    return Cohort.open(out)


def test_known_probabilities_give_known_areas() -> None:
    ill = np.arange(20) % 2 == 0
    targets = np.stack([ill, ~ill, np.zeros(20)], 1).astype(float)
    right = area("a", judged_cases(targets * 0.8 + 0.1), targets, 0)
    assert (right.value, right.low, right.high) == (1, 1, 1) and right.n == 20
    assert right.note == "AUC, mean of 2 of 3 classes; 0.5 is chance"
    assert area("a", judged_cases(1 - targets), targets, 0).value == 0
    assert area("a", judged_cases(np.full((20, 3), 0.5)), targets, 0).value == 0.5


def test_few_subjects_of_a_kind_have_no_number() -> None:
    targets = np.zeros((20, 1))
    targets[:4] = 1
    few = area("a", judged_cases(targets), targets, 0, "control")
    assert few.value is None and few.note.startswith("not measured: no class column") and few.note.endswith("control")
    targets[:8] = 1
    assert (
        area("a", judged_cases(targets), targets, 0).value == 1
        and area("a", judged_cases(targets, each=4), targets, 0).value is None
    )


def test_columns_that_are_missing_are_unknown(classes_cohort: Callable[..., Cohort], tmp_path: Path) -> None:
    cohort = classes_cohort(tmp_path / "c", size=8, subjects=12)
    found = class_targets(cohort, cohort.rows()[:6], ("well", "absent", "ill"))
    assert np.isnan(found[:, 1]).all() and (found[:, [2, 0]] == cohort.class_matrix(cohort.rows()[:6])).all()


def test_a_guide_in_the_place_of_a_judge_is_told(classes_cohort: Callable[..., Cohort], tmp_path: Path) -> None:
    cohort = classes_cohort(tmp_path / "c", size=8, subjects=12)
    targets = cohort.class_matrix()
    cohort.provenance["inputs"] = {"classifier": "abc"}
    trained: Any = SimpleNamespace(id="abc", classifier=SimpleNamespace(names=cohort.classes))
    real = Result("judge", 0.9, better="higher", n=30)
    within = [Result("x.within.a", 0.5), Result("x.within.b", 0.7), Result("x.within.c", None)]
    judge, guide = (ClassJudge(role, cast(Any, trained), real) for role in ("judge", "guide"))
    what = judged_cases(targets)
    results, row = judged("made", "fidelity", cohort, [(judge, what), (guide, what)], list(withins(within)), 0)
    named = {result.name: result for result in results}
    assert list(named) == [f"fidelity.{r}.auc{e}" for r in ("judge", "guide") for e in ("", ".real")]
    assert "no independent judge" in named["fidelity.judge.auc"].note and named["fidelity.judge.auc.real"].value == 0.9
    assert "no independent judge" not in named["fidelity.guide.auc"].note
    cells = dict(zip(JUDGE_TABLE, row, strict=True))
    assert cells["within"] == pytest.approx(0.6) and cells["least_within"] == 0.5 and cells["guide_auc_real"] == 0.9


def test_whom_a_judge_has_seen_is_told(classes_cohort: Callable[..., Cohort], tmp_path: Path) -> None:
    """A classifier of one fold, given for another, learned from subjects that are control ones there."""
    cohort = classes_cohort(tmp_path / "c", size=8, subjects=12)
    train, control = cohort.subjects("train"), cohort.subjects("control")

    def told(*trained_on: dict[str, Any]) -> str:
        trained: Any = SimpleNamespace(trained_on=list(trained_on), classifier=None)
        return _foreknowledge(trained, cohort)

    assert told({"subjects": train}) == "real control cases, which it never saw"
    assert f"it learned from {len(control)} of their subjects" in told({"subjects": [*train, *control]})
    assert "not recorded" in told() and "not recorded" in told({"subjects": train}, {"cohort": "c"})


def test_all_controls_stand_in_one_table(classes_cohort: Callable[..., Cohort], tmp_path: Path) -> None:
    real = classes_cohort(tmp_path / "real", size=16, subjects=90)
    learn = ClassificationConfig(
        network="densenet-small", updates=40, checks=1, batch_size=8, augment=False, precision="fp32"
    )
    one = make_classifier(real, tmp_path / "classifier", 0, learn)
    made = synthetic(tmp_path / "made", 40)
    config = FidelityConfig(draws=3, subsets=3, bins=16, pairs=5, features="random")
    out = evaluate_fidelity(real.path, [made.path], tmp_path / "out", 0, config, classifier=one, guide=one)
    found = {r.name: r for r in read_results(out)[0]}
    assert {r.seed for r in found.values()} == {0}
    for role in ("judge", "guide"):
        assert (found[f"fidelity.{role}.auc"].value or 0) > 0.8
    assert "real control cases" in found["fidelity.judge.auc.real"].note
    with (out / "tables" / "conditioning.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert float(row["judge_auc"]) > 0.8 and row["guide_auc"] and row["within"] and row["note"] == ""
    assert read_results(out)[1]["inputs"].keys() == {"real", "synthetic", "classifier", "guide"}

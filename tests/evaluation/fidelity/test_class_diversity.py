"""Diversity of classes: known distributions, a class that collapsed, equal numbers on both sides; class columns."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from understudy.core.cohort import Cohort
from understudy.core.result import Result, read_results
from understudy.evaluation.fidelity import class_diversity as diversity_module
from understudy.evaluation.fidelity.class_diversity import (
    Seen,
    combination_distance,
    diversity,
    from_table,
    mean_distance,
    shared_columns,
    within,
)
from understudy.evaluation.fidelity.config import FidelityConfig
from understudy.evaluation.fidelity.stage import evaluate_fidelity


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

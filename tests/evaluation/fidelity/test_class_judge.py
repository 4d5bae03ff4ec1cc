"""Judges of classes: known probabilities, its own guide is told, few subjects; all controls in one table."""

import csv
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from understudy.core.cohort import Cohort
from understudy.core.encoding import Channel
from understudy.core.provenance import Provenance
from understudy.core.result import Result, read_results
from understudy.core.writer import CohortWriter
from understudy.evaluation.fidelity.class_diversity import Seen
from understudy.evaluation.fidelity.class_judge import TABLE, ClassJudge, area, class_targets, judged, withins
from understudy.evaluation.fidelity.config import FidelityConfig
from understudy.evaluation.fidelity.stage import evaluate_fidelity
from understudy.tasks.classification import ClassificationConfig
from understudy.tasks.classify import make_classifier


def seen(probabilities: np.ndarray, each: int = 1) -> Seen:
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
    right = area("a", seen(targets * 0.8 + 0.1), targets, 0)
    assert (right.value, right.low, right.high) == (1, 1, 1) and right.n == 20
    assert right.note == "AUC, mean of 2 of 3 classes; 0.5 is chance"
    assert area("a", seen(1 - targets), targets, 0).value == 0
    assert area("a", seen(np.full((20, 3), 0.5)), targets, 0).value == 0.5


def test_few_subjects_of_a_kind_have_no_number() -> None:
    targets = np.zeros((20, 1))
    targets[:4] = 1
    few = area("a", seen(targets), targets, 0, "control")
    assert few.value is None and few.note.startswith("not measured: no class column") and few.note.endswith("control")
    targets[:8] = 1
    assert (
        area("a", seen(targets), targets, 0).value == 1 and area("a", seen(targets, each=4), targets, 0).value is None
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
    what = seen(targets)
    results, row = judged("made", "fidelity", cohort, [(judge, what), (guide, what)], list(withins(within)), 0)
    named = {result.name: result for result in results}
    assert list(named) == [f"fidelity.{r}.auc{e}" for r in ("judge", "guide") for e in ("", ".real")]
    assert "no independent judge" in named["fidelity.judge.auc"].note and named["fidelity.judge.auc.real"].value == 0.9
    assert "no independent judge" not in named["fidelity.guide.auc"].note
    cells = dict(zip(TABLE, row, strict=True))
    assert cells["within"] == pytest.approx(0.6) and cells["least_within"] == 0.5 and cells["guide_auc_real"] == 0.9


def test_all_controls_stand_in_one_table(classes_cohort: Callable[..., Cohort], tmp_path: Path) -> None:
    real = classes_cohort(tmp_path / "real", size=16, subjects=90)
    learn = ClassificationConfig(
        network="densenet-small", updates=60, checks=1, batch_size=8, augment=False, precision="fp32"
    )
    judges = [make_classifier(real, tmp_path / f"c{seed}", seed, learn) for seed in (0, 1)]
    made = synthetic(tmp_path / "made", 40)
    config = FidelityConfig(draws=3, subsets=3, bins=16, pairs=5, features="random")
    out = evaluate_fidelity(real.path, [made.path], tmp_path / "out", 0, config, classifier=judges[0], guide=judges[1])
    found = {r.name: r for r in read_results(out)[0]}
    for role in ("judge", "guide"):
        assert (found[f"fidelity.{role}.auc"].value or 0) > 0.8
    assert "real control cases" in found["fidelity.judge.auc.real"].note
    with (out / "tables" / "conditioning.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert float(row["judge_auc"]) > 0.8 and row["guide_auc"] and row["within"] and row["note"] == ""
    assert read_results(out)[1]["inputs"].keys() == {"real", "synthetic", "classifier", "guide"}

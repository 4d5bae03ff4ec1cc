"""Classification as a task of the utility protocol, end to end on discs that are bright or dark."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from understudy.core.encoding import Channel
from understudy.core.errors import UsageError
from understudy.core.provenance import Provenance
from understudy.core.result import Result, read_results
from understudy.core.writer import CohortWriter
from understudy.evaluation.utility.classification import AreaOutcome
from understudy.evaluation.utility.config import ClassUtilityConfig
from understudy.evaluation.utility.stage import default_task, evaluate_utility

CONFIG = ClassUtilityConfig(
    network="densenet-small", updates=24, checks=2, repeats=2, batch_size=8, draws=100, precision="fp32", augment=False
)
NAMES = ["class=bright", "class=dark", "rare"]
SPLITS = ("train", "train", "validation", "control", "test", "test")
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def go(name: str, kind: str, n: int, seed: int, names: list[str] = NAMES, **settings: Any) -> Path:
        random = np.random.default_rng(seed)
        with CohortWriter(
            tmp_path / name, kind=kind, modality="CR", size=(16, 16), channels=[Channel("x", 0, 255)], dtype="uint8",
            scheme=None, label_source=None, classes=names, provenance=Provenance("toy", {"generator": name}),
            **settings,
        ) as writer:  # fmt: skip
            for i in range(n):
                bright = int(random.integers(2))
                image = random.normal(100, 15, (1, 16, 16))
                image[:, 4:12, 4:12] += 60 if bright else -60
                entry = {"class=bright": str(bright), "class=dark": str(1 - bright), "rare": "0" if i % 3 else ""}
                row = {"case_id": f"{kind}{i}", "subject_id": f"{kind}{i // 2}"}
                split = {"split": SPLITS[i // 2 % len(SPLITS)]} if kind == "real" else {}
                writer.append(
                    image.clip(0, 255).astype(np.uint8), None, row | split | {k: entry[k] for k in names if k in entry}
                )
        return tmp_path / name

    return go


def found(out: Path) -> dict[str, Result]:
    return {r.name: r for r in read_results(out)[0]}


def test_end_to_end(write: Write, tmp_path: Path) -> None:
    real, made = write("real", "real", 84, 0), write("made", "synthetic", 40, 1)
    for name, cache in (("one", None), ("two", tmp_path / "cache"), ("kept", tmp_path / "cache")):
        evaluate_utility(real, [made], tmp_path / name, 0, CONFIG, "classification", cache)
    files = ["results.json", "tables/utility.csv", "curves/utility-densenet-small.json", "internal/per_case.csv"]
    for file in files:
        assert len({(tmp_path / name / file).read_bytes() for name in ("one", "two", "kept")}) == 1
    results = found(tmp_path / "one")
    assert list(results)[:3] == [f"utility.{what}.densenet-small.auc" for what in ("real", "synthetic", "ratio")]
    for ending in ("", ".bright", ".dark"):
        real_only, one = (results[f"utility.{what}.densenet-small.auc{ending}"] for what in ("real", "synthetic"))
        assert real_only.n == 14 and real_only.value is not None and real_only.value > 0.9
        assert (
            one.value is not None and one.low is not None and one.high is not None and one.low <= one.value <= one.high
        )
    ratio = results["utility.ratio.densenet-small.auc"]
    assert ratio.value is not None and ratio.value > 0.8 and "real-only AUC" in ratio.note
    mean = results["utility.real.densenet-small.auc"]
    assert "mean of 2 of 3 classes (without rare: too few test subjects)" in mean.note and "0.5 is chance" in mean.note
    rare = results["utility.synthetic.densenet-small.auc.rare"]
    assert (rare.value, rare.n) == (
        None,
        0,
    ) and rare.note == "no test case has the class, and an area needs both kinds of case"
    with (tmp_path / "one" / "tables" / "utility.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(r["trained_on"], r["class"]) for r in rows[2:4]] == [("real", "bright"), ("made", "bright")]
    assert int(rows[2]["cases_with"]) + int(rows[2]["cases_without"]) == 28 and rows[0]["classes_left_out"] == "1"
    assert (
        rows[3]["training_cases"] == "32"
        and rows[2]["auc"] == f"{results['utility.real.densenet-small.auc.bright'].value:.9g}"
    )
    with (tmp_path / "one" / "internal" / "per_case.csv").open(newline="") as file:
        inside = list(csv.DictReader(file))
    assert len(inside) == 2 * 2 * 28 * 3 and {r["class"] for r in inside} == {"bright", "dark", "rare"}


def test_shares_few_subjects_and_fine_tuning(write: Write, tmp_path: Path) -> None:
    real, made = write("real", "real", 84, 0), write("made", "synthetic", 40, 1)
    changes = {"shares": (0.5,), "real_subjects": (4,), "arms": ("finetuned",), "repeats": 1, "updates": 12}
    config = CONFIG.model_copy(update=changes)
    results = found(evaluate_utility(real, [made], tmp_path / "out", 0, config, "classification"))
    for kind in ("real", "both", "finetuned", "real@4", "both@4", "finetuned@4"):
        value = results[f"utility.{kind}.densenet-small.auc"].value
        assert value is not None and 0.4 < value <= 1, kind
    assert "gain over real@4 AUC" in results["utility.gain-finetuned@4.densenet-small.auc"].note
    assert (tmp_path / "out" / "curves" / "utility-mixing-densenet-small.json").is_file()


def test_labels_that_lie_teach_the_opposite(write: Write, tmp_path: Path) -> None:
    real, made = write("real", "real", 84, 0), write("made", "synthetic", 40, 1)
    text = (made / "cases.csv").read_text().splitlines()
    lines = [
        ",".join([*cells[:-3], cells[-2], cells[-3], cells[-1]]) for cells in (line.split(",") for line in text[1:])
    ]
    (made / "cases.csv").write_text("\n".join([text[0], *lines]) + "\n")
    config = CONFIG.model_copy(update={"checks": 1, "repeats": 1})  # a choice between checks would take the least wrong
    results = found(evaluate_utility(real, [made], tmp_path / "out", 0, config, "classification"))
    value = results["utility.synthetic.densenet-small.auc.bright"].value
    assert value is not None and value < 0.2


def test_what_is_refused(write: Write, tmp_path: Path) -> None:
    real = write("real", "real", 84, 0)
    bare = write("bare", "synthetic", 8, 1, ["class=bright"])
    with pytest.raises(UsageError, match="bare has no class column 'class=dark'; its class columns: class=bright"):
        evaluate_utility(real, [bare], tmp_path / "out", 0, CONFIG, "classification")
    only = CONFIG.model_copy(
        update={"classes": ("class=bright",), "updates": 1, "checks": 1, "repeats": 1, "select": "real"}
    )
    evaluate_utility(real, [bare], tmp_path / "part", 0, only, "classification")
    plain = write("plain", "real", 84, 0, [])
    with pytest.raises(UsageError, match="plain has none: import it with --classes"):
        evaluate_utility(plain, [bare], tmp_path / "out", 0, CONFIG, "classification")
    assert not (tmp_path / "out").exists()


def test_the_default_task_is_what_the_cohorts_are_made_for(write: Write, real: Path, synthetic: Path) -> None:
    classes = write("classes", "real", 12, 0)
    assert default_task(classes, [write("made", "synthetic", 8, 1)]) == "classification"
    assert default_task(real, [synthetic]) == "segmentation"
    assert default_task(classes, [write("bare", "synthetic", 8, 1, [])]) == "segmentation"  # and the guard says why not


def outcome(with_class: list[int], subjects: int) -> AreaOutcome:
    """K classes of which class k is had by the first ``with_class[k]`` subjects; one case a subject, ranked rightly."""
    targets = np.array([[float(s < n) for n in with_class] for s in range(subjects)])
    return AreaOutcome({}, targets, np.arange(subjects), subjects, ("a", "b", "c")[: len(with_class)], [targets])


def test_numbers_of_fewer_than_five_subjects_of_a_kind_are_not_published() -> None:
    some = outcome([6, 3, 0], 12)
    assert [some.behind(k) for k in range(3)] == [6, 3, 0] and some.behind(None) == 6
    assert [int(some.counted(k).sum()) for k in (0, 1, 2)] == [12, 12, 0]
    assert "mean of 1 of 3 classes (without b, c" in some.note(None) and "6 of 12 test cases" in some.note(0)
    few = outcome([3, 2], 12)
    assert few.behind(None) == 2 and few.measured(None).values() == 1
    none = outcome([0, 12], 12)
    assert not none.counted(None).any() and none.missing(1).startswith("no test case lacks the class")

"""``evaluate consistency`` end to end on cohorts whose consistency is known."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.provenance import Provenance
from understudy.core.result import Result, read_results
from understudy.core.writer import CohortWriter
from understudy.evaluation.consistency.config import ConsistencyConfig
from understudy.evaluation.consistency.stage import evaluate_consistency
from understudy.tasks.segmentation import subject_cases

Toy = Callable[..., Path]
CONFIG = ConsistencyConfig(updates=60, checks=2, channels=(8, 16, 32), batch_size=8, draws=100, precision="fp32")
BRIEF = CONFIG.model_copy(update={"updates": 3, "checks": 1, "channels": (4, 8, 16), "batch_size": 4})
FILES = [
    "cases.csv",
    "curves/consistency-below.json",
    "curves/consistency-training.json",
    "curves/consistency.json",
    "internal/INTERNAL.txt",
    "internal/seen.json",
    "results.json",
    "seal.json",
    "tables/consistency.csv",
]


def rewritten(source: Path, out: Path, change: Callable[[int, np.ndarray, np.ndarray], Any]) -> Path:
    """Write a cohort again with changed images and label maps; ``change`` returns those of a row."""
    cohort = Cohort.open(source)
    assert cohort.images is not None and cohort.labels is not None
    manifest: dict[str, Any] = {"kind": cohort.kind, "modality": "MR", "size": cohort.size, "dtype": "uint8"}
    manifest |= {"channels": cohort.encoding.channels, "scheme": cohort.scheme, "label_source": cohort.label_source}
    with CohortWriter(out, provenance=Provenance("rewritten", {"generator": out.name}), **manifest) as writer:
        for i in cohort.rows():
            row = {name: str(cohort.column(name)[i]) for name in cohort.columns}
            writer.append(*change(int(i), np.asarray(cohort.images[i]), np.asarray(cohort.labels[i])), row)
    return out


def shuffled(source: Path, out: Path) -> Path:
    labels = Cohort.open(source).labels
    assert labels is not None
    order = np.roll(np.arange(len(labels)), 7)
    return rewritten(source, out, lambda i, image, _: (image, np.asarray(labels[order[i]])))


def named(folder: Path) -> dict[str, Result]:
    return {result.name: result for result in read_results(folder)[0]}


@pytest.fixture(scope="module")
def judged(real: Path, synthetic: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of a cohort whose label maps fit its images, and of one in which they belong to other images."""
    root = tmp_path_factory.mktemp("consistency")
    return evaluate_consistency(real, [synthetic, shuffled(synthetic, root / "shuffled")], root / "out", 0, CONFIG)


def test_fitting_label_maps_agree_and_shuffled_ones_do_not(judged: Path) -> None:
    found = named(judged)
    good, bad, real = (
        found[f"consistency.{name}.segresnet.dice"].value or 0
        for name in ("synthetic.stylegan-2", "synthetic.shuffled", "real")
    )
    assert good > 0.8 and bad < 0.4 and abs(good - real) < 0.1
    assert (found["consistency.synthetic.shuffled.segresnet.below"].value or 0) > 0.8
    assert (found["consistency.synthetic.stylegan-2.segresnet.below"].value or 0) < 0.3
    assert (found["consistency.synthetic.stylegan-2.segresnet.accuracy"].value or 0) > 0.95
    assert found["consistency.real.segresnet.dice"].n == 5  # the control subjects, slices of one joined


def test_what_is_written(judged: Path) -> None:
    assert sorted(str(p.relative_to(judged)) for p in judged.rglob("*") if p.is_file()) == FILES
    _, provenance = read_results(judged)
    assert provenance["command"] == "evaluate consistency" and provenance["config"]["reference"] == "control"
    assert len((judged / "cases.csv").read_text().splitlines()) == 1 + 180


def test_the_test_split_is_never_read(real: Path, synthetic: Path, tmp_path: Path) -> None:
    """Poison: noise with labels that no scheme knows. Not a number changes."""
    splits = Cohort.open(real).column("split")

    def poison(i: int, image: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return (image[:, ::-1] ^ 0x5A, np.full_like(label, 77)) if splits[i] == "test" else (image, label)

    poisoned = rewritten(real, tmp_path / "poisoned", poison)
    with pytest.raises(UnderstudyError, match="holds 77"):  # what reading it would do
        subject_cases(Cohort.open(poisoned), "test").score(
            type("S", (), {"predict_cases": lambda _, c: c.read(np.arange(len(c)))[1]})()
        )  # type: ignore[arg-type]
    one, other = (
        evaluate_consistency(c, [synthetic], tmp_path / n, 0, BRIEF) for c, n in ((real, "a"), (poisoned, "b"))
    )
    assert named(one) == named(other)
    assert (one / "cases.csv").read_bytes() == (other / "cases.csv").read_bytes()


def test_volumes_same_seed_same_bytes_and_made_once(toy: Toy, tmp_path: Path) -> None:
    splits = ("train", "validation", "control")
    real = toy(tmp_path / "real", "real", 15, 0, depth=4, size=16, cases=1, splits=splits)
    made = toy(tmp_path / "made", "synthetic", 5, 1, depth=4, size=16, cases=1)
    first, second = (evaluate_consistency(real, [made], tmp_path / name, 0, BRIEF) for name in "ab")
    for file in FILES:
        assert (first / file).read_bytes() == (second / file).read_bytes()
    before = (first / "results.json").stat().st_mtime_ns
    evaluate_consistency(real, [made], first, 0, BRIEF)
    assert (first / "results.json").stat().st_mtime_ns == before
    with pytest.raises(UsageError, match="made by another request"):
        evaluate_consistency(real, [made], first, 1, BRIEF)


def test_without_control_the_validation_split_only_when_asked(toy: Toy, synthetic: Path, tmp_path: Path) -> None:
    real = toy(tmp_path / "real", "real", 12, 0, splits=("train", "validation"))
    with pytest.raises(UnderstudyError, match="at least 2 control subjects.*--set reference=validation"):
        evaluate_consistency(real, [synthetic], tmp_path / "out", 0, BRIEF)
    asked = BRIEF.model_copy(update={"reference": "validation"})
    out = evaluate_consistency(real, [synthetic], tmp_path / "out", 0, asked)
    note = named(out)["consistency.real.segresnet.dice"].note
    assert "chose the segmenter's weights" in note and "real validation pairs" in note
    assert json.loads((out / "internal" / "seen.json").read_text())["calibrated_on"][0]["splits"] == ["validation"]


def test_cohorts_without_label_maps_are_refused(real: Path, toy: Toy, tmp_path: Path) -> None:
    bare = toy(tmp_path / "bare", "synthetic", 3, 1, scheme=None, label_source=None)
    with pytest.raises(UnderstudyError, match="needs label maps"):
        evaluate_consistency(real, [bare], tmp_path / "out", 0, BRIEF)
    assert [p.name for p in tmp_path.iterdir()] == ["bare"]


def test_a_failure_while_reading_leaves_nothing(
    real: Path, synthetic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise UnderstudyError("the disk went away")

    monkeypatch.setattr("understudy.evaluation.consistency.stage.case_scores", fail)
    with pytest.raises(UnderstudyError, match="went away"):
        evaluate_consistency(real, [synthetic], tmp_path / "out", 0, BRIEF)
    assert list(tmp_path.iterdir()) == []

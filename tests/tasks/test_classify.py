"""The classifier as a folder: complete, the same twice, opened as it was, and honest about what it saw."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from understudy.core.cohort import Cohort
from understudy.core.encoding import Channel, Encoding
from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.provenance import Provenance
from understudy.core.writer import CohortWriter
from understudy.tasks.classification import ClassificationConfig
from understudy.tasks.classify import make_classifier, open_classifier

CONFIG = ClassificationConfig(network="densenet-small", updates=3, checks=1, batch_size=4, precision="fp32")
SPLITS = ("train", "train", "train", "validation", "test")
Write = Callable[..., Cohort]
RECORD = {
    "schema": 1,
    "classes": ["ill"],
    "combinations": [],
    "encoding": Encoding((Channel("x", 0, 255),), "uint8", None).to_json(),
    "size": [16, 16],
    "modality": "CR",
    "trained_on": [],
    "validation_auc": [[1, math.nan]],
    "updates_kept": 1,
    "provenance": Provenance("classify", CONFIG.model_dump(mode="json"), 0, {}).to_json(),
}


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def go(name: str = "cohort", splits: tuple[str, ...] = SPLITS, **values: str) -> Cohort:
        random = np.random.default_rng(0)
        with CohortWriter(
            tmp_path / name, kind="real", modality="CR", size=(16, 16), channels=[Channel("x", 0, 255)], dtype="uint8",
            scheme=None, label_source=None, classes=["ill", "well"], provenance=Provenance("test"), key=b"k",
        ) as writer:  # fmt: skip
            for i in range(30):
                row = {"case_id": f"{i}", "subject_id": f"s{i}", "split": splits[i % len(splits)]}
                known = {"ill": str(i // 5 % 2), "well": str(1 - i // 5 % 2)} | values
                writer.append(random.integers(0, 255, (1, 16, 16)).astype(np.uint8), None, row | known)
        return Cohort.open(tmp_path / name)

    return go


def test_what_is_saved_is_what_is_opened(write: Write, tmp_path: Path) -> None:
    cohort = write()
    out = make_classifier(cohort, tmp_path / "one", 0, CONFIG)
    make_classifier(cohort, tmp_path / "two", 0, CONFIG)
    make_classifier(cohort, tmp_path / "other", 1, CONFIG)
    for file in ("classifier.json", "weights/tensors.safetensors"):
        assert (out / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
    one, two, other = (open_classifier(tmp_path / name) for name in ("one", "two", "other"))
    images = cohort.encoded(cohort.rows()[:4])
    assert (one.classifier.predict(images) == two.classifier.predict(images)).all()
    assert (one.classifier.predict(images) != other.classifier.predict(images)).any() and one.id != other.id
    assert one.classifier.names == ("ill", "well") and one.size == (16, 16) and one.encoding == cohort.encoding
    assert one.combinations == [{"classes": [0.0, 1.0], "cases": 9}, {"classes": [1.0, 0.0], "cases": 9}]
    assert not any(p.requires_grad for p in one.classifier.network.parameters())
    record = json.loads((out / "classifier.json").read_text())
    assert record["provenance"]["inputs"] == {"cohort": cohort.id} and record["updates_kept"] in (1, 2, 3)
    assert record["updates_kept"] == max(record["validation_auc"], key=lambda point: point[1])[0]


def test_it_saw_the_subjects_of_training_and_validation(write: Write, tmp_path: Path) -> None:
    cohort = write()
    seen = open_classifier(make_classifier(cohort, tmp_path / "out", 0, CONFIG)).trained_on
    assert seen == [cohort.seen("train"), cohort.seen("validation")] and len(cohort.subjects("validation"))


def test_a_part_of_the_classes(write: Write, tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"classes": ("well",)})
    made = open_classifier(make_classifier(write(ill="63"), tmp_path / "out", 0, config))
    assert made.classifier.names == ("well",) and made.combinations[0] == {"classes": [0.0], "cases": 9}


def test_finished_is_not_made_twice(write: Write, tmp_path: Path) -> None:
    cohort = write()
    out = make_classifier(cohort, tmp_path / "out", 0, CONFIG)
    before = (out / "classifier.json").stat().st_mtime_ns
    assert make_classifier(cohort, out, 0, CONFIG) == out and (out / "classifier.json").stat().st_mtime_ns == before
    with pytest.raises(UsageError, match="another request"):
        make_classifier(cohort, out, 1, CONFIG)


def test_refusals_leave_nothing(write: Write, tmp_path: Path) -> None:
    for name, values, config, says in (
        ("age", {"ill": "63"}, CONFIG, "class columns of 0 and 1, and 'ill' of age holds 63: .*--set 'classes="),
        ("none", {}, CONFIG.model_copy(update={"classes": ("dead",)}), "no class column 'dead'; .*: ill, well"),
        ("twice", {}, CONFIG.model_copy(update={"classes": ("ill", "ill")}), "named once"),
    ):
        with pytest.raises(UsageError, match=says):
            make_classifier(write(name, **values), tmp_path / "out", 0, config)
    with pytest.raises(UnderstudyError, match="unchecked has no validation case: import it with --split"):
        make_classifier(write("unchecked", ("train", "test")), tmp_path / "out", 0, CONFIG)
    with pytest.raises(UnderstudyError, match="validation cases that choose the weights hold no class"):
        make_classifier(write("alike", ill="1", well="0"), tmp_path / "out", 0, CONFIG)
    assert not (tmp_path / "out").exists() and not list(tmp_path.glob(".out*"))


def test_folders_that_are_no_classifier(write: Write, tmp_path: Path) -> None:
    cohort = write()
    with pytest.raises(UsageError, match="cohort is not a classifier .no classifier.json"):
        open_classifier(tmp_path / "cohort")
    out = make_classifier(cohort, tmp_path / "out", 0, CONFIG)
    (out / "weights" / "tensors.safetensors").write_bytes(b"broken")
    with pytest.raises(UnderstudyError, match="out is damaged .*make it again with `understudy classify`"):
        open_classifier(out)


@pytest.mark.parametrize("key", ["classes", "encoding", "size", "trained_on", "provenance", "validation_auc", None])
@pytest.mark.parametrize("value", [None, 7, "text", {"x": 1}, [[[]]]])
def test_a_record_of_other_types_is_refused(tmp_path: Path, key: str | None, value: object) -> None:
    record = RECORD if key is None else RECORD | {key: value}
    (tmp_path / "classifier.json").write_text(json.dumps(record))
    says = key or "weights is not a whole checkpoint"  # the record itself is whole
    with pytest.raises(UnderstudyError, match=rf"is damaged .*{says}.*make it again with `understudy classify`"):
        open_classifier(tmp_path)


def test_images_that_do_not_fit(write: Write, tmp_path: Path) -> None:
    trained = open_classifier(make_classifier(write(), tmp_path / "out", 0, CONFIG))
    trained.refuse_unfitting("x", trained.encoding, (16, 16))
    with pytest.raises(UsageError, match=r"does not fit the run x: the size .* is \(16, 16\), found \(8, 8\)"):
        trained.refuse_unfitting("the run x", trained.encoding, (8, 8))

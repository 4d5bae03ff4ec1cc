"""Images get predicted label maps: what stands in the cohort of both, whose its maps are, and what is refused."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from understudy.core.cohort import Cohort
from understudy.core.encoding import Channel
from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.labels import LabelScheme
from understudy.core.provenance import Provenance
from understudy.core.writer import CohortWriter
from understudy.data.ownership import labelled as labelled_maps
from understudy.tasks import segment
from understudy.tasks.segment import segment_cohort
from understudy.tasks.segmentation import SegmentationConfig

CONFIG = SegmentationConfig(
    updates=30, checks=2, batch_size=8, channels=(8, 8, 16), learning_rate=1e-2, precision="fp32", augment=False
)
SCHEME = LabelScheme(("background", "bright", "dark"), (0, 1, 2))
SPLITS = ("train", "train", "train", "validation", "test")
Write = Callable[..., Cohort]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def go(
        name: str, first: int = 0, splits: tuple[str, ...] = SPLITS, depth: int = 0, high: int = 255, **changes: Any
    ) -> Cohort:
        random, size = np.random.default_rng(first), (*([depth] if depth else []), 16, 16)
        settings: dict[str, Any] = {
            "kind": "real", "modality": "MR", "size": size, "channels": [Channel("t1", 0, high)], "dtype": "uint8",
            "scheme": SCHEME, "label_source": "patient", "provenance": Provenance("test"), "key": b"k",
        } | changes  # fmt: skip
        with CohortWriter(tmp_path / name, **settings) as writer:
            for i in range(20):
                label = np.zeros(size, np.uint8)
                label[..., 2:8, 3 : 5 + i % 5], label[..., 9:14, 8:12] = 1, 2
                image = np.array([120, 210, 30])[label] + random.integers(-20, 20, size)
                row = {"case_id": f"c{first + i}", "subject_id": f"s{first + i // 2}", "spacing": "1 " * len(size)}
                row |= {"split": splits[i // 2 % len(splits)]} | dict.fromkeys(settings.get("classes", ()), "1")
                maps = label if settings["scheme"] else None
                writer.append(image.astype(np.uint8)[None], maps, row)
        return Cohort.open(tmp_path / name)

    return go


def images_of(write: Write, name: str = "images", **changes: Any) -> Cohort:
    """Thirty subjects further, of training or no split, without label maps, and another range."""
    return write(
        name, **{"first": 100, "splits": ("train", ""), "high": 251, "scheme": None, "label_source": None} | changes
    )


def truth(cohort: Cohort) -> np.ndarray:
    """The label maps that images were made from."""
    images = np.asarray(cohort.images)[:, 0]
    return np.select([images > 165, images < 75], [1, 2], 0)


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "cases.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_both_stand_in_one_cohort(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labelled, images = write("labelled"), images_of(write)
    monkeypatch.setattr(segment, "VOXELS_PER_BLOCK", 16 * 16 * 6)  # four blocks, the last of two cases
    made = Cohort.open(segment_cohort(labelled, images, tmp_path / "out", 0, CONFIG))
    assert (made.kind, made.label_source, made.modality, len(made)) == ("real", "predicted", "MR", 40)
    assert made.encoding == labelled.encoding and made.encoding.channels[0].high == 255
    known, new = rows_of(made.path)[:20], rows_of(made.path)[20:]
    assert [row | {"label_map": "patient"} for row in rows_of(labelled.path)] == known
    assert [row | {"label_map": "predicted", "split": "train"} for row in rows_of(images.path)] == new
    assert (np.asarray(made.images) == np.concatenate([labelled.images, images.images])).all()  # type: ignore[list-item]
    maps = np.asarray(made.labels)
    assert (maps[:20] == np.asarray(labelled.labels)).all()
    assert (maps[20:] == truth(images)).mean() > 0.97
    for split in ("validation", "test", "control"):
        assert made.subjects(split) == labelled.subjects(split)
    made.verify()


def test_what_it_says_of_itself(write: Write, tmp_path: Path) -> None:
    labelled, images = write("labelled"), images_of(write)
    made = Cohort.open(segment_cohort(labelled, images, tmp_path / "out", 0, CONFIG))
    told = made.preprocessing["segmenter"]
    assert (told["network"], told["train_subjects"], told["validation_subjects"]) == ("unet", 6, 2)
    assert told["predicted_cases"] == 20 and told["updates_kept"] in (15, 30)
    assert 0.9 < told["validation_dice"]["low"] <= told["validation_dice"]["value"] <= told["validation_dice"]["high"]
    assert made.provenance["inputs"] == {"labelled": labelled.id, "images": images.id}
    assert made.trained_on == [labelled.seen("train"), labelled.seen("validation")]


def test_its_maps_are_patients_own_as_long_as_some_are(write: Write, tmp_path: Path) -> None:
    made = Cohort.open(segment_cohort(write("labelled"), images_of(write), tmp_path / "out", 0, CONFIG))
    assert labelled_maps(made)[2] == "patient"
    more = images_of(write, "more", first=200)
    again = Cohort.open(segment_cohort(made, more, tmp_path / "again", 0, CONFIG))
    assert again.column("label_map").tolist() == ["patient"] * 20 + ["predicted"] * 40
    assert {*again.column("label_map")[again.rows("test")], *again.column("label_map")[again.rows("validation")]} == {
        "patient"
    }


def test_the_same_twice_and_not_made_twice(write: Write, tmp_path: Path) -> None:
    labelled, images = write("labelled"), images_of(write)
    config = CONFIG.model_copy(update={"updates": 4})
    out, two, other = (
        segment_cohort(labelled, images, tmp_path / n, s, config) for n, s in (("a", 0), ("b", 0), ("c", 1))
    )
    for file in ("cohort.json", "cases.csv", "images.npy", "labels.npy"):
        assert (out / file).read_bytes() == (two / file).read_bytes()
    assert (out / "labels.npy").read_bytes() != (other / "labels.npy").read_bytes()
    before = (out / "cohort.json").stat().st_mtime_ns
    assert segment_cohort(labelled, images, out, 0, config) == out
    assert (out / "cohort.json").stat().st_mtime_ns == before
    with pytest.raises(UsageError, match="another request"):
        segment_cohort(labelled, images, out, 1, config)


def test_volumes_and_some_of_the_classes(write: Write, tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"updates": 2, "checks": 1, "classes": ("dark",)})
    labelled = write("labelled", depth=4)
    made = Cohort.open(segment_cohort(labelled, images_of(write, depth=4), tmp_path / "out", 0, config))
    assert made.size == (4, 16, 16) and made.scheme is not None and made.scheme.names == ("background", "dark")
    assert (np.asarray(made.labels)[:20] == (np.asarray(labelled.labels) == 2)).all()


REFUSED: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("shared", {}, {"first": 7}, "3 subject.s. of .*images are in .*labelled too"),
    ("size", {}, {"depth": 2}, r"size \(16, 16\) were expected in .*found \(2, 16, 16\): import both"),
    ("modality", {}, {"modality": "CT"}, "the modality MR were expected .*found CT"),
    ("classes", {}, {"classes": ["ill"]}, r"the classes \(\) were expected .*found \('ill',\)"),
    ("channels", {}, {"channels": [Channel("t2", 0, 255)]}, "channels t1 .* found t2"),
    ("dtype", {}, {"dtype": "uint16"}, "uint8.*found t1 .uint16"),
    ("held", {}, {"splits": SPLITS}, "4 subject.s. of .*images are in another split: import it with --split train=1"),
    ("synthetic", {}, {"kind": "synthetic"}, "real cases were expected in .*images, and they are synthetic"),
    ("no maps", {"scheme": None, "label_source": None}, {}, "labelled lacks one"),
    ("no validation", {"splits": ("train", "test")}, {}, "a segmenter is trained .* labelled has no validation case"),
]


@pytest.mark.parametrize(("theirs", "ours", "says"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_refusals_leave_nothing(
    write: Write, tmp_path: Path, theirs: dict[str, Any], ours: dict[str, Any], says: str
) -> None:
    labelled, images = write("labelled", **theirs), images_of(write, **ours)
    with pytest.raises(UnderstudyError, match=says) as told:
        segment_cohort(labelled, images, tmp_path / "out", 0, CONFIG)
    assert not any(subject in str(told.value).split() for subject in labelled.subjects())
    assert not (tmp_path / "out").exists() and not list(tmp_path.glob(".out*"))


def test_a_class_that_is_not_there(write: Write, tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"classes": ("tumour",)})
    with pytest.raises(UsageError, match="no class 'tumour' in .*labelled: there are bright, dark"):
        segment_cohort(write("labelled"), images_of(write), tmp_path / "out", 0, config)

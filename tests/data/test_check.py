"""check: each fault planted in a sound cohort is named, and a sound cohort is called sound."""

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
from understudy.data.check import check_cohort
from understudy.data.checks.notice import Notice
from understudy.data.importing import import_cohort
from understudy.data.sources import SOURCES

EVEN = "train=0.4,validation=0.2,control=0.2,test=0.2"
SUBJECTS = {"train": 12, "validation": 3, "control": 5, "test": 6}
SCHEME = LabelScheme(("background", "tumour", "oedema"), (0, 1, 2))


class Parts:
    """A sound cohort in memory; tests change it before it is written."""

    def __init__(self) -> None:
        random = np.random.default_rng(0)
        names = [(f"{split}{s}", split) for split, count in SUBJECTS.items() for s in range(count) for _ in range(2)]
        self.images = random.normal(100, 30, (len(names), 2, 8, 6)).astype(np.float32)
        self.labels = random.integers(0, 3, (len(names), 8, 6)).astype(np.uint8)
        self.rows: list[dict[str, str]] = [
            {"case_id": f"c{i}", "subject_id": name, "split": split, "ill": str(i % 2)}
            for i, (name, split) in enumerate(names)
        ]
        self.settings: dict[str, Any] = {}

    def write(self, out: Path) -> Path:
        settings: dict[str, Any] = {
            "kind": "real", "modality": "MR", "size": (8, 6),
            "channels": [Channel("T1", 0, 200), Channel("T2", 0, 200)],
            "dtype": "float32", "scheme": SCHEME, "label_source": "patient", "classes": ["ill"],
            "provenance": Provenance("test"), "key": b"secret",
        } | self.settings  # fmt: skip
        with CohortWriter(out, **settings) as writer:
            for image, labels, row in zip(self.images, self.labels, self.rows, strict=True):
                writer.append(image, labels, row)
        return out


@pytest.fixture
def parts() -> Parts:
    return Parts()


def found(parts: Parts, tmp_path: Path, level: str, **options: Any) -> list[str]:
    findings = check_cohort(parts.write(tmp_path / "c"), **options)
    return [finding.sentence for finding in findings if finding.level == level]


def rows_of(parts: Parts, split: str) -> list[int]:
    return [i for i, row in enumerate(parts.rows) if row["split"] == split]


def test_a_sound_cohort(parts: Parts, tmp_path: Path) -> None:
    assert check_cohort(parts.write(tmp_path / "c"), planned=12) == [
        Notice("info", "52 cases of 8 x 6, 26 subjects (train 12, validation 3, control 5, test 6)")
    ]


def test_nan(parts: Parts, tmp_path: Path) -> None:
    parts.images[3, 1, 2, 2] = np.nan
    parts.images[5, 0, 0, 0] = np.inf
    errors = found(parts, tmp_path, "error")
    assert errors == ["2 of 52 cases (c3, c5) hold NaN or infinite values: repair the source and import again"]


def test_unknown_labels(parts: Parts, tmp_path: Path) -> None:
    parts.labels[7, 0, 0] = 3
    assert "1 of 52 cases (c7) hold label values that the scheme" in found(parts, tmp_path, "error")[0]


def test_constant_images_and_channels(parts: Parts, tmp_path: Path) -> None:
    parts.images[[1, 2]] = 5
    parts.images[4, 1] = 7
    warnings = found(parts, tmp_path, "warning")
    assert any("2 of 52 cases (c1, c2) hold one value everywhere" in sentence for sentence in warnings)
    assert any("channel 'T2' is one value everywhere in 1 of 52 images" in sentence for sentence in warnings)
    assert not any("copies" in sentence for sentence in warnings)


def test_scales_that_differ(parts: Parts, tmp_path: Path) -> None:
    parts.images[::2, 0] *= 0.01
    assert "channel 'T1' uses less than 10% of its range in 26 of 52 images" in found(parts, tmp_path, "warning")[0]


@pytest.mark.parametrize(("first", "second", "level", "says"), [
    (0, 1, "warning", "within a subject"), (0, 2, "error", "under different subjects"),
    (0, 51, "error", "across splits"),
])  # fmt: skip
def test_copies(parts: Parts, tmp_path: Path, first: int, second: int, level: str, says: str) -> None:
    parts.images[second] = parts.images[first]
    sentences = found(parts, tmp_path, level)
    assert len(sentences) == 1
    assert f"2 images are exact copies of one another {says}" in sentences[0]
    assert f"c{first} and c{second}" in sentences[0]


def test_an_empty_class(parts: Parts, tmp_path: Path) -> None:
    for row in rows_of(parts, "train"):
        parts.labels[row][parts.labels[row] == 2] = 0
    for row in rows_of(parts, "test"):
        parts.labels[row][parts.labels[row] == 1] = 0
    path = parts.write(tmp_path / "c")
    named = [(finding.level, finding.sentence[:60]) for finding in check_cohort(path) if "class" in finding.sentence]
    assert named == [
        ("error", "the class 'oedema' is in no label map of the train split: it"[:60]),
        ("warning", "the class 'tumour' is in no label map of the test split: it "[:60]),
    ]


def test_class_columns_that_say_nothing(parts: Parts, tmp_path: Path) -> None:
    for row in rows_of(parts, "train"):
        parts.rows[row]["ill"] = ""
    for row in rows_of(parts, "test"):
        parts.rows[row]["ill"] = "1"
    warnings = found(parts, tmp_path, "warning")
    assert warnings == [
        "the class column 'ill' is 1 in all of the test split",
        "the class column 'ill' is blank in all of the train split",
    ]


def test_too_few_subjects(parts: Parts, tmp_path: Path) -> None:
    for row in parts.rows:
        row["subject_id"] = row["split"]
    parts.settings = {"scheme": None, "label_source": None}
    parts.labels = [None] * len(parts.rows)  # type: ignore[assignment]
    path = parts.write(tmp_path / "c")
    sentences = [finding.sentence for finding in check_cohort(path) if finding.level == "warning"]
    assert len([sentence for sentence in sentences if "1 subject(s), too few for" in sentence]) == 4
    errors = [finding.sentence for finding in check_cohort(path, planned=2) if finding.level == "error"]
    assert errors == ["2 training subjects are planned, and the train split has 1: get more, or plan for fewer"]


def test_splits_that_are_not_there(parts: Parts, tmp_path: Path) -> None:
    for row in parts.rows:
        row["split"] = "train"
    infos = found(parts, tmp_path, "info")
    assert "there is no control split, which evaluate privacy needs" in infos
    synthetic = Parts()
    synthetic.settings = {"kind": "synthetic", "label_source": "sampled", "key": None}
    for row in synthetic.rows:
        row["split"] = ""
    assert [finding.level for finding in check_cohort(synthetic.write(tmp_path / "s"))] == ["info"]


def test_a_changed_file(parts: Parts, tmp_path: Path) -> None:
    path = parts.write(tmp_path / "c")
    content = bytearray((path / "images.npy").read_bytes())
    content[-3] ^= 1
    (path / "images.npy").write_bytes(bytes(content))
    assert any("does not have the hash" in f.sentence and f.level == "error" for f in check_cohort(path))


def test_what_cannot_be_opened(parts: Parts, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        check_cohort(tmp_path / "nowhere")
    path = parts.write(tmp_path / "c")
    np.save(path / "labels.npy", parts.labels[:, :4])
    with pytest.raises(UnderstudyError, match=r"labels.npy should hold"):
        check_cohort(path)


def test_what_the_import_wrote_down(parts: Parts, tmp_path: Path) -> None:
    parts.settings = {"preprocessing": {"remarks": {"a tilt was ignored": 3}, "passed_over": {"no image": 2}}}
    path = parts.write(tmp_path / "c")
    assert Notice("warning", "import: a tilt was ignored (3)") in check_cohort(path)
    assert Notice("info", "import passed over 2: no image") in check_cohort(path)


@pytest.mark.parametrize(("dims", "subjects"), [(2, 30), (3, 30)])
def test_the_phantom_gives_no_alarm(tmp_path: Path, dims: int, subjects: int) -> None:
    options = {"subjects": subjects, "slices": 2, "size": 48 if dims == 2 else 20, "dims": dims, "split": EVEN}
    given = SOURCES["phantom"].options.model_validate(options)
    assert [n for n in check_cohort(import_cohort("phantom", None, tmp_path / "p", given)) if n.level != "info"] == []


def test_each_question_is_asked(parts: Parts, tmp_path: Path) -> None:
    given = SOURCES["phantom"].options.model_validate({"subjects": 30, "slices": 2, "size": 64, "split": EVEN})
    phantom = Cohort.open(import_cohort("phantom", None, tmp_path / "p", given))
    images, labels = np.array(phantom.images), np.asarray(phantom.labels)[:, :, ::-1].copy()
    images[:, 1] = 2 * images[:, 0]
    images[50] = images[0][:, :, ::-1]
    labels[0, :4, :4] = 1
    images[0, :, :4, :4] = images[0].min((1, 2), keepdims=True)
    images[0, :, :, :6] = images[0].min((1, 2), keepdims=True)
    labels[0, 4:] = 0
    affine = np.array([[0, 0, -2, 7.5], [0, -2, 0, 3], [3, 0, 0, 0], [0, 0, 0, 1.0]])
    rows = [{name: phantom.entry(name, row) for name in phantom.columns} for row in range(len(phantom))]
    first = phantom.rows("train")[:2].tolist(), phantom.rows("test")[:2].tolist()
    for place, row in enumerate(sum(first, [])):
        affine[2, 3] = 3 * place
        rows[row] |= {"affine": " ".join(map(str, affine.ravel())), "slice_index": str(place)}
    for row in set(range(len(rows))) - set(sum(first, [])):
        rows[row] |= {"affine": "", "slice_index": ""}
    parts.images, parts.labels, parts.rows = images, labels, rows
    parts.settings = {"size": (64, 64), "channels": phantom.encoding.channels, "scheme": phantom.scheme, "classes": []}
    sentences = found(parts, tmp_path, "warning")
    for said in (
        "fit their images better mirrored left to right", "the class 'necrosis' lies on air", "hold one picture",
        "have a near copy", "1 volumes have their slices under more than one subject",
    ):  # fmt: skip
        assert sum(said in sentence for sentence in sentences) == 1, said
    assert len(sentences) == 5

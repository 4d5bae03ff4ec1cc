"""Anatomy cohorts: images, cases and splits stay, label maps become anatomy with the own classes last; by mixture or by
a translator.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from understudy.core.cohort import Cohort
from understudy.core.encoding import Channel
from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.labels import LabelScheme
from understudy.core.provenance import Provenance
from understudy.core.writer import CohortWriter
from understudy.generators.base import Samples
from understudy.generators.translation.pix2pix import Pix2Pix
from understudy.synthesis.editing import anatomy
from understudy.synthesis.editing.anatomy import Mixture, anatomy_cohort, joining, merge

ANATOMY = LabelScheme(("background", "dark", "tumour", "bright"), (0, 1, 2, 3))


def test_a_real_cohort_stays_real_and_keeps_all(classes_cohort: Callable[..., Cohort], tmp_path: Path) -> None:
    cohort = classes_cohort(tmp_path / "c")
    told: list[tuple[int, int]] = []
    out = anatomy_cohort(cohort.path, tmp_path / "a", Mixture(2, 0.0), 0, progress=lambda *n: told.append(n))
    new = Cohort.open(out)
    assert (new.kind, new.label_source, new.size, new.classes) == ("real", "patient", cohort.size, cohort.classes)
    assert new.scheme is not None and new.scheme.names == ("background", "tissue1", "tissue2", "tumour")
    assert (
        new.columns == cohort.columns
        and (tmp_path / "a/cases.csv").read_text() == (tmp_path / "c/cases.csv").read_text()
    )
    assert new.encoding.channels == cohort.encoding.channels and np.array_equal(new.images, cohort.images)  # type: ignore[arg-type]
    assert new.labels is not None and cohort.labels is not None
    assert np.array_equal(new.labels == 3, cohort.labels == 1) and {1, 2} <= set(np.unique(new.labels).tolist())
    assert new.preprocessing["anatomy"] == {
        "by": "mixture", "tissues": 2, "smoothing": 0.0, "adapt": True, "whole": False,
    }  # fmt: skip
    assert new.provenance["inputs"] == {"cohort": cohort.id} and new.trained_on == [] and told[-1] == (24, 24)
    new.verify()
    ids = [
        Cohort.open(anatomy_cohort(cohort.path, tmp_path / k, Mixture(2), 0, key=tmp_path / f"k{k}")).id for k in "xy"
    ]
    assert ids[0] != ids[1]  # keyed


def test_anatomy_that_is_there_already_is_refused(classes_cohort: Callable[..., Cohort], tmp_path: Path) -> None:
    anatomy_cohort(classes_cohort(tmp_path / "c").path, tmp_path / "a", Mixture(2), 0)
    with pytest.raises(UsageError, match="have tissue1, tissue2 already"):
        anatomy_cohort(tmp_path / "a", tmp_path / "b", Mixture(2), 0)
    assert not (tmp_path / "b").exists()


def test_only_training_cases_decide(
    classes_cohort: Callable[..., Cohort], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort, seen = classes_cohort(tmp_path / "c"), []
    fit = anatomy.Tissues
    monkeypatch.setattr(anatomy, "Tissues", lambda c, rows, *rest: seen.append(rows.tolist()) or fit(c, rows, *rest))
    anatomy_cohort(cohort.path, tmp_path / "a", Mixture(2), 0)
    assert seen == [cohort.rows("train").tolist()]


def test_the_same_request_is_the_same_cohort(classes_cohort: Callable[..., Cohort], tmp_path: Path) -> None:
    cohort = classes_cohort(tmp_path / "c", labels=False)
    for name in "ab":
        anatomy_cohort(cohort.path, tmp_path / name, Mixture(3), 1)
    assert all(
        (tmp_path / "a" / f).read_bytes() == (tmp_path / "b" / f).read_bytes() for f in ("cohort.json", "labels.npy")
    )
    new = Cohort.open(tmp_path / "a")
    assert new.scheme is not None and new.scheme.names[-1] == "tissue3" and new.label_source == "patient"
    with pytest.raises(UsageError, match="another request"):
        anatomy_cohort(cohort.path, tmp_path / "a", Mixture(2), 1)


class Translator:
    """Stands for a trained translator: dark and bright halves of a case, and a tumour that it makes up."""

    given = "images"

    def __init__(self) -> None:
        self.config, self.told = SimpleNamespace(sample_block=5), []

    def sample_blocks(self, seeds: list[int], condition: np.ndarray) -> Iterator[Samples]:
        assert len(seeds) == len(condition) <= 5
        self.told += seeds
        labels = np.where(condition[:, 0] > 300, 3, 1).astype(np.uint8)
        labels[:, 0, 0] = 2
        yield Samples(condition, labels)


def a_run(cohort: Cohort, out: Path, **changes: Any) -> Path:
    """Write as much of a run folder as is looked at before weights are read."""
    encoding = cohort.encoding.to_json() | {"label_scheme": ANATOMY.to_json()}
    record = {
        "generator": "pix2pix", "given": "images", "encoding": encoding, "size": list(cohort.size), "seed": 4,
        "trained_on": [{"cohort": "adni", "splits": ["train"], "subjects": ["p1"]}],
        "provenance": {"inputs": {"cohort": "adni"}}, "classes": [], "modality": "MR", "config": {"conditional": False},
    }  # fmt: skip
    (out / "snapshots" / "000000100").mkdir(parents=True)
    (out / "snapshots" / "000000100" / "tensors.safetensors").write_bytes(b"weights")
    (out / "snapshots" / "000000100" / "state.json").write_text("{}")
    (out / "complete.json").write_text("{}")
    (out / "run.json").write_text(json.dumps(record | changes))
    return out


def test_a_translator_gives_anatomy(
    classes_cohort: Callable[..., Cohort], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort, translator = classes_cohort(tmp_path / "c"), Translator()
    monkeypatch.setattr(anatomy, "load", lambda *_: translator)
    monkeypatch.setattr(
        anatomy, "open_run", lambda path: anatomy.Run(path, json.loads((path / "run.json").read_text()), 100, "abc")
    )
    new = Cohort.open(anatomy_cohort(cohort.path, tmp_path / "a", a_run(cohort, tmp_path / "r"), 0))
    assert new.scheme == ANATOMY  # it has the tumour already
    assert new.labels is not None and cohort.labels is not None and cohort.images is not None
    assert np.array_equal(new.labels == 2, cohort.labels == 1)  # the patient's own, not what the translator makes up
    plain = (cohort.labels == 0) & (np.indices((8, 8)).sum(0) > 0)
    assert np.array_equal(new.labels[plain], np.where(cohort.images[:, 0] > 300, 3, 1)[plain])
    assert len(set(translator.told)) == 24 and new.kind == "real" and new.label_source == "patient"
    assert new.trained_on[0]["cohort"] == "adni" and new.provenance["inputs"] == {
        "cohort": cohort.id,
        "translator": "abc",
    }


def test_a_translator_reads_its_own_channels_of_more(
    classes_cohort: Callable[..., Cohort], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort = classes_cohort(tmp_path / "c")
    assert cohort.images is not None
    channels = [Channel("flair", 0, 9), *cohort.encoding.channels]
    with CohortWriter(
        tmp_path / "two", kind="real", modality="MR", size=(8, 8), channels=channels, dtype="uint16", scheme=None,
        label_source=None, provenance=Provenance("test"), key=b"k",
    ) as writer:  # fmt: skip
        for i, image in enumerate(cohort.images):
            row = {name: cohort.entry(name, i) for name in ("case_id", "subject_id", "split")}
            writer.append(np.concatenate([np.zeros_like(image), image]), None, row)
    monkeypatch.setattr(anatomy, "load", lambda *_: Translator())
    monkeypatch.setattr(
        anatomy, "open_run", lambda path: anatomy.Run(path, json.loads((path / "run.json").read_text()), 100, "abc")
    )
    new = Cohort.open(anatomy_cohort(tmp_path / "two", tmp_path / "a", a_run(cohort, tmp_path / "r"), 0))
    assert new.encoding.image_channels == 2 and new.labels is not None
    inside = np.indices((8, 8)).sum(0) > 0
    assert np.array_equal(new.labels[:, inside], np.where(cohort.images[:, 0] > 300, 3, 1)[:, inside])


def test_a_trained_translator_gives_anatomy(classes_cohort: Callable[..., Cohort], tmp_path: Path) -> None:
    atlas = anatomy_cohort(classes_cohort(tmp_path / "atlas", 16).path, tmp_path / "merged", Mixture(2), 0)
    tiny = {
        "direction": "images_to_labels",
        "channels": 8,
        "channels_max": 16,
        "patch_channels": 8,
        "precision": "fp32",
    }
    config = Pix2Pix.Config(**tiny, images_seen=8, batch_size=4, sample_block=5, snapshot_every=8, ema_images=4)
    run = Pix2Pix(config).fit(Cohort.open(atlas), tmp_path / "run", 0)
    cohort = classes_cohort(tmp_path / "c", 16, subjects=7)
    for name in "ab":
        anatomy_cohort(cohort.path, tmp_path / name, run, 0)
    new = Cohort.open(tmp_path / "a")
    assert new.scheme is not None and new.scheme.names == ("background", "tissue1", "tissue2", "tumour")
    assert new.labels is not None and cohort.labels is not None
    assert np.array_equal(new.labels == 3, cohort.labels == 1) and len(new) == 7
    assert np.array_equal(new.labels, Cohort.open(tmp_path / "b").labels)  # type: ignore[arg-type]
    assert new.trained_on == json.loads((run / "run.json").read_text())["trained_on"]


def test_a_run_that_does_not_fit(
    classes_cohort: Callable[..., Cohort], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort = classes_cohort(tmp_path / "c")
    monkeypatch.setattr(
        anatomy, "open_run", lambda path: anatomy.Run(path, json.loads((path / "run.json").read_text()), 100, "abc")
    )
    other = cohort.encoding.to_json() | {"label_scheme": ANATOMY.to_json()}
    other["channels"] = [{"name": "t2", "low": 0, "high": 1, "meaning": ""}]
    for k, (changes, says) in enumerate((
        ({"given": "labels"}, "makes no label maps from images"),
        ({"encoding": cohort.encoding.to_json() | {"label_scheme": None}}, "makes no label maps from images"),
        ({"size": [16, 16]}, "its size are"),
        ({"encoding": other}, "its channels are"),
    )):  # fmt: skip
        with pytest.raises(UsageError, match=says):
            anatomy_cohort(cohort.path, tmp_path / "a", a_run(cohort, tmp_path / f"r{k}", **changes), 0)
    assert not (tmp_path / "a").exists()


def test_what_is_refused(classes_cohort: Callable[..., Cohort], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="1 to 50 tissue classes"):
        Mixture(0)
    with pytest.raises(UsageError, match="1 to 50 tissue classes"):
        Mixture(3, -1)
    cohort = classes_cohort(tmp_path / "c")
    with pytest.raises(UnderstudyError, match="fewer different values"):
        anatomy_cohort(classes_cohort(tmp_path / "d", subjects=1, size=2).path, tmp_path / "a", Mixture(50), 0)
    with pytest.raises(UsageError, match="not a training run"):
        anatomy_cohort(cohort.path, tmp_path / "a", tmp_path / "c", 0)
    assert not (tmp_path / "a").exists()


def test_platschers_layout() -> None:
    anatomy = LabelScheme(("background", *(f"structure{k}" for k in range(1, 28))), tuple(range(28)))
    both = joining(anatomy, LabelScheme(("none", "stroke"), (0, 1)), ["stroke"])
    assert len(both.scheme) == 29 and both.scheme.names[28] == "stroke" and both.scheme.names[:28] == anatomy.names
    assert len(set(both.scheme.source_values)) == 29 and both.scheme.source_values[:28] == anatomy.source_values
    maps = np.arange(28, dtype=np.uint8).reshape(4, 7), np.zeros((4, 7), np.uint8)
    assert np.array_equal(merge(*maps, both), maps[0])
    maps[1][1, :3] = 1
    merged = merge(*maps, both)
    assert merged.dtype == np.uint8 and (merged[1, :3] == 28).all()
    assert (np.delete(merged.ravel(), [7, 8, 9]) == np.delete(np.arange(28), [7, 8, 9])).all()


def test_a_class_that_both_have_is_lesion_and_last() -> None:
    anatomy = LabelScheme(("background", "tumour", "brain"), (0, 4, 9))
    lesion = LabelScheme(("background", "oedema", "tumour", "else"), (0, 9, 4, 5))
    both = joining(anatomy, lesion, ["tumour", "oedema"])
    assert both.scheme.names == ("background", "brain", "oedema", "tumour")
    assert both.scheme.source_values == (0, 9, 10, 4)
    assert both.anatomy.tolist() == [0, 3, 1] and both.lesion.tolist() == [0, 2, 3, 0]
    assert merge(np.array([1, 2, 2]), np.array([3, 0, 1]), both).tolist() == [3, 1, 2]


def test_a_scheme_that_has_all_stays_as_it_is() -> None:
    anatomy = LabelScheme(("background", "tumour", "brain"), (0, 4, 9))
    both = joining(anatomy, LabelScheme(("nothing", "tumour"), (0, 1)), ["tumour"])
    assert both.scheme == anatomy and both.anatomy.tolist() == [0, 1, 2] and both.lesion.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("names", "says"), [((), "name the classes"), (("background",), "name the classes"), (("cyst",), "no class 'cyst'")]
)
def test_what_cannot_be_joined(names: tuple[str, ...], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        joining(LabelScheme(("background", "brain"), (0, 1)), LabelScheme(("background", "tumour"), (0, 1)), names)

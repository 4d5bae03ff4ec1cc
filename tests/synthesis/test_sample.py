"""sample_cohort: one seed a case, provenance, class columns, what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from understudy.core.cohort import Cohort
from understudy.core.encoding import Channel
from understudy.core.errors import UsageError
from understudy.core.labels import LabelScheme
from understudy.core.provenance import Provenance
from understudy.core.writer import CohortWriter
from understudy.data.pseudonym import load_key
from understudy.data.seal import vouching_key
from understudy.generators.diffusion.diffusion import Diffusion, DiffusionConfig
from understudy.synthesis import sample
from understudy.synthesis.sample import sample_cohort

CONFIG = {"channels": (8, 8), "attention_levels": (), "patch": 1, "images_seen": 8, "batch_size": 4, "sampler_steps": 2,
          "sample_block": 4, "snapshot_every": 4}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    random = np.random.default_rng(0)
    with CohortWriter(
        folder / "cohort", kind="real", modality="MR", size=(8, 8), channels=[Channel("t1", 0, 500)], dtype="uint16",
        scheme=LabelScheme(("background", "tumour"), (0, 1)), label_source="patient", classes=["ill"],
        provenance=Provenance("test"), key=b"k",
    ) as writer:  # fmt: skip
        for i in range(8):
            row = {
                "case_id": f"{i}",
                "subject_id": f"secret{i}",
                "split": "train" if i < 6 else "test",
                "ill": str(i % 2),
            }
            writer.append(random.integers(0, 500, (1, 8, 8)).astype(np.uint16), random.integers(0, 2, (8, 8)), row)
    cohort = Cohort.open(folder / "cohort")
    for name, conditional in (("run", False), ("conditional", True)):
        Diffusion(DiffusionConfig(**CONFIG, conditional=conditional)).fit(cohort, folder / name, 0)  # type: ignore[arg-type]
    return folder


def test_a_synthetic_cohort_says_where_it_comes_from(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNDERSTUDY_KEY_FILE", str(tmp_path / "key"))
    key = load_key(tmp_path / "key")
    cohort = Cohort.open(sample_cohort(folder / "run", 6, 3, tmp_path / "out"))
    assert vouching_key(cohort, key) == key and vouching_key(cohort, b"another") is None
    real = Cohort.open(folder / "cohort")
    assert cohort.kind == "synthetic" and cohort.label_source == "sampled" and len(cohort) == 6
    assert cohort.encoding == real.encoding and cohort.modality == "MR" and cohort.classes == ()
    assert cohort.trained_on == [{"cohort": real.id, "splits": ["train"], "subjects": real.subjects("train")}]
    assert cohort.provenance["seed"] == 3 and cohort.provenance["inputs"]["cohort"] == real.id
    assert cohort.provenance["config"]["generator"] == "diffusion" and cohort.provenance["config"]["images_seen"] == 8
    cohort.verify()


def test_a_case_depends_on_its_own_seed_only(folder: Path, tmp_path: Path) -> None:
    seven, three, other = (
        Cohort.open(sample_cohort(folder / "run", n, seed, tmp_path / f"{n}-{seed}"))
        for n, seed in ((7, 0), (3, 0), (3, 1))
    )
    assert seven.images is not None and three.images is not None and other.images is not None
    assert (seven.images[:3] == three.images).all() and (other.images != three.images).any()


def test_finished_is_not_made_twice_and_another_request_is_refused(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample_cohort(folder / "run", 2, 0, tmp_path / "out")
    before = (tmp_path / "out" / "images.npy").stat().st_mtime_ns
    monkeypatch.setattr(sample, "load", lambda *_: pytest.fail("the generator was loaded for nothing"))
    sample_cohort(folder / "run", 2, 0, tmp_path / "out")
    assert (tmp_path / "out" / "images.npy").stat().st_mtime_ns == before
    with pytest.raises(UsageError, match="another request"):
        sample_cohort(folder / "run", 3, 0, tmp_path / "out")


def test_snapshots_and_classes(folder: Path, tmp_path: Path) -> None:
    early = Cohort.open(sample_cohort(folder / "run", 2, 0, tmp_path / "early", snapshot=4))
    assert early.provenance["config"]["images_seen"] == 4
    ill = Cohort.open(sample_cohort(folder / "conditional", 2, 0, tmp_path / "ill", classes={"ill": 1}))
    well = Cohort.open(sample_cohort(folder / "conditional", 2, 0, tmp_path / "well", classes={"ill": 0}))
    assert ill.class_matrix()[:, 0].tolist() == [1, 1] and ill.classes == ("ill",)
    assert ill.id != well.id
    for run, classes in (("run", {"ill": 1.0}), ("conditional", {}), ("conditional", {"dead": 1.0})):
        with pytest.raises(UsageError, match="--classes"):
            sample_cohort(folder / run, 2, 0, tmp_path / "no", classes=classes)
    with pytest.raises(UsageError, match="at least one"):
        sample_cohort(folder / "run", 0, 0, tmp_path / "no")
    assert not (tmp_path / "no").exists()


def test_settings_for_sampling(folder: Path, tmp_path: Path) -> None:
    def images(name: str, **settings: Any) -> np.ndarray:
        return np.asarray(Cohort.open(sample_cohort(folder / "run", 2, 0, tmp_path / name, settings=settings)).images)

    assert (images("plain") == images("same", sampler_steps=2)).all()
    assert (images("plain") != images("finer", sampler_steps=5)).any()
    assert Cohort.open(tmp_path / "finer").provenance["config"]["settings"] == {"sampler_steps": 5}
    assert (images("other", sampler="heun", sampler_steps=5) != images("finer", sampler_steps=5)).any()
    assert Cohort.open(tmp_path / "other").provenance["config"]["settings"]["sampler"] == "heun"
    with pytest.raises(UsageError, match="'images_seen' of diffusion cannot be set for sampling: sample_block"):
        images("seen", images_seen=3)
    with pytest.raises(UsageError, match="found 'many'"):
        images("many", sampler_steps="many")

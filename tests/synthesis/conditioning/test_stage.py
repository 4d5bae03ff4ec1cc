"""A run and a classifier become a labelled cohort: what is written shows what its class columns say."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError, UsageError
from understudy.evaluation.guard import open_pair
from understudy.generators.gan.stylegan2 import StyleGAN2, StyleGAN2Config
from understudy.synthesis.conditioning import stage
from understudy.synthesis.conditioning.search import ConditionConfig
from understudy.synthesis.conditioning.stage import condition_cohort
from understudy.tasks.classification import ClassificationConfig
from understudy.tasks.classify import make_classifier, open_classifier
from understudy.training.engine import Engine

GAN = {"z_dim": 8, "w_dim": 8, "mapping_layers": 2, "channel_base": 128, "channel_max": 8, "images_seen": 8,
       "batch_size": 4, "snapshot_every": 4, "precision": "fp32"}  # fmt: skip
LEARN = ClassificationConfig(
    network="densenet-small", updates=100, checks=1, batch_size=8, augment=False, precision="fp32"
)
CONFIG = ConditionConfig(steps=40, learning_rate=0.1, restarts=2, block=8, threshold=0.7)


class Drawer:
    """A generator that is known: z_0 makes the left side bright, the rest is texture."""

    name, config, engine = "drawer", SimpleNamespace(z_dim=8), Engine("fp32")

    def __init__(self, cohort: Cohort) -> None:
        self.encoding, self.size = cohort.encoding, cohort.size
        self.texture = torch.randn(8, 16, 16, generator=torch.Generator().manual_seed(1)) * 0.3
        self.texture[0] = torch.tensor([0.5] * 8 + [-0.5] * 8)

    def generate(self, z: Tensor) -> Tensor:
        x = torch.einsum("nz,zhw->nhw", z, self.texture)[:, None]
        return torch.cat([x, x], 1)

    def snapshot_modules(self) -> dict[str, torch.nn.Module]:
        return {}


@pytest.fixture(scope="module")
def folder(
    tmp_path_factory: pytest.TempPathFactory, classes_cohort: Callable[..., Cohort], train: Callable[..., Path]
) -> Path:
    folder = tmp_path_factory.mktemp("archive")
    cohort = classes_cohort(folder / "cohort", size=16, subjects=60)
    for name, conditional in (("gan", False), ("conditional", True)):
        StyleGAN2(StyleGAN2Config(**GAN, conditional=conditional)).fit(cohort, folder / name, 0)  # type: ignore[arg-type]
    make_classifier(cohort, folder / "classifier", 0, LEARN)
    return folder


@pytest.fixture
def drawer(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "load", lambda *_: Drawer(Cohort.open(folder / "cohort")))


def go(folder: Path, out: Path, n: int = 10, seed: int = 0, **settings: Any) -> Cohort:
    config = settings.pop("config", CONFIG)
    run = folder / settings.pop("run", "gan")
    return Cohort.open(condition_cohort(run, folder / "classifier", n, seed, out, config=config, **settings))


@pytest.mark.usefixtures("drawer")
def test_what_is_written_shows_what_its_columns_say(folder: Path, tmp_path: Path) -> None:
    cohort = go(folder, tmp_path / "out", 16, classes="balanced")
    wanted = cohort.class_matrix()
    assert cohort.classes == ("ill", "well") and cohort.kind == "synthetic" and cohort.label_source == "sampled"
    assert len(cohort) >= 10 and {tuple(row) for row in wanted.tolist()} == {(1.0, 0.0), (0.0, 1.0)}
    seen = open_classifier(folder / "classifier").classifier.predict(cohort.encoding.encode_images(cohort.images[:]))  # type: ignore[index]
    assert (np.where(wanted == 1, seen, 1 - seen) >= 0.7 - 1e-3).all()  # the block of another size: rounding
    assert cohort.provenance["command"] == "condition" and cohort.provenance["config"]["generator"] == "stylegan2+lco"
    assert set(cohort.provenance["inputs"]) == {"run", "classifier", "cohort"}
    told, steps = cohort.sampling, cohort.column("steps").astype(int)
    assert told["asked"] == 16 and told["accepted"] == len(cohort) and told["acceptance_rate"] == len(cohort) / 16
    assert told["mean_steps"] == pytest.approx(steps.mean()) and steps.max() <= 40 and (steps > 0).any()
    assert sum(c["asked"] for c in told["combinations"]) == 16 and told["attempts"] >= 16
    assert set(cohort.column("attempts")) <= {"1", "2", "3"} and (cohort.path / "seal.json").is_file()
    cohort.verify()


@pytest.mark.usefixtures("drawer")
def test_a_case_does_not_depend_on_n(folder: Path, tmp_path: Path) -> None:
    many, few = go(folder, tmp_path / "many", 11), go(folder, tmp_path / "few", 5)
    n = len(few)
    assert many.column("case_id")[:n].tolist() == few.column("case_id").tolist()
    assert (many.images[:n] == few.images[:]).all() and (many.labels[:n] == few.labels[:]).all()  # type: ignore[index]
    assert (many.class_matrix()[:n] == few.class_matrix()).all()


@pytest.mark.usefixtures("drawer")
def test_the_controls_start_where_the_search_starts_and_move_nothing(folder: Path, tmp_path: Path) -> None:
    label, filtered = (CONFIG.model_copy(update={"method": method}) for method in ("label", "filter"))
    made, few = go(folder, tmp_path / "label", 11, config=label), go(folder, tmp_path / "few", 5, config=label)
    assert len(made) == 11 and made.provenance["config"]["generator"] == "stylegan2+pseudo-labels"
    assert set(made.column("steps")) == {"0"} and made.sampling["acceptance_rate"] == 1
    assert (made.images[:5] == few.images[:]).all()  # type: ignore[index]
    encoded = made.encoding.encode_images(made.images[:])  # type: ignore[index]
    seen = open_classifier(folder / "classifier").classifier.predict(encoded)
    assert (made.class_matrix().argmax(1) == seen.argmax(1)).all() and (made.class_matrix().sum(1) == 1).all()
    kept = go(folder, tmp_path / "filter", 11, config=filtered.model_copy(update={"minimum_accepted": 0.0}))
    assert set(kept.column("steps")) == {"0"} and kept.provenance["config"]["generator"] == "stylegan2+filter"
    first = kept.column("attempts") == "1"
    starts = {image.tobytes() for image in made.images[:]}  # type: ignore[index]
    assert first.any() and any(image.tobytes() in starts for image in kept.images[first])  # type: ignore[index]
    with pytest.raises(UsageError, match="method=label takes cases as they come"):
        go(folder, tmp_path / "no", 4, config=label, classes="balanced")


@pytest.mark.usefixtures("drawer")
def test_named_classes_leave_the_others_free(folder: Path, tmp_path: Path) -> None:
    cohort = go(folder, tmp_path / "out", 6, classes={"ill": 1.0})
    assert set(cohort.column("ill")) == {"1"} and set(cohort.column("well")) == {""}
    for classes, says in (({"ill": 0.5}, "wanted .1. or not .0., and ill=0.5"), ({"dead": 1.0}, "no class 'dead'"),
                          ({}, "at least one class must be wanted")):  # fmt: skip
        with pytest.raises(UsageError, match=says):
            go(folder, tmp_path / "no", 4, classes=classes)


@pytest.mark.usefixtures("drawer")
def test_finished_is_not_made_twice(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go(folder, tmp_path / "out", 4)
    monkeypatch.setattr(stage, "load", lambda *_: pytest.fail("the generator was loaded for nothing"))
    go(folder, tmp_path / "out", 4)
    with pytest.raises(UsageError, match="another request"):
        go(folder, tmp_path / "out", 5)


@pytest.mark.usefixtures("drawer")
def test_too_few_accepted_is_a_failure_that_leaves_nothing(folder: Path, tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"threshold": 0.999, "steps": 0, "attempts": 1})
    with pytest.raises(
        UnderstudyError, match=r"only \d of the first \d+ cases were accepted .* 10 of 20 .*least often, 0 of"
    ):
        go(folder, tmp_path / "out", 20, config=config)
    assert not (tmp_path / "out").exists() and not list(tmp_path.glob(".out*"))


@pytest.mark.parametrize("space", ["z", "w"])
def test_a_real_generator_in_either_space(folder: Path, tmp_path: Path, space: str) -> None:
    config = CONFIG.model_copy(
        update={"space": space, "minimum_accepted": 0.0, "threshold": 0.51, "steps": 4, "attempts": 1}
    )
    cohort = go(folder, tmp_path / "out", 8, config=config, classes={"well": 1.0})
    assert len(cohort) >= 1 and cohort.provenance["config"]["space"] == space


def test_both_the_generators_and_the_classifiers_subjects_are_told(
    folder: Path, tmp_path: Path, classes_cohort: Callable[..., Cohort], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Cohort.open(folder / "cohort")
    monkeypatch.setattr(stage, "load", lambda *_: Drawer(real))
    cohort = go(folder, tmp_path / "out", 4)
    entries = {tuple(entry["splits"]): set(entry["subjects"]) for entry in cohort.trained_on}
    assert entries[("train",)] == set(real.subjects("train"))
    assert entries[("validation",)] == set(real.subjects("validation"))  # who chose the classifier
    open_pair(real.path, [cohort.path], splits={"test": 2}, labels=True)
    patient = real.subjects("test")[0]  # a classifier that was trained on another cut of the same subjects
    file = folder / "classifier" / "classifier.json"
    text = file.read_text()
    file.write_text(text.replace(real.subjects("validation")[0], patient))
    leaky = go(folder, tmp_path / "leaky", 4)
    file.write_text(text)
    with pytest.raises(UnderstudyError, match="leaky was made from 1 test subject"):
        open_pair(real.path, [leaky.path], splits={"test": 2}, labels=True)


def test_what_cannot_be_searched(
    folder: Path, tmp_path: Path, classes_cohort: Callable[..., Cohort], train: Callable[..., Path]
) -> None:
    cohort, other = Cohort.open(folder / "cohort"), classes_cohort(tmp_path / "other", size=16, high=499)
    train(cohort, tmp_path / "diffusion")
    make_classifier(other, tmp_path / "misfit", 0, LEARN.model_copy(update={"updates": 1}))
    for run, classifier, changes, says in (
        (
            folder / "conditional",
            folder / "classifier",
            {},
            "is conditional: it needs no search, use `understudy sample`",
        ),
        (tmp_path / "diffusion", folder / "classifier", {}, "a diffusion run has no latents z to optimise"),
        (tmp_path / "diffusion", folder / "classifier", {"space": "w"}, "no latents w .* or --set space=z"),
        (folder / "gan", tmp_path / "misfit", {}, "does not fit the run .*gan: the channels .*499.*found .*500"),
        (folder / "gan", folder / "cohort", {}, "cohort is not a classifier"),
        (folder / "cohort", folder / "classifier", {}, "is not a training run"),
    ):
        with pytest.raises(UsageError, match=says):
            condition_cohort(run, classifier, 4, 0, tmp_path / "out", config=CONFIG.model_copy(update=changes))
    with pytest.raises(UsageError, match="at least one case"):
        go(folder, tmp_path / "out", 0)
    assert not (tmp_path / "out").exists()

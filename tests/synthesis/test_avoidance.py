"""A diffusion that copies is turned away from what it learned; what cannot be or must not be is refused."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage

from understudy.core.cohort import Cohort
from understudy.core.encoding import Channel
from understudy.core.errors import UsageError
from understudy.core.labels import LabelScheme
from understudy.core.provenance import Provenance
from understudy.core.writer import CohortWriter
from understudy.generators.diffusion.diffusion import Diffusion
from understudy.generators.diffusion.dissimilarity import Dissimilarity
from understudy.generators.gan.stylegan2 import StyleGAN2
from understudy.synthesis.avoidance import open_avoided
from understudy.synthesis.runs import open_run
from understudy.synthesis.sample import sample_cohort


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    random = np.random.default_rng(0)
    settings = {"kind": "real", "modality": "MR", "size": (16, 16), "channels": [Channel("t1", 0, 255)],
                "dtype": "uint8", "scheme": LabelScheme(("background", "tumour"), (0, 1)), "label_source": "patient",
                "provenance": Provenance("test"), "key": b"k"}  # fmt: skip
    path = tmp_path_factory.mktemp("avoided") / "cohort"
    with CohortWriter(path, **settings) as writer:  # type: ignore[arg-type]
        for i in range(12):
            image = ndimage.gaussian_filter(random.normal(size=(16, 16)), 1.5)
            image = (255 * (image - image.min()) / np.ptp(image)).astype(np.uint8)
            writer.append(
                image[None],
                (image > 180).astype(np.uint8),
                {"case_id": f"{i}", "subject_id": f"s{i}", "split": "train"},
            )
    return Cohort.open(path)


@pytest.fixture(scope="module")
def run(cohort: Cohort, train: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(cohort, tmp_path_factory.mktemp("run") / "run")


def test_a_model_that_copies_is_turned_away(
    cohort: Cohort, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cohort.images is not None
    encoded = torch.from_numpy(cohort.encoded(cohort.rows()))

    def copies(self: Diffusion, net: object, x: torch.Tensor, sigma: torch.Tensor, condition: object) -> torch.Tensor:
        y = (encoded[: len(x)] - self.scale.mean) / self.scale.std * self.noise.sigma_data
        return y.to(x.device)

    monkeypatch.setattr(Diffusion, "denoise", copies)
    avoided = Dissimilarity(encoded[:, :1], cohort.column("subject_id"))
    plain, guided = (
        Cohort.open(sample_cohort(run, 4, 0, tmp_path / name, away_from=away))
        for name, away in (("plain", None), ("guided", cohort.path))
    )
    for made, copied in ((plain, True), (guided, False)):
        assert made.images is not None
        r = avoided.likeness(torch.from_numpy(made.encoded(made.rows()))[:, :1])
        assert (r > 0.99).all() if copied else (r < avoided.threshold + 0.03).all()
    assert guided.sampling["away_from"]["cohort"] == cohort.id and "away_from" not in plain.sampling
    assert guided.sampling["away_from"]["threshold"] == pytest.approx(avoided.threshold, abs=1e-6)
    assert guided.provenance["inputs"]["away_from"] == cohort.id and guided.id != plain.id


def test_only_the_cohort_of_the_training_is_meant_and_only_diffusion_can(
    cohort: Cohort, run: Path, tmp_path: Path, bodies: Callable[..., Path]
) -> None:
    other = bodies("elsewhere", 2)
    with pytest.raises(UsageError, match="that is not elsewhere: name the cohort of its training"):
        sample_cohort(run, 2, 0, tmp_path / "out", away_from=other)
    with pytest.raises(UsageError, match="stylegan2 cannot be kept away from images while it samples: diffusion can"):
        StyleGAN2(StyleGAN2.Config()).keep_away(np.zeros((1, 1, 8, 8), np.float32), np.array(["a"]))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("role", ["other", "start"])
def test_what_learned_from_further_images_cannot_be_kept_away_from_them(cohort: Cohort, run: Path, role: str) -> None:
    one = open_run(run)
    record = {**one.record, "provenance": {**one.record["provenance"], "inputs": {**one.inputs, role: "further"}}}
    assert open_avoided(cohort.path, [one]).id == cohort.id
    with pytest.raises(UsageError, match=f"learned from more images than those of cohort.* --{role}"):
        open_avoided(cohort.path, [one, replace(one, record=record)])

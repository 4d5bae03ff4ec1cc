"""The encoder: same seed, same bits; the loss by hand; case by case; nothing but the training split is read."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError
from understudy.evaluation.cache import open_cache
from understudy.evaluation.features import EXTRACTORS
from understudy.evaluation.features.config import FeatureConfig
from understudy.evaluation.features.encoder import (
    VIEWS,
    EncoderFeatures,
    loss,
    set_weights,
    train,
    untrained,
    weights,
)
from understudy.evaluation.features.extractor import ExtractorInputs
from understudy.tasks.augmentation import augment_images

FEW = FeatureConfig(features="encoder", encoder_updates=3)


@pytest.fixture(scope="module")
def cohort(real: Path) -> Cohort:
    return Cohort.open(real)


def test_the_loss_of_embeddings_by_hand() -> None:
    z = torch.tensor([[0.0, 2.0], [0.0, -2.0], [0.0, 2.0], [0.0, -2.0]])
    dead = 1 - 0.01  # a dimension that does not vary: 1 - sqrt(0 + 1e-4); the other one varies enough
    assert loss(z, z).item() == pytest.approx(2 * 25 / 2 * dead / 2)
    assert loss(z, z + 1).item() == pytest.approx(25 + 2 * 25 / 2 * dead / 2)
    both = z[:, 1:].repeat(1, 2)  # two dimensions that say the same: covariance 16 / 3 twice, over 2 dimensions
    assert loss(both, both).item() == pytest.approx(2 * 2 * (16 / 3) ** 2 / 2)


def test_same_seed_same_bits_another_seed_not(cohort: Cohort) -> None:
    torch.manual_seed(7)
    before = torch.random.get_rng_state()
    first, again, other = (weights(train(cohort, cohort.rows("train"), 2, seed)) for seed in (0, 0, 1))
    assert (first == again).all() and (first != other).any() and np.isfinite(first).all()
    assert (torch.random.get_rng_state() == before).all()
    copy = untrained(cohort, 5)
    set_weights(copy, first)
    assert (weights(copy) == first).all()


def test_only_the_rows_that_are_given_are_read(real: Path, tmp_path: Path, toy: Callable[..., Path]) -> None:
    """The cohort that has noise in place of all cases outside the training split gives the same encoder."""
    other = Cohort.open(toy(tmp_path / "other", "real", 30, 0))
    images = np.load(other.path / "images.npy")
    outside = np.setdiff1d(other.rows(), other.rows("train"))
    images[outside] = np.random.default_rng(0).integers(0, 256, images[outside].shape)
    np.save(other.path / "images.npy", images)
    trained = [weights(train(c, c.rows("train"), 2, 0)) for c in (Cohort.open(real), Cohort.open(other.path))]
    assert (trained[0] == trained[1]).all()


@pytest.mark.parametrize("depth", [0, 6])
def test_features_are_case_by_case(depth: int, toy: Callable[..., Path], tmp_path: Path) -> None:
    real = Cohort.open(toy(tmp_path / "real", "real", 20, 0, size=16, depth=depth, splits=("train",)))
    extract = EXTRACTORS["encoder"](ExtractorInputs(real, real.rows(), FEW))
    images = real.encoding.encode_images(real.images[:7])  # type: ignore[index]
    found = extract(images)
    assert found.shape == (7, 160) and found.dtype == np.float32 and extract.standardised
    assert extract(images[[4, 2]]) == pytest.approx(found[[4, 2]], abs=1e-5)


def test_large_images_are_learned_from_crops(toy: Callable[..., Path], tmp_path: Path) -> None:
    real = Cohort.open(toy(tmp_path / "real", "real", 8, 0, size=96, splits=("train",)))
    assert np.isfinite(weights(train(real, real.rows(), 1, 0))).all()


def test_it_learns(cohort: Cohort) -> None:
    """Views that it has not seen cost less after 30 updates than after 1."""
    images = torch.from_numpy(cohort.encoding.encode_images(cohort.images[cohort.rows("train")]))  # type: ignore[index]
    views = [augment_images(images, torch.Generator().manual_seed(i), VIEWS) for i in (50, 51)]

    def cost(updates: int) -> float:
        network = train(cohort, cohort.rows("train"), updates, 0)
        return loss(*network(torch.cat(views)).chunk(2)).item()

    assert cost(30) < 0.85 * cost(1)


@pytest.mark.parametrize("change", ["blur", "noise"])
def test_corruption_moves_features_further_and_further(cohort: Cohort, change: str) -> None:
    extract = EncoderFeatures(train(cohort, cohort.rows("train"), 10, 0))
    images = cohort.encoding.encode_images(cohort.images[cohort.rows("train")])  # type: ignore[index]
    still, moved, random = extract(images), [], np.random.default_rng(0).normal(0, 0.2, images.shape)
    for strength in (0.4, 0.7, 1.0, 2.0):
        blurred = gaussian_filter(images, (0, 0, strength, strength))
        other = blurred if change == "blur" else images + strength * random
        change_of_means = extract(other.astype(np.float32)).mean(0) - still.mean(0)
        moved.append(np.linalg.norm(change_of_means / np.maximum(still.std(0), 1e-3)))
    assert moved == sorted(moved) and moved[-1] > 2 * moved[0] > 0


def test_the_cache_spares_the_training(cohort: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = open_cache(tmp_path / "cache", [])
    source = ExtractorInputs(cohort, cohort.rows("train"), FEW, cache=cache)
    first = EXTRACTORS["encoder"](source)
    monkeypatch.setattr("understudy.evaluation.features.encoder.train", lambda *_: pytest.fail("trained again"))
    images = cohort.encoding.encode_images(cohort.images[:5])  # type: ignore[index]
    again = EXTRACTORS["encoder"](source)
    assert again.identity == first.identity and (again(images) == first(images)).all()
    more = FEW.model_copy(update={"encoder_updates": 4})
    for other in (
        ExtractorInputs(cohort, source.rows[1:], FEW, cache=cache),
        ExtractorInputs(cohort, source.rows, more, cache=cache),
    ):
        with pytest.raises(pytest.fail.Exception, match="trained again"):
            EXTRACTORS["encoder"](other)
    monkeypatch.setattr("understudy.evaluation.features.encoder.SEED", 1)
    with pytest.raises(pytest.fail.Exception, match="trained again"):
        EXTRACTORS["encoder"](source)


def test_too_few_cases_are_refused(cohort: Cohort) -> None:
    with pytest.raises(UnderstudyError, match="at least 16 images of the training split, and real has 15"):
        EXTRACTORS["encoder"](ExtractorInputs(cohort, cohort.rows("train")[:15], FEW))

"""MS-SSIM: 1 on equal images, MONAI's number, torchmetrics' scales; pairs of different subjects; a collapsed side."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from monai.metrics.regression import compute_ms_ssim
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure as reference

from understudy.core.cohort import Cohort
from understudy.evaluation.features import extractor
from understudy.evaluation.fidelity import ms_ssim as module
from understudy.evaluation.fidelity.ms_ssim import WEIGHTS, ms_ssim, pair_values, random_pairs, scales, set_result


def pair(size: tuple[int, ...], strength: float = 0.2, channels: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    smooth = torch.rand(3, channels, *(-(-side // 4) for side in size), generator=generator)
    x = torch.nn.functional.interpolate(smooth, size)
    return x, (x + strength * torch.randn(x.shape, generator=generator)).clamp(0, 1)


@pytest.mark.parametrize("size", [(64, 64), (5, 40), (8, 24, 24)])
def test_equal_images_are_1_and_others_less(size: tuple[int, ...]) -> None:
    x, y = pair(size)
    assert ms_ssim(x, x) == pytest.approx(torch.ones(3), abs=1e-5)
    assert ms_ssim(torch.zeros(2, 1, *size), torch.zeros(2, 1, *size)) == pytest.approx(torch.ones(2), abs=1e-5)
    values = [ms_ssim(x, pair(size, strength)[1]) for strength in (0.05, 0.2, 0.8)]
    assert (values[0] > values[1]).all() and (values[1] > values[2]).all() and (values[2] >= 0).all()
    assert ms_ssim(x, y) == pytest.approx(ms_ssim(y, x), abs=1e-6)


@pytest.mark.parametrize(("size", "number"), [((192, 176), 5), ((22, 24, 26), 2)])
def test_it_is_that_of_monai(size: tuple[int, ...], number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """At sizes where the window fits at every scale; MONAI has no window that shrinks."""
    x, y = (side[:1, :1] for side in pair(size))
    weights = [w / sum(WEIGHTS[:number]) for w in WEIGHTS[:number]]
    monkeypatch.setattr(module, "WEIGHTS", tuple(weights))
    theirs = compute_ms_ssim(x, y, len(size), weights=weights)
    assert scales(size) == number and ms_ssim(x, y) == pytest.approx(theirs.flatten(), abs=1e-5)


def test_its_scales_are_those_of_torchmetrics(monkeypatch: pytest.MonkeyPatch) -> None:
    """All but the last scale, where torchmetrics reflects the image at its edges and Wang et al. do not."""
    x, y = pair((192, 176))
    theirs = reference(x, y, reduction="none", data_range=1.0, betas=(*WEIGHTS[:4], 0.0))
    monkeypatch.setattr(module, "WEIGHTS", (*WEIGHTS[:4], 0.0))
    assert ms_ssim(x, y) ** sum(WEIGHTS[:4]) == pytest.approx(theirs, abs=1e-4)


def test_pairs_are_of_different_subjects() -> None:
    subjects = np.repeat(["a", "b", "c"], [1, 2, 30])
    found = random_pairs(subjects, 2000, 3)
    assert found.shape == (2000, 2) and (subjects[found[:, 0]] != subjects[found[:, 1]]).all()
    assert np.bincount(found[:, 0], minlength=33).min() > 20 and (found == random_pairs(subjects, 2000, 3)).all()
    assert (found != random_pairs(subjects, 2000, 4)).any()


def test_pairs_are_read_in_blocks(real: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cohort = Cohort.open(real)
    rows, pairs = cohort.rows("train"), np.array([[0, 9], [30, 1], [5, 40]])
    whole = pair_values(cohort, rows, pairs, cohort.encoding)
    monkeypatch.setattr(extractor, "VOXELS_PER_BLOCK", 1)
    assert pair_values(cohort, rows, pairs, cohort.encoding) == pytest.approx(whole, abs=1e-6)
    x = (torch.from_numpy(cohort.encoding.encode_images(cohort.images[rows[[5, 40]]])) + 1) / 2  # type: ignore[index]
    assert whole[2] == pytest.approx(ms_ssim(x[:1], x[1:]).item(), abs=1e-6)


def test_a_side_that_always_shows_the_same_is_noticed(toy: Callable[..., Path], tmp_path: Path) -> None:
    def value(folder: Path, **changes: int) -> float:
        cohort = Cohort.open(folder)
        found = set_result("x", cohort, cohort.rows(), cohort.encoding, 60, 5, 0)
        assert found.value is not None and found.low is not None and found.high is not None
        assert found.low <= found.value + 0.05 and found.high >= found.value - 0.05 and "60 pairs" in found.note
        return found.value

    diverse = value(toy(tmp_path / "diverse", "synthetic", 20, 1))
    same = Cohort.open(toy(tmp_path / "same", "synthetic", 20, 1))
    images = np.load(same.path / "images.npy")
    images[:] = images[:1]
    np.save(same.path / "images.npy", images)
    assert value(same.path) == pytest.approx(1, abs=1e-4) and diverse < 0.7
    alone = Cohort.open(toy(tmp_path / "alone", "synthetic", 1, 1))
    assert set_result("x", alone, alone.rows(), alone.encoding, 60, 5, 0).value is None

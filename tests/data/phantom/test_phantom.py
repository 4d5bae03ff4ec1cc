"""The phantom: same seed, same head; subjects differ, slices of one subject agree; contrasts rank as in MR."""

import itertools

import numpy as np
import pytest
from scipy import ndimage

from understudy.core.errors import UsageError
from understudy.data.phantom.anatomy import healthy_head
from understudy.data.phantom.phantom import CHANNELS, CLASS_NAMES, phantom_slices, phantom_subject

SHAPE = (24, 64, 64)
T1, T1C, T2, FLAIR = range(4)
NECROSIS, OEDEMA, ENHANCING = 1, 2, 3


@pytest.fixture(scope="module")
def cohort() -> list[tuple[np.ndarray, np.ndarray]]:
    return [phantom_subject(3, subject, SHAPE) for subject in range(12)]


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.corrcoef(first.ravel(), second.ravel())[0, 1])


def test_same_seed_same_subject_to_the_bit(cohort: list[tuple[np.ndarray, np.ndarray]]) -> None:
    volumes, labels = phantom_subject(3, 5, SHAPE)
    assert np.array_equal(volumes, cohort[5][0]) and np.array_equal(labels, cohort[5][1])


def test_subjects_and_seeds_differ_in_image_and_label_map(cohort: list[tuple[np.ndarray, np.ndarray]]) -> None:
    other = phantom_subject(4, 5, SHAPE)
    for first, second in [*itertools.combinations(cohort[:6], 2), (cohort[5], other)]:
        assert _correlation(first[0][T2], second[0][T2]) < 0.95
        sick, sick_too = first[1] > 0, second[1] > 0
        assert 2 * (sick & sick_too).sum() / (sick.sum() + sick_too.sum()) < 0.9


@pytest.mark.parametrize("shape", [(24, 32, 32), (16, 100, 72), (32, 48, 32), (16, 16, 16), (12, 256, 256)])
def test_any_shape_gives_finite_images_in_range(shape: tuple[int, int, int]) -> None:
    volumes, labels = phantom_subject(0, 1, shape)
    assert volumes.shape == (len(CHANNELS), *shape) and volumes.dtype == np.float32
    assert labels.shape == shape and labels.dtype == np.uint8
    assert np.isfinite(volumes).all() and volumes.min() >= 0 and volumes.max() <= 1
    assert volumes.std() > 0.1 and labels.max() < len(CLASS_NAMES) and labels.any()


def test_a_subject_is_the_same_head_at_every_size() -> None:
    coarse, coarse_labels = phantom_subject(0, 2, (24, 64, 64))
    fine, fine_labels = phantom_subject(0, 2, (24, 128, 128))
    pooled = fine.reshape(4, 24, 64, 2, 64, 2).mean((3, 5))
    assert _correlation(coarse, pooled) > 0.95
    sick = fine_labels.reshape(24, 64, 2, 64, 2).astype(bool).mean((2, 4)) > 0.5
    assert 2 * (sick & (coarse_labels > 0)).sum() / (sick.sum() + (coarse_labels > 0).sum()) > 0.85


def test_neighbouring_slices_agree_more_than_subjects(cohort: list[tuple[np.ndarray, np.ndarray]]) -> None:
    middle = slice(20, 44)
    own, others = [], []
    for (first, _), (second, _) in itertools.pairwise(cohort):
        for index in range(9, 18):
            own.append(_correlation(first[:, index, middle, middle], first[:, index + 1, middle, middle]))
            others.append(_correlation(first[:, index, middle, middle], second[:, index, middle, middle]))
    assert np.mean(own) > np.mean(others) + 0.1
    assert np.mean(np.array(own) > np.array(others)) > 0.8


def test_lesion_is_near_itself_in_the_next_slice(cohort: list[tuple[np.ndarray, np.ndarray]]) -> None:
    for _, labels in cohort:
        shown = np.nonzero((labels > 0).any((1, 2)))[0]
        assert np.ptp(shown) + 1 == len(shown) or len(shown) > 0.8 * (np.ptp(shown) + 1)


def test_lesions_have_the_ranks_of_mr(cohort: list[tuple[np.ndarray, np.ndarray]]) -> None:
    change = []
    for subject, (volumes, labels) in enumerate(cohort):
        healthy, _ = phantom_subject(3, subject, SHAPE, lesion=False)
        dead, wet, rim = (volumes[:, labels == k].mean(1) for k in (NECROSIS, OEDEMA, ENHANCING))
        assert rim[T1C] > rim[T1] + 0.1 and rim[T1C] > wet[T1C] and rim[T1C] > dead[T1C]
        change.append([(volumes - healthy)[:, labels == k].mean(1) for k in (NECROSIS, OEDEMA)])
    dead, wet = np.mean(change, axis=0)
    assert dead[T1] < -0.1 and dead[T1C] < -0.1 and dead[T2] > 0.1
    assert wet[T1] < -0.02 and wet[T2] > 0.1 and wet[FLAIR] > 0.15
    assert (np.array(change)[:, 1, FLAIR] > 0.05).all()


def test_no_threshold_finds_the_lesion(cohort: list[tuple[np.ndarray, np.ndarray]]) -> None:
    volumes, labels = (np.stack(part) for part in zip(*cohort, strict=True))
    inside = np.stack([healthy_head(3, subject, SHAPE).brain < 0 for subject in range(len(cohort))])
    scores = []
    for level in np.linspace(0.2, 0.9, 29):
        found, sick = (volumes[:, FLAIR] > level) & inside, labels > 0
        scores.append(2 * (found & sick).sum() / (found.sum() + sick.sum()))
    assert 0.2 < max(scores) < 0.8


def test_healthy_arm_has_the_same_head_and_no_lesion() -> None:
    volumes, labels = phantom_subject(0, 3, SHAPE)
    healthy, empty = phantom_subject(0, 3, SHAPE, lesion=False)
    assert not empty.any() and healthy.shape == volumes.shape
    far = ndimage.distance_transform_edt(labels == 0) > 14
    assert np.abs(volumes - healthy)[:, far].mean() < 0.01 < np.abs(volumes - healthy)[:, labels > 0].mean()


def test_slices_are_mostly_with_tumour_and_some_without(cohort: list[tuple[np.ndarray, np.ndarray]]) -> None:
    shares = []
    for subject, (_, labels) in enumerate(cohort):
        chosen = phantom_slices(labels, 8, subject)
        assert len(set(chosen)) == 8 and (np.diff(chosen) > 0).all()
        assert np.array_equal(chosen, phantom_slices(labels, 8, subject))
        shares.append((labels[chosen] > 0).any((1, 2)).mean())
    assert 0.6 < np.mean(shares) < 0.95 and min(shares) < 1


@pytest.mark.parametrize("shape", [(24, 4, 64), (24, 64, 1000), (64, 64)])
def test_impossible_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="8 to 512"):
        phantom_subject(0, 0, shape)  # type: ignore[arg-type]


def test_more_slices_than_the_brain_has_are_refused() -> None:
    with pytest.raises(UsageError, match="through the brain"):
        phantom_slices(np.zeros(SHAPE, np.uint8), 30, 0)


def test_every_class_occurs_and_lesions_lie_on_both_sides(cohort: list[tuple[np.ndarray, np.ndarray]]) -> None:
    counts = sum(np.bincount(labels.ravel(), minlength=4) for _, labels in cohort)
    assert (counts[1:] > 500).all()
    sides = [(labels[..., :32] > 0).sum() > (labels[..., 32:] > 0).sum() for _, labels in cohort]
    assert 0 < sum(sides) < len(sides)

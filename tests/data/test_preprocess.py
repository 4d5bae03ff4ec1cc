"""Sizes: averages are averages, ties favour nobody, and a point of the body stays where it is."""

import numpy as np
import pytest

from understudy.core.errors import UnderstudyError
from understudy.data.listing import Reading
from understudy.data.preprocess import fitted, resampling_taps, resized_image, resized_labels, surround

RANDOM = np.random.default_rng(0)


def test_halving_is_the_mean_of_blocks() -> None:
    image = RANDOM.normal(size=(3, 8, 6, 4)).astype(np.float32)
    blocks = image.reshape(3, 4, 2, 3, 2, 2, 2).mean((2, 4, 6))
    assert np.allclose(resized_image(image, (4, 3, 2)), blocks, atol=1e-6)


@pytest.mark.parametrize(("n_in", "n_out"), [(7, 3), (240, 64), (155, 48), (5, 5), (3, 7), (64, 65)])
def test_weights_sum_to_one_and_a_ramp_stays_a_ramp(n_in: int, n_out: int) -> None:
    source, weights = resampling_taps(n_in, n_out)
    assert np.allclose(weights.sum(0), 1, atol=1e-6)
    assert weights.min() >= 0
    place = (weights * (source + 0.5)).sum(0) * n_out / n_in  # the centre of each target pixel, in target pixels
    inner = slice(1, -1)  # beyond the outermost source centres nothing is known, so interpolation stays there
    assert np.allclose(place[inner], np.arange(n_out)[inner] + 0.5, atol=0.05 if n_out <= n_in else 1e-6)


def test_shrinking_keeps_the_mean() -> None:
    image = RANDOM.normal(size=(1, 31, 17)).astype(np.float32)
    assert resized_image(image, (10, 6)).mean() == pytest.approx(image.mean(), abs=1e-6)


def test_integers_are_rounded_and_stay_in_their_type() -> None:
    image = np.array([[[0, 255], [255, 255]]], np.uint8)
    assert resized_image(image, (1, 1)).tolist() == [[[191]]]
    assert resized_image(np.full((1, 4, 4), -32768, np.int16), (3, 7)).tolist() == np.full((1, 3, 7), -32768).tolist()


def test_the_majority_wins() -> None:
    labels = np.array([[1, 1, 0, 2], [1, 0, 2, 2]], np.uint8)
    assert resized_labels(labels, (1, 2)).tolist() == [[1, 2]]
    assert resized_labels(labels, (1, 2)).dtype == np.uint8


def test_ties_make_no_class_larger() -> None:
    labels = RANDOM.integers(0, 2, (400, 400)).astype(np.uint8)
    small = resized_labels(labels, (200, 200))
    assert small.mean() == pytest.approx(labels.mean(), abs=0.01)
    inverted = resized_labels(1 - labels, (200, 200))
    assert np.array_equal(inverted, 1 - small)  # which class is called 0 does not matter


def test_growing_label_maps_makes_no_new_class() -> None:
    labels = np.zeros((6, 6), np.uint8)
    labels[2:4, 2:4] = 7
    large = resized_labels(labels, (18, 18))
    assert np.unique(large).tolist() == [0, 7]
    assert (large == 7).sum() == pytest.approx(36, abs=4)


def test_crop_and_pad_are_centred_windows() -> None:
    image = np.arange(1, 36, dtype=np.int16).reshape(1, 5, 7)
    labels = image[0].astype(np.uint8)
    cropped = fitted(Reading(image, labels), (3, 9), "crop", "x")
    assert cropped.image is not None
    assert cropped.image[0].tolist() == np.pad(image[0, 1:4], ((0, 0), (1, 1))).tolist()
    assert np.array_equal(cropped.image[0], cropped.labels)
    padded = fitted(Reading(None, labels), (6, 7), "pad", "x")
    assert np.array_equal(padded.labels, np.pad(labels, ((1, 0), (0, 0))))
    with pytest.raises(UnderstudyError, match="x is 5 x 7 and cannot be padded to 6 x 6"):
        fitted(Reading(image, None), (6, 6), "pad", "x")


@pytest.mark.parametrize("fit", ["resize", "crop"])
@pytest.mark.parametrize("size", [(16, 16, 16), (40, 20, 30)])
def test_a_point_stays_in_its_place_and_the_spacing_follows(fit: str, size: tuple[int, ...]) -> None:
    image = np.zeros((1, 32, 24, 28), np.float32)
    place = np.stack(np.meshgrid(*(np.arange(n) for n in image.shape[1:]), indexing="ij"))
    image[0] = np.exp(-((place - np.array([15, 11, 14]).reshape(3, 1, 1, 1)) ** 2).sum(0) / 8)
    affine = np.array([[0, 0, -1.5, 40], [0.2, -2.0, 0, 30], [3.0, 0, 0.1, -20], [0, 0, 0, 1]])
    spacing = tuple(float(v) for v in np.sqrt((affine[:3, :3] ** 2).sum(0)))
    case = fitted(Reading(image, None, spacing, affine), size, fit, "x")
    assert case.image is not None
    assert case.affine is not None
    assert case.spacing_mm == pytest.approx(tuple(np.sqrt((case.affine[:3, :3] ** 2).sum(0))))

    def centre_mm(array: np.ndarray, matrix: np.ndarray) -> np.ndarray:
        indices = np.stack(np.meshgrid(*(np.arange(n) for n in array.shape), indexing="ij"))
        centre = (indices * array).sum((1, 2, 3)) / array.sum()
        return (matrix @ [*centre, 1])[:3]

    assert np.abs(centre_mm(image[0], affine) - centre_mm(case.image[0], case.affine)).max() < 0.05


def test_what_surrounds_a_picture_is_zero_or_air_or_what_was_asked_for() -> None:
    image = np.stack([np.full((4, 4), -1000, np.int16), np.full((4, 4), 7, np.int16)])
    image[0, 1:3, 1:3] = 40
    labels = np.ones((4, 4), np.uint8)
    assert surround(image, None).tolist() == [-1000, 0]
    assert surround(image, 3.0).tolist() == [3, 3]
    for fit, size in (("pad", (6, 8)), ("crop", (6, 8))):
        case = fitted(Reading(image, labels), size, fit, "x", surround(image, None))
        assert case.image is not None and case.labels is not None
        assert case.image.dtype == np.int16
        assert (case.image[0, 0], case.image[1, 0]) == (pytest.approx(-1000), pytest.approx(0))
        assert np.array_equal(case.image[:, 1:5, 2:6], image)
        assert case.labels.sum() == 16
        assert case.image[0].sum() == image[0].sum() - 1000 * (48 - 16)

"""Twins: changed copies and shared volumes under other names are told; subjects that look alike are not."""

from collections.abc import Callable
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from understudy.core.cohort import Cohort
from understudy.core.encoding import Channel
from understudy.data.checks.twins import likeness, pictures, structure, thumbnails, twins

Remade = Callable[..., Cohort]


def found(cohort: Cohort, copies: np.ndarray | None = None) -> list[str]:
    return [notice.sentence for notice in twins(cohort, np.arange(len(cohort)) if copies is None else copies)]


def compressed(image: np.ndarray) -> np.ndarray:
    out = []
    for channel in image:
        low, spread, file = channel.min(), np.ptp(channel), BytesIO()
        Image.fromarray(np.uint8(255 * (channel - low) / spread)).save(file, "JPEG", quality=75)
        out.append(np.asarray(Image.open(file), np.float32) / 255 * spread + low)
    return np.stack(out)


CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "brightness": lambda image: 0.1 + 0.5 * image,
    "compressed": compressed,
    "shifted": lambda image: np.roll(image, (1, -1), (1, 2)),
    "mirrored": lambda image: image[:, :, ::-1],
}


def test_the_phantom_has_none(phantom: Cohort) -> None:
    assert found(phantom) == []


@pytest.mark.parametrize("change", CHANGES)
def test_near_copies(phantom: Cohort, remade: Remade, change: str) -> None:
    images = np.array(phantom.images)
    images[50] = CHANGES[change](images[3])
    cohort = remade(images)
    (sentence,) = found(cohort)
    a, b = sorted(cohort.entry("case_id", row) for row in (3, 50))
    assert sentence.startswith("2 images have a near copy")
    assert f"(the first: {a} and {b})" in sentence


def test_exact_copies_are_told_elsewhere(phantom: Cohort, remade: Remade) -> None:
    images, copies = np.array(phantom.images), np.arange(80)
    images[50], copies[50] = images[3], 3
    assert found(remade(images), copies) == []
    assert len(found(remade(images))) == 1


@pytest.mark.parametrize(("shared", "told"), [(False, []), (True, ["1 pairs of subjects, 1 of them in two splits"])])
def test_a_volume_under_two_subjects(remade: Remade, shared: bool, told: list[str]) -> None:
    random = np.random.default_rng(0)
    images = np.concatenate([_volume(random) for _ in range(6)])
    subjects = [f"s{i // 10}" for i in range(60)]
    if shared:
        subjects[40:50:2] = ["s9"] * 5
    rows = [
        {"case_id": f"c{i}", "subject_id": name, "split": "test" if name == "s9" else "train"}
        for i, name in enumerate(subjects)
    ]
    sentences = found(remade(images, np.zeros((60, 64, 64), np.uint8), rows, channels=[Channel("T1", -4, 4)]))
    assert [sentence[: len(told[0])] for sentence in sentences if "neighbouring slices" in sentence] == told
    assert len(sentences) == len(told)


def _volume(random: np.random.Generator) -> np.ndarray:
    """Ten slices (10, 1, 64, 64) that change slowly from one to the next: further ones have less in common."""
    first, last = random.normal(size=(2, 64, 64))
    return np.stack([np.cos(a) * first + np.sin(a) * last for a in np.linspace(0, np.pi, 10)]).astype(np.float32)[
        :, None
    ]


def test_small_pictures_are_not_judged(phantom: Cohort, remade: Remade) -> None:
    images = np.array(phantom.images)[..., ::2, ::2]
    images[50] = images[3][:, :, ::-1]
    assert found(remade(images, np.asarray(phantom.labels)[:, ::2, ::2])) == []


def test_parts(phantom: Cohort) -> None:
    shown = pictures(phantom, np.arange(6))
    assert shown.shape == (6, 64, 64)
    assert shown.mean() == pytest.approx(0, abs=1e-3)
    small = thumbnails(shown)
    assert small.shape == (6, 64)
    assert np.linalg.norm(small, axis=1) == pytest.approx(np.ones(6), abs=1e-3)
    fine = structure(shown).astype(np.float32)
    assert likeness(fine, fine) == pytest.approx(np.ones(6))
    assert likeness(np.roll(fine, 1, 2), fine) == pytest.approx(np.ones(6))
    assert (likeness(np.roll(fine, 2, 2), fine) < 0.9).all()
    between = (fine + np.roll(fine, 1, 1)) / 2
    assert (likeness(fine, between) < 0.95).all()
    assert likeness(fine, between, halves=True) == pytest.approx(np.ones(6), abs=1e-3)


def test_a_copy_of_a_large_picture_shifted_by_less_than_a_reduced_pixel(phantom: Cohort, remade: Remade) -> None:
    images = np.array(phantom.images).repeat(3, 2).repeat(3, 3)
    images += np.random.default_rng(0).normal(0, 0.02, images.shape).astype(np.float32)
    images[50] = np.roll(images[3], 1, 2)
    (sentence,) = found(remade(images, np.zeros((80, 192, 192), np.uint8)))
    assert sentence.startswith("2 images have a near copy")

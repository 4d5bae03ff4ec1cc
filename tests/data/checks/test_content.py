"""Labels on air, channels twice, sparse channels: each is planted in the phantom, which has none."""

from collections.abc import Callable

import numpy as np

from understudy.core.cohort import Cohort
from understudy.core.encoding import Channel
from understudy.data.checks.content import Content

Remade = Callable[..., Cohort]


def found(cohort: Cohort) -> list[str]:
    content = Content(cohort)
    for first in range(0, len(cohort), 7):
        rows = np.arange(first, min(first + 7, len(cohort)))
        content.add(cohort.images[rows], np.asarray(cohort.labels)[rows])  # type: ignore[index]
    assert all(notice.level == "warning" for notice in content.notices())
    return [notice.sentence for notice in content.notices()]


def test_the_phantom_is_sound(phantom: Cohort) -> None:
    assert found(phantom) == []


def test_labels_on_air(phantom: Cohort, remade: Remade) -> None:
    images, labels = np.array(phantom.images), np.array(phantom.labels)
    images[..., :16, :] = images.min()
    labels[:5] = 0
    labels[:5, 2:6, 2:6] = 2
    having = int((labels == 2).any((1, 2)).sum())
    (sentence,) = found(remade(images, labels))
    assert sentence.startswith(f"the class 'oedema' lies on air in 5 of the {having} cases that have it")


def test_a_class_of_air_may_lie_there(phantom: Cohort, remade: Remade) -> None:
    images, labels = np.array(phantom.images), np.zeros_like(np.asarray(phantom.labels))
    images[..., :16, :] = images.min()
    labels[:, 2:6, 2:6] = 1
    assert found(remade(images, labels, names=("background", "Air"))) == []


def test_a_crop_without_air_has_none(phantom: Cohort, remade: Remade) -> None:
    images, labels = np.array(phantom.images), np.array(phantom.labels)
    images[:, :, 0, 0], labels[:, 0, 0] = images.min(), 1
    labels[labels == 1] = 0
    labels[:, 0, 0] = 1
    assert found(remade(images, labels)) == []


def test_a_channel_that_is_another(phantom: Cohort, remade: Remade) -> None:
    images = np.array(phantom.images)
    images[:, 2] = 0.5 - 0.25 * images[:, 0]
    images[:9, 3] = images[:9, 1]  # a few cases are no rule
    (sentence,) = found(remade(images))
    assert sentence.startswith("the channels 'T1' and 'T2' hold one picture, brightness aside, in 80 of 80 cases")


def test_a_sparse_channel(phantom: Cohort, remade: Remade) -> None:
    images = np.zeros_like(np.array(phantom.images))
    images[:, :, 30:34, 30:34] = np.array(phantom.images)[:, :, 30:34, 30:34] + 1
    channels = [Channel(channel.name, 0, 2) for channel in phantom.encoding.channels]
    sentences = found(remade(images, np.zeros_like(np.asarray(phantom.labels)), channels=channels))
    assert len(sentences) == 4
    assert sentences[0].startswith("99.6")
    assert "percentiles of so sparse a picture" in sentences[0]

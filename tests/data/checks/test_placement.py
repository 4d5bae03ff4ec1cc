"""Placement: label maps turned, mirrored and shifted are told, in all cases or in some; those that fit are not."""

from collections.abc import Callable

import numpy as np
import pytest

from understudy.core.cohort import Cohort
from understudy.core.statistics import by_subject
from understudy.data.checks.placement import Placement, all_wrong, misplaced, placements, scores, some_wrong

Remade = Callable[..., Cohort]


def found(cohort: Cohort) -> list[str]:
    labels = np.asarray(cohort.labels)
    return [notice.sentence for notice in misplaced(cohort, [r for r in range(len(cohort)) if labels[r].any()])]


def test_the_phantom_is_sound(phantom: Cohort) -> None:
    assert found(phantom) == []


@pytest.mark.parametrize(("change", "words"), [
    (lambda labels: labels[:, :, ::-1], "mirrored left to right"),
    (lambda labels: labels[:, ::-1], "mirrored top to bottom"),
    (lambda labels: labels[:, ::-1, ::-1], "turned by 180 degrees"),
    (lambda labels: labels.swapaxes(1, 2), "transposed"),
    (lambda labels: np.rot90(labels, 1, (1, 2)), "turned by 90 degrees clockwise"),
    (lambda labels: np.rot90(labels, -1, (1, 2)), "turned by 90 degrees anticlockwise"),
    (lambda labels: np.roll(labels, 2, 2), "shifted by 2 px left"),
    (lambda labels: np.roll(labels, (-2, 1), (1, 2)), "shifted by 2 px down and 1 px left"),
])  # fmt: skip
def test_all_are_wrong(phantom: Cohort, remade: Remade, change: Callable[[np.ndarray], np.ndarray], words: str) -> None:
    (sentence,) = found(remade(labels=np.ascontiguousarray(change(np.asarray(phantom.labels)))))
    assert sentence.startswith(f"the label maps fit their images better {words}, in ")


def test_some_are_wrong(phantom: Cohort, remade: Remade) -> None:
    labels = np.array(phantom.labels)
    labels[::3] = labels[::3, :, ::-1]
    (sentence,) = found(remade(labels=labels))
    assert "clearly better mirrored left to right, where chance gives about 0" in sentence


def test_labels_that_explain_nothing_are_not_judged(phantom: Cohort, remade: Remade) -> None:
    random = np.random.default_rng(0)
    images = random.normal(0.5, 0.1, np.shape(phantom.images)).astype(np.float32)
    assert found(remade(images)) == []
    labels = np.roll(np.asarray(phantom.labels), 1, 0)  # of other cases
    assert found(remade(labels=labels)) == []


def test_placements_that_keep_the_size() -> None:
    assert len(placements((32, 32))) == 8 + 48
    assert len(placements((32, 24))) == 4 + 48
    assert len(placements((16, 32, 32))) == 16 + 3 * 26
    assert placements((9, 9))[0] == Placement((0, 1), (1, 1), (0, 0))
    turns = [place for place in placements((9, 9)) if place.is_turn]
    assert len({place.words for place in turns[1:]}) == 7
    solid = Placement((0, 2, 1), (1, -1, 1), (0, 0, 0))
    assert solid.words == "with axes in the order 1, 3, 2 and mirrored along axis 2"
    assert Placement((0, 1, 2), (1, 1, 1), (2, 0, -2)).words == "shifted by (2, 0, -2) voxels"


def test_the_score_is_highest_where_the_map_belongs_in_3d() -> None:
    image, labels = np.zeros((1, 20, 24, 24), np.float32), np.zeros((20, 24, 24), np.uint8)
    image[0, 4:9, 6:14, 3:7] = 1
    labels[4:9, 6:14, 3:7] = 2
    places = placements(labels.shape)
    told = scores(image, labels, places)
    assert told[0] == pytest.approx(1, abs=0.01)
    assert (told[1:] < 0.9).all()
    mirrored = scores(image, np.ascontiguousarray(labels[:, :, ::-1]), places)
    assert places[int(mirrored.argmax())].words == "mirrored along axis 3"


def test_few_pixels_explain_nothing_by_chance() -> None:
    random = np.random.default_rng(1)
    labels = np.zeros((24, 24), np.uint8)
    labels[0:3, 0:3] = 1
    told = [scores(random.normal(size=(2, 24, 24)), labels, placements((24, 24))) for _ in range(40)]
    assert np.mean(told) < 0.03


def test_rules_ask_for_subjects() -> None:
    subjects = by_subject(np.arange(40) // 2)
    better = np.tile([0.1, 0.3] + [0.05] * 50, (40, 1))
    assert all_wrong(better, subjects) == 1
    assert all_wrong(better[:20], by_subject(np.arange(20) // 2)) == 0  # ten subjects
    assert all_wrong(better / 3, subjects) == 0  # explains little
    some = np.tile([0.3, 0.1, 0.05, 0.05], (40, 1))
    some[:9, :2] = 0.1, 0.3
    assert some_wrong(some, subjects) == (1, 9, 0)
    assert some_wrong(some, by_subject(np.r_[np.zeros(9, int), np.arange(31)])) == (0, 0, 0)  # of one subject
    some[9:12, [0, 2]] = 0.1, 0.3
    assert some_wrong(some, subjects) == (0, 0, 0)

"""Places: a step, a relative place, and all places against trying each."""

import itertools

import numpy as np
import pytest

from understudy.core.errors import UsageError
from understudy.synthesis.editing.lesions import CannotBeMet, Lesion, refuse_misplaced
from understudy.synthesis.editing.placement import (
    anywhere,
    body_box,
    centred_at,
    nearest,
    places,
    relative_place,
    translated,
)


def bumpy(shape: tuple[int, ...], seed: int) -> Lesion:
    classes = (np.random.default_rng(seed).random(shape) > 0.4).astype(np.uint8) * 3
    return Lesion.of(classes, (0,) * len(shape), (1.0,) * len(shape))


@pytest.mark.parametrize(("shape", "side"), [((11, 13), (3, 4)), ((5, 6, 7), (2, 3, 2))])
def test_all_places_are_those_that_trying_finds(shape: tuple[int, ...], side: tuple[int, ...]) -> None:
    for seed in range(5):
        lesion = bumpy(side, seed)
        allowed = np.random.default_rng(seed + 100).random(shape) > 0.12
        tried = []
        for corner in itertools.product(*(range(n - s + 1) for n, s in zip(shape, lesion.classes.shape, strict=True))):
            try:
                refuse_misplaced(lesion.translated_by(np.array(corner) - lesion.corner), allowed)
                tried.append(corner)
            except CannotBeMet:
                continue
        assert [tuple(c) for c in places(lesion, allowed).tolist()] == tried and tried


def test_a_random_place_is_any_of_them() -> None:
    lesion, allowed = bumpy((3, 4), 0), np.random.default_rng(7).random((11, 13)) > 0.1
    found = {anywhere(np.random.default_rng(seed))(lesion, allowed).corner for seed in range(200)}
    assert found == {tuple(c) for c in places(lesion, allowed).tolist()}
    again = [anywhere(np.random.default_rng(5))(lesion, allowed).corner for _ in range(2)]
    assert again[0] == again[1]
    for none in (np.zeros((11, 13), bool), np.ones((2, 13), bool)):
        with pytest.raises(CannotBeMet, match="no place"):
            anywhere(np.random.default_rng(0))(lesion, none)


def test_the_nearest_place_in_mm() -> None:
    lesion = Lesion(np.ones((2, 2), np.uint8), (4, 4), (3.0, 1.0))
    everywhere = np.ones((12, 12), bool)
    assert nearest(lesion, everywhere).corner == (4, 4)
    far = everywhere.copy()
    far[5] = False  # one row up is 3 mm, two down are 6 mm
    assert nearest(lesion, far).corner == (3, 4)
    far[3:6, :7] = False  # one up and three aside are 4.2 mm, two down still 6 mm
    assert nearest(lesion, far).corner == (3, 7)
    with pytest.raises(CannotBeMet, match="no place"):
        nearest(lesion, np.zeros((12, 12), bool))


def test_a_step_in_voxels_and_mm() -> None:
    lesion = Lesion(np.ones((2, 2, 2), np.uint8), (5, 5, 5), (3.0, 1.0, 0.5))
    assert translated(lesion, (1, -2, 0)).corner == (6, 3, 5)
    assert translated(lesion, (3, -2, 2), "mm").corner == (6, 3, 9)
    with pytest.raises(UsageError, match="names 3 axes"):
        translated(lesion, (1, 2))
    with pytest.raises(UsageError, match="names 3 axes"):
        centred_at((1, 2))(lesion, np.ones((9, 9, 9), bool))
    assert np.abs(centred_at((2, 3, 4))(lesion, np.ones((9, 9, 9), bool)).centroid - (2, 3, 4)).max() <= 0.5


def test_the_same_relative_place() -> None:
    small, large = np.zeros((20, 20), np.uint8), np.zeros((50, 50), np.uint8)
    small[5:15, 5:15], large[10:30, 20:50] = 1, 1
    small[7:9, 12:14] = 3
    place = relative_place(np.array([7.5, 12.5]), body_box(small, (3,)), body_box(large, (3,)))
    assert place == pytest.approx([9.5 + 0.3 * 20, 19.5 + 0.8 * 30])
    lone = np.zeros((20, 20), np.uint8)
    lone[7:9, 12:14] = 3
    assert [edge.tolist() for edge in body_box(lone, (3,))] == [[-0.5, -0.5], [19.5, 19.5]]  # no anatomy: the image

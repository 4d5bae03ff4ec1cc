"""Shapes: discs and boxes whose result is known, volumes of every class, room, connection."""

import numpy as np
import pytest
from scipy import ndimage

from understudy.core.errors import UsageError
from understudy.synthesis.editing.lesions import CannotBeMet, Lesion
from understudy.synthesis.editing.shapes import deformed, grown, nearest, respaced, rotated, shrunk, signed_distance


def ball(radii: dict[int, float], shape: tuple[int, ...], spacing: tuple[float, ...]) -> Lesion:
    middle = (np.array(shape) - 1) / 2
    upright = (-1, *[1] * len(shape))
    far = np.sqrt((((np.indices(shape) - middle.reshape(upright)) * np.array(spacing).reshape(upright)) ** 2).sum(0))
    classes = np.zeros(shape, np.uint8)
    for k, radius in radii.items():
        classes[far < radius] = k
    return Lesion.of(classes, (0,) * len(shape), spacing)


def test_signed_distance_counts_mm_from_the_other_kind() -> None:
    mask = np.zeros((5, 7), bool)
    mask[1:4, 2:5] = True
    phi = signed_distance(mask, (2.0, 1.0))
    assert phi[2, 3] == -2 and phi[1, 3] == -2 and phi[2, 2] == -1 and phi[2, 0] == 2 and phi[0, 3] == 2
    assert (signed_distance(np.ones((3, 3), bool), (1.0, 1.0)) < 0).all()  # beside the array is outside


def test_ties_are_broken_roundly_and_to_the_voxel() -> None:
    phi = signed_distance(np.pad(np.ones((1, 1), bool), 6), (1.0, 1.0))
    for count in range(1, 60):
        chosen = nearest(phi, count, np.ones_like(phi, bool))
        assert (
            chosen.sum() == count and np.sqrt(((np.argwhere(chosen) - 6) ** 2).sum(1).mean()) < 0.5 * count**0.5 + 0.5
        )


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (2.0, 1.0, 1.0)])
@pytest.mark.parametrize("factor", [0.3, 0.5, 2.0, 3.0])
def test_a_grown_ball_is_a_ball(spacing: tuple[float, ...], factor: float) -> None:
    shape = tuple(round(40 / s) for s in spacing)
    lesion = ball({3: 9, 4: 5}, shape, spacing)
    new = shrunk(lesion, factor) if factor < 1 else grown(lesion, factor, np.ones(shape, bool))
    for k in (3, 4):
        assert (new.classes == k).sum() == pytest.approx(factor * (lesion.classes == k).sum(), abs=2)
    same = ball({3: 9 * factor ** (1 / len(shape)), 4: 5 * factor ** (1 / len(shape))}, shape, spacing)
    differ = (new.on(shape) != same.on(shape)).sum()
    assert differ < 0.2 * same.voxels
    assert ((new.on(shape) > 0) | (lesion.on(shape) > 0)).sum() == max(new.voxels, lesion.voxels)  # one holds the other


def test_growth_keeps_to_its_room_and_connected() -> None:
    shape = (20, 30)
    lesion = Lesion.of(np.pad(np.full((4, 4), 3, np.uint8), ((8, 8), (8, 18))), (0, 0), (1.0, 1.0))
    allowed = np.zeros(shape, bool)
    allowed[4:16, 4:14] = True
    allowed[:, 15:] = True  # behind a wall
    new = grown(lesion, 7.0, allowed)
    assert new.voxels == 112 and allowed[new.on(shape) > 0].all() and (np.argwhere(new.on(shape))[:, 1] < 15).all()
    assert ndimage.label(new.mask)[1] == 1
    with pytest.raises(CannotBeMet, match="no room to grow.*16 voxels"):
        grown(lesion, 8.0, allowed)


def test_growth_along_a_corridor_needs_more_than_the_window() -> None:
    allowed = np.zeros((60, 9), bool)
    allowed[:, 4] = True
    lesion = Lesion(np.full((3, 1), 2, np.uint8), (0, 4), (1.0, 1.0))
    assert grown(lesion, 15, allowed).classes.shape == (45, 1)


def test_growth_does_not_leap_over_a_wall_to_where_it_could_walk() -> None:
    allowed = np.zeros((40, 9), bool)
    allowed[:, :3] = allowed[:, 6:] = allowed[37:] = True  # two corridors, joined at the far end
    lesion = Lesion(np.full((3, 3), 2, np.uint8), (0, 0), (1.0, 1.0))
    new = grown(lesion, 8, allowed)
    assert new.classes.shape == (24, 3) and new.voxels == 72


def test_the_window_changes_nothing() -> None:
    """Growth is tried near the lesion first; what is nearest may lie beyond, and not in the corner of that window."""
    lesion, allowed = Lesion(np.full((3, 3), 2, np.uint8), (15, 15), (1.0, 1.0)), np.zeros((40, 40), bool)
    allowed[15:, 15:18] = allowed[10:15, 10:15] = True  # a corridor, and a room at the corner
    new = grown(lesion, 5.2, allowed).on((40, 40)) > 0
    assert new[10:15, 10:15].sum() == 22 and new[23].sum() == 1 and new[18:23].sum() == 15


def test_a_bar_turns() -> None:
    bar = Lesion(np.repeat([[3, 3, 3, 3, 4, 4, 4, 4, 4]], 3, 0).astype(np.uint8), (10, 10), (1.0, 1.0))
    turned = rotated(bar, 90)  # from the first axis to the second: the end at high w comes to low d
    assert turned.classes.shape == (9, 3) and (turned.classes[:5] == 4).all() and (turned.classes[5:] == 3).all()
    assert np.array_equal(turned.centroid, bar.centroid)
    assert np.array_equal(rotated(rotated(bar, 90), -90).on((30, 30)), bar.on((30, 30)))
    diagonal = np.argwhere(rotated(bar, 45).classes)
    assert np.polyfit(diagonal[:, 0], diagonal[:, 1], 1)[0] < -0.5


def test_a_bar_turns_in_mm_about_each_axis() -> None:
    bar = Lesion(np.full((3, 3, 11), 5, np.uint8), (10, 10, 10), (4.0, 1.0, 1.0))  # 12 x 3 x 11 mm
    assert rotated(bar, 90, axis=0).classes.shape == (3, 11, 3)
    assert rotated(bar, 90, axis=1).classes.shape == (3, 3, 11)
    assert rotated(bar, 90, axis=2).classes.shape == (1, 9, 11)
    with pytest.raises(UsageError, match="found 3"):
        rotated(bar, 10, axis=3)


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (3.0, 1.0, 1.0)])
@pytest.mark.parametrize("strength", [0.1, 0.3, 0.8])
def test_a_deformed_ball_stays_whole(spacing: tuple[float, ...], strength: float) -> None:
    lesion = ball({3: 9, 4: 5}, tuple(round(40 / s) for s in spacing), spacing)
    overlaps = []
    for seed in range(4):
        new = deformed(lesion, strength, np.random.default_rng(seed))
        assert [(new.classes == k).sum() for k in (3, 4)] == [(lesion.classes == k).sum() for k in (3, 4)]
        assert np.abs(new.centroid - lesion.centroid).max() <= 0.5
        assert ndimage.label(new.mask, np.ones((3,) * len(spacing)))[1] == 1
        wide = tuple(2 * n for n in lesion.padded((20,) * len(spacing)).classes.shape)
        both = [one.translated_by((20,) * len(spacing)).on(wide) > 0 for one in (lesion, new)]
        overlaps.append((both[0] & both[1]).sum() / lesion.voxels)
    assert max(overlaps) < 1 and {0.1: 0.85, 0.3: 0.65, 0.8: 0.2}[strength] < min(overlaps)
    again = deformed(lesion, strength, np.random.default_rng(0))
    assert np.array_equal(again.classes, deformed(lesion, strength, np.random.default_rng(0)).classes)
    with pytest.raises(UsageError, match="found 1.5"):
        deformed(lesion, 1.5, np.random.default_rng(0))


def test_other_voxels_same_millimetres() -> None:
    lesion = ball({3: 9, 4: 5}, (40, 40), (1.0, 1.0))
    other = respaced(lesion, (2.0, 0.5))
    assert other.voxels == lesion.voxels and other.spacing == (2.0, 0.5)
    assert np.abs(np.array(other.classes.shape) * (2.0, 0.5) - np.array(lesion.classes.shape)).max() <= 2
    assert respaced(lesion, (1.0, 1.0)) is lesion
    assert respaced(lesion, (2.0, 2.0)).voxels == pytest.approx(lesion.voxels / 4, abs=1)

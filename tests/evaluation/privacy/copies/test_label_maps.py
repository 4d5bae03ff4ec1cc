"""Label maps moved, and as good as equal; shapes are the same in any place, size and turn, and people's differ."""

import itertools

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor

from understudy.evaluation.privacy.copies import label_maps
from understudy.evaluation.privacy.copies.cases import ratio
from understudy.evaluation.privacy.copies.label_maps import (
    MapDetector,
    RealMaps,
    foregrounds,
    overlap,
    poses,
    shifted,
    similar_maps,
    small_maps,
    windows,
    without_small_components,
)


def likeness(a: np.ndarray, b: np.ndarray) -> float:
    """The highest r of a in any pose with b as it lies."""
    turns = poses(a.ndim)
    as_it_lies = next(windows(b[None], turns[:1]))
    return max(float(seen[0] @ as_it_lies[0]) for seen in windows(a[None], turns))


def comma(side: int = 64) -> np.ndarray:
    """A disc with a tail: no symmetry."""
    y, x = np.mgrid[:side, :side].astype(float)
    body = (y - 30) ** 2 + (x - 30) ** 2 < 81
    tail = ((y - 36) ** 2 / 9 + (x - 40) ** 2 / 100 < 1) & (x > 30)
    return (body | tail).astype(np.uint8)


def club() -> np.ndarray:
    """A volume: a ball with a bar, and a second class within it."""
    z, y, x = np.mgrid[:32, :48, :32].astype(float)
    map_ = ((z - 14) ** 2 + (y - 20) ** 2 + (x - 15) ** 2 < 49).astype(np.uint8)
    map_[(abs(z - 16) < 3) & (abs(y - 28) < 9) & (abs(x - 17) < 2)] = 2
    return map_


def test_poses_are_distinct_turns_and_the_first_is_none() -> None:
    for dims, n in ((2, 72), (3, 8 * 13)):
        found = poses(dims)
        assert found.shape == (n, dims, dims) and torch.equal(found[0], torch.eye(dims))
        torch.testing.assert_close(found @ found.mT, torch.eye(dims).expand(n, dims, dims), atol=1e-6, rtol=0)
        assert len(torch.unique(found.round(decimals=4), dim=0)) == n


@pytest.mark.parametrize("turn", [0, 20, 90, 130, 180, 270])
def test_place_size_turn_mirror_and_number_of_the_class_count_for_nothing(turn: int) -> None:
    original = comma()
    assert likeness(original, original) == pytest.approx(1, abs=1e-5)
    turned = ndimage.rotate(original, turn, reshape=False, order=0)
    assert likeness(turned, original) > 0.98
    assert likeness(turned[:, ::-1], original) > 0.98
    assert likeness(np.roll(turned, (7, -9), (0, 1)) * 3, original) > 0.98
    assert likeness(1 - turned, original) > 0.98  # the background is the largest part, whatever its number
    assert likeness(ndimage.zoom(original, 1.4, order=0), original) > 0.97


def test_sides_of_different_lengths_and_other_sizes_of_the_image() -> None:
    wide = np.pad(comma(), ((3, 0), (10, 40)))
    assert likeness(wide, comma()) > 0.999
    volume = club()
    assert likeness(volume, volume) == pytest.approx(1, abs=1e-5)
    assert likeness(volume[::-1, :, ::-1], volume) > 0.999
    assert likeness(ndimage.rotate(volume, 10, (0, 2), reshape=False, order=0), volume) > 0.97
    assert likeness(np.where(volume > 0, 1, 0).astype(np.uint8), volume) > 0.999  # one class in the place of two


def test_other_shapes_are_less_alike_and_specks_are_nothing() -> None:
    y, x = np.mgrid[:64, :64].astype(float)
    bar, original = ((abs(y - 30) < 4) & (abs(x - 30) < 15)).astype(np.uint8), comma()
    assert likeness(bar, original) < 0.8
    speckled = original.copy()
    speckled[5, 5] = speckled[60, 9] = speckled[50, 60] = 1
    assert likeness(speckled, original) > 0.999


def test_what_shows_too_little_is_like_nothing() -> None:
    few = np.zeros((64, 64), np.uint8)
    few[10:13, 10:15] = 1  # 15 voxels
    for map_ in (few, np.zeros_like(few)):
        assert next(windows(map_[None], poses(2)[:1])).abs().max() == 0
    few[13, 10] = 1
    assert next(windows(few[None], poses(2)[:1])).norm() == pytest.approx(1)


def square(top: int, left: int, side: int = 8, value: int = 1) -> Tensor:
    made = torch.zeros(32, 32, dtype=torch.int64)
    made[top : top + side, left : left + side] = value
    return made


EMPTY = torch.zeros(32, 32, dtype=torch.int64)
STRANGER = torch.tensor([-1])


def test_overlap_by_hand() -> None:
    queries = torch.stack([square(0, 0), square(0, 0, 8, 2), EMPTY])
    targets = torch.stack([square(0, 6), square(0, 0, 16), EMPTY])
    # shifted by three pixels, the first is three aside; another class is no overlap
    expected = [[2 * 8 * 5 / 128, 2 * 64 / 320, 0], [0, 0, 0], [0, 0, 0]]
    assert overlap(queries, targets).tolist() == [pytest.approx(row) for row in expected]


def test_all_classes_count_together_and_move_together() -> None:
    both, apart = square(0, 0) + square(16, 16, 4, 2), square(2, 2) + square(14, 14, 4, 2)
    assert float(overlap(both[None], square(0, 0)[None])) == pytest.approx(2 * 64 / (80 + 64))
    assert float(overlap(both[None], both[None])) == 1
    assert float(overlap(both[None], apart[None])) == pytest.approx(2 * 64 / 160)


def test_what_leaves_the_image_does_not_come_in_again() -> None:
    assert torch.equal(shifted(square(30, 0, 2)[None], (3, 0)), EMPTY[None])
    assert torch.equal(shifted(square(0, 28, 4)[None], (0, -2)), square(0, 26, 4)[None])
    assert torch.equal(shifted(square(5, 28, 4)[None], (-1, 2))[0, 4:8, 30:], torch.ones(4, 2, dtype=torch.int64))


def test_flipped_maps_are_found_and_the_own_subject_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    bent = square(3, 2) + square(11, 2, 4)  # like itself in no flip
    targets = torch.stack([bent, bent, square(20, 10), square(14, 17)])
    subjects, queries = torch.tensor([0, 1, 1, 2]), torch.stack([bent.flip(1), square(20, 12), bent.flip(0, 1)])
    monkeypatch.setattr(label_maps, "MAP_BLOCK", 1)
    near = similar_maps(queries, targets, subjects, torch.tensor([-1, 1, 0]))
    assert near.case.tolist() == [0, 3, 1]
    assert near.first == pytest.approx([1, 2 * 5 * 6 / 128, 1])
    assert near.score[0] == ratio(np.ones(1), np.ones(1))[0]  # the same map of another subject


@pytest.mark.parametrize("flip", [(), (0, 2)])
def test_volumes_shifted_and_flipped_are_found(flip: tuple[int, ...]) -> None:
    blobs = torch.zeros(3, 20, 20, 20, dtype=torch.int64)
    for one, (depth, height, width) in zip(blobs, ((7, 4, 5), (4, 7, 5), (5, 5, 8)), strict=True):
        one[5 : 5 + depth, 6 : 6 + height, 7 : 7 + width] = 1
        one[5 + depth, 6:8, 7:9] = 2
    query = torch.roll(blobs[1], (1, -2, 2), (0, 1, 2)).flip(flip)
    near = similar_maps(query[None], blobs, torch.arange(3), STRANGER)
    assert near.case.tolist() == [1] and near.first == pytest.approx([1])
    assert near.score[0] > ratio(np.ones(1), np.full(1, 0.8))[0]


def test_small_components_count_for_nothing() -> None:
    labels = (square(3, 2) + square(20, 20, 2) + square(27, 3, 1, 2)).numpy()
    labels[12:15, 12:15] = 1  # more than a tenth of the largest
    kept = without_small_components(labels)
    assert np.array_equal(np.argwhere(kept != labels), np.argwhere(square(20, 20, 2).numpy()))
    assert kept[27, 3] == 2  # the largest of its class
    assert np.array_equal(without_small_components(EMPTY.numpy()), EMPTY.numpy())


def test_maps_are_read_at_32_pixels() -> None:
    labels = np.random.default_rng(0).integers(0, 2, (4, 8, 8)).astype(np.uint8)
    maps = small_maps(labels, np.array([3, 1]))
    expected = [without_small_components(labels[i]) for i in (3, 1)]
    assert np.array_equal(maps.numpy(), np.stack(expected).repeat(4, 1).repeat(4, 2))


FEWEST = 64


def irregular_maps(n: int, seed: int, shape: tuple[int, ...] = (32, 32)) -> np.ndarray:
    """Return irregular label maps of two classes around the middle, with background on all sides."""
    noise = np.random.default_rng(seed).normal(size=(n, *shape))
    smooth = ndimage.gaussian_filter(noise, (0, *[2] * len(shape)))
    smooth /= smooth.std()
    found = (smooth > 0.3).astype(np.uint8) + (smooth > 1.2).astype(np.uint8)
    edges = tuple(slice(6, -6) for _ in shape)
    kept = np.zeros_like(found)
    kept[(slice(None), *edges)] = found[(slice(None), *edges)]
    return kept


@pytest.mark.parametrize("shape", [(32, 32), (32, 48), (20, 24, 24)])
def test_a_real_map_in_any_place_and_way_is_found(shape: tuple[int, ...]) -> None:
    real, rng = irregular_maps(6, 0, shape), np.random.default_rng(1)
    found, dims = RealMaps(real, FEWEST), len(shape)
    one = real[4]
    assert int((one > 0).sum()) >= FEWEST and (found.copied(irregular_maps(40, 2, shape)) < 0).all()
    changed = one.copy()
    changed.flat[np.flatnonzero(one)[0]] = 0
    other_class = np.where((np.arange(one.size) == np.flatnonzero(one)[9]).reshape(shape), 3 - one, one).astype(
        np.uint8
    )
    attacks = [
        one,
        changed,
        other_class,
        np.flip(one, -1),
        np.flip(one),
        np.roll(one, rng.integers(-5, 6, dims), range(dims)),
    ]
    attacks += [np.roll(np.flip(changed, -2), 3, -1)]
    if shape[-1] == shape[-2]:
        attacks += [np.rot90(changed, k, (-2, -1)) for k in (1, 2, 3)]
    speckled = one.copy()  # more than 3 % of the foreground, and small beside the largest components
    for corner in itertools.product((slice(0, 2), slice(-2, None)), repeat=dims):
        speckled[corner] = 1
    assert (speckled > 0).sum() > 1.03 * (one > 0).sum()
    attacks += [speckled]
    assert found.copied(np.stack([*attacks, *irregular_maps(3, 5, shape)])).tolist() == [4] * len(attacks) + [-1] * 3


def test_more_than_a_few_voxels_or_few_voxels_at_all_do_not_count() -> None:
    real = irregular_maps(6, 0)
    n = int((real[0] > 0).sum())
    less = real[0].copy()
    less.flat[np.flatnonzero(real[0])[: n // 10]] = 0
    found = RealMaps(real, FEWEST)
    assert found.copied(less[None]).tolist() == [-1]
    assert RealMaps(real, n + 1).copied(real[:1]).tolist() == [-1]
    assert found.copied(np.zeros((2, 32, 32), np.uint8)).tolist() == [-1, -1]
    assert (RealMaps(real[:0], FEWEST).copied(real) < 0).all() and (found.copied(real[:, :16]) < 0).all()


@pytest.mark.parametrize("shape", [(32, 32), (24, 24, 24), (20, 24, 24)])
def test_classes_and_axes_that_were_exchanged_hide_no_copy(shape: tuple[int, ...]) -> None:
    real = irregular_maps(6, 0, shape)
    found, case = RealMaps(real, 32), 3 if len(shape) == 2 else 4
    one = real[case]
    becomes = ([0, 2, 1], [0, 1, 1], [0, 1, 0], [0, 0, 1], [2, 1, 0], [1, 0, 2], [7, 9, 8])
    copies = [np.array(to, np.uint8)[one] for to in becomes]
    copies += [np.flip(copy, 0) for copy in copies]
    orders = [
        o for o in itertools.permutations(range(len(shape))) if all(shape[b] == shape[a] for a, b in enumerate(o))
    ]
    copies += [copy.transpose(order) for order in orders for copy in copies[:1]]
    assert found.copied(np.stack(copies)).tolist() == [case] * len(copies)
    others = irregular_maps(40, 2, shape)
    assert (found.copied(np.array([2, 1, 0], np.uint8)[others]) < 0).all()


def test_a_region_that_fills_the_image_is_no_evidence() -> None:
    full = np.ones((2, 32, 32), np.uint8)
    full[:, :2, :20] = 0
    assert (RealMaps(full, FEWEST).copied(full) < 0).all()


def test_foregrounds_are_all_but_the_largest_part() -> None:
    both = square(0, 0) + square(16, 16, 4, 2)
    exchanged = torch.tensor([2, 0, 1])[both]
    assert torch.equal(foregrounds(torch.stack([both, exchanged])), (both > 0).long().expand(2, -1, -1))


def test_the_detector_flags_moved_maps_by_the_foreground_too_and_leaves_the_own_subject_out() -> None:
    maps, subjects = irregular_maps(60, 3), np.arange(60)
    detector = MapDetector(maps, np.arange(20), np.arange(60), subjects, "", 0.05, 100, 0)
    assert detector.decision.threshold.reference.n_subjects == 60  # a training case is compared with the others
    shown = np.stack([np.roll(maps[4], 2, 0), np.array([0, 2, 1], np.uint8)[maps[7]], *irregular_maps(20, 4)])
    found = detector.decide(shown, np.arange(22), np.full(22, -1))
    assert found.case[:2].tolist() == [4, 7] and found.flagged[:2].all() and found.flagged[2:].sum() <= 3
    equal = np.full(22, -1)
    equal[9] = 11
    found = detector.decide(shown, np.arange(22), equal)
    assert found.flagged[9] and found.case[9] == 11

"""Lesions about their own centre, by hand; pasted lesions are found; label maps moved, and as good as equal."""

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from understudy.core.cohort import Cohort
from understudy.evaluation.privacy.copies import lesions
from understudy.evaluation.privacy.copies.cases import SmallCases, ratio
from understudy.evaluation.privacy.copies.lesions import (
    WINDOWS,
    Lesions,
    RealMaps,
    foregrounds,
    lesions_of,
    likeness,
    overlap,
    shifted,
    similar_lesions,
    similar_maps,
    small_maps,
    without_small_components,
)

WINDOW = WINDOWS[2]


def with_blobs(cases: SmallCases, seed: int, radius: float = 6) -> SmallCases:
    """Give each case one lesion of its own outline and place."""
    draw, y, x = np.random.default_rng(seed), *np.mgrid[:64, :64]
    maps = []
    for _ in range(len(cases)):
        row, column = draw.integers(20, 44, 2)
        angle, swing = np.arctan2(y - row, x - column), draw.uniform(-0.2, 0.2, (3, 2))
        edge = radius * (1 + sum(a * np.sin(k * angle) + b * np.cos(k * angle) for k, (a, b) in enumerate(swing, 2)))
        maps.append(np.hypot(y - row, x - column) <= edge)
    return SmallCases(cases.images, torch.from_numpy(np.array(maps)).long(), cases.subjects)


def square_lesion(side: int, values: Tensor) -> Lesions:
    mask, image = torch.zeros(WINDOW, WINDOW), torch.zeros(WINDOW, WINDOW)
    mask[10 : 10 + side, 10 : 10 + side] = 1
    image[:] = values
    return Lesions(torch.zeros(1, dtype=torch.int64), mask.view(1, -1), image.view(1, 1, -1))


def test_likeness_by_hand() -> None:
    draw = torch.Generator().manual_seed(0)
    a, b = torch.rand((2, WINDOW, WINDOW), generator=draw)
    query, target = square_lesion(6, a), square_lesion(8, a + 0.5 * b)
    inside = (slice(10, 16), slice(10, 16))
    r = np.corrcoef(a[inside].flatten().numpy(), (a + 0.5 * b)[inside].flatten().numpy())[0, 1]
    assert float(likeness(query, target)) == pytest.approx(2 * 36 / (36 + 64) * r, abs=1e-5)
    assert float(likeness(query, square_lesion(6, 3 * a - 1))) == pytest.approx(1, abs=1e-5)  # gain and offset
    assert float(likeness(query, square_lesion(6, -a))) == 0
    assert float(likeness(query, square_lesion(6, torch.full_like(a, 0.5)))) == pytest.approx(0, abs=1e-3)


def test_lesions_are_parts_of_a_lesions_size_about_their_centre() -> None:
    images, labels = torch.rand(2, 3, 64, 64), torch.zeros(2, 64, 64, dtype=torch.int64)
    labels[0, 30:36, 5:11] = 1  # a lesion
    labels[0, 50:54, 50:54] = 1  # tiny
    labels[0, 10:16, 40:46] = 2  # another class
    labels[1, 20:50, 20:50] = 3  # most of the image
    found = lesions_of(SmallCases(images, labels, torch.arange(2)))
    assert found.case.tolist() == [0, 0]
    assert found.mask.sum(1).tolist() == [36, 36]
    row, column = 32, 8  # the centre lies at 32.5, 7.5; rounded to even
    half = WINDOW // 2
    expected = torch.nn.functional.pad(images[:1], (half,) * 4, mode="replicate")[0]
    expected = expected[:, row : row + WINDOW, column : column + WINDOW]
    assert torch.equal(found.images[0].view(3, WINDOW, WINDOW), expected)
    assert found.mask[0].view(WINDOW, WINDOW)[half - 2 : half + 4, half - 3 : half + 3].sum() == 36


def test_a_lesion_pasted_into_another_brain_is_found(fields, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    training, hosts = with_blobs(fields(15, 0, cases=2), 0), with_blobs(fields(6, 1, first=100), 1)
    assert training.labels is not None and hosts.labels is not None
    images, labels = hosts.images.clone(), hosts.labels.clone()
    for host, mirror in ((2, False), (4, True)):
        mask, image = (torch.roll(x[9], (5, -4), (-2, -1)) for x in (training.labels, training.images))
        mask, image = (x.flip(-1) if mirror else x for x in (mask, image))
        images[host], labels[host] = torch.where(mask > 0, image, images[host]), mask
    queries = SmallCases(images, labels, torch.full((6,), -1))
    near = similar_lesions(queries, training, queries.subjects)
    assert near.case[[2, 4]].tolist() == [9, 9]
    assert near.first[[2, 4]] == pytest.approx([1, 1], abs=1e-3)
    others = [0, 1, 3, 5]
    assert near.first[others].max() < 0.9
    assert near.score[[2, 4]].min() > near.score[others].max() + 1
    own = similar_lesions(queries, training, torch.full((6,), 4))  # case 9 is of subject 4
    assert own.first.max() < 0.9
    assert not np.isin(own.case, [8, 9]).any()
    monkeypatch.setattr(lesions, "BLOCK", 2)
    assert similar_lesions(queries, training, queries.subjects).score == pytest.approx(near.score, abs=1e-5)


def test_the_lesion_that_lies_nearest_speaks_for_its_case(fields) -> None:  # type: ignore[no-untyped-def]
    training = with_blobs(fields(10, 0), 0)
    assert training.labels is not None
    images, labels = training.images[[3]].clone(), training.labels[[3]].clone()
    labels[0, 2:9, 2:9] = 2  # a lesion of nobody, that comes first
    near = similar_lesions(SmallCases(images, labels, torch.tensor([-1])), training, torch.tensor([-1]))
    assert near.case.tolist() == [3]
    assert near.first == pytest.approx([1], abs=1e-3)


def test_without_lesions_a_case_is_near_to_no_one(fields) -> None:  # type: ignore[no-untyped-def]
    training = with_blobs(fields(5, 0), 0)
    assert training.labels is not None
    bare = SmallCases(training.images, torch.zeros_like(training.labels), training.subjects)
    for queries, targets in ((bare, training), (training, bare), (bare, bare)):
        near = similar_lesions(queries, targets, torch.full((5,), -1))
        assert near.first.tolist() == [0] * 5 and (near.score == near.score[0]).all()


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
    monkeypatch.setattr(lesions, "MAP_BLOCK", 1)
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


def test_maps_are_read_at_32_pixels(write: Callable[..., Path]) -> None:
    images = np.random.default_rng(0).integers(0, 256, (4, 2, 8, 8)).astype(np.uint8)
    cohort = Cohort.open(write("maps", images))
    maps = small_maps(cohort, np.array([3, 1]))
    expected = [without_small_components((images[i, 0] > 128).astype(np.uint8)) for i in (3, 1)]
    assert np.array_equal(maps.numpy(), np.stack(expected).repeat(4, 1).repeat(4, 2))


FEWEST = 64


def irregular_maps(n: int, seed: int, shape: tuple[int, ...] = (32, 32)) -> np.ndarray:
    """Return irregular label maps of two classes around the middle, with background on all sides."""
    noise = np.random.default_rng(seed).normal(size=(n, *shape))
    smooth = gaussian_filter(noise, (0, *[2] * len(shape)))
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


def test_a_lesion_pasted_into_another_volume_is_found(fields: Callable[..., SmallCases]) -> None:
    draw, grid = np.random.default_rng(0), np.stack(np.meshgrid(*[np.arange(32)] * 3, indexing="ij"))

    def blobs(cases: SmallCases) -> SmallCases:
        centres, radii = draw.integers(13, 19, (len(cases), 3)), draw.uniform(3, 5, (len(cases), 3))
        away = [
            ((grid - c.reshape(3, 1, 1, 1)) / r.reshape(3, 1, 1, 1)) ** 2 for c, r in zip(centres, radii, strict=True)
        ]
        return SmallCases(cases.images, torch.from_numpy(np.stack(away).sum(1) <= 1).long(), cases.subjects)

    training, hosts = blobs(fields(9, 0, dims=3)), blobs(fields(4, 1, first=100, dims=3))
    assert training.labels is not None and hosts.labels is not None
    images, labels = hosts.images.clone(), hosts.labels.clone()
    for host, mirror in ((1, False), (2, True)):
        mask, image = (torch.roll(x[5], (2, -3, 2), (-3, -2, -1)) for x in (training.labels, training.images))
        mask, image = (x.flip(-1) if mirror else x for x in (mask, image))
        images[host], labels[host] = torch.where(mask > 0, image, images[host]), mask
    near = similar_lesions(SmallCases(images, labels, torch.full((4,), -1)), training, torch.full((4,), -1))
    assert near.case[1:3].tolist() == [5, 5]
    assert near.first[1:3].min() > 0.9 > near.first[[0, 3]].max()


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

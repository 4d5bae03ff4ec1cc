"""Lesions about their own centre, by hand; pasted lesions are found."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from understudy.evaluation.privacy.copies import lesions
from understudy.evaluation.privacy.copies.cases import SmallCases
from understudy.evaluation.privacy.copies.lesions import WINDOWS, Lesions, lesions_of, likeness, similar_lesions

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

"""Cases at 64 pixels: size, range, label maps, rows; nearest, second subject and score, by hand."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from understudy.core.cohort import Cohort
from understudy.evaluation.privacy.copies import cases
from understudy.evaluation.privacy.copies.cases import (
    SmallCases,
    exceeded_by_a_tenth,
    joined,
    local_contrast,
    nearest_two,
    ratio,
    resized,
    small_cases,
    without_subject,
)
from understudy.evaluation.privacy.copies.registration import blur, unit


def images(n: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, 2, 8, 8)).astype(np.uint8)


def test_rows_are_read_in_order_whatever_the_block(write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    stored = images(7)
    cohort, rows = Cohort.open(write("cases", stored)), np.array([5, 0, 6, 2, 1])
    whole = small_cases(cohort, rows, np.arange(10, 15))
    monkeypatch.setattr(cases, "BLOCK", 2)
    parts = small_cases(cohort, rows, np.arange(10, 15))
    assert len(whole) == 5
    assert whole.images.shape == (5, 2, 64, 64)
    assert whole.subjects.tolist() == [10, 11, 12, 13, 14]
    assert torch.equal(whole.images, parts.images)
    assert whole.labels is not None and parts.labels is not None
    assert torch.equal(whole.labels, parts.labels) and whole.labels.dtype == torch.uint8
    assert np.array_equal(whole.labels[:, 4::8, 4::8].numpy(), stored[rows, 0] > 128)
    assert whole.images[0, 0, 0, 0] == pytest.approx(stored[5, 0, 0, 0] / 127.5 - 1, abs=1e-5)
    assert whole.images.min() >= -1 and whole.images.max() <= 1
    assert (small_cases(cohort, rows).subjects == -1).all()


def test_without_label_maps_there_are_none(write: Callable[..., Path]) -> None:
    found = small_cases(Cohort.open(write("bare", images(3), scheme=None, label_source=None)), np.arange(3))
    assert found.labels is None
    assert found[1:].labels is None


def test_large_images_are_averaged() -> None:
    large = torch.rand(2, 1, 128, 128)
    expected = large.view(2, 1, 64, 2, 64, 2).mean((3, 5))
    assert torch.allclose(resized(large), expected, atol=1e-6)
    assert resized(large[..., :100, :]).shape == (2, 1, 64, 64)
    assert torch.equal(resized(large[..., :64, :64]), large[..., :64, :64])


def test_some_cases_are_taken_together() -> None:
    all_of_them = SmallCases(torch.rand(4, 1, 64, 64), torch.arange(4).view(4, 1, 1).expand(4, 64, 64), torch.arange(4))
    for rows in (np.array([2, 0]), torch.tensor([2, 0])):
        some = all_of_them[rows]
        assert some.labels is not None
        assert some.subjects.tolist() == some.labels[:, 0, 0].tolist() == [2, 0]
        assert torch.equal(some.images[1], all_of_them.images[0])
    assert all_of_them[1:3].subjects.tolist() == [1, 2]


SIMILARITY = torch.tensor([[0.9, 0.8, 0.3, 0.5], [0.2, 0.7, 0.7, 0.6]])
SUBJECTS = torch.tensor([4, 4, 7, 9])


def test_the_second_is_of_another_subject() -> None:
    near = nearest_two(SIMILARITY, SUBJECTS, torch.tensor([-1, -1]))
    assert near.case.tolist() == [0, 1]  # a tie goes to the lowest
    assert near.first == pytest.approx([0.9, 0.7])
    assert near.score == pytest.approx(ratio(np.array([0.9, 0.7]), np.array([0.5, 0.7])))


def test_the_own_subject_is_left_out() -> None:
    near = nearest_two(SIMILARITY, SUBJECTS, torch.tensor([4, 7]))
    assert near.case.tolist() == [3, 1]
    assert near.first == pytest.approx([0.5, 0.7])
    assert near.score == pytest.approx(ratio(np.array([0.5, 0.7]), np.array([0.3, 0.6])))


def test_score_by_hand() -> None:
    score = ratio(np.array([0.9, 1.0, 0.5, 2.0]), np.array([0.5, 0.0, -1.0, 0.0]))
    expected = [-np.log(0.11) + np.log(0.51) / 2, -np.log(0.01) + np.log(1.01) / 2, -np.log(0.51) + np.log(1.01) / 2]
    assert score == pytest.approx([*expected, expected[1]])


def test_what_is_near_to_everybody_scores_less_than_what_is_near_to_one() -> None:
    one, everybody = ratio(np.array([0.9, 0.9]), np.array([0.2, 0.9]))
    assert one > everybody + 0.5


def test_blocks_are_joined_in_order() -> None:
    near = nearest_two(SIMILARITY, SUBJECTS, torch.tensor([-1, -1]))
    both = joined([near[1:], near[np.array([0])]])
    assert both.case.tolist() == [1, 0]
    assert both.first == pytest.approx([0.7, 0.9])
    assert both.score == pytest.approx(near.score[[1, 0]])


def heads(n: int = 6, channels: int = 2, seed: int = 0) -> Tensor:
    """Return discs of random texture on a plain dark background."""
    texture = blur(torch.randn((n, channels, 64, 64), generator=torch.Generator().manual_seed(seed)), 1 / 24)
    at = (2 * torch.arange(64) + 1) / 64 - 1
    inside = (at[:, None].square() + at.square()).sqrt() < 0.7
    return torch.where(inside, 0.1 + texture / texture.std() / 5, torch.tensor(-0.9)).clamp(-1, 1)


def with_marker(x: Tensor) -> Tensor:
    shown = x.clone()
    shown[..., 5:8, 5:8] = 1
    return shown


def with_frame(x: Tensor) -> Tensor:
    shown = torch.ones_like(x)
    shown[..., 1:-1, 1:-1] = x[..., 1:-1, 1:-1]
    return shown


def with_offset(x: Tensor) -> Tensor:
    return torch.cat([x[:, :1] * 0.6 + 0.3, x[:, 1:]], 1)


def with_gamma(x: Tensor) -> Tensor:
    return ((x + 1) / 2) ** 1.5 * 2 - 1


def r(a: Tensor, b: Tensor) -> Tensor:
    return (unit(a) * unit(b)).sum(1)


@pytest.mark.parametrize(
    ("leave", "least"), [(with_marker, 0.9), (with_frame, 0.95), (with_offset, 0.99), (with_gamma, 0.95)]
)
def test_what_an_export_leaves_is_taken_away(leave: Callable[[Tensor], Tensor], least: float) -> None:
    images, others = heads(), heads(seed=1)
    assert r(local_contrast(leave(images)), local_contrast(images)).min() > least
    # two persons on whom it was left are no more alike than without it
    before = r(local_contrast(images), local_contrast(others))
    after = r(local_contrast(leave(images)), local_contrast(leave(others)))
    assert (after - before).max() < 0.12


def test_two_persons_are_less_alike_in_local_contrast() -> None:
    images, others = with_offset(heads()), with_offset(heads(seed=1))
    assert r(images, others).min() > r(local_contrast(images), local_contrast(others)).max()


def test_gain_is_taken_away_and_plain_images_stay_plain() -> None:
    images = heads()
    assert torch.allclose(local_contrast(images * 0.5 + 0.2), local_contrast(images), atol=0.05)
    assert torch.equal(
        local_contrast(torch.full((2, 1, 64, 64), 0.3)).abs() < 1e-3, torch.ones(2, 1, 64, 64, dtype=torch.bool)
    )
    assert local_contrast(images).abs().max() <= 1
    assert local_contrast(images[:0]).shape == (0, 2, 64, 64)


def test_volumes_are_brought_to_equal_sides_and_seen_in_local_contrast() -> None:
    large = torch.rand((2, 1, 64, 32, 32), generator=torch.Generator().manual_seed(0))
    assert torch.allclose(resized(large), large.view(2, 1, 32, 2, 32, 32).mean(3), atol=1e-6)
    assert resized(large[..., :20]).shape == (2, 1, 32, 32, 32)
    volumes = blur(resized(large), 1 / 32)
    shown = local_contrast(volumes)
    framed = volumes * 3 + 5  # gain and offset
    framed[..., 0], framed[..., :, 0, :], framed[..., -1] = 9, 9, 9
    assert (unit(local_contrast(framed)) * unit(shown)).sum(1).min() > 0.999
    assert shown.abs().max() <= 1 and local_contrast(torch.full((1, 1, 32, 32, 32), 0.3)).abs().max() < 1e-3


def test_long_axes_are_averaged_and_short_ones_interpolated() -> None:
    image = torch.zeros(1, 1, 24, 256, 256)
    image[..., ::8] = 1  # stripes, whose mean is 1/8 wherever eight columns are taken together
    small = resized(image)
    assert small.shape == (1, 1, 32, 32, 32) and small.min() == small.max() == 1 / 8


@pytest.mark.parametrize("n", [2, 3, 10, 11, 100, 4096])  # which decides on what side of two values the quantile lies
def test_the_quantile_is_numpys_bit_for_bit(n: int) -> None:
    values = np.random.default_rng(n).normal(size=(3, 5, n)).astype(np.float32)
    assert np.array_equal(exceeded_by_a_tenth(values), np.quantile(values, 0.9, axis=2))


def test_local_contrast_and_unit_rows_are_made_once() -> None:
    images = torch.rand(3, 2, 64, 64, generator=torch.Generator().manual_seed(0))
    found = without_subject(images)
    assert found.in_contrast is found.in_contrast
    assert torch.equal(found.in_contrast.images, local_contrast(images))
    rows = found.in_contrast.unit_rows
    assert rows is found.in_contrast.unit_rows
    assert torch.allclose(rows.norm(dim=1), torch.ones(3))

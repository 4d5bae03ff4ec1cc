"""Views, bank and histograms by hand; the sum of standard scores; copies among strangers in every view."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from understudy.evaluation.privacy.copies import likeness
from understudy.evaluation.privacy.copies.cases import SIDES
from understudy.evaluation.privacy.copies.likeness import (
    Targets,
    affine_bank,
    by_chance,
    candidates,
    combined,
    viewed,
    views,
)
from understudy.evaluation.privacy.copies.registration import affine_maps, apply_affine, blur, random_warp, unit
from understudy.evaluation.privacy.copies.transforms import turns

STRANGE = torch.full((6,), -1)


def edged(n: int, seed: int = 0, channels: int = 1, dims: int = 2) -> Tensor:
    shape = (n, channels, *[SIDES[dims]] * dims)
    drawn = blur(torch.randn(shape, generator=torch.Generator().manual_seed(seed)), 1 / 24)
    return drawn / drawn.std() / 3


def targets(images: Tensor, encoder: nn.Module | None = None, known: Tensor | None = None) -> Targets:
    everyone = torch.ones(len(images), dtype=torch.bool)
    return Targets(images, torch.arange(len(images)), encoder, everyone if known is None else known)


def every_view(images: Tensor) -> list[Tensor]:
    return [viewed(images, torch.full((len(images),), one)) for one in range(views(images.ndim - 2))]


@pytest.mark.parametrize(("dims", "ways"), [(2, 8), (3, 48)])
def test_views_are_all_turns_and_their_negatives_each_once(dims: int, ways: int) -> None:
    images = edged(2, dims=dims)
    seen = every_view(images)
    assert torch.equal(seen[0], images)
    assert torch.equal(torch.stack(seen[ways:]), -torch.stack(seen[:ways]))
    assert len({one.numpy().tobytes() for one in seen}) == len(seen) == 2 * ways
    for one in seen[:ways:5]:  # each is a turn: the same grey values, and a turn of it is the image again
        assert any(torch.equal(again, images) for again in every_view(one)[:ways])
    each = viewed(images, torch.tensor([ways + 1, 2]))
    assert torch.equal(each[0], seen[ways + 1][0]) and torch.equal(each[1], seen[2][1])


@pytest.mark.parametrize("dims", [2, 3])
def test_histograms_of_views_are_those_of_the_viewed_images(dims: int) -> None:
    images = edged(3, dims=dims)
    found, other = likeness.gradient_histograms(images), Targets(edged(2, 1, dims=dims), STRANGE[:2], None, STRANGE[:2])
    r = likeness.edges(images, other)
    for view in range(0, views(dims), 7):
        seen = likeness.gradient_histograms(every_view(images)[view])
        ways = turns(dims)
        turned = likeness.turned_histograms(found, ways[view % len(ways)], view >= len(ways))
        assert torch.allclose(turned, seen, atol=1e-3)
        assert torch.allclose(unit(seen) @ other.edges.T, r[view], atol=1e-4)


def test_the_bank_holds_each_map_once_and_no_map_twice_extreme() -> None:
    bank = affine_bank(2)
    assert len(torch.unique(bank, dim=0)) == len(bank)
    zooms = (bank[:, :, :2].det() ** -0.5).tolist()
    degrees = torch.rad2deg(torch.atan2(bank[:, 1, 0], bank[:, 1, 1])).abs().tolist()
    assert {round(z, 2) for z in zooms} == set(likeness.ZOOMS)
    assert {round(d) for d in degrees} == {0, 15, 30}
    assert not any(abs(z - 1) > 0.1 and d > 20 for z, d in zip(zooms, degrees, strict=True))
    assert (bank == torch.eye(2, 3)).all((1, 2)).any()


def test_the_bank_of_volumes_holds_each_map_once() -> None:
    bank = affine_bank(3)
    assert len(torch.unique(bank, dim=0)) == len(bank) == 143
    linear, shifts = bank[:, :, :3], bank[:, :, 3]
    zooms = linear.det() ** (-1 / 3)
    assert {round(float(z), 2) for z in zooms} == set(likeness.ZOOMS)
    traces = (linear * zooms[:, None, None]).diagonal(dim1=1, dim2=2).sum(1)
    degrees = torch.rad2deg(torch.arccos(((traces - 1) / 2).clamp(-1, 1))).round() * (traces < 2.999)
    assert set(degrees.tolist()) == {0, 15, 30}
    assert {int(n) for n in (shifts != 0).sum(1)} == {0, 1, 2, 3}
    assert not ((degrees > 0) & (zooms.round(decimals=2) != 1) & (shifts != 0).any(1)).any()
    assert (bank == torch.eye(3, 4)).all((1, 2)).any()


def test_the_best_start_is_near_the_map_that_was_injected() -> None:
    images = edged(6)
    for degrees, zoom, x in ((0.0, 1.0, 0.0), (-15.0, 1.08, 0.06), (28.0, 1.0, 0.0)):
        true = affine_maps(torch.full((6,), degrees), torch.full((6,), zoom), torch.tensor([[x, 0.0]]).expand(6, 2))
        found = likeness.best_start(apply_affine(images, true), images, torch.arange(6))
        assert (found - true).abs().amax((1, 2)).median() < 0.15


def test_intensity_is_the_highest_r_over_the_bank_and_that_of_the_negatives() -> None:
    images = edged(5)
    moved = apply_affine(images, affine_bank(2)[7].expand(5, 2, 3))
    r = likeness.intensity(moved, images)
    assert r.shape == (16, 5, 5)
    assert (r[0].diagonal() > 0.98).all()
    assert (likeness.intensity(-moved, images)[8].diagonal() > 0.98).all()


def test_histograms_by_hand() -> None:
    ramp = torch.linspace(-1, 1, 64).expand(1, 1, 64, 64)  # brighter to the right
    found = dict(zip(likeness.directions(2), likeness.gradient_histograms(ramp)[0, :, 6, 6].tolist(), strict=True))
    assert max(found, key=lambda one: found[one]) == (0, 1)
    assert found[0, 1] == pytest.approx(1.0, abs=0.05)  # the slope is 1 of the half range a half side
    assert found[0, -1] == 0
    assert found[1, 1] == pytest.approx(0.5 ** (3 / 4), abs=0.05)  # cos(45 degrees) cubed, square root
    assert likeness.gradient_histograms(torch.zeros(3, 2, 64, 64)).abs().max() < 1e-3


def test_mean_and_deviation_leave_out_the_own_subject_and_the_most_alike() -> None:
    z = torch.tensor([[5.0, 4.0, 1.0, 2.0, 3.0], [0.1, 0.0, 0.2, 0.3, 0.9]])
    subjects = torch.tensor([7, 7, 8, 9, 4])
    middle, spread = by_chance(z, subjects, torch.tensor([-1, 4]))
    others = np.array([1.0, 2.0, 3.0])  # 5 is the best of subject 7, the most alike
    assert middle[:, 0].tolist() == pytest.approx([2.0, 0.15])  # subject 4 is the query's own, 0.3 the most alike
    least = likeness.LEAST_DEVIATION**2
    assert spread[:, 0].tolist() == pytest.approx([np.sqrt(others.var() + least), np.sqrt(0.05**2 + least)])
    alone = by_chance(z, torch.full((5,), 3), torch.tensor([-1, 3]))
    assert alone[0].flatten().tolist() == [0, 0] and alone[1].isfinite().all()


def test_measures_add_up_view_by_view() -> None:
    subjects, nobody, everyone = torch.arange(4), torch.tensor([-1]), torch.ones(4, dtype=torch.bool)
    found = torch.zeros(2, 1, 4)
    found[0, 0, 1], found[1, 0, 2] = 0.9, 0.9
    other = torch.zeros(2, 1, 4)
    other[1, 0, 2], other[1, 0, 1] = 0.9, 0.9
    total, view = combined([found, other], subjects, nobody, everyone)
    assert int(total.argmax()) == 2 and int(view[0, 2]) == 1  # case 1 is alike in different views
    total, _ = combined([found, other], subjects, torch.tensor([2]), everyone)
    assert int(total.argmax()) == 1 and total[0, 2] == -torch.inf
    total, _ = combined([found, other], subjects, nobody, subjects != 2)
    assert total[0, 2] == -torch.inf


@pytest.mark.parametrize("view", range(16))
def test_each_turn_and_negative_is_found(view: int) -> None:
    known = edged(6)
    shown = every_view(random_warp(known, 2 / 64, 6 / 64, torch.Generator().manual_seed(1)))[view]
    found = candidates(shown, STRANGE, targets(known), 3)
    assert found.case[:, 0].tolist() == list(range(6))
    undone = viewed(shown, found.view[:, 0])
    assert torch.allclose(undone, every_view(shown)[int(found.view[0, 0])], atol=1e-6)
    assert (undone - known).square().mean() < 0.5 * known.square().mean()
    assert (found.likeness.diff(dim=1) <= 0).all()


@pytest.mark.parametrize("view", [0, 29, 77])
def test_volumes_are_found_in_any_view(view: int, small_bank: None) -> None:
    known = edged(6, dims=3)
    shown = every_view(random_warp(known, 2 / 64, 6 / 64, torch.Generator().manual_seed(1)))[view]
    found = candidates(shown, STRANGE, targets(known), 2)
    assert found.case[:, 0].tolist() == list(range(6))
    assert (unit(viewed(shown, found.view[:, 0])) * unit(known)).sum(1).min() > 0.3  # upright again


def test_candidates_are_of_different_subjects_known_and_not_the_own() -> None:
    known = edged(8)
    cases = Targets(known, torch.arange(8) // 2, nn.Flatten(), torch.arange(8) >= 2)
    found = candidates(known, torch.arange(8) // 2, cases, 8)
    whose = found.case // 2
    assert found.case.shape == (8, 3)  # of three known subjects, one of them the own
    assert (found.case[:2] >= 2).all()
    assert all(len(set(row.tolist())) == 3 for row in whose)
    assert (found.likeness[2:, 2] == -torch.inf).all()
    assert (whose[2:, :2] != (torch.arange(8) // 2)[2:, None]).all()


def test_an_encoder_is_a_third_measure() -> None:
    known = edged(12)
    queries = random_warp(known, 5 / 64, 5 / 64, torch.Generator().manual_seed(2))
    nobody = torch.full((12,), -1)
    two = candidates(queries, nobody, targets(known), 2).likeness
    three = candidates(queries, nobody, targets(known, nn.Flatten()), 2).likeness
    assert not torch.allclose(two, three)

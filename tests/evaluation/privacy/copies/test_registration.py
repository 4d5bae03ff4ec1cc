"""Affine and deformable registration find known maps and warps, and never make a pair less alike; geometry and blur."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

from understudy.evaluation.privacy.copies import registration
from understudy.evaluation.privacy.copies.registration import (
    affine_maps,
    apply_affine,
    blur,
    random_warp,
    sample,
    unit,
)
from understudy.nets.affine import affine_grid

LEVELS, LEVELS_OF_VOLUMES = registration.LEVELS[2][32], registration.LEVELS[3][16]


def deform(query: Tensor, target: Tensor, start: Tensor, levels: Sequence[registration.Level] = LEVELS) -> Tensor:
    return registration.deform(query, target, affine_grid(start, query.shape[2:]), levels)


def fitted_r(queries: Tensor, targets: Tensor, start: Tensor) -> Tensor:
    return registration.agreement(*registration.register(queries, targets, start))


def smooth(n: int, side: int = 64, channels: int = 1, seed: int = 0) -> Tensor:
    images = blur(torch.randn((n, channels, side, side), generator=torch.Generator().manual_seed(seed)), 1 / 10)
    return images / images.std() / 3


def injected(n: int, degrees: float, zoom: float, x: float, y: float, flip: bool = False) -> Tensor:
    return affine_maps(torch.full((n,), degrees), torch.full((n,), zoom), torch.tensor([[x, y]]).expand(n, 2), flip)


def r(a: Tensor, b: Tensor) -> Tensor:
    return (unit(a) * unit(b)).sum(1)


STILL = torch.eye(2, 3).expand(6, 2, 3)
MAPS = [(0, 1, 3 / 64, -2 / 64), (6, 1, 0, 0), (-5, 1.06, 0.02, 0.01), (0, 0.92, 0, 0), (0, 1.08, -0.03, 0.02)]


@pytest.mark.parametrize("chosen", MAPS)
def test_ecc_finds_injected_maps(chosen: tuple[float, float, float, float]) -> None:
    target, true = smooth(6, 32), injected(6, *chosen)
    query = apply_affine(target, true)
    found = registration.ecc(query, target, STILL)
    before, after = r(query, target), r(query, apply_affine(target, found))
    assert after.min() > 0.99
    assert (after > before).all()
    assert (found - true).abs().max() < 0.02


def test_r_never_falls() -> None:
    query, target = smooth(60, 32, seed=1), smooth(60, 32, seed=2)
    draw = torch.Generator().manual_seed(0)
    degrees, zoom, *shift = torch.rand((4, 60), generator=draw)
    start = affine_maps(60 * degrees - 30, 0.85 + 0.3 * zoom, (torch.stack(shift, 1) - 0.5) / 8)
    before, after = (
        r(query, apply_affine(target, start)),
        r(query, apply_affine(target, registration.ecc(query, target, start))),
    )
    assert (after >= before - 1e-5).all()
    assert (after > before + 0.05).float().mean() > 0.7


def test_ecc_does_not_break_on_a_plain_image() -> None:
    plain = torch.full((6, 1, 32, 32), 0.4)
    for query, target in ((plain, smooth(6, 32)), (smooth(6, 32), plain), (plain, plain)):
        assert registration.ecc(query, target, STILL).isfinite().all()


@pytest.mark.parametrize("order", [[0, 1, 2], [1, 2, 0], [2, 1, 0]])
def test_any_order_of_three_channels_is_tried(order: list[int]) -> None:
    images = smooth(3, channels=3)
    assert torch.allclose(registration.channels_r(images[:, order], images), torch.ones(3), atol=1e-5)
    assert registration.channels_r(images, -images).max() < 0.9
    assert torch.allclose(registration.channels_r(images[:, :1], -images[:, :1]), -torch.ones(3), atol=1e-5)


def fine(n: int, side: int, channels: int = 1, seed: int = 0) -> Tensor:
    images = blur(torch.randn((n, channels, side, side), generator=torch.Generator().manual_seed(seed)), 1 / 24)
    return images / images.std() / 3


def warped(images: Tensor, seed: int = 5) -> Tensor:
    return random_warp(images, 3 / 64, 6 / 64, torch.Generator().manual_seed(seed))


STILL_40 = torch.eye(2, 3).expand(40, 2, 3)


def test_cosines_are_orthonormal_and_their_variances_those_of_smoothed_noise() -> None:
    level = LEVELS[-1]
    cosines, variances = registration.basis((32, 32), level)
    assert torch.allclose(cosines.T @ cosines / 1024, torch.eye(cosines.shape[1]), atol=1e-5)
    assert float(variances.sum()) == pytest.approx((2 * level.strength) ** 2)
    noise = blur(torch.randn((4000, 1, 32, 32), generator=torch.Generator().manual_seed(0)), level.smoothness)
    found = (noise.flatten(1) @ cosines / 1024).var(0)
    assert torch.allclose(found / found.sum(), variances / variances.sum(), rtol=0.35)


def test_a_known_warp_is_undone() -> None:
    target = fine(40, 32)
    query = warped(target)
    grid = deform(query, target, STILL_40)
    assert r(query, target).median() < 0.75
    assert r(query, sample(target, grid)).median() > 0.93


def test_what_is_fitted_never_gets_worse() -> None:
    query, target = fine(40, 32, seed=1), fine(40, 32, seed=2)
    after = r(query, sample(target, deform(query, target, STILL_40)))
    assert (after >= r(query, target) - 1e-5).all()
    assert after.max() < 0.97


def test_a_large_weight_of_the_prior_keeps_still(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registration, "PRIOR_WEIGHT", 1e6)
    target = fine(40, 32)
    still = deform(warped(target), target, STILL_40) - affine_grid(STILL_40, [32, 32])
    assert still.abs().max() < 1e-4


def test_plain_images_do_not_break_it() -> None:
    plain, target = torch.full((40, 1, 32, 32), 0.4), fine(40, 32)
    for query, other in ((plain, target), (target, plain), (plain, plain)):
        assert deform(query, other, STILL_40).isfinite().all()


def test_copies_fit_better_than_others() -> None:
    targets = fine(40, 64, channels=2)
    queries = warped(targets)
    copies, unseen = (fitted_r(one, targets, STILL_40) for one in (queries, queries.roll(1, 0)))
    assert (copies[:, None] > unseen).float().mean() > 0.99


def test_a_stranger_that_fits_coarsely_is_told_by_fine_detail(monkeypatch: pytest.MonkeyPatch) -> None:
    """Images of one anatomy, which warps turn into each other, with fine detail of their own."""
    anatomy = smooth(1, channels=1).expand(40, 1, 64, 64)
    detail = blur(torch.randn((40, 1, 64, 64), generator=torch.Generator().manual_seed(3)), 1 / 64)
    targets = warped(anatomy, seed=1) + 0.03 * detail / detail.std()
    queries = warped(targets, seed=2)

    def found() -> float:
        copies, strangers = (fitted_r(one, targets, STILL_40) for one in (queries, queries.roll(1, 0)))
        return float((copies > strangers.max()).float().mean())

    assert found() > 0.95
    monkeypatch.setitem(registration.LEVELS, 2, {32: LEVELS})
    monkeypatch.setitem(registration.DETAIL, 2, (1 / 32, 1 / 8))  # as before November 2026
    assert found() < 0.85


def test_what_lies_around_a_small_target_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """A target that shows something in its middle alone, copied into a query that shows something everywhere."""
    inside = torch.zeros(64, 64)
    inside[20:44, 20:44] = 1
    small, around = fine(4, 64) * inside, fine(4, 64, seed=9)
    weights = registration.showing(small)
    assert weights[..., 20:44, 20:44].mean((1, 2, 3)).min() > 0.4 and weights[..., :8, :].max() < 0.01
    blended, still = small + around * (1 - inside), torch.eye(2, 3).expand(4, 2, 3)
    found = fitted_r(blended, small, still)
    monkeypatch.setattr(registration, "showing", torch.ones_like)
    assert (found > fitted_r(blended, small, still)).all()


def test_stronger_warps_are_undone_from_coarse_to_fine() -> None:
    target = fine(40, 32)
    query = random_warp(target, 4 / 64, 8 / 64, torch.Generator().manual_seed(5))
    by_levels = r(query, sample(target, deform(query, target, STILL_40)))
    by_one = r(query, sample(target, deform(query, target, STILL_40, LEVELS[-1:])))
    assert by_levels.median() > by_one.median() + 0.05


def test_images_that_are_not_square_and_start_elsewhere() -> None:
    target = fine(12, 64)[:, :, :40]
    still, turned = (
        torch.eye(2, 3).expand(12, 2, 3),
        affine_maps(torch.full((12,), 25.0), torch.ones(12), torch.zeros(12, 2)),
    )
    assert r(warped(target), sample(target, deform(warped(target), target, still))).median() > 0.93
    query = warped(apply_affine(target, turned))
    started, unmoved = (r(query, sample(target, deform(query, target, one))) for one in (turned, still))
    assert started.median() > 0.93 and started.mean() > unmoved.mean()


def test_swapped_channels_are_put_back() -> None:
    targets = fine(6, 64, channels=3)
    assert fitted_r(warped(targets)[:, [2, 0, 1]], targets, torch.eye(2, 3).expand(6, 2, 3)).min() > 0.7


def noise(n: int = 2, channels: int = 1, height: int = 16, width: int = 16) -> Tensor:
    return torch.randn((n, channels, height, width), generator=torch.Generator().manual_seed(0))


def one(degrees: float = 0, zoom: float = 1, x: float = 0, y: float = 0, flip: bool = False) -> Tensor:
    return affine_maps(torch.tensor([float(degrees)]), torch.tensor([float(zoom)]), torch.tensor([[x, y]]), flip)


@pytest.mark.parametrize("sigma", [1 / 64, 1 / 16, 1 / 8])
def test_blur_is_that_of_scipy(sigma: float) -> None:
    images = noise(2, 3, 24, 40)
    ours = blur(images, sigma).numpy()
    for i, c in np.ndindex(2, 3):
        expected = ndimage.gaussian_filter(images[i, c].numpy(), (sigma * 24, sigma * 40), mode="nearest", truncate=4)
        assert np.allclose(ours[i, c], expected, atol=1e-5)


def test_maps_that_are_known_to_the_pixel() -> None:
    images = noise(1)
    for moved, expected in (
        (apply_affine(images, one()), images),
        (apply_affine(images, one(flip=True)), images.flip(-1)),
        (apply_affine(images, one(degrees=90)), torch.rot90(images, 1, (2, 3))),
        (apply_affine(images, one(x=2 / 16))[..., 2:], images[..., :-2]),  # to the right
        (apply_affine(images, one(y=3 / 16))[..., 3:, :], images[..., :-3, :]),  # downwards
    ):
        assert torch.allclose(moved, expected, atol=1e-4)
    assert torch.allclose(
        apply_affine(images, one(x=2 / 16))[..., 0], images[..., 0], atol=1e-4
    )  # the border is continued


def test_zoom_above_one_makes_larger() -> None:
    square = torch.zeros(1, 1, 32, 32)
    square[..., 12:20, 12:20] = 1
    assert apply_affine(square, one(zoom=2)).sum() == pytest.approx(4 * 64, rel=0.05)
    assert apply_affine(square, one(zoom=0.5)).sum() == pytest.approx(64 / 4, rel=0.05)


@pytest.mark.parametrize("chosen", [one(12), one(zoom=1.1), one(x=0.05, y=-0.04), one(-9, 0.92, 0.03, 0.02, True)])
def test_the_inverse_map_brings_an_image_back(chosen: Tensor) -> None:
    images = blur(noise(1, 1, 64, 64), 1 / 16)
    whole = torch.cat([chosen, torch.tensor([[[0.0, 0.0, 1.0]]])], 1)
    back = apply_affine(apply_affine(images, chosen), torch.linalg.inv(whole)[:, :2])
    inner = (..., slice(18, 46), slice(18, 46))
    assert (back - images)[inner].abs().max() < 0.05 * images.std()
    assert (apply_affine(images, chosen) - images)[inner].abs().max() > 0.1 * images.std()


def test_warp_has_the_strength_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    grids = []

    def spy(images: Tensor, grid: Tensor) -> Tensor:
        grids.append(grid)
        return F.grid_sample(images, grid, padding_mode="border", align_corners=False)

    monkeypatch.setattr(registration, "sample", spy)
    images, centres = noise(3, 1, 64, 64), (2 * torch.arange(64) + 1) / 64 - 1
    for smoothness in (4 / 64, 8 / 64):
        random_warp(images, 3 / 64, smoothness, torch.Generator().manual_seed(1))
    for grid in grids:
        pixels = (grid - torch.stack(torch.meshgrid(centres, centres, indexing="xy"), -1)) * 32
        assert torch.allclose(pixels.square().mean((1, 2, 3)).sqrt(), torch.tensor(3.0), atol=1e-3)
    rough, smooth = ((grid[:, 1:] - grid[:, :-1])[..., 0].std() for grid in grids)
    assert rough > 1.5 * smooth


def test_unit_rows_are_centred_and_of_length_one_and_constants_are_zero() -> None:
    images = noise(3, 2) * 5 + 7
    images[1] = 0.3
    rows = unit(images)
    assert torch.allclose(rows.mean(1), torch.zeros(3), atol=1e-6)
    assert torch.allclose(rows.norm(dim=1), torch.tensor([1.0, 0.0, 1.0]))
    expected = np.corrcoef(images[0].flatten().numpy(), images[2].flatten().numpy())[0, 1]
    assert float(rows[0] @ rows[2]) == pytest.approx(expected, abs=1e-5)


def volumes(n: int, side: int = 16, seed: int = 0, fineness: float = 1 / 10) -> Tensor:
    drawn = blur(torch.randn((n, 1, *[side] * 3), generator=torch.Generator().manual_seed(seed)), fineness)
    return drawn / drawn.std() / 3


STILL_VOLUMES = torch.eye(3, 4).expand(4, 3, 4)


def test_blur_and_slopes_of_volumes() -> None:
    images = noise(2, 3, 12, 16)[..., None, :].expand(2, 3, 12, 10, 16) * torch.arange(10.0).view(10, 1)
    expected = ndimage.gaussian_filter(images[1, 2].numpy(), (1.2, 1.0, 1.6), mode="nearest", truncate=4)
    assert np.allclose(blur(images, 0.1)[1, 2].numpy(), expected, atol=1e-4)
    ramp = torch.linspace(-1, 1, 16).view(16, 1, 1).expand(1, 1, 16, 16, 16)  # along the first axis: z
    x, y, z = registration.slopes(ramp)
    assert not x.any() and not y.any()
    assert z[0, 0, 5, 3, 3] == pytest.approx(2 / 15 * 8)


def test_maps_of_volumes_that_are_known_to_the_pixel() -> None:
    images, still = noise(1, 1, 16, 16)[..., None] * torch.rand(16), torch.zeros(1, 3)
    turned = [affine_maps(still + 90 * axis, torch.ones(1), still) for axis in torch.eye(3)]
    for maps, plane in zip(turned, ((-3, -2), (-1, -3), (-2, -1)), strict=True):  # about x, y, z
        assert torch.allclose(apply_affine(images, maps), torch.rot90(images, 1, plane), atol=1e-4)
    moved = apply_affine(images, affine_maps(still, torch.ones(1), torch.tensor([[2 / 16, 0, -3 / 16]])))
    assert torch.allclose(moved[:, :, :-3, :, 2:], images[:, :, 3:, :, :-2], atol=1e-4)
    mirrored = affine_maps(still, torch.ones(1), still, flip=True)
    assert torch.allclose(apply_affine(images, mirrored), images.flip(-1), atol=1e-4)


def test_ecc_and_fields_find_maps_and_warps_of_volumes() -> None:
    target = volumes(4)
    degrees, shift = torch.tensor([[6.0, -4.0, 3.0]]).expand(4, 3), torch.tensor([[0.03, -0.02, 0.0]]).expand(4, 3)
    true = affine_maps(degrees, torch.full((4,), 1.04), shift)
    moved = apply_affine(target, true)
    assert (registration.ecc(moved, target, STILL_VOLUMES) - true).abs().max() < 0.05
    query = random_warp(target, 3 / 64, 8 / 64, torch.Generator().manual_seed(5))
    grid = deform(query, target, STILL_VOLUMES, LEVELS_OF_VOLUMES)
    assert r(query, sample(target, grid)).min() > max(0.93, float(r(query, target).max()))


@pytest.mark.parametrize("sides", [(12, 12), (9, 12), (6, 8, 8)])
def test_the_normal_matrix_is_that_of_all_products(sides: tuple[int, ...]) -> None:
    level, dims = LEVELS[0], len(sides)
    along = torch.randn((2, dims, int(np.prod(sides))), generator=torch.Generator().manual_seed(0))
    cosines, _ = registration.basis(sides, level)
    jacobian = torch.cat([one[..., None] * cosines for one in along.unbind(1)], 2)
    jacobian = jacobian - jacobian.mean(1, keepdim=True)
    found = registration.normal_matrix(along, sides, level)
    assert torch.allclose(found, jacobian.mT @ jacobian, atol=2e-4 * float(found.abs().max()))


def test_a_volume_fits_its_warped_copy_better_than_others() -> None:
    targets = volumes(4, 32, fineness=1 / 24)
    queries = random_warp(targets, 2 / 64, 6 / 64, torch.Generator().manual_seed(1))
    copies, unseen = (fitted_r(one, targets, STILL_VOLUMES) for one in (queries, queries.roll(1, 0)))
    assert copies.min() > unseen.max()

"""Registration finds injected maps, and never makes a pair less alike."""

import pytest
import torch
from torch import Tensor

from understudy.evaluation.privacy.copies import registration
from understudy.evaluation.privacy.copies.registration import affine_maps, apply_affine, blur, unit


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
    bank = registration.affine_bank()
    start = bank[torch.randint(len(bank), (60,), generator=torch.Generator().manual_seed(0))]
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


def test_the_bank_holds_each_map_once_and_no_map_twice_extreme() -> None:
    bank = registration.affine_bank()
    assert len(torch.unique(bank, dim=0)) == len(bank)
    zooms = (bank[:, :, :2].det().abs() ** -0.5).tolist()
    turned = torch.rad2deg(torch.atan2(bank[:, 1, 0], bank[:, 1, 1])).abs().tolist()
    assert {round(z, 2) for z in zooms} == set(registration.ZOOMS)
    assert not any(abs(z - 1) > 0.1 and d > 8.5 for z, d in zip(zooms, turned, strict=True))
    assert (bank[:, :, :2].det() < 0).sum() == len(bank) / 2
    assert (bank == torch.eye(2, 3)).all((1, 2)).any()


@pytest.mark.parametrize(
    ("chosen", "flip"), [((0, 1, 0, 0), True), ((15, 1, 0, 0), False), ((-8, 1.08, 0.06, 0), True)]
)
def test_the_bank_finds_the_case_and_the_map(
    chosen: tuple[float, float, float, float], flip: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    targets = smooth(12)
    monkeypatch.setattr(registration, "BLOCK", 5)
    highest, which = registration.coarse(apply_affine(targets, injected(12, *chosen, flip)), targets)
    assert highest.argmax(1).tolist() == list(range(12))
    assert highest.diagonal().min() > 0.9
    found = registration.affine_bank()[which.diagonal().long()]
    assert ((found[:, :, :2].det() < 0) == flip).all()
    assert (found - injected(1, *chosen, flip)).abs().max() < 0.15


def test_mirrored_copies_with_channels_swapped_fit() -> None:
    targets = smooth(4, channels=3)
    start = injected(4, 0, 1, 0, 0, True)
    fitted = registration.fit_affine(targets.flip(-1)[:, [2, 0, 1]], targets, start)
    assert fitted.whole.min() > 0.99
    assert fitted.detail.min() > 0.99
    unseen = registration.fit_affine(smooth(4, channels=3, seed=9), targets, start)
    assert unseen.whole.max() < 0.9


def test_detail_sees_through_shading_and_grain() -> None:
    targets = blur(torch.randn((8, 1, 64, 64), generator=torch.Generator().manual_seed(3)), 1 / 24) * 5
    shaded = targets + 0.6 * torch.linspace(-1, 1, 64).expand(8, 1, 64, 64)
    fitted = registration.fit_affine(shaded, targets, torch.eye(2, 3).expand(8, 2, 3))
    assert fitted.detail.min() > 0.95 > 0.9 > fitted.whole.max()


@pytest.mark.parametrize("order", [[0, 1, 2], [1, 2, 0], [2, 1, 0]])
def test_any_order_of_three_channels_is_tried(order: list[int]) -> None:
    images = smooth(3, channels=3)
    assert torch.allclose(registration.channels_r(images[:, order], images), torch.ones(3), atol=1e-5)
    assert registration.channels_r(images, -images).max() < 0.9
    assert torch.allclose(registration.channels_r(images[:, :1], -images[:, :1]), -torch.ones(3), atol=1e-5)

"""Adaptive discriminator augmentation: the controller, and what moves and what does not."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from understudy.generators.gan import ada
from understudy.generators.gan.ada import Controller, augment, random_geometry, random_intensity

CPU = torch.device("cpu")


def smooth(n: int = 2, c: int = 3, side: int = 32) -> Tensor:
    noise = torch.randn(n, c, 6, 6, generator=torch.Generator().manual_seed(0))
    return F.interpolate(noise, size=(side, side), mode="bicubic")


def test_p_rises_while_the_discriminator_is_too_sure_and_falls_otherwise() -> None:
    controller = Controller(target=0.6, images_per_unit=1000, interval=4, limit=0.5)
    for _ in range(3):
        controller.observe(0.9, batch_size=10)
    assert controller.p == 0
    controller.observe(0.9, batch_size=10)
    assert controller.p == pytest.approx(0.04)
    for _ in range(400):
        controller.observe(0.9, batch_size=10)
    assert controller.p == 0.5
    for _ in range(8):
        controller.observe(0.1, batch_size=10)
    assert controller.p == pytest.approx(0.42)
    for _ in range(400):
        controller.observe(-1.0, batch_size=10)
    assert controller.p == 0


def test_controller_at_its_target_stays() -> None:
    controller = Controller(target=0.5, images_per_unit=100, interval=1, p=0.3)
    controller.observe(0.5, batch_size=10)
    assert controller.p == 0.3


def test_identity_at_p_zero() -> None:
    x = smooth()
    assert augment(x, 0.0, 2) is x


def test_labels_move_with_the_images_and_keep_their_values(monkeypatch: pytest.MonkeyPatch) -> None:
    one = smooth(n=16, c=1)
    x = torch.cat([one, one], dim=1)  # the label channel equals the image channel: geometry must treat them alike
    torch.manual_seed(0)
    y = augment(x, 0.9, image_channels=1)
    gain, offset = torch.ones(16), torch.zeros(16)
    monkeypatch.setattr(ada, "random_intensity", lambda n, p, device: (gain, offset))
    torch.manual_seed(0)
    moved_only = augment(x, 0.9, image_channels=1)
    torch.testing.assert_close(moved_only[:, 0], moved_only[:, 1])
    torch.testing.assert_close(y[:, 1], moved_only[:, 1])  # intensity leaves the label channel alone
    assert not torch.allclose(y[:, 1], x[:, 1], atol=0.1)  # geometry does not
    ones = torch.ones(1024)
    slope = [
        torch.linalg.lstsq(torch.stack([a.flatten(), ones], 1), b.flatten()[:, None]).solution[0].item()
        for a, b in zip(y[:, 1], y[:, 0], strict=True)
    ]
    assert len({round(s, 3) for s in slope}) > 4  # the image's contrast changed case by case


def test_cases_that_are_not_moved_come_back_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    x = smooth(n=3)
    inverse = torch.eye(3).repeat(3, 1, 1)
    inverse[1, 0, 2] = 2.0
    monkeypatch.setattr(ada, "random_geometry", lambda *_: inverse)
    monkeypatch.setattr(ada, "random_intensity", lambda n, p, device: (torch.ones(n), torch.zeros(n)))
    y = augment(x, 0.5, 2)
    assert torch.equal(y[0], x[0])
    assert torch.equal(y[2], x[2])
    torch.testing.assert_close(y[1, :, :, 3:-6], x[1, :, :, 5:-4], atol=1e-4, rtol=1e-4)


def test_geometry_probabilities() -> None:
    torch.manual_seed(0)
    m = random_geometry(20_000, (64, 64), 0.1, CPU)
    still = (m == torch.eye(3)).flatten(1).all(dim=1).float().mean().item()
    # Operations that change something: flip in 1 of 2, turn in 3 of 4, the rest always (a whole shift of 0 is rare).
    expected = (1 - 0.05) * (1 - 0.075) * (1 - 0.1) ** 5
    assert still == pytest.approx(expected, abs=0.015)
    determinant = m.det().abs().log2()
    assert determinant[determinant.abs() > 1e-4].std().item() == pytest.approx(0.4, abs=0.03)  # isotropic, 2 x 0.2


def test_intensity_distribution() -> None:
    torch.manual_seed(0)
    gain, offset = random_intensity(20_000, 0.5, CPU)
    assert (gain == 1).float().mean().item() == pytest.approx(0.5, abs=0.02)
    assert gain[gain != 1].log2().std().item() == pytest.approx(0.5, abs=0.02)
    assert (offset / gain)[offset != 0].std().item() == pytest.approx(0.2, abs=0.01)


def test_seeded_by_the_global_generator() -> None:
    x = smooth(n=4)
    outcomes = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        outcomes.append(augment(x, 0.8, 2))
    assert torch.equal(outcomes[0], outcomes[1])
    assert not torch.equal(outcomes[0], outcomes[2])


def test_float32_under_autocast() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        assert augment(smooth(), 0.9, 2).dtype == torch.float32

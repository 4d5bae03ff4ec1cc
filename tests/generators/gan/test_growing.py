"""The growing schedule: published points, continuity, shares of a short training; fading of real cases."""

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError

from understudy.generators.gan.growing import GrowingConfig, Growth, faded, phase
from understudy.nets.growing import halve, stage

PROGAN = Growth(first=4, last=1024, stable=800_000, fade=800_000)
STYLEGAN = Growth(first=8, last=1024, stable=600_000, fade=600_000)


def walked(growth: Growth, images_seen: int) -> float:
    """The level by walking through the phases one after the other."""
    level, at = growth.first.bit_length() - 1, 0
    while 2**level < growth.last:
        at += growth.stable
        if images_seen <= at:
            return level
        if images_seen < at + growth.fade:
            return level + (images_seen - at) / growth.fade
        level, at = level + 1, at + growth.fade
    return level


def test_published_points_of_progan() -> None:
    assert PROGAN.begin(8) == 800_000 and PROGAN.begin(16) == 2_400_000 and PROGAN.begin(1024) == 12_000_000
    assert PROGAN.end() == 12_800_000
    assert PROGAN.level(0) == PROGAN.level(800_000) == 2
    assert PROGAN.level(1_200_000) == 2.5
    assert PROGAN.level(1_600_000) == PROGAN.level(2_400_000) == 3
    assert PROGAN.level(12_799_999) < 10 == PROGAN.level(12_800_000) == PROGAN.level(19_000_000)


def test_published_points_of_stylegan() -> None:
    assert STYLEGAN.begin(16) == 600_000 and STYLEGAN.begin(1024) == 7_800_000 and STYLEGAN.end() == 8_400_000
    assert STYLEGAN.level(600_000) == 3 and STYLEGAN.level(900_000) == 3.5 and STYLEGAN.level(25_000_000) == 10


@pytest.mark.parametrize("growth", [PROGAN, STYLEGAN, Growth(4, 16, 5, 3), Growth(8, 8, 1, 1)])
def test_closed_form_equals_the_walk(growth: Growth) -> None:
    step = max(growth.end() // 997, 1)
    for images_seen in range(0, growth.end() + 3 * step, step):
        assert growth.level(images_seen) == pytest.approx(walked(growth, images_seen), abs=1e-12)


def test_level_rises_without_jumps_and_alpha_is_its_fraction() -> None:
    growth = Growth(4, 64, 40, 25)
    levels = [growth.level(i) for i in range(300)]
    steps = [b - a for a, b in zip(levels, levels[1:], strict=False)]
    assert min(steps) >= 0 and max(steps) <= 1 / 25 + 1e-9
    assert stage(3.25) == (16, 0.25) and stage(3.0) == (8, 1.0)
    assert all(stage(level)[0] == 64 for level in levels[260:])
    # Four fades between five stable phases.
    assert len(list(dict.fromkeys(phase(level) for level in levels))) == 9


@pytest.mark.parametrize(("total", "last"), [(50_000, 64), (200_000, 128), (70_000, 32), (50_000, 256)])
def test_a_short_training_spends_most_images_at_the_last_resolution(total: int, last: int) -> None:
    growth = GrowingConfig().growth(last, total)
    seen = [stage(growth.level(i))[0] for i in range(0, total, 16)]
    share = {r: seen.count(r) / len(seen) for r in set(seen)}
    assert share[last] > 0.6 and growth.end() <= 0.4 * total
    assert min(share.values()) > 0.02 and set(share) == {2**i for i in range(2, last.bit_length())}


def test_growing_can_be_left_out_and_phases_can_be_set() -> None:
    assert GrowingConfig(growing_share=0).growth(64, 1000).level(0) == 6
    assert GrowingConfig(stable_images=7, fade_images=5).growth(8, 1000) == Growth(4, 8, 7, 5)
    assert GrowingConfig(first_resolution=16).growth(16, 1000).level(0) == 4


def test_even_a_training_of_one_step_has_a_schedule() -> None:
    assert GrowingConfig().growth(1024, 1).level(0) == 2


def test_fading_against_its_definition() -> None:
    x = torch.randn(2, 3, 8, 8)
    y = faded(x, 2.25)
    for i in range(8):
        for j in range(8):
            block = x[:, :, i // 2 * 2 : i // 2 * 2 + 2, j // 2 * 2 : j // 2 * 2 + 2].mean(dim=(2, 3))
            torch.testing.assert_close(y[:, :, i, j], 0.75 * block + 0.25 * x[:, :, i, j])
    assert faded(x, 3.0) is x


def test_fading_begins_where_the_lower_resolution_ended() -> None:
    full = torch.randn(2, 1, 32, 32)
    before, after = (F.interpolate(full, scale_factor=s, mode="area") for s in (1 / 4, 1 / 2))
    torch.testing.assert_close(halve(faded(after, 3 + 1e-9)), before)
    torch.testing.assert_close(faded(after, 4 - 1e-9), after)


@pytest.mark.parametrize("bad", [{"first_resolution": 12}, {"growing_share": 1.5}, {"fade_images": 0}])
def test_settings_that_cannot_be_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        GrowingConfig(**bad)  # type: ignore[arg-type]

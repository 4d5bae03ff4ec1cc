"""Small affine changes of training cases: how large, alike for images and label maps, in 2D and 3D."""

import pytest
import torch

from understudy.training.jitter import jittered, random_maps

SIZES = [(24, 32), (16, 24, 32)]


@pytest.mark.parametrize("size", SIZES)
def test_maps_are_within_the_published_ranges(size: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    maps, d = random_maps(2000, torch.Size(size), 1.0), len(size)
    sides = torch.tensor(size[::-1], dtype=torch.float32)
    linear = maps[:, :, :d] * sides[:, None] / sides  # in pixels
    spread = (linear - torch.eye(d)).abs().flatten(1).amax(1)
    assert 0.1 < float(spread.max()) < 0.3 and abs(float(linear.mean(0).diagonal().mean()) - 1) < 0.01
    determinant = torch.linalg.det(linear)
    assert float(determinant.min()) > 0.7 and float(determinant.max()) < 1.35 and float(determinant.std()) > 0.02
    shift = maps[:, :, d].abs() / 2  # in sides
    assert 0.019 < float(shift.max()) <= 0.02
    assert torch.allclose(random_maps(4, torch.Size(size), 1e-9)[:, :, :d], torch.eye(d).expand(4, d, d), atol=1e-6)


@pytest.mark.parametrize("size", SIZES)
def test_image_and_label_channels_move_alike(size: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    block = torch.full((4, 1, *size), -1.0)
    block[(slice(None), slice(None), *(slice(s // 4, 3 * s // 4) for s in size))] = 1
    moved = jittered(torch.cat([block, block], dim=1), 1, 1.0)
    image, labels = moved[:, :1], moved[:, 1:]
    assert set(labels.unique().tolist()) == {-1.0, 1.0} and len(image.unique()) > 2
    agree = ((image > 0) == (labels > 0)).float().flatten(1).mean(1)
    assert float(agree.min()) > 0.97
    changed = (labels != block).float().flatten(1).mean(1)
    assert float(changed.max()) > 0.005 and float(changed.max()) < 0.3 and len(changed.unique()) > 1


def test_what_comes_from_outside_is_background() -> None:
    torch.manual_seed(0)
    x = jittered(torch.ones(64, 2, 16, 16), 1, 3.0)
    assert float(x.min()) == -1 and float(x.max()) <= 1 + 1e-6


def test_none_and_label_maps_alone() -> None:
    x = torch.rand(2, 3, 8, 8)
    assert jittered(x, 2, 0.0) is x
    assert jittered(x, 0, 1.0).shape == x.shape and jittered(x, 3, 1.0).shape == x.shape


@pytest.mark.parametrize("size", SIZES)
def test_half_of_the_cases_keep_their_finest_detail(size: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    x = torch.rand(200, 1, *size) - 0.5
    kept = (jittered(x, 1, 1.0) == x).flatten(1).all(dim=1).float().mean()
    assert 0.4 < float(kept) < 0.6

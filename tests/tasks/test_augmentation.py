"""Label maps follow their images; ranges of zero change nothing; the generator alone decides."""

import pytest
import torch

from understudy.tasks.augmentation import Ranges, augment, augment_images

STILL = Ranges(flip=0, rotation_degrees=0, scale=0, gain=0, shift=0, noise=0)


def drawn(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def discs(n: int, *size: int) -> tuple[torch.Tensor, torch.Tensor]:
    axes = torch.meshgrid(*(torch.arange(s) for s in size), indexing="ij")
    centre = [s * 0.4 for s in size]
    label = (sum((a - c) ** 2 for a, c in zip(axes, centre, strict=True)) < (min(size) / 4) ** 2).long()  # type: ignore[union-attr]
    labels = label.expand(n, *size)
    return labels[:, None].float(), labels


@pytest.mark.parametrize("size", [(20, 31), (6, 20, 31)])
def test_zero_ranges_are_the_identity(size: tuple[int, ...]) -> None:
    images, labels = torch.randn(3, 2, *size), torch.randint(0, 4, (3, *size))
    moved, maps = augment(images, labels, drawn(), STILL)
    assert torch.allclose(moved, images, atol=1e-4) and torch.equal(maps, labels) and maps.dtype == torch.int64


@pytest.mark.parametrize("size", [(48, 48), (32, 64), (16, 48, 40)])
def test_labels_follow_images(size: tuple[int, ...]) -> None:
    images, labels = discs(16, *size)
    moved, maps = augment(images, labels, drawn(), Ranges(gain=0, shift=0, noise=0))
    assert ((moved[:, 0] > 0.5).long() != maps).float().mean() < 0.01
    assert (maps != labels).flatten(1).any(1).float().mean() > 0.8
    area = maps.flatten(1).sum(1) / labels.flatten(1).sum(1)
    assert area.min() > 0.5 and area.max() < 2.2 and area.std() > 0.02


def test_rotation_keeps_shapes_where_sides_differ() -> None:
    images, labels = discs(64, 32, 64)
    _, maps = augment(images, labels, drawn(), Ranges(flip=0, scale=0, rotation_degrees=90))
    rows, columns = maps.amax(2).sum(1), maps.amax(1).sum(1)  # height and width of each disc
    inside = (maps[:, 1:-1, 1:-1].sum((1, 2)) == maps.sum((1, 2))) & (maps.sum((1, 2)) > 0)
    assert inside.sum() > 10 and (rows - columns)[inside].abs().max() <= 2


def test_flips_are_half_of_the_cases() -> None:
    images = torch.zeros(400, 1, 8, 8)
    images[:, :, 0, 0] = 1
    moved, _ = augment(
        images, images[:, 0].long(), drawn(), Ranges(rotation_degrees=0, scale=0, gain=0, shift=0, noise=0)
    )
    corners = torch.stack([moved[:, 0, i, j] for i in (0, -1) for j in (0, -1)], 1).round()
    assert torch.equal(corners.sum(1), torch.ones(400)) and corners.mean(0).sub(0.25).abs().max() < 0.07


def test_intensity_leaves_labels_alone_and_seeds_decide() -> None:
    images, labels = discs(4, 16, 16)
    only = Ranges(flip=0, rotation_degrees=0, scale=0)
    first, maps = augment(images, labels, drawn(1), only)
    assert torch.equal(maps, labels) and 0.05 < (first - images).abs().mean() < 0.5
    assert torch.equal(first, augment(images, labels, drawn(1), only)[0])
    assert not torch.equal(first, augment(images, labels, drawn(2), only)[0])


def test_images_alone_move_as_images_with_a_label_map_do() -> None:
    images, labels = discs(3, 20, 31)
    both, _ = augment(images, labels, drawn(7), Ranges())
    assert torch.equal(augment_images(images, drawn(7), Ranges()), both)

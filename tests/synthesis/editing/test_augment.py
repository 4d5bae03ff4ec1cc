"""Affine augmentation of whole label maps: a rotation against scipy, the identity, classes stay classes, seeds."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from understudy.synthesis.editing import augment as augment_module
from understudy.synthesis.editing.augment import AffineAugmentation


def body(shape: tuple[int, ...]) -> np.ndarray:
    labels = np.zeros(shape, np.uint8)
    labels[tuple(slice(n // 4, 3 * n // 4) for n in shape)] = 7
    labels[tuple(slice(n // 3, n // 2) for n in shape)] = 3
    return labels


@pytest.mark.parametrize("shape", [(24, 20), (16, 20, 18)])
def test_augmented_maps_have_the_same_classes_and_nearly_the_same_volumes(shape: tuple[int, ...]) -> None:
    labels = body(shape)
    augmented = [AffineAugmentation(1.0, False, seed)(labels) for seed in range(8)]
    assert all(b.dtype == np.uint8 and b.shape == shape and set(np.unique(b)) == {0, 3, 7} for b in augmented)
    assert len({b.tobytes() for b in augmented}) >= 7
    assert np.array_equal(augmented[3], AffineAugmentation(1.0, False, 3)(labels))
    volumes = np.array([(b > 0).sum() for b in augmented]) / (labels > 0).sum()
    assert 0.7 < volumes.min() < 1 < volumes.max() < 1.4


def test_nothing_and_mirroring() -> None:
    labels = body((12, 16))
    labels[0, 1] = 5
    assert np.array_equal(AffineAugmentation()(labels), labels) and np.array_equal(
        AffineAugmentation(mirror=True)(labels), labels[:, ::-1]
    )
    drawn = [AffineAugmentation.drawn(np.random.default_rng(seed), 0.5, True) for seed in range(100)]
    assert 30 < sum(b.mirror for b in drawn) < 70 and all(b.strength == 0.5 for b in drawn)
    assert not any(AffineAugmentation.drawn(np.random.default_rng(seed), 0.5, False).mirror for seed in range(20))
    assert drawn[0].entries() == {"augment": "0.5", "mirror": str(int(drawn[0].mirror))}


def test_a_turn_is_scipys(monkeypatch: pytest.MonkeyPatch) -> None:
    angle = np.deg2rad(30)
    turn = torch.tensor([[[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0]]], dtype=torch.float32)
    monkeypatch.setattr(augment_module, "random_maps", lambda *_: turn)
    labels = body((32, 32))
    expected = ndimage.rotate(labels, 30, reshape=False, order=0)
    assert (AffineAugmentation(1.0)(labels) != expected).mean() < 0.01 < (labels != expected).mean()

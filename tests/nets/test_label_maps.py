"""Label maps as tensors: the codes are those of core/labels.py, in two and three dimensions."""

import numpy as np
import pytest
import torch

from understudy.core.labels import LabelScheme
from understudy.nets.label_maps import decoded, encoded, one_hot, without_small_components


@pytest.mark.parametrize("k", [1, 2, 3, 4, 5, 30])
@pytest.mark.parametrize("size", [(6, 5), (4, 3, 2)])
def test_codes_are_those_of_the_scheme(k: int, size: tuple[int, ...]) -> None:
    scheme = LabelScheme(tuple(f"c{i}" for i in range(k)), tuple(range(k)))
    random = np.random.default_rng(0)
    labels = random.integers(0, k, (3, *size)).astype(np.uint8)
    channels = encoded(torch.from_numpy(labels), scheme)
    np.testing.assert_array_equal(channels.numpy(), scheme.encode(labels))
    noisy = channels + 0.2 * torch.randn(channels.shape, generator=torch.Generator().manual_seed(0))
    np.testing.assert_array_equal(decoded(noisy, scheme).numpy(), scheme.decode(noisy.numpy()))
    assert one_hot(torch.from_numpy(labels), scheme).shape == (3, k, *size)
    np.testing.assert_array_equal(one_hot(torch.from_numpy(labels), scheme).argmax(dim=1).numpy(), labels)


def test_small_components_and_holes_take_the_class_around_them() -> None:
    clean = torch.zeros(2, 12, 12, dtype=torch.int64)
    clean[0, 2:8, 2:8], clean[0, 4:7, 4:7], clean[1, :, 6:] = 1, 2, 1
    spoilt = clean.clone()
    spoilt[0, 3, 3], spoilt[0, 5, 5], spoilt[0, 10, 10:], spoilt[0, 11, 9] = (
        0,
        1,
        2,
        1,
    )  # two touch at a corner
    before = spoilt.clone()
    assert torch.equal(without_small_components(spoilt, 3), clean) and torch.equal(spoilt, before)
    assert torch.equal(without_small_components(spoilt, 2)[0, 10, 10:], spoilt[0, 10, 10:])  # a part of two stays
    assert torch.equal(without_small_components(spoilt, 1), spoilt) and torch.equal(
        without_small_components(clean, 9), clean
    )
    assert torch.equal(without_small_components(spoilt[:1], 999), spoilt[:1])  # nothing would be left
    volume = torch.zeros(1, 6, 6, 6, dtype=torch.int64)
    volume[0, 1:5, 1:5, 1:5] = 1
    holed = volume.clone()
    holed[0, 2, 2, 2] = 0
    assert torch.equal(without_small_components(holed, 2), volume)

"""Label maps as tensors: the codes are those of core/labels.py, in two and three dimensions."""

import numpy as np
import pytest
import torch

from understudy.core.labels import LabelScheme
from understudy.training.label_maps import decoded, encoded, one_hot


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

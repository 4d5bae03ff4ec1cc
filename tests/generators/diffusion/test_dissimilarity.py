"""Likeness is Pearson's r; what comes too near to a training image is moved to the threshold, the rest is let be."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from understudy.generators.diffusion.dissimilarity import Dissimilarity


def images(n: int, seed: int, size: tuple[int, ...] = (16, 16)) -> torch.Tensor:
    """Smooth images of two channels, which resemble one another a little."""
    random = np.random.default_rng(seed)
    shared = ndimage.gaussian_filter(np.random.default_rng(99).normal(size=(2, *size)), (0, *[2] * len(size)))
    own = ndimage.gaussian_filter(random.normal(size=(n, 2, *size)), (0, 0, *[1] * len(size)))
    both = 2 * shared / shared.std() + own / own.std()
    return torch.from_numpy(both / np.abs(both).max()).float()


@pytest.mark.parametrize("size", [(16, 16), (8, 12, 8)])
def test_likeness_is_the_highest_correlation_also_mirrored(size: tuple[int, ...]) -> None:
    training, queries = images(9, 0, size), images(4, 1, size)
    queries[0] = training[3].flip(-1)
    found = Dissimilarity(training, np.arange(9).astype(str)).likeness(queries)
    axes = [(), (-1,), (-2,), (-1, -2)] if len(size) == 2 else [(), (-1,)]
    gallery = torch.cat([training.flip(a) if a else training for a in axes]).flatten(1).numpy()
    expected = [max(np.corrcoef(q, t)[0, 1] for t in gallery) for q in queries.flatten(1).numpy()]
    assert found.numpy() == pytest.approx(expected, abs=1e-5) and found[0] == pytest.approx(1, abs=1e-5)


def test_the_threshold_is_what_images_of_two_subjects_reach() -> None:
    training = images(40, 0)
    subjects = np.repeat([f"s{i}" for i in range(20)], 2)
    training[1::2] = training[::2] + 0.01 * torch.randn(20, 2, 16, 16, generator=torch.Generator().manual_seed(0))
    found = Dissimilarity(training, subjects)
    gallery = torch.cat([training.flip(a) if a else training for a in [(), (-1,), (-2,), (-1, -2)]]).flatten(1)
    r = np.corrcoef(training.flatten(1).numpy(), gallery.numpy())[:40, 40:]
    r[subjects[:, None] == np.tile(subjects, 4)[None]] = -1
    assert found.threshold == pytest.approx(np.quantile(r.max(1), 0.95), abs=1e-4) and found.threshold < 0.95
    assert Dissimilarity(training, np.full(40, "one")).threshold == 1


def test_a_copy_is_moved_to_the_threshold_and_others_are_let_be() -> None:
    training = images(30, 0)
    avoided = Dissimilarity(training, np.arange(30).astype(str))
    noise = 0.02 * torch.randn(2, 2, 16, 16, generator=torch.Generator().manual_seed(0))
    stranger = images(400, 5)
    far = stranger[avoided.likeness(stranger) < avoided.threshold][:2]
    queries = torch.cat([training[:2] + noise, far])
    moved = avoided.away(queries)
    assert (avoided.likeness(queries)[:2] > 0.98).all()
    assert (avoided.likeness(moved)[:2] < avoided.threshold + 0.01).all()
    assert torch.equal(moved[2:], queries[2:])
    assert (moved[:2] - queries[:2]).abs().mean() < 0.3  # a step, not another image

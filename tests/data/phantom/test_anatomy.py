"""The healthy head: shares of tissues add up, contrasts rank as in MR, and a mass pushes outwards."""

import numpy as np

from understudy.data.phantom.anatomy import TISSUES, Push, healthy_head
from understudy.data.phantom.phantom import phantom_subject

SHAPE = (24, 64, 64)
T1, T1C, T2, FLAIR = range(4)


def test_healthy_tissues_have_the_ranks_of_mr() -> None:
    for subject in range(6):
        volumes, _ = phantom_subject(1, subject, SHAPE, lesion=False)
        shares = healthy_head(1, subject, SHAPE).shares
        assert np.allclose(shares.sum(0), 1, atol=1e-4) and shares.min() >= -1e-6
        white, grey, csf = (volumes[:, shares[TISSUES.index(name)] > 0.9].mean(1) for name in ("white", "grey", "csf"))
        assert white[T1] > grey[T1] > csf[T1]
        assert csf[T2] > grey[T2] > white[T2]
        assert csf[FLAIR] < min(grey[FLAIR], white[FLAIR])


def test_a_mass_pushes_outwards_and_nothing_far_away() -> None:
    points = np.random.default_rng(0).uniform(-30, 30, (3, 5, 5, 5)).astype(np.float32)
    centre = np.array((1.0, 2.0, 3.0))
    source = Push(centre, 12, 0.4).source(points)
    near, now = (np.linalg.norm(p - centre.reshape(3, 1, 1, 1), axis=0) for p in (source, points))
    assert (near <= now + 1e-4).all()
    assert np.allclose(near / now, 1 - 0.4 * np.exp(-(now**2) / (2 * 12**2)), atol=1e-4)

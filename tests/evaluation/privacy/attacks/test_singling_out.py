"""Singling out by hand."""

from collections.abc import Callable

import numpy as np
import pytest

from understudy.evaluation.privacy.attacks import singling_out
from understudy.evaluation.privacy.attacks.setup import NEAREST, AttackSetup

MakeScene = Callable[..., AttackSetup]


def correlations(setup: AttackSetup) -> np.ndarray:
    """Return r of each attacked (n,) with each released case (m,)."""
    assert setup.real.images is not None
    assert setup.synthetic.images is not None
    a, b = setup.real.images[setup.rows], setup.synthetic.images[:]
    n = len(a)
    return np.corrcoef(a.reshape(n, -1).astype(float), b.reshape(len(b), -1).astype(float))[:n, n:]


def chord(r: np.ndarray) -> np.ndarray:
    return np.sqrt(2 * np.maximum(1 - r, NEAREST))


def test_singling_out_by_hand(setup: MakeScene) -> None:
    made = setup(members=6, others=6)
    (scored,) = singling_out.singling_out(made)
    distances = chord(correlations(made))
    for case in (0, 7, 20, 33):
        group = made.is_member == made.is_member[case]
        others = group & (made.subjects != made.subjects[case])
        expected = np.log(distances[others].min(0) / distances[case]).max()
        assert scored.scores[case] == pytest.approx(expected, abs=1e-4)

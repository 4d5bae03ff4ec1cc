"""Inferring an attribute by hand."""

from collections.abc import Callable

import numpy as np
import pytest

from understudy.core.cohort import Cohort
from understudy.evaluation.privacy.attacks import attribute
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


def test_attribute_by_hand(setup: MakeScene) -> None:
    made = setup()

    class WithClass:
        def __init__(self, cohort: Cohort, values: np.ndarray) -> None:
            self.classes, self._values, self._cohort = ("finding=mass",), values.astype(np.float32), cohort

        def __getattr__(self, name: str) -> object:
            return getattr(self._cohort, name)

        def class_matrix(self, rows: np.ndarray | None = None) -> np.ndarray:
            return self._values[slice(None) if rows is None else rows, None]

    draw = np.random.default_rng(3)
    truth = draw.integers(0, 2, len(made.real)).astype(float)
    truth[4] = np.nan
    told = draw.integers(0, 2, 60)
    other = AttackSetup(WithClass(made.real, truth), WithClass(made.synthetic, told), made.members, made.non_members, 0)  # type: ignore[arg-type]
    (scored,) = attribute.attribute(other)
    assert scored.part == "mass"
    assert scored.success is not None
    r = correlations(made)
    guess = told[r.argmax(1)]
    known = np.arange(len(truth)) != 4
    assert np.array_equal(scored.success[known], (guess == truth[made.rows])[known])
    assert np.isnan(scored.scores[4])
    away = [chord(r[0, told == value].max()) for value in (0, 1)]
    own = int(truth[made.rows[0]])
    assert scored.scores[0] == pytest.approx(np.log(away[1 - own] / away[own]), abs=1e-4)

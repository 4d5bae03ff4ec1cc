"""Exact intervals against SciPy, and d' by hand."""

import numpy as np
import pytest
from scipy import stats

from understudy.reader.statistics.detection import chance_p, sensitivity, share


@pytest.mark.parametrize(("k", "n"), [(0, 10), (3, 10), (10, 10), (51, 100), (1, 1)])
def test_the_interval_is_exact(k: int, n: int) -> None:
    found = share(np.arange(n) < k)
    expected = stats.binomtest(k, n).proportion_ci(0.95, "exact")
    assert found is not None and (found.k, found.n, found.value) == (k, n, k / n)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert 0 < chance_p(found) <= 1
    assert share(np.zeros(0, bool)) is None


def test_d_prime_by_hand() -> None:
    real, synthetic = np.arange(9) < 1, np.arange(9) < 7  # rates (1 + 0.5) / 10 and (7 + 0.5) / 10
    z = stats.norm.ppf
    found = sensitivity(real=real, synthetic=synthetic)
    assert found == pytest.approx((z(0.75) - z(0.15), -(z(0.75) + z(0.15)) / 2))
    assert sensitivity(real=real, synthetic=real).d_prime == 0
    assert np.isfinite(sensitivity(real=np.zeros(9, bool), synthetic=np.ones(9, bool))).all()
    assert sensitivity(real=np.zeros(9, bool), synthetic=np.zeros(9, bool)).criterion > 1  # always says real

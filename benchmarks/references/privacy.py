"""References of the attacks and of nearness: SciPy, scikit-learn, published formulas, and everything counted out."""

from functools import partial
from itertools import combinations
from unittest.mock import patch

import numpy as np
from scipy import stats
from sklearn.metrics import roc_auc_score

from references import Row, largest
from understudy.evaluation.privacy.attacks.authenticity import z_u
from understudy.evaluation.privacy.attacks.risk import _resampled, advantage, area, newcombe, residual_risk, wilson
from understudy.evaluation.privacy.attacks.setup import expected_highest
from understudy.evaluation.privacy.calibration import clopper_pearson

COUNTS = [(k, n) for n in (5, 17, 80, 1000) for k in (0, 1, n // 3, n - 1, n)]


def scores(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw scores of 45 members and 30 non-members, with ties."""
    random = np.random.default_rng(seed)
    return random.normal(0.4, 1, 45).round(1), random.normal(0, 1, 30).round(1)


def area_of_pairs() -> float:
    """Every member beside every non-member; a tie is half."""
    found, expected = [], []
    for seed in range(6):
        members, others = scores(seed)
        found.append(area(members, others, seed, 50).value)
        expected.append(np.mean([(a > b) + 0.5 * (a == b) for a in members for b in others]))
    return largest(found, expected)


def areas_of_resamples() -> float:
    """The resamples written out as weights of scikit-learn."""
    members, others = scores(7)
    weights: list[np.ndarray] = []

    class Recorded:
        def multinomial(self, n: int, shares: np.ndarray, draws: int) -> np.ndarray:
            weights.append(np.random.default_rng(len(weights)).multinomial(n, shares, draws))
            return weights[-1]

    with patch("understudy.evaluation.privacy.attacks.risk.rng", lambda *_: Recorded()):
        found = _resampled(members, others, 0, 40)
    truth, joined = np.r_[np.ones(45), np.zeros(30)], np.r_[members, others]
    pairs = zip(*weights, strict=True)
    expected = [roc_auc_score(truth, joined, sample_weight=np.r_[ours, theirs]) for ours, theirs in pairs]
    return largest(found, expected)


def newcombes_equation() -> float:
    """Both ends put back into |theta - A| = z sqrt(V(theta)), as Hanley and McNeil have V."""
    found, expected = [], []
    for value, n, m in ((0.7, 30, 12), (0.5, 100, 100), (0.9, 48, 8)):
        for theta in newcombe(value, n, m):
            q1, q2 = theta / (2 - theta), 2 * theta**2 / (1 + theta)
            size = (n + m) / 2 - 1
            v = (theta * (1 - theta) + size * (q1 - theta**2) + size * (q2 - theta**2)) / (n * m)
            found.append(abs(theta - value))
            expected.append(stats.norm.ppf(0.975) * np.sqrt(v))
    return largest(found, expected)


def of_binomtest(method: str) -> float:
    """Intervals of shares, none and all of few among them."""
    ours = wilson if method == "wilson" else clopper_pearson
    found, expected = [], []
    for k, n in COUNTS:
        interval = stats.binomtest(k, n).proportion_ci(0.95, method)
        found += ours(k, n)
        expected += [interval.low, interval.high]
    return largest(found, expected)


def published_risk() -> float:
    """(attack - control) / (1 - control), on a grid of rates."""
    rates = [(a, c) for a in np.linspace(0, 1, 21) for c in np.linspace(0, 0.95, 20)]
    risks = [residual_risk(a, 60, c, 40) for a, c in rates]
    return largest([r.value if r else np.nan for r in risks], [(a - c) / (1 - c) for a, c in rates])


def propagated_risk() -> float:
    """Anonymeter's errors to first order, which those of large groups approach."""
    found, expected = [], []
    for a, n, c, m in ((0.4, 100_000, 0.25, 50_000), (0.1, 200_000, 0.1, 200_000)):
        risk = residual_risk(a, n, c, m)
        assert risk is not None
        errors = 1.96 * np.sqrt(a * (1 - a) / n), 1.96 * np.sqrt(c * (1 - c) / m)
        half = np.hypot(errors[0] / (1 - c), errors[1] * (1 - a) / (1 - c) ** 2)
        found += [risk.low or 0, risk.high or 0]
        expected += [risk.value - half, risk.value + half]
    return largest(found, expected)


def u_of_scipy() -> float:
    """Mann and Whitney's U of distances, with its z-value, without ties."""
    found, expected = [], []
    for seed in range(5):
        random = np.random.default_rng(seed)
        released, unseen = random.random(40), random.random(25) ** 0.7
        u = stats.mannwhitneyu(released, unseen, alternative="less", method="asymptotic", use_continuity=False)
        found.append(stats.norm.cdf(z_u(released, unseen)))
        expected.append(u.pvalue)
    return largest(found, expected)


def newcombes_table() -> float:
    """His table II, method 10: successes, trials, successes, trials, and both ends."""
    table = (
        *((56, 70, 48, 80, 0.0524, 0.3339), (9, 10, 3, 10, 0.1705, 0.8090), (6, 7, 2, 7, 0.0582, 0.8062)),
        *((5, 56, 0, 29, -0.0381, 0.1926), (0, 10, 0, 20, -0.1611, 0.2775), (0, 10, 0, 10, -0.2775, 0.2775)),
        *((10, 10, 0, 20, 0.6791, 1.0), (10, 10, 0, 10, 0.6075, 1.0)),
    )
    found = [advantage(a / m, m, b / n, n) for a, m, b, n, _, _ in table]
    return largest([(one.low, one.high) for one in found], [row[4:] for row in table])


def highest_counted_out() -> float:
    """All ways to draw k of n scores."""
    random, found, expected = np.random.default_rng(0), [], []
    for n, k in ((6, 2), (9, 4), (5, 5), (7, 1)):
        values = random.normal(size=n)
        found.append(expected_highest(values, k))
        expected.append(np.mean([max(chosen) for chosen in combinations(values, k)]))
    return largest(found, expected)


RISK = "evaluation/privacy/attacks/test_risk.py"
SHARES = "20 shares of n = 5 to 1,000, with none and all"
ROWS = [
    Row(("attack.auc",), "all pairs counted", "45 members, 30 non-members, with ties", 1e-12, RISK, area_of_pairs),
    Row(("attack.auc",), "`roc_auc_score` with sample weights", "the same, 40 resamples of subjects", 1e-12, RISK,
        areas_of_resamples, "scikit-learn"),
    Row(("attack.auc",), "Newcombe's equation, with the variance of Hanley and McNeil", "3 areas, 8 to 100 subjects",
        2e-4, RISK, newcombes_equation),
    Row(("Wilson",), "`binomtest(...).proportion_ci`, wilson", SHARES, 1e-9, RISK, partial(of_binomtest, "wilson"),
        "scipy"),
    Row(("Clopper-Pearson",), "`binomtest(...).proportion_ci`, exact", SHARES, 1e-9,
        "evaluation/privacy/test_calibration.py", partial(of_binomtest, "exact"), "scipy"),
    Row(("attack.risk",), "the published formula", "420 pairs of rates", 1e-12, RISK, published_risk),
    Row(("attack.risk",), "errors propagated to first order, as published", "50,000 to 200,000 subjects a side", 1e-4,
        RISK, propagated_risk),
    Row(("attack.advantage",), "Newcombe (1998), table II, method 10, four digits", "8 pairs, 7 to 80 subjects", 5e-5,
        RISK, newcombes_table),
    Row(("expected highest of k",), "all draws counted out", "n = 5 to 9", 1e-12,
        "evaluation/privacy/attacks/test_setup.py", highest_counted_out),
    Row(("nearness.c_t",), "p of `mannwhitneyu`, asymptotic", "40 released, 25 unseen", 1e-12,
        "evaluation/privacy/attacks/test_authenticity.py", u_of_scipy, "scipy"),
]  # fmt: skip

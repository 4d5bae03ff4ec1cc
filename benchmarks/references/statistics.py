"""References of the statistics: SciPy, everything counted out, and variances that are known."""

from functools import partial
from itertools import product
from unittest.mock import patch

import numpy as np
from scipy import stats

from references import Row, largest
from understudy.core.pooled import mean_interval
from understudy.evaluation.correlation.coefficients import kendall, signs, spearman
from understudy.evaluation.paired import holm, signed_rank

DRAWS = 20_000
WIDER = float(np.sqrt(40 / 39) * stats.t.ppf(0.975, 39) / stats.norm.ppf(0.975))  # a sample of 40, and t for z


def wilcoxon_counted_out() -> float:
    """All 2^n signs: how many rank sums lie at least as far from the middle; with zeros and ties too."""
    found, expected = [], []
    for seed in range(6):
        random = np.random.default_rng(seed)
        differences = random.normal(0.3, 1, 11) if seed % 2 else random.integers(-2, 5, 11).astype(float)
        moved = differences[differences != 0]
        ranks, middle = stats.rankdata(np.abs(moved)), len(moved) * (len(moved) + 1) / 4
        sums = np.array([np.dot(signs, ranks) for signs in product((0, 1), repeat=len(moved))])
        expected.append((np.abs(sums - middle) >= abs(ranks[moved > 0].sum() - middle) - 1e-9).mean())
        found.append(signed_rank(differences) or 0)
    return largest(found, expected)


def wilcoxon_of_scipy() -> float:
    """Exact for few subjects, the normal approximation for many."""
    few, many = (np.random.default_rng(n).normal(0.1, 1, n) for n in (20, 80))
    expected = [stats.wilcoxon(few, method="exact").pvalue, stats.wilcoxon(many, method="approx").pvalue]
    return largest([signed_rank(few) or 0, signed_rank(many) or 0], expected)


def holm_by_hand() -> float:
    """Four, three and one p values; what is left out does not count."""
    found = [p for values in ([0.01, 0.04, 0.03, 0.005], [0.5, None, 0.6, 0.02], [0.3]) for p in holm(values)]
    if found[5] is not None:
        return float("inf")
    return largest([p for p in found if p is not None], [0.03, 0.06, 0.06, 0.02, 1, 1, 0.06, 0.3])


def scores(seed: int) -> np.ndarray:
    """Draw Dice-like scores of 40 subjects, one repeat."""
    return np.random.default_rng(seed).beta(4, 2, (1, 40))


def bootstrap_on_the_same_resamples() -> float:
    """SciPy's resamples, drawn as SciPy draws them, handed to both."""
    found, expected = [], []
    for seed in range(3):
        drawn = np.random.default_rng(seed).integers(0, 40, (DRAWS, 40))
        weights = np.stack([np.bincount(rows, minlength=40) for rows in drawn])
        with patch("understudy.core.pooled.resample", lambda *_, w=weights: w):
            ours = mean_interval(scores(seed), seed=0, draws=DRAWS)
        theirs = stats.bootstrap(
            (scores(seed)[0],), np.mean, n_resamples=DRAWS, method="percentile", rng=np.random.default_rng(seed)
        ).confidence_interval
        found += [ours.low, ours.high]
        expected += [ours.value + WIDER * (end - ours.value) for end in (theirs.low, theirs.high)]
    return largest(found, expected)


def bootstrap_on_other_resamples() -> float:
    """Each draws its own."""
    found, expected = [], []
    for seed in range(3):
        ours = mean_interval(scores(seed), seed=seed, draws=DRAWS)
        theirs = stats.bootstrap(
            (scores(seed)[0],), np.mean, n_resamples=DRAWS, method="percentile", rng=np.random.default_rng(9)
        ).confidence_interval
        found += [ours.low, ours.high]
        expected += [ours.value + WIDER * (end - ours.value) for end in (theirs.low, theirs.high)]
    return largest(found, expected)


def nested_bootstrap() -> float:
    """Widths where seeds alone, subjects alone, or both vary, against 2 x 1.96 standard errors of these means."""
    rng = np.random.default_rng(0)
    seeds, subjects = rng.normal(0, 1, (60, 1)), rng.normal(0, 2, (1, 80))
    of_seeds, of_subjects = seeds.var(ddof=1) / 60, subjects.var(ddof=1) / 80
    found, expected = [], []
    for part, variance in ((seeds, of_seeds), (subjects, of_subjects), (seeds + subjects, of_seeds + of_subjects)):
        interval = mean_interval(np.broadcast_to(part, (60, 80)), seed=0, draws=DRAWS)
        found.append(interval.high - interval.low)
        expected.append(2 * 1.96 * np.sqrt(variance))  # t over z widens both by less than 2 %
    return largest(found, expected, relative=True)


def rank_correlation_of_scipy(name: str) -> float:
    """Values with ties, as they are and in resamples written out."""
    ours, theirs = {"spearman": (spearman, stats.spearmanr), "kendall": (kendall, stats.kendalltau)}[name]
    found, expected = [], []
    for seed in range(5):
        random = np.random.default_rng(seed)
        x = random.integers(0, 8, 14).astype(float)
        y = np.round(0.4 * x + random.normal(0, 2, 14))
        weights = np.vstack([np.ones((1, 14), int), random.multinomial(14, np.full(14, 1 / 14), 25)])
        found.append(ours(signs(x), signs(y), weights))
        expected.append([theirs(np.repeat(x, times), np.repeat(y, times)).statistic for times in weights])
    return largest(np.array(found), np.array(expected))


PAIRED, INTERVALS = "evaluation/test_paired.py", "core/test_pooled.py"
WIDTHS = f"60 seeds, 80 subjects, {DRAWS:,} resamples: width of the interval"
OWN = f"n = 40, each its own {DRAWS:,} resamples: their ends have a standard error of about 5e-4"
ROWS = [
    Row(("Wilcoxon signed-rank",), "all 2^n signs counted out", "n = 11, with zeros and ties", 1e-12, PAIRED,
        wilcoxon_counted_out),
    Row(("Wilcoxon signed-rank",), "`wilcoxon`, exact and approximate", "n = 20 and 80", 1e-12, PAIRED,
        wilcoxon_of_scipy, "scipy"),
    Row(("Holm",), "by hand", "tables of 4, 3 and 1", 1e-12, PAIRED, holm_by_hand),
    Row(("bootstrap",), "`bootstrap`, percentile, widened", f"n = 40, the same {DRAWS:,} resamples", 1e-12, INTERVALS,
        bootstrap_on_the_same_resamples, "scipy"),
    Row(("bootstrap",), "`bootstrap`, percentile, widened", OWN, 2e-3, INTERVALS,
        bootstrap_on_other_resamples, "scipy"),
    Row(("bootstrap of subjects and seeds",), "variance of the mean", WIDTHS, 0.03,
        INTERVALS, nested_bootstrap, relative=True),
    *(Row((name,), f"`{function}`", "n = 14 with ties, and 25 resamples of them", 1e-12,
          "evaluation/correlation/test_coefficients.py", partial(rank_correlation_of_scipy, name), "scipy")
      for name, function in (("spearman", "spearmanr"), ("kendall", "kendalltau"))),
]  # fmt: skip

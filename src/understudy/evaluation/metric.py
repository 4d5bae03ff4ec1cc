"""What an entry of the metrics menu is: a function with keyword-only roles, and what it says of each of its numbers.

Results, tables, reports and tests take titles, units, directions, bounds and laws from here. **Checked** in
tests/evaluation/test_menu.py and test_corruptions.py.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from understudy.core.errors import UnderstudyError
from understudy.core.result import Result

MIN_CASES = 30  # a set; below it chance decides, whatever the metric
LAWS = frozenset(
    {
        "symmetric",  # the same number when real and synthetic change places
        "zero on identical",  # exactly 0 (1e-6 of the features' variance) when both sets are the same matrix
        "one on identical",  # exactly 1 when both sets are the same matrix
        "never negative",
        "unbiased",  # about 0, either sign, for two samples of independent cases of one distribution
        "order irrelevant",  # the same number when rows are shuffled; without it: the same but for the draw of subsets
        "monotone under shift",  # the further the synthetic set's matrix is moved, the worse
        "monotone under blur",  # the more synthetic images are blurred, the worse
        "monotone under noise",  # the more noise on synthetic images, the worse
        "monotone under label shift",  # the farther the shares of what is shown lie from the real ones, the worse
        "monotone under mode dropping",  # the more of what is shown never occurs among synthetic images, the worse
    }
)
MONOTONE = frozenset(law for law in LAWS if law.startswith("monotone"))
DISTANCE = MONOTONE | {"symmetric", "zero on identical", "never negative", "order irrelevant"}


@dataclass(frozen=True)
class Quantity:
    """One number that a metric measures: its name in results and tables, and its title for people.

    Better is "lower" or "higher"; laws out of ``LAWS`` hold of it, others are refused; the unit is "" where it has
    none, or where it depends on the channel; bounds are the lowest and the highest value that it can have.
    """

    name: str
    title: str
    better: str
    laws: frozenset[str]
    unit: str = ""
    bounds: tuple[float, float] = (0, math.inf)

    def __post_init__(self) -> None:
        """Refuse a law that no test knows."""
        if not self.laws <= LAWS:
            raise UnderstudyError(f"a metric declares laws out of {sorted(LAWS)}, found {sorted(self.laws - LAWS)}")


@dataclass(frozen=True)
class Metric:
    """One entry of the menu.

    Attributes:
        function: ``metric(*, real, synthetic, seed)`` on feature matrices (n, F) and (m, F): one Result, or several
            that share their work. ``n`` of a result is the number of cases it stands on, as a rule the smaller set.
            UnderstudyError for matrices that cannot be compared (:func:`check_features`).
        quantities: what the results are, in their order.
        needs: what the matrices hold: "features" of images, "logits" of their classes, their "spectra", or
            "intensities", channel by channel.
        settings: settings of the evaluation that the function takes beside its roles.
        cases_per_feature: how many cases a set it needs for each of the F columns to mean anything.
        few: what becomes of it with fewer.
    """

    function: Callable[..., Result | Sequence[Result]]
    quantities: tuple[Quantity, ...]
    needs: str = "features"
    settings: tuple[str, ...] = ()
    cases_per_feature: int = 0
    few: str = ""

    def results(self, *, real: np.ndarray, synthetic: np.ndarray, seed: int = 0, **settings: Any) -> dict[str, Result]:
        """Return the results by the names of their quantities."""
        found = several(self.function(real=real, synthetic=synthetic, seed=seed, **settings))
        return {quantity.name: result for quantity, result in zip(self.quantities, found, strict=True)}

    def warning(self, n: int, features: int) -> str:
        """Return what must stand beside a number of n cases a set with F features, or "" where they are enough."""
        if n >= self.cases_per_feature * features:
            return few_cases(n)
        return f"{n} cases are too few for {features} features: {self.few}, read it beside its baselines only"


def several(found: Result | Sequence[Result]) -> Sequence[Result]:
    """Return what a metric returned as a sequence of results."""
    return [found] if isinstance(found, Result) else found


def few_cases(n: int) -> str:
    """Return what must stand beside any distance of n cases a set, or "" where they are enough."""
    return "" if n >= MIN_CASES else f"{n} cases are too few: chance decides"


def check_features(real: np.ndarray, synthetic: np.ndarray) -> None:
    """Raise UnderstudyError unless these are matrices of equal width, two rows or more, and finite numbers."""
    if real.ndim != 2 or synthetic.ndim != 2 or real.shape[1] != synthetic.shape[1]:
        raise UnderstudyError(
            f"features (n, F) and (m, F) of one extractor were expected, found {real.shape} and {synthetic.shape}"
        )
    if min(len(real), len(synthetic)) < 2:
        raise UnderstudyError(
            f"at least 2 cases a set were expected, found {len(real)} real and {len(synthetic)} synthetic"
        )
    if not (np.isfinite(real).all() and np.isfinite(synthetic).all()):
        raise UnderstudyError("features must be finite, found NaN or infinity: run `understudy check` on both cohorts")

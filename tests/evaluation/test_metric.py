"""An entry of the metrics menu: laws that a test knows, warnings, and matrices that cannot be compared."""

import numpy as np
import pytest

from understudy.core.errors import UnderstudyError
from understudy.evaluation import METRICS
from understudy.evaluation.metric import Metric, Quantity, check_features, few_cases


def test_few_cases_are_too_few() -> None:
    frechet, infinity, kid = (METRICS[name] for name in ("frechet", "frechet_infinity", "kid"))
    assert frechet.warning(320, 160) == "" == kid.warning(30, 160) == infinity.warning(640, 160)
    assert frechet.warning(319, 160) == (
        "319 cases are too few for 160 features: biased upwards, read it beside its baselines only"
    )
    assert infinity.warning(639, 160).startswith("639 cases are too few for 160 features: the line may bend")
    assert kid.warning(29, 2) == frechet.warning(29, 2) == "29 cases are too few: chance decides"


def test_a_law_that_no_test_knows_is_refused() -> None:
    with pytest.raises(UnderstudyError, match="found .'always right'."):
        Quantity("toy", "toy", "lower", frozenset({"always right"}))


def test_too_few_cases_for_the_features_are_told() -> None:
    metric = Metric(print, (), cases_per_feature=2, few="it is biased")  # type: ignore[arg-type]
    assert "39 cases are too few for 20 features: it is biased" in metric.warning(39, 20)
    assert metric.warning(40, 20) == ""
    assert metric.warning(20, 10) == few_cases(20) != ""


@pytest.mark.parametrize(
    ("real", "synthetic", "says"),
    [
        (np.zeros((3, 2)), np.zeros((3, 4)), "of one extractor"),
        (np.zeros(3), np.zeros(3), "of one extractor"),
        (np.zeros((3, 2)), np.zeros((1, 2)), "found 3 real and 1 synthetic"),
        (np.zeros((3, 2)), np.full((3, 2), np.nan), "finite"),
    ],
)
def test_matrices_that_cannot_be_compared_are_refused(real: np.ndarray, synthetic: np.ndarray, says: str) -> None:
    with pytest.raises(UnderstudyError, match=says):
        check_features(real, synthetic)

"""Settings of consistency: the segmenter is not the one that judges utility."""

import pytest

from understudy.evaluation.consistency.config import ConsistencyConfig


def test_another_architecture_than_the_judge_of_utility() -> None:
    with pytest.raises(ValueError, match="another architecture than the one that measures utility"):
        ConsistencyConfig(network="unet")
    with pytest.raises(ValueError, match="another architecture than the one that measures utility"):
        ConsistencyConfig(utility_network="segresnet")
    assert ConsistencyConfig(network="unet", utility_network="segresnet").network == "unet"
    assert ConsistencyConfig().network != ConsistencyConfig().utility_network
    with pytest.raises(ValueError, match="was expected, found 'swan'"):
        ConsistencyConfig(network="swan")

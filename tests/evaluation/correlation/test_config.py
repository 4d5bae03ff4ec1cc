"""Settings of evaluate correlation: each says what it is; unknown keys and values out of range are refused."""

import pytest
from pydantic import ValidationError

from understudy.evaluation.correlation.config import CorrelationConfig


def test_every_setting_says_what_it_is() -> None:
    assert all(field.description for field in CorrelationConfig.model_fields.values())
    assert CorrelationConfig().model_config["frozen"]


@pytest.mark.parametrize(
    "bad", [{"draws": 99}, {"permutations": 10}, {"scores": "dice"}, {"spoilt": ["../x"]}, {"unfinished": ["ab"]}]
)
def test_what_cannot_be_is_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(bad))):
        CorrelationConfig(**bad)  # type: ignore[arg-type]

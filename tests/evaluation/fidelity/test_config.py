"""Settings of evaluate fidelity: each says what it is; unknown keys and values out of range are refused."""

import pytest
from pydantic import ValidationError

from understudy.evaluation.fidelity.config import FidelityConfig


def test_every_setting_says_what_it_is() -> None:
    assert all(field.description for field in FidelityConfig.model_fields.values())
    assert FidelityConfig().model_config["frozen"]


@pytest.mark.parametrize("bad", [{"draws": 1}, {"subset_size": 1}, {"location": "world"}, {"bin": 64}])
def test_what_cannot_be_is_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(bad))):
        FidelityConfig(**bad)  # type: ignore[arg-type]

"""Settings of evaluate interrater: each says what it is; unknown keys and values out of range are refused."""

import pytest
from pydantic import ValidationError

from understudy.evaluation.interrater.config import InterraterConfig


def test_every_setting_says_what_it_is() -> None:
    assert all(field.description for field in InterraterConfig.model_fields.values())
    assert InterraterConfig().model_config["frozen"]


@pytest.mark.parametrize("bad", [{"split": "some"}, {"tolerance": 0}, {"tolerance": float("inf")}, {"by": ()}])
def test_what_cannot_be_is_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(bad))):
        InterraterConfig(**bad)  # type: ignore[arg-type]

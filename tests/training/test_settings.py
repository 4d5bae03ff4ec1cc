"""Settings that every generator has: unknown keys and values out of range are refused, and each has a description."""

import pytest
from pydantic import ValidationError

from understudy.training.settings import GeneratorConfig


def test_every_setting_says_what_it_is() -> None:
    assert all(field.description for field in GeneratorConfig.model_fields.values())


@pytest.mark.parametrize(
    "bad", [{"batchsize": 4}, {"batch_size": 0}, {"rotate": 181}, {"precision": "fp16"}, {"images_seen": -1}]
)
def test_what_cannot_be_is_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(bad))):
        GeneratorConfig(**bad)  # type: ignore[arg-type]

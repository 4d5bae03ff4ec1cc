"""Which features can be asked for: those of the menu."""

from typing import get_args

import pytest
from pydantic import ValidationError

from understudy.evaluation.features import EXTRACTORS
from understudy.evaluation.features.config import FeatureConfig


def test_the_menu_is_that_of_the_settings() -> None:
    assert set(EXTRACTORS) == set(get_args(FeatureConfig.model_fields["features"].annotation))
    with pytest.raises(ValidationError):
        FeatureConfig(features="inception")  # type: ignore[arg-type]

"""Settings of utility: what cannot be is refused."""

import pytest

from understudy.evaluation.utility.config import UtilityConfig


def test_settings_are_checked() -> None:
    for wrong in ({"network": "swan"}, {"updates": 0}, {"unknown": 1}, {"precision": "int8"}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            UtilityConfig(**wrong)

"""Settings of differential privacy: a guarantee or a noise, and not both."""

import pytest
from pydantic import ValidationError

from understudy.training.dp.settings import OffersPrivacy, PrivacySettings


@pytest.mark.parametrize("asked", [{"epsilon": 8}, {"noise": 1.5}, {"noise": 0}])
def test_one_of_the_two_is_asked_for(asked: dict[str, float]) -> None:
    assert PrivacySettings(**asked).model_dump(exclude_none=True).items() >= asked.items()  # type: ignore[arg-type]


@pytest.mark.parametrize("asked", [{}, {"epsilon": 8, "noise": 1}])
def test_neither_or_both_are_refused(asked: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match="and not both"):
        PrivacySettings(**asked)  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [{"epsilon": 0.01}, {"epsilon": 8, "delta": 1}, {"epsilon": 8, "clip": 0}])
def test_no_meaningless_guarantee(bad: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        PrivacySettings(**bad)  # type: ignore[arg-type]


def test_a_generator_has_none_unless_asked() -> None:
    assert OffersPrivacy().dp is None
    assert OffersPrivacy(dp={"epsilon": 8}).dp == PrivacySettings(epsilon=8)  # type: ignore[arg-type]

"""Settings of the privacy evaluation: updates by the number of cases, and names that stand in the menus."""

import pytest
from pydantic import ValidationError

from understudy.evaluation.privacy.attacks import ATTACKS
from understudy.evaluation.privacy.config import PrivacyConfig
from understudy.evaluation.privacy.copies.matchers import MATCHERS


@pytest.mark.parametrize(("cases", "updates"), [(10, 400), (133, 400), (200, 600), (300, 900), (10**6, 1000)])
def test_each_case_is_shown_equally_often_and_fewer_times_of_many(cases: int, updates: int) -> None:
    assert PrivacyConfig().updates_for(cases) == updates
    assert PrivacyConfig().updates_for(cases, alone=True) == (3000 if cases > 1000 else updates)
    assert PrivacyConfig(updates=7).updates_for(cases) == 7


def test_all_matchers_and_attacks_are_asked_for_but_the_slow_one() -> None:
    assert PrivacyConfig().matchers == MATCHERS
    assert set(ATTACKS) - set(PrivacyConfig().attacks) == {"latent_inversion"}


@pytest.mark.parametrize(
    "bad",
    [
        {"matchers": ("pixels", "sight")},
        {"attacks": ("luck",)},
        {"false_positive_rate": 0.3},
        {"non_members": ()},
        {"non_members": ("train",)},
        {"non_members": ("control", "control")},
        {"gallery": 3},
    ],
)
def test_what_cannot_be_is_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(bad))):
        PrivacyConfig(**bad)  # type: ignore[arg-type]

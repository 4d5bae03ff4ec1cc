"""PrivacyConfig: the settings of ``evaluate privacy``."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from understudy.evaluation.privacy.attacks import ATTACKS


class PrivacyConfig(BaseModel):
    """Settings of the privacy evaluation; all of them stand in the provenance of its results.

    Attributes:
        false_alarm_rate: share of real cases of unseen subjects that may be flagged; it sets the threshold.
        bootstrap: resamples of the calibration subjects, for intervals.
        gallery: number of worst pairs kept for the INTERNAL gallery.
        attacks: which attacks are run, of the menu; those that cannot be are left out, and it is said why.
        attack_features: what describes images where an attack needs features: "random" filters,
            or an "encoder" that learns on the released cases.
        non_members: splits whose subjects are the control group of attacks; "test" is for release decisions.
        memory_mib: bound of the all-pairs search in MiB; results do not depend on it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    false_alarm_rate: float = Field(default=0.01, gt=0, le=0.2)
    bootstrap: int = Field(default=1000, ge=100)
    gallery: int = Field(default=16, ge=0)
    attacks: tuple[str, ...] = tuple(ATTACKS)
    attack_features: Literal["random", "encoder"] = "random"
    non_members: tuple[Literal["control", "test"], ...] = Field(default=("control",), min_length=1)
    memory_mib: int = Field(default=1024, ge=1)

    @field_validator("attacks")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := sorted(set(names) - set(ATTACKS)):
            raise ValueError(f"there is no attack {unknown[0]!r}: choose from {', '.join(ATTACKS)}")
        if len(set(names)) < len(names):
            raise ValueError(f"each attack may be named once, found {', '.join(names)}")
        return names

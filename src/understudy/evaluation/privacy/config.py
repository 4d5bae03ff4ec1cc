"""PrivacyConfig: the settings of ``evaluate privacy``."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from understudy.evaluation.privacy.attacks import ATTACKS
from understudy.evaluation.privacy.copies.matchers import VIEWS

FEWEST_UPDATES, MOST_UPDATES = 400, 1500


class PrivacyConfig(BaseModel):
    """Settings of the privacy evaluation; all of them stand in the provenance of its results.

    Attributes:
        false_alarm_rate: share of real cases of unseen subjects that may be flagged; it sets the threshold.
        views: from where copies are sought; see ``copies/matchers.py``. Cases that are not images of two dimensions are
            looked at by pixels only.
        updates: batches that the encoder of the view embedding learns from; as many as the training cases ask for
            where None.
        audit: plant copies, and report how many are flagged; reads the test split.
        audit_left_out: whether each family of disguises in turn is kept from an encoder of its own; the slowest part.
        audit_copies: copies planted in each disguise.
        audit_few: copies hidden among strangers ...
        audit_among: ... so many.
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
    views: tuple[str, ...] = VIEWS
    updates: int | None = Field(default=None, ge=1)
    audit: bool = False
    audit_left_out: bool = True
    audit_copies: int = Field(default=200, ge=10)
    audit_few: int = Field(default=10, ge=1)
    audit_among: int = Field(default=10_000, ge=10)
    bootstrap: int = Field(default=1000, ge=100)
    gallery: int = Field(default=16, ge=0)
    attacks: tuple[str, ...] = tuple(ATTACKS)
    attack_features: Literal["random", "encoder"] = "random"
    non_members: tuple[Literal["control", "test"], ...] = Field(default=("control",), min_length=1)
    memory_mib: int = Field(default=1024, ge=1)

    def updates_for(self, cases: int) -> int:
        """Return how many updates an encoder learns from: each case is shown about 380 times, fewer of many."""
        return self.updates or min(max(3 * cases, FEWEST_UPDATES), MOST_UPDATES)

    @field_validator("views")
    @classmethod
    def _seen(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := sorted(set(names) - set(VIEWS)):
            raise ValueError(f"there is no view {unknown[0]!r}: choose from {', '.join(VIEWS)}")
        if "pixels" not in names or len(set(names)) < len(names):
            raise ValueError(f"views name pixels and each other view at most once, found {', '.join(names)}")
        return names

    @field_validator("attacks")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := sorted(set(names) - set(ATTACKS)):
            raise ValueError(f"there is no attack {unknown[0]!r}: choose from {', '.join(ATTACKS)}")
        if len(set(names)) < len(names):
            raise ValueError(f"each attack may be named once, found {', '.join(names)}")
        return names

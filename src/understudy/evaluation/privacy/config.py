"""PrivacyConfig: the settings of ``evaluate privacy``."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from understudy.evaluation.privacy.attacks import ATTACKS
from understudy.evaluation.privacy.copies.matchers import MATCHERS

MIN_UPDATES, MAX_UPDATES = 400, 1500


class PrivacyConfig(BaseModel):
    """Settings of the privacy evaluation; all of them stand in the provenance of its results.

    Attributes:
        false_positive_rate: share of real cases of unseen subjects that may be flagged; it sets the threshold.
        matchers: which find copies, see ``copies/matchers.py``; cases other than images of two dimensions are matched
            by pixels only.
        updates: batches that the encoder of the matcher embedding learns from; as many as the training cases ask for
            where None.
        audit: inject copies, and report how many are flagged; reads the test split.
        audit_left_out: whether an encoder is trained without each family of transformations in turn; the slowest part.
        audit_copies: injected copies of each transformation.
        audit_low_prevalence: injected copies of the low-prevalence test ...
        audit_among: ... among so many cases of non-members.
        bootstrap: resamples of subjects, for intervals.
        worst_pairs: number of nearest pairs that are kept in the INTERNAL results.
        attacks: which attacks are run, of the menu; those that cannot be are left out, and it is said why.
        attack_features: what describes images where an attack needs features: "random" filters,
            or an "encoder" that learns on the released cases.
        non_members: splits whose subjects are the control group of attacks; "test" is for release decisions.
        memory_mib: bound of the all-pairs search in MiB; results do not depend on it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    false_positive_rate: float = Field(default=0.01, gt=0, le=0.2)
    matchers: tuple[str, ...] = MATCHERS
    updates: int | None = Field(default=None, ge=1)
    audit: bool = False
    audit_left_out: bool = True
    audit_copies: int = Field(default=200, ge=10)
    audit_low_prevalence: int = Field(default=10, ge=1)
    audit_among: int = Field(default=10_000, ge=10)
    bootstrap: int = Field(default=1000, ge=100)
    worst_pairs: int = Field(default=16, ge=0)
    attacks: tuple[str, ...] = tuple(ATTACKS)
    attack_features: Literal["random", "encoder"] = "random"
    non_members: tuple[Literal["control", "test"], ...] = Field(default=("control",), min_length=1)
    memory_mib: int = Field(default=1024, ge=1)

    def updates_for(self, cases: int) -> int:
        """Return how many updates an encoder learns from: each case is shown about 380 times, fewer of many."""
        return self.updates or min(max(3 * cases, MIN_UPDATES), MAX_UPDATES)

    @field_validator("matchers")
    @classmethod
    def _known_matchers(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := sorted(set(names) - set(MATCHERS)):
            raise ValueError(f"there is no matcher {unknown[0]!r}: choose from {', '.join(MATCHERS)}")
        if "pixels" not in names or len(set(names)) < len(names):
            raise ValueError(f"matchers name pixels and each other matcher at most once, found {', '.join(names)}")
        return names

    @field_validator("attacks")
    @classmethod
    def _known_attacks(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := sorted(set(names) - set(ATTACKS)):
            raise ValueError(f"there is no attack {unknown[0]!r}: choose from {', '.join(ATTACKS)}")
        if len(set(names)) < len(names):
            raise ValueError(f"each attack may be named once, found {', '.join(names)}")
        return names

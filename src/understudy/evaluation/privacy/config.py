"""PrivacyConfig: the settings of ``evaluate privacy``."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_serializer, field_validator, model_validator

from understudy.evaluation.privacy.attacks import ATTACKS
from understudy.evaluation.privacy.canaries.inject import Recipes
from understudy.evaluation.privacy.copies.matchers import MATCHERS
from understudy.evaluation.privacy.copies.second import SECOND

MIN_UPDATES, MAX_UPDATES, MAX_ALONE = 400, 1000, 3000


class PrivacyConfig(BaseModel):
    """Settings of the privacy evaluation; all of them stand in the provenance of its results."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    false_positive_rate: float = Field(
        0.01, gt=0, le=0.2, description="share of real cases of unseen subjects that may be flagged; sets the threshold"
    )
    judgement: Literal["first", "second"] = Field(
        "first", description="second: by matchers that share nothing with the first, to judge what these screened"
    )
    matchers: tuple[str, ...] = Field(MATCHERS, description="which find copies, by default all of the judgement")
    updates: int | None = Field(
        None, ge=1, description="batches that the encoder of the matcher whole learns from; null: by training cases"
    )
    audit: bool = Field(False, description="inject copies, and report how many are flagged; reads the test split")
    audit_left_out: bool = Field(
        True, description="train an encoder without each family of transformations in turn; the slowest part"
    )
    audit_copies: int = Field(100, ge=10, description="injected copies of each transformation")
    audit_low_prevalence: int = Field(10, ge=1, description="injected copies of the low-prevalence test")
    audit_among: int = Field(2000, ge=10, description="among so many cases of non-members")
    audit_transformations: Recipes = Field(
        (), description="a steward's own transformations, injected too; --transformations FILE reads them"
    )
    bootstrap: int = Field(1000, ge=100, description="resamples of subjects, for intervals")
    worst_pairs: int = Field(16, ge=0, description="nearest pairs that are kept in the INTERNAL results")
    attacks: tuple[str, ...] = Field(
        tuple(name for name in ATTACKS if name != "latent_inversion"),
        description="which are run; those that cannot be are left out, and it is said why; --generator adds its own",
    )
    attack_features: Literal["random", "encoder"] = Field(
        "random", description="of images, where an attack needs some: random filters, or an encoder of released cases"
    )
    non_members: tuple[Literal["control", "test"], ...] = Field(
        ("control",), min_length=1, description="splits of the attacks' control group; test is for release decisions"
    )
    memory_mib: int = Field(1024, ge=1, description="bound of the all-pairs search in MiB; does not change the result")

    def updates_for(self, cases: int, alone: bool = False) -> int:
        """Return how many updates an encoder learns from: each case is shown about 380 times, fewer of many.

        An encoder that is ``alone``, since no fold needs its own, may take three times as many.
        """
        return self.updates or min(max(3 * cases, MIN_UPDATES), MAX_ALONE if alone else MAX_UPDATES)

    @model_validator(mode="before")
    @classmethod
    def _matchers_of_the_judgement(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("judgement") == "second":
            return {"matchers": tuple(SECOND), **given}
        return given

    @model_validator(mode="after")
    def _known_matchers(self) -> "PrivacyConfig":
        names, known = self.matchers, tuple(SECOND) if self.judgement == "second" else MATCHERS
        if unknown := sorted(set(names) - set(known)):
            raise ValueError(
                f"there is no matcher {unknown[0]!r} in the {self.judgement} judgement: choose from {', '.join(known)}"
            )
        if known[0] not in names or len(set(names)) < len(names):
            raise ValueError(f"matchers name {known[0]} and each other matcher at most once, found {', '.join(names)}")
        return self

    @field_serializer("audit_transformations")
    def _in_words(self, recipes: Recipes) -> list[str]:
        return [
            recipe.model_dump_json(exclude_unset=True) for recipe in recipes
        ]  # settings in a provenance are numbers and words

    @field_validator("non_members")
    @classmethod
    def _each_once(cls, splits: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(splits)) < len(splits):
            raise ValueError(f"each split may be named once, found {', '.join(splits)}")
        return splits

    @field_validator("attacks")
    @classmethod
    def _known_attacks(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := sorted(set(names) - set(ATTACKS)):
            raise ValueError(f"there is no attack {unknown[0]!r}: choose from {', '.join(ATTACKS)}")
        if len(set(names)) < len(names):
            raise ValueError(f"each attack may be named once, found {', '.join(names)}")
        return names

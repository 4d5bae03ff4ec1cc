"""Settings of ``evaluate correlation``; flat, so that ``--set draws=500`` names any of them."""

import re

from pydantic import BaseModel, ConfigDict, Field, field_validator

ID = re.compile("[0-9a-z]{4,}")


class CorrelationConfig(BaseModel):
    """Which utility fidelity is correlated with, over which cohorts, and how often is drawn."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    score: str = Field(
        "", description="utility score, e.g. dice.tumour or hd95; default: Dice, or AUC, as the mean of the classes"
    )
    arm: str = Field("synthetic", description="what the task networks were trained on: synthetic, both ...")
    spoilt: tuple[str, ...] = Field(
        (), description="ids (first characters) of cohorts that were spoilt on purpose: shown apart, in no other subset"
    )
    unfinished: tuple[str, ...] = Field(
        (), description="ids of cohorts of early snapshots: left out of the subset of finished generators"
    )
    draws: int = Field(2000, ge=100, description="bootstrap resamples of generators")
    permutations: int = Field(10_000, ge=100, description="permutations behind a p")

    @field_validator("spoilt", "unfinished")
    @classmethod
    def _ids(cls, ids: tuple[str, ...]) -> tuple[str, ...]:
        if bad := [one for one in ids if not ID.fullmatch(one)]:
            raise ValueError(f"the first four or more characters of a cohort's id were expected, found {bad[0]!r}")
        return ids

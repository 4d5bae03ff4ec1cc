"""Settings of ``evaluate correlation``; flat, so that ``--set draws=500`` names any of them."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Id = Annotated[str, Field(pattern="^[0-9a-z]{4,}$")]


class CorrelationConfig(BaseModel):
    """Which utility fidelity is correlated with, and how often resamples and permutations are drawn."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    score: str = Field(
        "", description="utility score, e.g. dice.tumour or hd95; default: Dice, or AUC, as the mean of the classes"
    )
    arm: str = Field("synthetic", description="what the task networks were trained on: synthetic, both ...")
    spoilt: tuple[Id, ...] = Field(
        (), description="ids (first characters) of cohorts that were spoilt on purpose: shown apart, in no other subset"
    )
    unfinished: tuple[Id, ...] = Field(
        (), description="ids of cohorts of early snapshots: left out of the subset of finished generators"
    )
    draws: int = Field(2000, ge=100, description="bootstrap resamples of generators")
    permutations: int = Field(10_000, ge=100, description="permutations behind a p")

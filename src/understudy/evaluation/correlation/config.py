"""Settings of ``evaluate correlation``; flat, so that ``--set draws=500`` names any of them."""

from pydantic import BaseModel, ConfigDict, Field


class CorrelationConfig(BaseModel):
    """Which utility fidelity is correlated with, and how often resamples and permutations are drawn."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    score: str = Field(
        "", description="utility score, e.g. dice.tumour or hd95; default: Dice, or AUC, as the mean of the classes"
    )
    arm: str = Field("synthetic", description="what the task networks were trained on: synthetic, both ...")
    draws: int = Field(2000, ge=100, description="bootstrap resamples of generators")
    permutations: int = Field(10_000, ge=100, description="permutations behind a p")

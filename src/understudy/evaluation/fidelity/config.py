"""Settings of ``evaluate fidelity``; flat, so that ``--set draws=50`` names any of them."""

from pydantic import BaseModel, ConfigDict, Field


class FidelityConfig(BaseModel):
    """How often halves are drawn, how the kernel distance is estimated, and what is shown."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    draws: int = Field(20, ge=2, description="random halves of the real subjects behind the floor")
    subsets: int = Field(100, ge=1, description="subsets of the kernel distance")
    subset_size: int = Field(1000, ge=2, description="cases of each side in a subset")
    bins: int = Field(64, ge=2, description="bins of the intensity curves")
    grid: int = Field(64, ge=1, description="cases shown")

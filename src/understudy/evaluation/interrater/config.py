"""Settings of ``evaluate interrater``; flat, so that ``--set split=all`` names any of them."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class InterraterConfig(BaseModel):
    """Which cases are compared, and how."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    split: Literal["test", "train", "validation", "control", "all"] = Field(
        "test", description="split of --real; test: the subjects on whom utility is measured"
    )
    classes: tuple[str, ...] = Field((), description="the only ones that count; the others are background; empty: all")
    tolerance: float = Field(
        2.0, gt=0, allow_inf_nan=False, description="of NSD, in mm; in pixels or voxels without spacing"
    )
    draws: int = Field(2000, ge=100, description="bootstrap resamples")

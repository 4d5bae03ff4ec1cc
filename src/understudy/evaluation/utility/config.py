"""Settings of ``evaluate utility``, one set a task; flat, so that ``--set updates=500`` names any of them."""

from typing import Literal

from pydantic import BaseModel, Field

from understudy.tasks.classification import ClassificationConfig
from understudy.tasks.segmentation import SegmentationConfig


class Repeats(BaseModel):
    """How often a task network is trained, and how many resamples make an interval."""

    repeats: int = Field(3, ge=1, description="seeds of the task network")
    sides: tuple[Literal["synthetic", "both"], ...] = Field(
        ("synthetic",),
        min_length=1,
        description="what is compared with real cases: synthetic ones alone; both kinds, half of each batch each",
    )
    draws: int = Field(2000, ge=100, description="bootstrap resamples")


class UtilityConfig(Repeats, SegmentationConfig):
    """How segmenters are trained, how often, and how their label maps are scored."""

    tolerance: float = Field(
        2.0, gt=0, allow_inf_nan=False, description="of NSD, in mm; in pixels or voxels without spacing"
    )
    by: tuple[str, ...] = Field((), description="columns of the case table, e.g. institution, by whose values to score")


class ClassUtilityConfig(Repeats, ClassificationConfig):
    """How classifiers are trained, how often, and how many resamples make an interval."""

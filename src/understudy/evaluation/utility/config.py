"""Settings of ``evaluate utility``; flat, so that ``--set updates=500`` names any of them."""

from pydantic import Field

from understudy.tasks.segmentation import SegmentationConfig


class UtilityConfig(SegmentationConfig):
    """How segmenters are trained, how often, and how many resamples make an interval."""

    repeats: int = Field(3, ge=1, description="segmenter seeds")
    draws: int = Field(2000, ge=100, description="bootstrap resamples")

"""Settings of ``evaluate consistency``; flat, so that ``--set updates=500`` names any of them."""

from typing import Any, Literal

from pydantic import Field, field_validator

from understudy.tasks.segmentation import SegmentationConfig


class ConsistencyConfig(SegmentationConfig):
    """How the segmenter that reads synthetic images is trained, and what its consistency is compared with.

    It must not be the architecture that measures utility: cases that were kept because a U-Net reads them well would
    flatter a U-Net that is trained on them.
    """

    network: str = Field("segresnet", description="architecture of the segmenter that reads the images")
    utility_network: str = Field("unet", validate_default=True, description="the architecture that measures utility")
    reference: Literal["control", "validation"] = Field("control", description="split of the real reference pairs")
    quantile: float = Field(0.05, gt=0, lt=0.5, description="share of real pairs that agree less than the threshold")
    draws: int = Field(1000, ge=100, description="bootstrap resamples")

    @field_validator("utility_network")
    @classmethod
    def _another(cls, name: str, info: Any) -> str:
        if name == info.data.get("network"):
            raise ValueError(
                f"another architecture than the one that measures utility was expected to read the images, and network "
                f"is {name} too: set network, or utility_network if utility was judged by another"
            )
        return name

"""The settings that every generator has, whatever its method. **Checked** in tests/training/test_settings.py."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class GeneratorConfig(BaseModel):
    """What every generator's configuration has; an unknown key is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    images_seen: int = Field(200_000, gt=0, description="length of the training, in images")
    batch_size: int = Field(32, gt=0, description="images a step, over all processes")
    snapshot_every: int = Field(50_000, gt=0, description="images between snapshots")
    grid_every: int = Field(10_000, gt=0, description="images between sample grids")
    checkpoint_seconds: float = Field(60.0, ge=0, description="time between checkpoints; does not change the result")
    precision: Literal["auto", "bf16", "fp32"] = Field("auto", description="bf16 where it is fast, or fp32")
    mirror: bool = Field(
        False,
        description="mirror half of the training images along their last axis, left-right unless sagittal",
    )
    rotate: float = Field(0.0, ge=0, le=180, description="rotate 9 of 10 training images by up to so many degrees")
    conditional: bool = Field(False, description="learn the class columns as a condition")
    sample_block: int = Field(32, gt=0, description="cases sampled at once; padded to this size")

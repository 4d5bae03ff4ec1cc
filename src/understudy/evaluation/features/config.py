"""Settings of the menu of feature extractors; flat, as part of those of ``evaluate fidelity``."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class FeatureConfig(BaseModel):
    """Which features of images are compared, and how they are made."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    features: Literal["encoder", "imagenet", "random", "texture", "torchscript"] = Field(
        "encoder",
        description="encoder: learned on the real training split; imagenet: EfficientNet-Lite0, the same in every "
        "study (extra features); random: a fixed random network; texture: grey levels and their co-occurrence (2D); "
        "torchscript: a network by file",
    )
    encoder_updates: int = Field(200, ge=1, description="updates of the encoder")
    network_sha256: str = Field("", pattern="^([0-9a-f]{64})?$", description="hash of the scripted network's file")
    network_size: int = Field(0, ge=0, description="side that images are resized to for it; 0: as they are")
    network_channels: int = Field(3, ge=1, description="channels that it takes")
    network_classes: Literal["none", "logits", "probabilities"] = Field(
        "none", description="what it says of classes, for the inception score"
    )
    network_range: Literal["0..255", "0..1", "-1..1"] = Field("0..255", description="intensities that it takes")

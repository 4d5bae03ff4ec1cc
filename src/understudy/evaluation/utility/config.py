"""Settings of ``evaluate utility``, one set a task; flat, so that ``--set updates=500`` names any of them."""

from typing import Any, Literal

from pydantic import BaseModel, Field, field_validator, model_validator

from understudy.tasks.classification import ClassificationConfig
from understudy.tasks.segmentation import SegmentationConfig


class Repeats(BaseModel):
    """What is compared with real cases, how often a network is trained, and how many resamples make an interval."""

    repeats: int = Field(3, ge=1, description="seeds of the task network")
    arms: tuple[Literal["synthetic", "both", "finetuned"], ...] = Field(
        ("synthetic",),
        description="what is compared with real cases: synthetic ones alone; both kinds, half of each batch each; "
        "synthetic ones, then real ones",
    )
    select: Literal["synthetic", "real", "last"] = Field(
        "synthetic",
        description="which weights of a network on synthetic cases alone tables lead with: those that a held-out fifth "
        "of the synthetic cases chooses, those that real validation subjects choose, or the last; all are reported",
    )
    shares: tuple[float, ...] = Field(
        (), description="of synthetic cases beside real ones, e.g. 0.25, 0.5, 0.75: the mixing curve; both is 0.5"
    )
    real_subjects: tuple[int, ...] = Field(
        (), description="e.g. 5, 10: all that has real cases again with so many training subjects, drawn by the seed"
    )
    finetune_share: float = Field(0.3, gt=0, lt=1, description="of the updates of finetuned, on real cases, at the end")
    draws: int = Field(2000, ge=100, description="bootstrap resamples")

    @field_validator("shares")
    @classmethod
    def _whole_percents(cls, shares: tuple[float, ...]) -> tuple[float, ...]:
        if any(not 0 < share < 1 or abs(100 * share - round(100 * share)) > 1e-9 for share in shares):
            raise ValueError("shares of whole percents above 0 and below 1 were expected; 0 is real, 1 is synthetic")
        return _once(shares)

    @field_validator("real_subjects")
    @classmethod
    def _some(cls, numbers: tuple[int, ...]) -> tuple[int, ...]:
        if any(n < 1 for n in numbers):
            raise ValueError("numbers of subjects from 1 up were expected")
        return _once(numbers)

    @model_validator(mode="after")
    def _something(self) -> "Repeats":
        if not self.arms and not self.shares:
            raise ValueError("there is nothing to compare with real cases: name arms or shares")
        return self


def _once(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(set(values)) < len(values):
        raise ValueError("each value may stand once")
    return values


class UtilityConfig(Repeats, SegmentationConfig):
    """How segmenters are trained, how often, and how their label maps are scored."""

    tolerance: float = Field(
        2.0, gt=0, allow_inf_nan=False, description="of NSD, in mm; in pixels or voxels without spacing"
    )
    by: tuple[str, ...] = Field((), description="columns of the case table, e.g. institution, by whose values to score")


class ClassUtilityConfig(Repeats, ClassificationConfig):
    """How classifiers are trained, how often, and how many resamples make an interval."""

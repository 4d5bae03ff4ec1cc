"""PrivacyConfig: the settings of ``evaluate privacy``."""

from pydantic import BaseModel, ConfigDict, Field


class PrivacyConfig(BaseModel):
    """Settings of the privacy evaluation; all of them stand in the provenance of its results.

    Attributes:
        false_alarm_rate: share of real cases of unseen subjects that may be flagged; it sets the threshold.
        bootstrap: resamples of the calibration subjects, for intervals.
        gallery: number of worst pairs kept for the INTERNAL gallery.
        memory_mib: bound of the all-pairs search in MiB; results do not depend on it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    false_alarm_rate: float = Field(default=0.01, gt=0, le=0.2)
    bootstrap: int = Field(default=1000, ge=100)
    gallery: int = Field(default=16, ge=0)
    memory_mib: int = Field(default=1024, ge=1)

"""The settings ``dp.*`` of the generators that can be trained with differential privacy.

**Source**: McMahan, Ramage, Talwar, Zhang, Learning Differentially Private Recurrent Language Models (2018, arXiv
1710.06963): the user, here the patient, as the unit; Dockhorn, Cao, Vahdat, Kreis, Differentially Private Diffusion
Models (2022, arXiv 2210.09929), section 3.2: several draws of noise levels a case, which cost computing and no epsilon.
**Checked** in tests/training/dp/test_settings.py.
"""

from pydantic import BaseModel, ConfigDict, Field, model_validator

from understudy.training.settings import GeneratorConfig


class PrivacySettings(BaseModel):
    """What a guarantee is asked to be. Subjects a step are ``batch_size / slices`` on average."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epsilon: float | None = Field(
        None, ge=0.05, le=100, description="the guarantee that the whole training spends; noise is found for it"
    )
    noise: float | None = Field(
        None, ge=0, description="noise multiplier sigma, to compute epsilon from; 0: clipping alone, no guarantee"
    )
    delta: float | None = Field(None, gt=0, lt=1, description="default 1 / (10 subjects)")
    clip: float = Field(1.0, gt=0, description="largest norm C of a subject's whole gradient")
    slices: int = Field(4, gt=0, description="cases k that a drawn subject gives to a step")
    draws: int = Field(4, gt=0, description="times that each of these is looked at, each with its own random draws")
    public_start: bool = Field(
        False, description="the run of --start learned public data alone, whose subjects the guarantee does not cover"
    )
    noise_seed: int | None = Field(
        None, ge=0, description="for tests: who knows it can take the noise away, so that there is no guarantee"
    )

    @model_validator(mode="after")
    def _check(self) -> "PrivacySettings":
        if (self.epsilon is None) == (self.noise is None):
            raise ValueError("set dp.epsilon, for which the noise is found, or dp.noise, and not both")
        return self


class OffersPrivacy(GeneratorConfig):
    """The configuration of a generator that has a ``subject_loss``."""

    dp: PrivacySettings | None = Field(None, description="differential privacy of patients: dp.epsilon=8; null: none")

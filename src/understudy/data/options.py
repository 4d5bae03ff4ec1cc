"""What an import may be told: the options that every source has, and those of sources that read files.

A source declares its options as a model of its own (``Source.options``); the command line makes ``understudy import
NAME`` from it, ``understudy settings`` lists it, and unknown ones are refused. Frozen.
**Checked** in tests/data/test_importing.py and test_options.py.
"""

from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic.config import JsonDict

from understudy.core.errors import UsageError

SPLIT_DEFAULT = "train=0.6,validation=0.1,control=0.1,test=0.2"

Fit = Literal["resize", "crop", "pad"]
Intensity = Literal["dtype", "minmax", "percentile", "volume-max", "volume-percentile"]
Rule = Literal["akbar", "tumour", "all"]
NAMES: JsonDict = {"metavar": "A,B"}  # how the command line shows a value


def parse_fold(text: str) -> tuple[int, int]:
    """Read ``2/5``, the second of five folds; ValueError for anything else."""
    k, _, n = text.partition("/")
    if not (k.strip().isdecimal() and n.strip().isdecimal() and 1 <= int(k) <= int(n) and int(n) >= 2):
        raise ValueError(f"fold is K/N, the K-th of N folds, as in 1/5; found {text!r}")
    return int(k), int(n)


class ImportOptions(BaseModel):
    """The options of every import; a source adds its own by inheriting."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # What is a path, or may quote one, is recorded in the keyed digest of the inputs only.
    UNRECORDED: ClassVar[frozenset[str]] = frozenset({"images", "labels", "table", "subject_pattern", "key", "seed"})

    size: tuple[int, ...] | None = Field(
        None,
        description="spatial size of every case; one number is used for every axis; default: as it is",
        json_schema_extra={"metavar": "64|H,W|D,H,W"},
    )
    intensity: Intensity = Field("dtype", description="how intensities are stored, and which range a network sees")
    dims: Literal[2, 3] | None = Field(
        None, description="2 cuts volumes into slices, 3 keeps them; default: as the source has them"
    )
    split: str = Field(SPLIT_DEFAULT, description="fractions of subjects, each above 0; may name only some")
    fold: str | None = Field(
        None,
        description="the test split is fold K of N, by subject; all others share the other splits",
        json_schema_extra={"metavar": "K/N"},
    )
    train_subjects: int | None = Field(None, ge=1, description="keep so many training subjects, drawn at random")
    unlabelled_beyond: int | None = Field(
        None,
        ge=1,
        description="keep the training subjects that train_subjects of this number leaves out, and nobody else, as "
        "images without label maps",
    )
    draw: int = Field(0, ge=0, description="seed of that draw")
    modality: str = Field("", description="for the record, e.g. MR")
    licence: str | None = Field(
        None,
        pattern=r"^([A-Za-z0-9][A-Za-z0-9.+-]{0,63}|https://[A-Za-z0-9./_~%?=&#+:-]{1,200})$",
        description="of the data, an SPDX identifier such as CC-BY-4.0 or an https address: a release tells it",
    )
    key: Path | None = Field(
        None,
        description="file of the secret that makes pseudonyms; default: the user's own",
        json_schema_extra={"metavar": "FILE"},
    )
    seed: int = Field(0, ge=0, description="everything random follows from this number")

    @field_validator("size", mode="before")
    @classmethod
    def _one_number(cls, size: Any) -> Any:
        return (size,) if isinstance(size, int) else size

    @model_validator(mode="after")
    def _sizes(self) -> Self:
        if self.size is not None and (not 1 <= len(self.size) <= 3 or min(self.size) < 4 or max(self.size) > 4096):
            raise ValueError(f"size is one to three numbers from 4 to 4096, found {self.size}")
        if self.train_subjects is not None and self.unlabelled_beyond is not None:
            raise ValueError("train_subjects and unlabelled_beyond make two cohorts: import twice")
        if self.draw and self.train_subjects is None and self.unlabelled_beyond is None:
            raise ValueError(
                "draw is the seed by which train_subjects (or unlabelled_beyond) are drawn: give both, or neither"
            )
        if self.fold is not None:
            parse_fold(self.fold)
        return self

    def recorded(self) -> dict[str, Any]:
        """Return the options that may stand in a cohort: none that is, or may quote, a path or a file name."""
        rare = ("train_subjects", "unlabelled_beyond", "synthetic", "leave_out", "fold", "licence")
        silent = {name for name in rare if not getattr(self, name, None)}
        silent |= {"draw"} if {"train_subjects", "unlabelled_beyond"} <= silent else set()
        return self.model_dump(mode="json", exclude=set(self.UNRECORDED | silent))

    def unrecorded(self) -> dict[str, Any]:
        """Return the options that only their keyed hash may stand for (the key file's place is not one of them)."""
        said = self.model_dump(mode="json")
        return {name: said.get(name) for name in self.UNRECORDED - {"key", "seed"}}

    def resolved_size(self, dims: int) -> tuple[int, ...] | None:
        """Return the size with one number per axis, or None where none was asked for; UsageError for other lengths."""
        if self.size is None or len(self.size) == dims:
            return self.size
        if len(self.size) == 1:
            return self.size * dims
        raise UsageError(f"--size names {len(self.size)} axes, and the cases have {dims}: give one number, or {dims}")


class FileOptions(ImportOptions):
    """The options of sources that read files of images and label maps."""

    label_scheme: str | None = Field(
        None,
        description="meaning of the label values; default: what the files or the layout say",
        json_schema_extra={"metavar": "0=background,255=tumour"},
    )
    channels: tuple[str, ...] = Field(
        (), description="names of the image channels, in order; brats: which contrasts to take", json_schema_extra=NAMES
    )
    fit: Fit = Field("resize", description="how a picture comes to the size")
    rule: Rule | None = Field(
        None, description="which slices are kept when volumes are cut; default: akbar for brats, all otherwise"
    )
    plane: Literal["axial", "coronal", "sagittal", "scanned"] | None = Field(
        None,
        description="plane in which volumes are cut into slices; scanned: that of the thick slices; default: axial",
    )
    pad_value: float | None = Field(
        None,
        allow_inf_nan=False,
        description="what is added around a picture by fit pad or crop; default: 0, or the lowest value of a channel "
        "that goes below 0 (the air of a CT)",
        json_schema_extra={"metavar": "NUMBER"},
    )
    same_grid: bool = Field(
        False, description="label maps and channels lie on their images voxel by voxel, whatever their headers say"
    )
    synthetic: bool = Field(False, description="the images were made by a generator elsewhere, which is judged here")

    @model_validator(mode="after")
    def _names(self) -> Self:
        if len(set(self.channels)) != len(self.channels) or "" in self.channels:
            raise ValueError(f"channel names stand once each and are not blank, found {self.channels}")
        return self

"""ImportOptions: every setting of ``import``, for every source; frozen, unknown keys refused.

**Checked** in tests/data/test_importing.py and tests/data/test_options.py.
"""

from collections.abc import Collection
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from understudy.core.errors import UsageError

SPLIT_DEFAULT = "train=0.6,validation=0.1,control=0.1,test=0.2"
# What is a path, or may quote one, is recorded in the keyed digest of the inputs only.
UNRECORDED = {"images", "labels", "table", "subject_pattern", "key", "seed"}

Fit = Literal["resize", "crop", "pad"]
Intensity = Literal["dtype", "minmax", "percentile", "volume-max", "volume-percentile"]
Rule = Literal["akbar", "tumour", "all"]


class ImportOptions(BaseModel):
    """Settings of an import.

    Attributes:
        images: folder of images below the source's path (folder).
        labels: folder of label maps below the source's path (folder).
        table: CSV file, relative to the source's path, whose ``file`` column names the image below ``images`` (folder).
        label_column: table column that names the label map below ``labels``; else it has the image's name (folder).
        subject: table column that names the subject (folder).
        subject_pattern: regular expression searched in the file name; its first group, or the match, is the subject
            (folder).
        one_image_per_subject: every file is a subject of its own (folder).
        synthetic: the images were made by a generator elsewhere, which is judged here (folder).
        classes: table columns to keep as class columns (folder).
        label_scheme: meaning of the label values, ``0=background,255=tumour``.
        channels: names of the image channels, in order; for brats also which contrasts to take.
        size: spatial size of every case; one number is used for every axis.
        fit: how a picture comes to that size.
        intensity: how intensities are stored and which range a network sees.
        dims: 2 cuts volumes into axial slices; 3 keeps them; None keeps what the files are.
        split: fractions of subjects, ``train=0.6,validation=0.1,control=0.1,test=0.2``; may name only some.
        split_column: table column with a published split, used instead.
        leave_out: ``COLUMN=VALUE`` of the table: its subjects are the test split, all others share the other splits
            (folder).
        train_subjects: how many training subjects are kept, drawn at random; None keeps all.
        draw: seed of that draw.
        seed: seed of the split (and of the phantom).
        key: file of the secret that makes pseudonyms; the phantom, whose subjects are no people, needs and reads none.
        modality: recorded in the cohort, e.g. ``MR``.
        rule: which slices are kept when volumes are cut; None is ``akbar`` for brats and ``all`` for a folder.
        subjects: number of subjects (phantom).
        slices: slices of a subject (phantom).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    images: str | None = None
    labels: str | None = None
    table: str | None = None
    label_column: str | None = None
    subject: str | None = None
    subject_pattern: str | None = None
    one_image_per_subject: bool = False
    synthetic: bool = False
    classes: tuple[str, ...] = ()
    label_scheme: str | None = None
    channels: tuple[str, ...] = ()
    size: tuple[int, ...] | None = None
    fit: Fit = "resize"
    intensity: Intensity = "dtype"
    dims: Literal[2, 3] | None = None
    split: str = SPLIT_DEFAULT
    split_column: str | None = None
    leave_out: str | None = None
    train_subjects: int | None = Field(default=None, ge=1)
    draw: int = Field(default=0, ge=0)
    seed: int = 0
    key: Path | None = None
    modality: str = ""
    rule: Rule | None = None
    subjects: int = Field(default=24, ge=1, le=100_000)
    slices: int = Field(default=8, ge=1, le=512)

    @model_validator(mode="after")
    def _sizes(self) -> Self:
        if self.size is not None and (not 1 <= len(self.size) <= 3 or min(self.size) < 4 or max(self.size) > 4096):
            raise ValueError(f"size is one to three numbers from 4 to 4096, found {self.size}")
        if len(set(self.channels)) != len(self.channels) or "" in self.channels:
            raise ValueError(f"channel names stand once each and are not blank, found {self.channels}")
        if self.draw and self.train_subjects is None:
            raise ValueError("draw is the seed by which train_subjects are drawn: give both, or neither")
        if self.leave_out is not None and not all(part.strip() for part in self.leave_out.partition("=")):
            raise ValueError(f"leave_out is COLUMN=VALUE, as in institution=north; found {self.leave_out!r}")
        if self.leave_out is not None and self.split_column is not None:
            raise ValueError("leave_out and split_column both say who is tested on: give one of them")
        return self

    def foreign(self, ignored: Collection[str]) -> list[str]:
        """Return those settings, out of the ones that a source ignores, that differ from their default."""
        fields = type(self).model_fields
        return [name for name in fields if name in ignored and getattr(self, name) != fields[name].default]

    def recorded(self, ignored: Collection[str]) -> dict[str, Any]:
        """Return the settings that may stand in a cohort: none that is, or may quote, a path or a file name.

        Args:
            ignored: settings that the source does not use; they are left out.
        """
        silent = {"train_subjects", "draw"} if self.train_subjects is None else set()
        silent |= set() if self.synthetic else {"synthetic"}
        silent |= {"leave_out"} if self.leave_out is None else set()
        return self.model_dump(mode="json", exclude=UNRECORDED | set(ignored) | silent)

    def unrecorded(self) -> dict[str, Any]:
        """Return the settings that only their keyed hash may stand for (the key file's place is not one of them)."""
        return self.model_dump(mode="json", include=UNRECORDED - {"key", "seed"})

    @property
    def left_out(self) -> tuple[str, str] | None:
        """The column and the value whose subjects are the test split, or None."""
        column, _, value = (self.leave_out or "").partition("=")
        return (column.strip(), value.strip()) if column else None

    def resolved_size(self, dims: int) -> tuple[int, ...] | None:
        """Return the size with one number per axis, or None where none was asked for.

        Raises:
            UsageError: as many numbers as axes were expected.
        """
        if self.size is None or len(self.size) == dims:
            return self.size
        if len(self.size) == 1:
            return self.size * dims
        raise UsageError(f"--size names {len(self.size)} axes, and the cases have {dims}: give one number, or {dims}")

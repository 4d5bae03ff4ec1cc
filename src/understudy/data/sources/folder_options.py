"""The options of ``import folder``: where pictures and the table lie, how files are matched, what columns mean.

**Checked** in tests/data/sources/test_folder_options.py.
"""

from typing import ClassVar, Self

from pydantic import Field, field_validator, model_validator

from understudy.core.errors import UsageError
from understudy.data.options import NAMES, ImportOptions
from understudy.data.sources.naming import NamedSubjects, refuse_unclear
from understudy.data.sources.table import FILE


class FolderOptions(NamedSubjects):
    """Where images, label maps and the table lie below PATH, and what the table's columns mean."""

    UNRECORDED: ClassVar[frozenset[str]] = ImportOptions.UNRECORDED | {"contrasts", "label_suffix"}

    images: str | None = Field(None, description="folder of images below PATH")
    labels: str | None = Field(None, description="folder of label maps below PATH")
    contrasts: tuple[str, ...] = Field(
        (),
        description="channels in files of their own, and what the names of each end with before the ending",
        json_schema_extra={"metavar": "T1=_0000,T2=_0001"},
    )
    label_suffix: str | None = Field(
        None,
        description="what names of label maps have after the name of their image, such as _mask; default: nothing, or "
        "the one suffix that fits all",
    )
    table: str | None = Field(None, description="CSV file below PATH; a column names the image below images")
    file_column: str = Field(FILE, description="table column that names the image")
    label_column: str | None = Field(
        None, description="table column that names the label map below labels; default: it has the image's name"
    )
    subject: str | None = Field(None, description="table column that names the subject")
    classes: tuple[str, ...] = Field(
        (), description="table columns to keep as class columns; a blank is missing", json_schema_extra=NAMES
    )
    split_column: str | None = Field(None, description="table column with a published split, used in place of split")
    leave_out: str | None = Field(
        None,
        description="subjects of these table rows are the test split; all others share the other splits",
        json_schema_extra={"metavar": "COLUMN=VALUE"},
    )

    @model_validator(mode="after")
    def _tested_on(self) -> Self:
        if self.leave_out is not None and not all(part.strip() for part in self.leave_out.partition("=")):
            raise ValueError(f"leave_out is COLUMN=VALUE, as in institution=north; found {self.leave_out!r}")
        if self.leave_out is not None and self.split_column is not None:
            raise ValueError("leave_out and split_column both say who is tested on: give one of them")
        return self

    @field_validator("contrasts")
    @classmethod
    def _suffixes(cls, contrasts: tuple[str, ...]) -> tuple[str, ...]:
        told = [tuple(part.strip() for part in one.partition("=")) for one in contrasts]
        if not all(name and end for name, _, end in told):
            raise ValueError("each is NAME=SUFFIX, as in T1=_0000,T2=_0001")
        if any(len({one[k] for one in told}) < len(told) for k in (0, 2)):
            raise ValueError("each name and each suffix stands once")
        return contrasts

    @property
    def by_contrast(self) -> dict[str, str]:
        """What the names of each contrast's files end with, in the order of channels."""
        told = [one.partition("=") for one in self.contrasts]
        return {name.strip(): end.strip() for name, _, end in told}

    @property
    def left_out(self) -> tuple[str, str] | None:
        """The column and the value whose subjects are the test split, or None."""
        column, _, value = (self.leave_out or "").partition("=")
        return (column.strip(), value.strip()) if column else None

    def refuse_contradictions(self) -> None:
        """Refuse options of which one needs or forbids another, with UsageError."""
        if self.images is None and self.labels is None:
            raise UsageError(
                "a folder needs --images, --labels or both: the folders below PATH that hold them ('.' is PATH itself)"
            )
        refuse_unclear(self, {"--subject COLUMN of the table": self.subject is not None})
        columns = {"subject": self.subject, "split-column": self.split_column, "label-column": self.label_column}
        for name, value in {**columns, "leave-out": self.left_out, "classes": self.classes}.items():
            if value and self.table is None:
                raise UsageError(f"--{name} names a column, so a table is needed: give --table FILE.csv")
        if self.subject in self.classes:
            raise UsageError(f"the subject column {self.subject!r} cannot be a class column: a cohort holds no names")
        if self.labels is None and (self.label_scheme or self.label_column or self.label_suffix):
            raise UsageError(
                "--label-scheme, --label-column and --label-suffix need --labels, the folder of label maps"
            )
        if self.contrasts and self.images is None:
            raise UsageError("--contrasts names files of images, so --images is needed: the folder that holds them")
        if self.contrasts and self.channels:
            raise UsageError("--contrasts names the channels: leave --channels out")
        if self.label_suffix and self.label_column:
            raise UsageError("--label-suffix and --label-column both say which label map is whose: give one of them")

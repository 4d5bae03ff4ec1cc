"""Manifest: what cohort.json and cases.csv hold, read strictly.

Other types, sizes or columns than expected are told in one sentence. Nothing is converted, and nothing read here
becomes a path or a file name.
**Checked** in tests/core/test_manifest.py (hundreds of damaged files).
"""

import csv
import hashlib
import hmac
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, model_validator
from typing_extensions import NotRequired, TypedDict  # noqa: UP035 (pydantic takes typing's own from Python 3.12)

from understudy.core.documents import STRICT, PlainData, Whole, read_document
from understudy.core.encoding import EncodingRecord
from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.labels import CONTROL
from understudy.core.provenance import ProvenanceRecord
from understudy.core.regular_file import read_regular

SCHEMA = 1
COLUMNS = ("case_id", "subject_id", "split", "slice_index", "spacing", "affine", "original_size")
SPLITS = ("train", "validation", "control", "test")
Kind = Literal["real", "synthetic", "semi-synthetic"]
LabelSource = Literal["patient", "edited patient", "sampled", "predicted"]
Side = Annotated[int, Field(ge=1, le=2**31)]
Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class SeenData(TypedDict):
    """An entry of ``trained_on``: whose data a generator saw."""

    __pydantic_config__ = STRICT  # type: ignore[misc]

    cohort: str
    splits: NotRequired[list[str]]
    subjects: NotRequired[list[str]]
    n_subjects: NotRequired[Whole]


class Hashes(BaseModel):
    """SHA-256 of the files beside cohort.json; None for a file that the cohort has not."""

    model_config = STRICT

    images: Digest | None
    labels: Digest | None
    cases: Digest


class CohortManifest(BaseModel):
    """The content of cohort.json; see :class:`understudy.core.cohort.Cohort`."""

    model_config = STRICT

    id: str = Field(pattern="^[0-9a-f]{16}$")
    version: Literal[1] = Field(alias="schema")
    kind: Kind
    modality: str
    n: int = Field(ge=1)
    size: Annotated[tuple[Side, ...], Field(min_length=2, max_length=3)]
    encoding: EncodingRecord
    classes: tuple[str, ...]
    label_source: LabelSource | None
    trained_on: list[SeenData]
    preprocessing: PlainData
    sampling: PlainData = {}
    provenance: ProvenanceRecord
    hashes: Hashes

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        labelled = self.encoding.label_scheme is not None
        if (self.hashes.images is not None) != bool(self.encoding.channels):
            raise ValueError("channels and hashes.images go together: both or neither")
        if len({labelled, self.label_source is not None, self.hashes.labels is not None}) > 1:
            raise ValueError("label_scheme, label_source and hashes.labels go together: all or none")
        if len(set(self.classes)) < len(self.classes) or set(self.classes) & set(COLUMNS):
            raise ValueError(f"each class has one name, other than those of {', '.join(COLUMNS)}")
        if any(map(CONTROL.search, self.classes)):
            raise ValueError("names of classes are one line of text, without control characters")
        return self


class _Version(BaseModel):
    version: int = Field(alias="schema")


def read_manifest(folder: Path) -> CohortManifest:
    """Read cohort.json; UnderstudyError where it is no regular file, no JSON, of another schema, or of other types."""
    told = ("the description of a cohort", "make the cohort again")
    version = read_document(folder / "cohort.json", _Version, *told).version
    if version != SCHEMA:
        raise UnderstudyError(
            f"{folder} is a cohort of schema {version}, and this understudy reads {SCHEMA}: make it again"
        )
    return read_document(folder / "cohort.json", CohortManifest, *told)


def content_id(manifest: Mapping[str, Any], key: bytes | None) -> str:
    """Return the id of a cohort: what cohort.json holds beside it, hashed, with a key or without."""
    content = json.dumps(manifest, sort_keys=True).encode()
    digest = hmac.new(key, content, "sha256") if key else hashlib.sha256(content)
    return digest.hexdigest()[:16]


def read_cases(folder: Path, manifest: CohortManifest) -> dict[str, list[str]]:
    """Read cases.csv as columns of n texts.

    Raises:
        UnderstudyError: it is no regular file, no CSV in UTF-8, or its rows or columns are not those of the cohort.
    """
    file, n = folder / "cases.csv", manifest.n
    try:
        text = read_regular(file, "the case table of a cohort").decode()
        header, *rows = csv.reader(io.StringIO(text, newline=""), strict=True)
        wrong = _mistake(header, rows, manifest, "\0" in text)
    except (OSError, UsageError, ValueError, csv.Error) as error:
        wrong = f"found no CSV in UTF-8 ({' '.join(str(error).split())})"
    if wrong:
        raise UnderstudyError(
            f"{file} should have {n} rows with the columns {', '.join((*COLUMNS, *manifest.classes))}, and {wrong}: "
            "make the cohort again"
        )
    return {name: [row[place] for row in rows] for place, name in enumerate(header)}


def _mistake(header: list[str], rows: list[list[str]], manifest: CohortManifest, binary: bool) -> str | None:
    """What is wrong with a case table, or None."""
    if missing := [name for name in (*COLUMNS, *manifest.classes) if name not in header]:
        return f"there is no column {missing[0]!r}"
    if len(set(header)) < len(header):
        return f"two columns have one name: {', '.join(header)}"
    if len(rows) != manifest.n:
        return f"there are {len(rows)} rows"
    if ragged := [line for line, row in enumerate(rows, start=2) if len(row) != len(header)]:
        return f"row {ragged[0]} has {len(rows[ragged[0] - 2])} of {len(header)} fields"
    if binary:
        return "there is a NUL byte in it"
    case, subject, split = (header.index(name) for name in COLUMNS[:3])
    if any(not row[case] or not row[subject] for row in rows):
        return "a case has no case_id or no subject_id"
    if len({row[case] for row in rows}) < len(rows):
        return "two cases have one case_id"
    if unknown := {row[split] for row in rows} - {*SPLITS, ""}:
        return f"the split {min(unknown)!r} is none of {', '.join(SPLITS)}"
    return None

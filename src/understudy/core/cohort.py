"""Cohort: images, label maps and a case table in one folder; the only thing that stages exchange.

Its files::

    cohort.json   id, kind, modality, size, encoding (channels, data type, label scheme), classes, label_source,
                  trained_on, provenance, preprocessing, sampling, hashes
    cases.csv     case_id, subject_id, split, slice_index, spacing, affine, original_size, class columns;
                  row order = array order
    images.npy    (N, C, H, W) or (N, C, D, H, W), memory-mapped; absent where there are only labels
    labels.npy    (N, H, W) or (N, D, H, W) uint8, values 0..K-1; absent where there are none

Written by core/writer.py, read through the models of core/manifest.py.
**Checked** in tests/core/test_cohort.py and test_manifest.py.
"""

import copy
import hashlib
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tokenize import TokenError
from typing import Any, cast, get_args

import numpy as np

from understudy.core.encoding import Encoding
from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.labels import LabelArray, LabelScheme, Renumbered
from understudy.core.manifest import COLUMNS, CohortManifest, Kind, LabelSource, read_cases, read_manifest
from understudy.core.regular_file import open_regular

KINDS = get_args(Kind)
LABEL_SOURCES = get_args(LabelSource)
PATIENTS_OWN = LABEL_SOURCES[:2]  # these repeat a patient's label map by design

# Where a file is no .npy file, or is cut short
NPY_ERRORS = UsageError, OSError, ValueError, TypeError, EOFError, SyntaxError, OverflowError, MemoryError, TokenError


class Cohort:
    """A cohort opened for reading. Arrays are memory-mapped; row i of the table is item i of the arrays.

    Attributes:
        id: hash of the content, keyed where the cohort is real.
        kind: real, synthetic or semi-synthetic.
        modality: e.g. ``MR``.
        size: spatial size (H, W) or (D, H, W).
        encoding: channels with their ranges, data type, label scheme.
        classes: names of the class columns.
        label_source: whose the label maps are.
        trained_on: what a generator saw: [{"cohort": id, "splits": [...], "subjects": [subject_id, ...]}, ...].
        provenance: the request that made it.
        sampling: how synthetic cases came about, where there is more to say than the request; else empty.
        images: (N, C, *S) memory map, or None.
        labels: (N, *S) uint8 memory map, or None.
    """

    def __init__(self, path: Path, manifest: CohortManifest, table: dict[str, list[str]]) -> None:
        """Use :meth:`open`."""
        self.path, self._manifest, self._table = path, manifest, table
        self.id, self.kind, self.modality, self.size = manifest.id, manifest.kind, manifest.modality, manifest.size
        self.encoding, self.classes = manifest.encoding.made(), manifest.classes
        self.label_source = manifest.label_source
        self.trained_on = cast(list[dict[str, Any]], manifest.trained_on)
        self.provenance = manifest.provenance.model_dump()
        self.preprocessing, self.sampling = manifest.preprocessing, manifest.sampling
        self.images = self._map("images", (len(self), self.encoding.image_channels, *self.size), self.encoding.dtype)
        labels = self._map("labels", (len(self), *self.size), "uint8")
        self.labels = None if labels is None else LabelArray.of(labels, len(self.encoding.scheme or ()))

    @classmethod
    def open(cls, path: Path | str) -> "Cohort":
        """Open a cohort folder.

        Raises:
            UsageError: there is no such folder, or it is not a cohort.
            UnderstudyError: it is damaged: wrong types or sizes, a table that does not fit, a subject in two splits.
        """
        path = Path(path)
        if not path.is_dir():
            raise UsageError(
                f"a cohort folder was expected at {path}, and there is none: make one with `understudy import`"
            )
        if not (path / "cohort.json").exists():
            raise UsageError(
                f"{path} is not a cohort (no cohort.json in it): name a folder made by import, sample or edit"
            )
        manifest = read_manifest(path)
        cohort = cls(path, manifest, read_cases(path, manifest))
        refuse_shared_subjects(cohort.column("subject_id"), cohort.column("split"), str(path))
        return cohort

    def __len__(self) -> int:
        """Return N, the number of cases."""
        return self._manifest.n

    @property
    def scheme(self) -> LabelScheme | None:
        """The label scheme, or None."""
        return self.encoding.scheme

    def column(self, name: str) -> np.ndarray:
        """Return a column of the case table as strings (N,); a blank means missing."""
        if name not in self._table:
            raise UsageError(f"the cohort {self.path} has no column {name!r}; it has {', '.join(self._table)}")
        return np.array(self._table[name], dtype=str)

    def entry(self, name: str, row: int) -> str:
        """Return one entry of the case table; case by case, where :meth:`column` would read all N each time."""
        return self._table[name][row]

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of all columns of the case table."""
        return tuple(self._table)

    @property
    def further_columns(self) -> list[str]:
        """Names of the columns beside those that every cohort has and the class columns."""
        return [name for name in self._table if name not in (*COLUMNS, *self.classes)]

    @property
    def generator(self) -> str:
        """What made a synthetic cohort, as its provenance calls it; "" where that is not recorded."""
        return str(self.provenance.get("config", {}).get("generator", ""))

    def rows(self, split: str | None = None) -> np.ndarray:
        """Return the row numbers of a split (or of all cases), ascending, int64.

        Synthetic cases have no split, since all of them may be learned: they are those of ``train``.
        """
        if split is None or (split == "train" and self.kind == "synthetic" and not self.column("split").any()):
            return np.arange(len(self))
        return np.flatnonzero(self.column("split") == split)

    def subjects(self, split: str | None = None) -> list[str]:
        """Return the sorted subjects of a split (or of all)."""
        return sorted(set(self.column("subject_id")[self.rows(split)].tolist()))

    def subjects_seen(self) -> set[str]:
        """Return the subjects that ``trained_on`` names: those whom the generator, or what screened it, has seen."""
        return {subject for entry in self.trained_on for subject in entry.get("subjects", ())}

    def subjects_learned(self) -> set[str]:
        """Return those of them whom the generator learned, without those who only chose a network that screened."""
        entries = [entry for entry in self.trained_on if "train" in entry.get("splits", ())]
        return {subject for entry in entries for subject in entry.get("subjects", ())}

    def seen(self, split: str) -> dict[str, Any]:
        """Return the entry of ``trained_on`` that says a model saw a split of this cohort."""
        return {"cohort": self.id, "splits": [split], "subjects": self.subjects(split)}

    def class_matrix(self, rows: np.ndarray | None = None) -> np.ndarray:
        """Return the class columns of some rows as float32 (n, K); a missing entry is NaN."""
        rows = self.rows() if rows is None else rows
        values = [[self._numbers(name, row, 1)[0] for row in rows.tolist()] for name in self.classes]
        return np.array(values, dtype=np.float32).reshape(len(self.classes), len(rows)).T

    def spacing_mm(self, row: int) -> tuple[float, ...] | None:
        """Return the spacing of a case in mm per array axis, or None where it is not known."""
        if not self._table["spacing"][row]:
            return None
        values = self._numbers("spacing", row, len(self.size))
        if min(values) <= 0:
            raise UnderstudyError(
                f"{self.path}/cases.csv says a spacing of {self._table['spacing'][row]!r} mm for the case "
                f"{self._table['case_id'][row]!r}, and one is above 0: make the cohort again"
            )
        return values

    def affine(self, row: int) -> np.ndarray | None:
        """Return the matrix (4, 4) from array indices (d, h, w, 1) to mm (right, anterior, superior), or None."""
        if not self._table["affine"][row]:
            return None
        return np.array(self._numbers("affine", row, 16)).reshape(4, 4)

    def slice_index(self, row: int) -> int | None:
        """Return which slice of its volume a case is, from 0, or None where it is none."""
        return int(self._numbers("slice_index", row, 1)[0]) if self._table["slice_index"][row] else None

    def _numbers(self, name: str, row: int, n: int) -> tuple[float, ...]:
        """Return an entry of the case table as n numbers (a blank one is NaN), or refuse what is something else."""
        text = self._table[name][row]
        try:
            values = tuple(float(v) for v in text.split()) if text else (np.nan,) * n
        except ValueError:
            values = ()
        if len(values) != n or (text and not all(map(math.isfinite, values))):
            raise UnderstudyError(
                f"{self.path}/cases.csv should say {n} number(s) under {name!r} for the case "
                f"{self._table['case_id'][row]!r}, found {text[:80]!r}: make the cohort again"
            )
        return values

    def encoded(self, rows: np.ndarray) -> np.ndarray:
        """Return cases as network channels, float32 (n, C + L, *S) in [-1, 1]."""
        return self.encoding.encode(
            None if self.images is None else self.images[rows], None if self.labels is None else self.labels[rows]
        )

    def without_images(self) -> "Cohort":
        """Return the same cases with their label maps alone; UsageError where there are none."""
        if self.labels is None:
            raise UsageError(f"the cohort {self.path} has no label maps: import it with --labels")
        other = copy.copy(self)
        other.images, other.encoding = None, replace(self.encoding, channels=())
        return other

    def images_alone(self, encoding: Encoding) -> "Cohort":
        """Return the same cases with their images alone, encoded as the images of another cohort.

        A value outside that cohort's range of a channel is clipped to it, as one of its own would be.

        Raises:
            UsageError: the cohort has no images, or other channels or another data type than the encoding.
        """
        theirs = self.encoding
        found, expected = ([e.dtype, *((c.name, c.meaning) for c in e.channels)] for e in (theirs, encoding))
        if self.images is None or found != expected:
            raise UsageError(
                f"images of the channels {', '.join(c.name for c in encoding.channels)} ({encoding.dtype}) were "
                f"expected in {self.path}, found {', '.join(c.name for c in theirs.channels) or 'none'} "
                f"({theirs.dtype}): import both cohorts with the same options"
            )
        other = copy.copy(self)
        other.labels, other.encoding = None, replace(encoding, scheme=None)
        return other

    def with_classes(self, names: Sequence[str]) -> "Cohort":
        """Return the same cases with these classes of their label maps alone, in this order; others are background.

        Raises:
            UsageError: the cohort has no label maps, or no such class.
        """
        if self.labels is None or self.scheme is None:
            raise UsageError(f"the cohort {self.path} has no label maps: import it with --labels")
        return self._renumbered(*self.scheme.only(names, str(self.path)))

    def foreground(self) -> "Cohort":
        """Return the same cases with label maps of one class: whatever is not background."""
        if self.labels is None or self.scheme is None:
            return self
        becomes = np.minimum(np.arange(len(self.scheme)), 1).astype(np.uint8)
        return self._renumbered(LabelScheme(("background", "foreground"), (0, 1)), becomes)

    def _renumbered(self, scheme: LabelScheme, becomes: np.ndarray) -> "Cohort":
        """Return the same cases, of whose label maps class k is class ``becomes[k]`` of another scheme."""
        other = copy.copy(self)
        other.encoding = replace(self.encoding, scheme=scheme)
        other.labels = Renumbered(self.labels, becomes)  # type: ignore[assignment,arg-type]
        return other

    def verify(self) -> None:
        """Compare arrays and table with the hashes in cohort.json; UnderstudyError where a file was changed."""
        for name, array in (("images", self.images), ("labels", self.labels)):
            if array is not None and array_hash(np.asarray(array)) != getattr(self._manifest.hashes, name):
                raise UnderstudyError(
                    f"{self.path}/{name}.npy does not have the hash in cohort.json: it was changed; make it again"
                )
        if file_hash(self.path / "cases.csv") != self._manifest.hashes.cases:
            raise UnderstudyError(
                f"{self.path}/cases.csv does not have the hash in cohort.json: it was changed; make it again"
            )

    def _map(self, name: str, shape: tuple[int, ...], dtype: str) -> np.memmap | None:
        """Map an array of the cohort into memory, or return None where it has none."""
        if getattr(self._manifest.hashes, name) is None:
            return None
        file, expected = self.path / f"{name}.npy", f"{shape} of {dtype} in C order"
        try:
            open_regular(file, f"an array {expected}").close()
            array = np.lib.format.open_memmap(file, mode="r")
        except NPY_ERRORS as error:
            raise UnderstudyError(
                f"{file} should hold {expected}, and cannot be read ({' '.join(str(error).split())}): make the cohort "
                "again"
            ) from error
        if array.shape != shape or array.dtype != np.dtype(dtype) or not array.flags.c_contiguous:
            order = "" if array.flags.c_contiguous else " in Fortran order"
            raise UnderstudyError(
                f"{file} should hold {expected}, found {array.shape} of {array.dtype}{order}: make the cohort again"
            )
        if more := file.stat().st_size - array.offset - array.nbytes:
            raise UnderstudyError(f"{file} goes on for {more:,} bytes after its array: make the cohort again")
        return array


def refuse_shared_subjects(subjects: np.ndarray, splits: np.ndarray, where: str) -> None:
    """Refuse subjects (N,) that stand in two splits (N,): the message tells their number, not their names."""
    found: dict[str, set[str]] = {}
    for subject, split in zip(subjects.tolist(), splits.tolist(), strict=True):
        if subject and split:
            found.setdefault(subject, set()).add(split)
    shared = [several for several in found.values() if len(several) > 1]
    if shared:
        both = sorted(set().union(*shared))
        raise UnderstudyError(
            f"a subject must lie in one split, and in {where} {len(shared)} subject(s) lie in several "
            f"({', '.join(both)}): split by subject"
        )


def array_hash(array: np.ndarray) -> str:
    """Return the SHA-256 of an array's bytes in C order, read block by block."""
    digest = hashlib.sha256()
    for start in range(0, len(array), 256):
        digest.update(np.ascontiguousarray(array[start : start + 256]).tobytes())
    return digest.hexdigest()


def file_hash(file: Path) -> str:
    """Return the SHA-256 of a regular file."""
    with open_regular(file, "a file") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()

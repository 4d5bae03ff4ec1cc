"""CohortWriter: writes a cohort case by case; memory does not grow with N, and the folder appears whole or not at all.

Arrays are streamed into .npy files whose header is written at the end (N is not known before), hashed while written.
**Checked** in tests/core/test_writer.py: the files are what ``np.load`` reads, an exception leaves nothing, a killed
writing goes on.
"""

import csv
import io
import json
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from understudy.core.cohort import KINDS, LABEL_SOURCES, Cohort, refuse_shared_subjects
from understudy.core.encoding import Channel, Encoding
from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.growing_file import GrowingFile, drop_note, read_note, write_note
from understudy.core.labels import LabelScheme
from understudy.core.manifest import COLUMNS, SCHEMA, SPLITS, content_id
from understudy.core.provenance import Provenance
from understudy.core.stage import output_folder

HEADER_BYTES = 256  # room for the .npy header of any shape
NOTE_SECONDS = 15.0  # from one note of how far the files are to the next


class CohortWriter:
    """Write a cohort folder: ``with CohortWriter(out, ...) as writer: writer.append(image, label, row)``.

    Args:
        out: the folder to make.
        kind: real, synthetic or semi-synthetic.
        modality: e.g. ``MR``.
        size: of every case, (H, W) or (D, H, W).
        channels: image channels; their ranges may be given later through :attr:`channels`, before the end, as may
            :attr:`sampling`, plain data about how synthetic cases came about.
        dtype: NumPy name of the image data type.
        scheme: label scheme, or None without label maps; so is ``label_source``, whose the label maps are.
        trained_on: see :class:`understudy.core.cohort.Cohort`.
        columns: names of columns of the case table beside those of every cohort and the class columns.
        preprocessing: what was done to the source images, plain data.
        key: secret that keys the cohort's id; given for real data.
        machine: what beside the provenance decides the bytes of a case. Given, a killed writing goes on: the next
            writer of the same provenance and machine finds the cases that were written, :attr:`written` of them.
        seal: what seals the folder of a synthetic cohort (data/seal.py), before it gets its name.
    """

    def __init__(
        self,
        out: Path,
        *,
        kind: str,
        modality: str,
        size: Sequence[int],
        channels: Sequence[Channel],
        dtype: str,
        scheme: LabelScheme | None,
        label_source: str | None,
        provenance: Provenance,
        classes: Sequence[str] = (),
        columns: Sequence[str] = (),
        trained_on: Sequence[dict[str, Any]] = (),
        preprocessing: dict[str, Any] | None = None,
        key: bytes | None = None,
        machine: str | None = None,
        seal: Callable[[Path], None] | None = None,
    ) -> None:
        """Store what the manifest will say; nothing is written before ``with``."""
        if kind not in KINDS:
            raise UsageError(f"a cohort's kind is one of {', '.join(KINDS)}, found {kind!r}")
        if (label_source is None) != (scheme is None) or label_source not in (*LABEL_SOURCES, None):
            raise UsageError(
                f"label maps need a scheme and a source out of {', '.join(LABEL_SOURCES)}; found scheme "
                f"{scheme} and source {label_source!r}"
            )
        if kind == "synthetic" and label_source not in ("sampled", None):
            raise UsageError(
                f"label maps of a synthetic cohort are sampled, and these are {label_source!r}: the cohort is "
                "semi-synthetic"
            )
        self.out, self.kind, self.modality, self.size = Path(out), kind, modality, tuple(int(s) for s in size)
        self.channels, self.dtype = list(channels), np.dtype(dtype)
        self.scheme, self.label_source = scheme, label_source
        self.provenance, self.classes, self.trained_on = provenance, tuple(classes), list(trained_on)
        self.preprocessing, self.key, self.columns = preprocessing or {}, key, tuple(columns)
        self.sampling: dict[str, Any] = {}
        self._seal = seal
        self._request = None if machine is None else {"provenance": provenance.to_json(), "machine": machine}
        self._stack = ExitStack()
        self._splits: list[tuple[str, str]] = []
        self._ids: set[str] = set()

    @classmethod
    def after(cls, source: Cohort, out: Path, provenance: Provenance, **more: Any) -> "CohortWriter":
        """Return a writer of a cohort that describes its cases as another does, but for what ``more`` says."""
        described: dict[str, Any] = {
            "kind": source.kind,
            "modality": source.modality,
            "size": source.size,
            "channels": source.encoding.channels if source.images is not None else (),
            "dtype": source.encoding.dtype,
            "scheme": source.scheme,
            "label_source": source.label_source,
            "classes": source.classes,
        }
        return cls(out, provenance=provenance, **(described | more))

    def __enter__(self) -> "CohortWriter":
        """Open the hidden sibling folder, and in it the files."""
        keep = None if self._request is None else self._is_known
        self._folder = self._stack.enter_context(output_folder(self.out, keep))
        try:
            arrays = {"images": self.dtype} if self.channels else {}
            if self.scheme is not None:
                arrays["labels"] = np.dtype("uint8")
            self._types, self._files = arrays, {}
            for name in (*arrays, "cases"):
                suffix, head = ("npy", HEADER_BYTES) if name in arrays else ("csv", 0)
                self._files[name] = GrowingFile(self._folder / f"{name}.{suffix}", head)
                self._stack.callback(self._files[name].close)  # also when writing it fails
            note = read_note(self._folder, self._request) if self._request else None
            if note and all(file.go_on(note.files.get(name)) for name, file in self._files.items()):
                self._read_rows()
            else:
                for file in self._files.values():
                    file.begin()
                self._write_row({name: name for name in self._column_names})
            self._noted = time.monotonic()
        except BaseException as error:
            self._stack.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def _is_known(self, folder: Path) -> bool:
        """Tell whether an unfinished folder is of this request."""
        return self._request is not None and read_note(folder, self._request) is not None

    @property
    def written(self) -> int:
        """The number of cases so far."""
        return len(self._splits)

    @property
    def _column_names(self) -> list[str]:
        return [*COLUMNS, *self.classes, *self.columns]

    def _write_row(self, row: dict[str, str]) -> None:
        line = io.StringIO()
        csv.DictWriter(line, self._column_names, restval="").writerow(row)
        self._files["cases"].write(line.getvalue().encode())

    def _read_rows(self) -> None:
        """Take note of the cases that a killed writing left."""
        for row in csv.DictReader(io.StringIO(self._files["cases"].content().decode(), newline="")):
            self._ids.add(row["case_id"])
            self._splits.append((row["subject_id"], row["split"]))

    def append(self, image: np.ndarray | None, label: np.ndarray | None, row: dict[str, str]) -> None:
        """Add one case: image (C, *S), integer label map (*S) of values 0..K-1, and entries in the case table.

        Of these ``case_id`` and ``subject_id`` must be there; None stands for what the cohort has not.
        """
        if row["case_id"] in self._ids:
            raise UnderstudyError(f"each case_id may stand once, found {row['case_id']!r} again")
        if row.get("split", "") not in (*SPLITS, ""):
            raise UnderstudyError(f"a split is one of {', '.join(SPLITS)}; found {row['split']!r}")
        self._ids.add(row["case_id"])
        for name, array, shape in (("images", image, (len(self.channels), *self.size)), ("labels", label, self.size)):
            told = f"case {row['case_id']}: {name}"
            if (array is not None) != (name in self._types):
                given, has = ("missing", "") if array is None else ("given", "no ")
                raise UnderstudyError(f"{told} {given} although the cohort has {has}{name}")
            if array is not None:
                if array.shape != shape:
                    raise UnderstudyError(f"{told} of shape {shape} expected, found {array.shape}")
                casting: Any = "same_kind" if name == "images" else "unsafe"
                self._files[name].write(array.astype(self._types[name], casting=casting).tobytes())
        self._write_row(row)
        self._splits.append((row["subject_id"], row.get("split", "")))
        if self._request and time.monotonic() - self._noted >= NOTE_SECONDS:
            write_note(self._folder, self._request, self._files)
            self._noted = time.monotonic()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write headers and manifest, then rename the folder; on an exception leave nothing."""
        try:
            if error is None:
                for name, dtype in self._types.items():
                    shape = (len(self.channels), *self.size) if name == "images" else self.size
                    self._files[name].close(_header(dtype, (self.written, *shape)))
                self._files["cases"].close()
                self._write_manifest()
        except BaseException as failure:
            self._stack.__exit__(type(failure), failure, failure.__traceback__)
            raise
        self._stack.__exit__(kind, error, trace)

    def _write_manifest(self) -> None:
        if not self._splits:
            raise UnderstudyError(f"the cohort {self.out} would hold no case: nothing was found to put into it")
        subjects, splits = (np.array(column) for column in zip(*self._splits, strict=True))
        refuse_shared_subjects(subjects, splits, str(self.out))
        encoding = Encoding(tuple(self.channels), self.dtype.name, self.scheme)
        hashes: dict[str, str | None] = {"images": None, "labels": None}
        hashes |= {name: file.digest.hexdigest() for name, file in self._files.items()}
        manifest = {
            "schema": SCHEMA,
            "kind": self.kind,
            "modality": self.modality,
            "n": len(self._splits),
            "size": self.size,
            "encoding": encoding.to_json(),
            "classes": self.classes,
            "label_source": self.label_source,
            "trained_on": self.trained_on,
            "preprocessing": self.preprocessing,
            **({"sampling": self.sampling} if self.sampling else {}),
            "provenance": self.provenance.to_json(),
            "hashes": hashes,
        }
        text = json.dumps({"id": content_id(manifest, self.key), **manifest}, indent=1) + "\n"
        (self._folder / "cohort.json").write_text(text)
        drop_note(self._folder)
        if self._seal is not None and self.kind == "synthetic":
            self._seal(self._folder)


def _header(dtype: np.dtype[Any], shape: tuple[int, ...]) -> bytes:
    """Return the first HEADER_BYTES bytes of a .npy file."""
    told = repr({"descr": dtype.str, "fortran_order": False, "shape": shape}).encode("latin1")
    length = HEADER_BYTES - 10  # magic (6), version (2), header length (2)
    return b"\x93NUMPY\x01\x00" + length.to_bytes(2, "little") + told.ljust(length - 1) + b"\n"

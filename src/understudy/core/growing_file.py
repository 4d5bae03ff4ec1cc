"""Files that grow case by case, and a note of how far they were written, from which a killed writing can go on.

The note is written after the files are synced to the disk, so that what it says of them is there; what lies behind is
cut off. It holds hashes: a file that is not as noted is begun anew.
**Checked** in tests/core/test_growing_file.py and, with kill -9, in tests/synthesis/test_drawing.py.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from understudy.core.atomic import whole_file
from understudy.core.documents import STRICT, read_document
from understudy.core.errors import UnderstudyError

NOTE = "unfinished.json"
PART = 2**20  # bytes hashed at once


class Written(BaseModel):
    """How far one file was written."""

    model_config = STRICT

    bytes: int  # behind its head
    sha256: str  # of these


class Note(BaseModel):
    """What an unfinished folder is to become, and how far its files were written."""

    model_config = STRICT

    request: dict[str, Any]
    files: dict[str, Written]


def read_note(folder: Path, request: Mapping[str, Any]) -> Note | None:
    """Return the note in an unfinished folder if it is of this request, plain data; else None."""
    try:
        note = read_document(folder / NOTE, Note, "the note of an unfinished output", "it is swept")
    except UnderstudyError:
        return None
    return note if note.request == json.loads(json.dumps(request)) else None


class GrowingFile:
    """A file that bytes are added to, behind ``head`` bytes, which are written last; hashed while written."""

    def __init__(self, file: Path, head: int = 0) -> None:
        """Open the file, made where there is none; a link is refused. :meth:`begin` or :meth:`go_on` comes first."""
        self.name, self._start = file.name, head
        handle = os.open(file, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
        self._file = os.fdopen(handle, "r+b")
        self._size, self.digest = 0, hashlib.sha256()  # without the head

    def begin(self) -> None:
        """Drop what is there."""
        self._size, self.digest = 0, hashlib.sha256()
        self._file.seek(0)
        self._file.truncate()
        self._file.write(bytes(self._start))

    def go_on(self, written: Written | None) -> bool:
        """Keep as many bytes as were noted, and drop those behind; False: other bytes are there, or fewer."""
        left = -1 if written is None else written.bytes
        self._file.seek(self._start)
        while left > 0 and (part := self._file.read(min(PART, left))):
            self.digest.update(part)
            left -= len(part)
        if written is None or left or self.digest.hexdigest() != written.sha256:
            return False
        self._size = written.bytes
        self._file.truncate(self._start + self._size)
        return True

    def write(self, data: bytes) -> None:
        """Add bytes at the end."""
        self._file.write(data)
        self.digest.update(data)
        self._size += len(data)

    def content(self) -> bytes:
        """Return all bytes behind the head."""
        self._file.seek(self._start)
        return self._file.read()

    def sync(self) -> Written:
        """Bring everything to the disk, and return what is there."""
        self._file.flush()
        os.fsync(self._file.fileno())
        return Written(bytes=self._size, sha256=self.digest.hexdigest())

    def close(self, head: bytes = b"") -> None:
        """Write the head, of the length that was told at first, and close."""
        if head and not self._file.closed:
            self._file.seek(0)
            self._file.write(head)
        self._file.close()


def drop_note(folder: Path) -> None:
    """Remove the note from a folder that is complete, and what a killed process had of a new one."""
    for name in (NOTE, f".{NOTE}.partial"):
        (folder / name).unlink(missing_ok=True)


def write_note(folder: Path, request: Mapping[str, Any], files: Mapping[str, GrowingFile]) -> None:
    """Bring the files to the disk, then note how far they are."""
    note = Note(request=dict(request), files={name: file.sync() for name, file in files.items()})
    with whole_file(folder / NOTE) as handle:
        handle.write(note.model_dump_json().encode())

"""Names of real cases and subjects, paths, and unkeyed hashes of real data, looked for in every byte of a folder.

So are the home folder, the user and the machine that releases it, and in texts any absolute path.
A hash of a real image without a key would let anybody who holds that image test whether it was in the data. Looked
for are its first 16 hexadecimal digits, of MD5, SHA-1 and SHA-256, so that a shortened one is found as well. Compressed
arrays are opened and searched too, as is text in them. Names of fewer than six bytes cannot be told from numbers and
are not looked for; how many is said. Nor are names of users and machines that are common words.
**Checked** in tests/release/test_identifiers.py.
"""

import getpass
import gzip
import hashlib
import platform
import re
import zlib
from base64 import b64decode
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from mmap import ACCESS_READ, mmap
from pathlib import Path

import numpy as np

from understudy.core.cohort import Cohort, array_hash, file_hash
from understudy.core.errors import UnderstudyError
from understudy.report.reading import read_arrays

FEW_PARTS = 2  # of a path that tells nothing: the root and one name
MIN_NAME_BYTES = 6  # bytes of a name
DIGITS = 16  # of a hash
CHUNK = 2**24  # bytes searched at once
COMMON = frozenset(
    {*("localhost", "ubuntu", "runner", "docker", "jovyan", "vagrant", "student", "medical", "research", "understudy")}
)  # names of users and machines that are words of any text
TEXTS = {".json", ".csv", ".tsv", ".html", ".md", ".yaml", ".npz"}
ABSOLUTE = re.compile(
    rb"(?<![\w./~-])/(?:home|root|[Uu]sers|Volumes|mnt|media|data|tmp|var|srv|opt|work|workspace|scratch|nfs|net|export|"
    rb"gpfs|lustre|projects?|storage)/\w|file:/+\w|(?<![A-Za-z0-9])[A-Za-z]:\\{1,2}(?:[Uu]sers\b|[\w .-]+\\)"
)
EMBEDDED = re.compile(rb"data:[\w/+.-]*;base64,([A-Za-z0-9+/=]+)")
Parts = Iterator[tuple[str, bytes | mmap]]  # (what it is, its bytes)


@dataclass(frozen=True)
class ForbiddenIdentifiers:
    """What may stand in no byte of a release: by its bytes, what it is; and how many names were too short."""

    kinds: dict[bytes, str]
    short: int

    def search(self, data: bytes | mmap) -> str | None:
        """Return what kind of thing stands in some bytes, or None."""
        lengths = sorted({len(identifier) for identifier in self.kinds})
        for start in range(0, len(data), CHUNK):
            if found := self._search(data[start : start + CHUNK + max(lengths, default=0)], lengths):
                return found
        return None

    @cached_property
    def _pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """Which pairs of bytes an identifier begins with, and which follow them: most places are out at once."""
        tables = np.zeros((2, 2**16), bool)
        for identifier in self.kinds:
            tables[0, identifier[0] | identifier[1] << 8] = tables[1, identifier[2] | identifier[3] << 8] = True
        return tables[0], tables[1]

    def _search(self, data: bytes, lengths: list[int]) -> str | None:
        (first, second), values = self._pairs, np.frombuffer(data, np.uint8).astype(np.uint16)
        pairs = values[:-1] | values[1:] << 8
        for at in np.flatnonzero(first[pairs[:-2]] & second[pairs[2:]]).tolist():
            for length in lengths:
                if (found := data[at : at + length]) in self.kinds:
                    return self.kinds[found]
        return None


def forbidden_identifiers(real: Cohort) -> ForbiddenIdentifiers:
    """Return what may not be told of a real cohort."""
    names = {"the name of a real case": set(real.column("case_id").tolist())}
    names["the pseudonym of a real subject"] = set(real.subjects())
    names["the path of the real cohort"] = _told(real.path.absolute(), real.path.resolve())
    kinds = _of_this_machine()
    short = 0
    for kind, values in names.items():
        texts = [value.encode() for value in values if value]
        short += sum(len(text) < MIN_NAME_BYTES for text in texts)
        kinds |= {text: kind for text in texts if len(text) >= MIN_NAME_BYTES}
    for digest in _hashes(real):
        for text in (digest[:DIGITS], digest[:DIGITS].upper()):
            kinds[text.encode()] = "an unkeyed hash of real data"
    return ForbiddenIdentifiers(kinds, short)


def _told(*paths: Path) -> set[str]:
    """Return the paths that tell something."""
    return {str(path) for path in paths if len(path.parts) > FEW_PARTS}


def _of_this_machine() -> dict[bytes, str]:
    """Return the home folder, and the names of user and machine, with what each is; short and common ones left out."""
    found: dict[str, str] = {}
    try:
        found |= dict.fromkeys(_told(Path.home(), Path.home().resolve()), "the home folder of who releases it")
        found[getpass.getuser()] = "the name of the user who releases it"
    except (KeyError, OSError, RuntimeError, ImportError):  # a machine may not know
        pass
    node = platform.node()
    found |= dict.fromkeys((node, node.partition(".")[0]), "the name of the machine that releases it")
    return {
        name.encode(): what
        for name, what in found.items()
        if len(name.encode()) >= MIN_NAME_BYTES and name.casefold() not in COMMON
    }


def _hashes(real: Cohort) -> Iterator[str]:
    """Yield unkeyed hashes: of every image and label map, of every name, of the cohort's files and arrays."""
    for array in (real.images, real.labels):
        if array is not None:
            yield array_hash(array)
            for case in array:
                yield from _digests(np.ascontiguousarray(case).tobytes())
    for name in {*real.column("case_id").tolist(), *real.subjects()}:
        yield from _digests(name.encode())
    for file in sorted(real.path.iterdir()):
        if file.is_file():
            yield file_hash(file)


def _digests(data: bytes) -> Iterable[str]:
    return (hashlib.new(name, data, usedforsecurity=False).hexdigest() for name in ("md5", "sha1", "sha256"))


def refuse_names(folder: Path, forbidden: ForbiddenIdentifiers, only: Sequence[str] = ()) -> int:
    """Search files of a folder (``only`` names which; none: all), what is packed in them, and their names.

    Returns how many files were searched; refuses, naming what was found and in which file, but not the name itself.
    """
    files = [folder / name for name in only] or sorted(file for file in folder.rglob("*") if file.is_file())
    for file in files:
        name = file.relative_to(folder).as_posix()
        for what, data in _parts(file, name):
            path = "an absolute path" if file.suffix in TEXTS and ABSOLUTE.search(data) else None
            if found := forbidden.search(data) or path:
                raise UnderstudyError(
                    f"release is refused: {found} stands in {name} ({what}); make that evidence again without it, or "
                    "leave it out. Nothing was written"
                )
    return len(files)


def _parts(file: Path, name: str) -> Parts:
    """Yield the name and the bytes of a file, and what is packed in them: arrays, embedded pictures."""
    yield "its name", name.encode()
    if file.stat().st_size:
        with file.open("rb") as handle, mmap(handle.fileno(), 0, access=ACCESS_READ) as data:
            yield "its bytes", data
            for embedded in EMBEDDED.findall(data) if file.suffix == ".html" else ():
                yield "an embedded picture", b64decode(embedded)
    if file.suffix == ".gz":
        yield "what is packed in it", _unpacked(file)
    if file.suffix == ".npz":
        for title, array in read_arrays(file).items():
            text = "\n".join(array.ravel().tolist()) if array.dtype.kind == "U" else ""
            yield f"the array {title}", title.encode() + b"\n" + (text.encode() or array.tobytes())


def _unpacked(file: Path) -> bytes:
    try:
        return gzip.decompress(file.read_bytes())
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UnderstudyError(
            f"release is refused: {file.name} should be a gzip file, and is none ({error})"
        ) from error

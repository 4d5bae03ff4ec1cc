"""One DICOM file, opened within bounds and in silence: pydicom's log lines and warnings quote values of patients.

A file counts as DICOM by its mark ``DICM``, or, without a preamble, by a first element that DICOM begins with. Deflated
files are inflated up to ``MOST_INFLATED`` bytes. Whatever pydicom raises becomes one sentence without a value in it.
**Checked** in tests/data/dicom/test_opening.py and test_hostile.py.
"""

import io
import logging
import stat
import struct
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from understudy.core.errors import UnderstudyError, UsageError

MOST_INFLATED = 2**27  # bytes: the most that a deflated file may hold (128 MiB)
BLOCK = 2**20
DEFLATED = b"1.2.840.10008.1.2.1.99"
_FIRST = {0x0002: (0x0000, 0x0001, 0x0002, 0x0003, 0x0010), 0x0008: (0x0000, 0x0001, 0x0005, 0x0008, 0x0016, 0x0018)}
_LEAST = 8  # bytes of the shortest element


@cache
def pydicom() -> Any:
    """Return pydicom, with its decoders' own messages off; UsageError where it is not installed."""
    try:
        import pydicom as module
        import pydicom.pixels
    except ImportError as error:
        raise UsageError("DICOM needs packages that are not installed: pip install 'understudy[dicom]'") from error
    try:
        import gdcm
    except ImportError:
        return module
    for off in (gdcm.Trace.WarningOff, gdcm.Trace.ErrorOff, gdcm.Trace.DebugOff):
        off()
    return module


@contextmanager
def quiet() -> Iterator[None]:
    """Let pydicom say nothing: no log line and no warning, which quote values of patients."""
    settings, logger = pydicom().config.settings, logging.getLogger("pydicom")
    mode, level = settings.reading_validation_mode, logger.level
    settings.reading_validation_mode = pydicom().config.IGNORE
    logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        settings.reading_validation_mode = mode
        logger.setLevel(level)


def damaged(where: str, why: str) -> UnderstudyError:
    """Return what to raise about a DICOM file that cannot be read, because of this."""
    return UnderstudyError(
        f"{where} should be a DICOM file and cannot be read as one ({why}): it is cut short, damaged or something "
        "else; replace or remove it"
    )


@contextmanager
def reading(where: str, what: str, *known: type[Exception]) -> Iterator[None]:
    """Turn whatever pydicom raises while it reads ``what`` of a file into one sentence; ``known`` errors pass."""
    try:
        with quiet():
            yield
    except Exception as error:
        if isinstance(error, (UnderstudyError, *known)):
            raise
        raise damaged(where, f"{what}: {type(error).__name__}") from None


def is_dicom(file: Path) -> bool:
    """Tell whether a file begins as DICOM does, with or without a preamble; a pipe, a device or a folder does not."""
    if not stat.S_ISREG(file.stat().st_mode):
        return False
    with file.open("rb") as handle:
        start = handle.read(132)
    return start[128:132] == b"DICM" or _bare(start)


def _bare(start: bytes) -> bool:
    """Whether bytes begin with an element of group 2 or 8 that a data set without a preamble begins with."""
    if len(start) < _LEAST:
        return False
    for order in "<>":
        group, element = struct.unpack(f"{order}HH", start[:4])
        length = struct.unpack(f"{order}I", start[4:8])[0]
        if element in _FIRST.get(group, ()) and (start[4:6].isalpha() and start[4:6].isupper() or length <= 128):
            return True
    return False


class PixelElement(NamedTuple):
    """The element of the pixels: whether they are floating point, and how many bytes its value may have at most."""

    floats: bool
    bytes_left: int


def opened(file: Path, where: str, tags: Sequence[int] | None = None) -> tuple[Any, PixelElement | None]:
    """Read a data set without its pixels (only these tags), and tell what is left of the file for them.

    Returns:
        The data set and its pixel element, or None without one.

    Raises:
        UnderstudyError: it cannot be read, or inflates to more than ``MOST_INFLATED`` bytes.
    """
    with reading(where, "header"), _source(file, where) as (handle, size):
        dataset = pydicom().dcmread(handle, stop_before_pixels=True, specific_tags=tags, force=True)
        _complete_meta(dataset)
        return dataset, _pixel_element(handle, size, dataset.file_meta.TransferSyntaxUID)


def _pixel_element(handle: Any, size: int, syntax: Any) -> PixelElement | None:
    """What follows where reading stopped."""
    left = size - handle.tell() - (8 if syntax.is_implicit_VR else 12)
    start = handle.read(4)
    if len(start) < 4:
        return None
    group, element = struct.unpack("<HH" if syntax.is_little_endian else ">HH", start)
    return PixelElement(element != 0x0010, max(left, 0)) if group == 0x7FE0 else None


def with_pixels(file: Path, where: str) -> Any:
    """Read a whole data set, with its pixel element; UnderstudyError where it cannot be."""
    with reading(where, "data set"), _source(file, where) as (handle, _):
        dataset = pydicom().dcmread(handle, force=True)
        _complete_meta(dataset)
        return dataset


@contextmanager
def _source(file: Path, where: str) -> Iterator[tuple[Any, int]]:
    """A file to read from, inflated where it is deflated, and its length."""
    with file.open("rb") as handle:
        start = handle.read(4096)
        handle.seek(0)
        if DEFLATED in start and start[128:132] == b"DICM":
            inflated = _inflated(handle, where)
            yield inflated, inflated.getbuffer().nbytes
        else:
            yield handle, file.stat().st_size


def _inflated(handle: Any, where: str) -> io.BytesIO:
    """The same file, explicit little endian and no longer deflated; as it is, where it only names the syntax."""
    handle.seek(132)
    meta = pydicom().filereader._read_file_meta_info(handle)
    if str(meta.get("TransferSyntaxUID", "")) != DEFLATED.decode():
        handle.seek(0)
        return io.BytesIO(handle.read())
    meta.TransferSyntaxUID = pydicom().uid.ExplicitVRLittleEndian
    out = io.BytesIO()
    out.write(bytes(128) + b"DICM")
    pydicom().filewriter.write_file_meta_info(out, meta, enforce_standard=False)
    machine = zlib.decompressobj(-zlib.MAX_WBITS)
    while not machine.eof and out.tell() <= MOST_INFLATED:
        part = machine.decompress(machine.unconsumed_tail or handle.read(BLOCK), BLOCK)
        if not part and not machine.eof:
            raise damaged(where, "its deflated part has no end")
        out.write(part)
    if out.tell() > MOST_INFLATED:
        raise UnderstudyError(
            f"{where} is a deflated DICOM file that inflates to more than {MOST_INFLATED:,} bytes: inflate it with "
            "another tool, or remove it"
        )
    out.seek(0)
    return out


def _complete_meta(dataset: Any) -> None:
    """Give a file without a transfer syntax the one by which it was read."""
    if "TransferSyntaxUID" in dataset.file_meta:
        return
    uid = pydicom().uid
    implicit, little = dataset.original_encoding
    if implicit:
        dataset.file_meta.TransferSyntaxUID = uid.ImplicitVRLittleEndian
    else:
        dataset.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian if little else uid.ExplicitVRBigEndian

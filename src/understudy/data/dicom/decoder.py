"""Compressed pixels are decoded in a process of their own, which may break off or hang and takes nothing with it.

Decoders in C end the process, or never return, on some damaged streams. The message to the child is a DICOM file that
holds the pixels and what describes them, and nothing else; the answer is an .npy array, or the name of an error.
**Checked** in tests/data/dicom/test_decoder.py (a child that dies, one that hangs, the same pixels as in this process).
"""

import atexit
import io
import os
import select
import struct
import subprocess
import sys
import time
from typing import IO, Any, BinaryIO

import numpy as np

from understudy.data.dicom.opening import pydicom, quiet

DESCRIPTION = (
    *("Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelData"),
)
SECONDS, BYTES_A_SECOND = 60.0, 2**18  # a decoder may take so long, and longer for long streams
MOST_MEMORY = 2**33  # bytes of address space of the child
ANSWER, ERROR = b"A", b"E"


class DecodingError(Exception):
    """The decoder refused the stream, broke off or did not end; the message is a word about which."""


def pixels_of(dataset: Any, options: dict[str, bool]) -> np.ndarray:
    """Return the pixels of a data set as ``pydicom.pixels.pixel_array`` does; compressed ones but RLE by the child.

    Raises:
        DecodingError: the child could not decode them.
    """
    syntax = dataset.file_meta.TransferSyntaxUID
    if not syntax.is_encapsulated or syntax == pydicom().uid.RLELossless:
        return np.asarray(pydicom().pixels.pixel_array(dataset, **options))
    return _CHILD.decoded(_described(dataset), options)


def _described(dataset: Any) -> bytes:
    """The pixels and what describes them as a DICOM file."""
    short = pydicom().Dataset()
    short.file_meta = pydicom().dataset.FileMetaDataset()
    short.file_meta.TransferSyntaxUID = dataset.file_meta.TransferSyntaxUID
    for keyword in DESCRIPTION:
        if keyword in dataset:
            short[keyword] = dataset[keyword]
    out = io.BytesIO()
    pydicom().dcmwrite(out, short, enforce_file_format=False, implicit_vr=False, little_endian=True)
    return out.getvalue()


class _Child:
    """The process that decodes; started when it is first needed, and again after it broke off."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        atexit.register(self.stop)

    def stop(self) -> None:
        """End the process."""
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None

    def decoded(self, file: bytes, options: dict[str, bool]) -> np.ndarray:
        if self.process is None or self.process.poll() is not None:
            self.stop()
            command = [sys.executable, "-P", "-m", "understudy.data.dicom.decoder", "--serve"]  # -P: no code of the cwd
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0
            )
        try:
            kind, answer = self._asked(file, bytes([options.get("correct_unused_bits", True)]))
        except (DecodingError, OSError) as error:
            self.stop()
            raise DecodingError(str(error) if isinstance(error, DecodingError) else "its decoder broke off") from None
        except BaseException:  # such as Ctrl-C: an answer that is still to come would be taken for the next file's
            self.stop()
            raise
        if kind == ERROR:
            raise DecodingError(answer.decode("ascii", "replace"))
        return np.asarray(np.lib.format.read_array(io.BytesIO(answer), allow_pickle=False))

    def _asked(self, file: bytes, flag: bytes) -> tuple[bytes, bytes]:
        process = self.process
        assert process is not None and process.stdin is not None and process.stdout is not None
        until = time.monotonic() + SECONDS + len(file) / BYTES_A_SECOND
        process.stdin.write(struct.pack(">Q", len(file)) + flag + file)
        process.stdin.flush()
        kind, size = struct.unpack(">cQ", _read(process.stdout, 9, until))
        return kind, _read(process.stdout, size, until)


def _read(stream: IO[bytes], size: int, until: float) -> bytes:
    """Read so many bytes before a moment; DecodingError if it passes, or if they end before."""
    parts, left = [], size
    while left:
        ready, _, _ = select.select([stream], [], [], max(until - time.monotonic(), 0))
        if not ready:
            raise DecodingError("its decoder did not end")
        part = os.read(stream.fileno(), min(left, 2**20))
        if not part:
            raise DecodingError("its decoder broke off")
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


_CHILD = _Child()


def _serve(source: BinaryIO, target: BinaryIO) -> None:
    """Answer one message after the other until they end."""
    while len(start := source.read(9)) == 9:
        size, flag = struct.unpack(">Q?", start)
        file, out = io.BytesIO(source.read(size)), io.BytesIO()
        try:
            with quiet():
                options = {} if flag else {"correct_unused_bits": False}
                array = np.asarray(pydicom().pixels.pixel_array(pydicom().dcmread(file, force=True), **options))
            np.lib.format.write_array(out, np.ascontiguousarray(array), allow_pickle=False)
            kind, answer = ANSWER, out.getvalue()
        except Exception as error:  # noqa: BLE001  (whatever a damaged stream makes a decoder raise)
            kind, answer = ERROR, type(error).__name__.encode()
        target.write(struct.pack(">cQ", kind, len(answer)) + answer)
        target.flush()


if __name__ == "__main__" and sys.argv[1:] == ["--serve"]:
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    _serve(sys.stdin.buffer, sys.stdout.buffer)

"""A file to read is a regular file: a pipe would hang its reader, a device or a folder has no end or no content.

One that is read as a whole has a bound: a file of a terabyte of holes takes no room on a disk, and all of the memory.

**Checked** in tests/core/test_regular_file.py.
"""

import os
import stat
from io import BufferedReader, StringIO
from pathlib import Path

from understudy.core.errors import UsageError

KINDS = {
    stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}  # fmt: skip
MOST_BYTES = 2**30  # of a file that is read as a whole: a manifest of 8 million files has them


def open_regular(path: Path, wanted: str) -> BufferedReader:
    """Open a file for reading, and refuse at once what is no regular file, with UsageError.

    The message says what was ``wanted`` (``a weights file``), and that there is nothing, a folder, a pipe, a device, a
    socket, or what cannot be opened, such as a link in a circle.
    """
    try:
        mode = os.stat(path).st_mode  # opening a device can already change it
        if stat.S_ISREG(mode):
            handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
            mode = os.fstat(handle).st_mode  # of what was opened
            if stat.S_ISREG(mode):
                return os.fdopen(handle, "rb")
            os.close(handle)
        found = KINDS.get(stat.S_IFMT(mode), "something else")
    except (FileNotFoundError, NotADirectoryError):
        found = "nothing"
    except OSError as error:
        found = f"what cannot be opened ({error.strerror})"
    raise UsageError(f"{wanted} was expected at {path}, found {found}")


def read_regular(path: Path, wanted: str, most: int = MOST_BYTES) -> bytes:
    """Return the bytes of a file, at most so many; UsageError for a longer one, and as :func:`open_regular` has it."""
    with open_regular(path, wanted) as handle:
        size = os.fstat(handle.fileno()).st_size
        content = b"" if size > most else handle.read(most + 1)
    if size > most or len(content) > most:
        raise UsageError(f"{wanted} was expected at {path}, found more than {most:,} bytes")
    return content


def csv_text(path: Path) -> StringIO:
    """Return the text of a CSV table in UTF-8, as ``csv`` reads it; ValueError for what is no UTF-8."""
    return StringIO(read_regular(path, "a table").decode(), newline="")

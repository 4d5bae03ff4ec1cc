"""A file to read is a regular file: a pipe would hang its reader, a device or a folder has no end or no content.

**Checked** in tests/core/test_regular_file.py.
"""

import os
import stat
from io import BufferedReader
from pathlib import Path

from understudy.core.errors import UsageError

KINDS = {
    stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}  # fmt: skip


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

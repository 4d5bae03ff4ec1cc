"""Files and folders that are whole or absent: written aside, synced to the disk, renamed; and the one lock.

What a killed process was writing lies beside its place as ``.NAME.partial``; the next writer sweeps it, or goes on with
it. The kernel frees the lock of a killed process. **Checked** in tests/core/test_atomic.py and, with kill -9 at random
moments, in tests/test_kill.py.
"""

import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from understudy.core.errors import ProcessLost, UsageError


@contextmanager
def whole_file(file: Path, *, mode: int = 0o666, alone: bool = True, replace: bool = True) -> Iterator[BinaryIO]:
    """Yield a file to write to; it gets its name at the end, or on any exception is gone.

    Its permissions are ``mode`` less the umask. Where other processes may write it too (not ``alone``), each writes
    under a name of its own. Without ``replace`` a file of this name stays, and what was written is dropped.
    """
    own = "" if alone else f".{secrets.token_hex(8)}"
    partial = file.with_name(f".{file.name}{own}.partial")
    partial.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        if replace:
            partial.replace(file)
        else:
            with suppress(FileExistsError):
                os.link(partial, file)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def whole_folder(folder: Path, *, replace: bool = False, keep: Callable[[Path], bool] | None = None) -> Iterator[Path]:
    """Yield an empty folder to fill; it gets its name at the end, or on errors is gone; ``replace`` drops one there.

    With ``keep``, an interruption leaves it unfinished, as a kill does; the next time it is yielded as it is, if
    ``keep`` says so of it.
    """
    partial = folder.with_name(f".{folder.name}.partial")
    if keep is None or partial.is_symlink() or not partial.is_dir() or not keep(partial):
        shutil.rmtree(partial, ignore_errors=True)  # what a killed run left
        partial.mkdir(parents=True)
    try:
        yield partial
        _sync(partial)
        if replace:
            shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
    except BaseException as error:
        failed = isinstance(error, Exception) and not isinstance(error, ProcessLost)
        if keep is None or failed:
            shutil.rmtree(partial, ignore_errors=True)
        raise


@contextmanager
def lock(file: Path, doing: str) -> Iterator[None]:
    """Hold a lock that one process can have at a time; the file is gone afterwards.

    Raises:
        UsageError: another process is ``doing`` (``writing /data/out``), and holds it; nothing waits.
    """
    from filelock import FileLock, Timeout  # takes long to import, and `understudy --help` needs none

    held = FileLock(file)
    try:
        held.acquire(blocking=False)
    except Timeout as error:
        raise UsageError(f"another process is {doing}: wait for it to end") from error
    try:
        yield
    finally:
        file.unlink(missing_ok=True)  # before the release: a lock on a file without a name is refused by filelock
        held.release()


def _sync(folder: Path) -> None:
    for file in [folder, *folder.rglob("*")]:
        handle = os.open(file, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)

"""What libraries in C write straight to standard error, kept from the screen. **Checked** in test_stderr.py."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO


@contextmanager
def kept_from_screen() -> Iterator[IO[bytes]]:
    """Send standard error into a file that is gone at the end; ``read`` it after ``seek(0)``, within the block."""
    screen = os.dup(2)
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)
        try:
            yield said
        finally:
            os.dup2(screen, 2)
            os.close(screen)

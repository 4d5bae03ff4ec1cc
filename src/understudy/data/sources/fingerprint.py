"""Fingerprint of what a source found: names, sizes in bytes, and the whole table. Only its keyed hash is recorded.

**Differs** from hashing every pixel, which would read a large source twice: a file changed within its size is not
noticed.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from understudy.core.cohort import file_hash
from understudy.data.listing import Item


def fingerprint(path: Path, items: Sequence[Item], table: Path | None = None) -> str:
    """Return a text that changes when files are added, removed, renamed or change their size, or when the table
    changes.

    Args:
        path: the source's folder; its own name and place do not count.
        items: the items found.
        table: a table that belongs to them.
    """
    files = sorted({file for item in items for file in (*item.images, *([item.labels] if item.labels else []))})
    listed = [(file.relative_to(path).as_posix(), file.stat().st_size) for file in files]
    return json.dumps([listed, file_hash(table) if table else None])

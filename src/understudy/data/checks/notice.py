"""Notice: one thing that ``check`` found, in plain words. **Checked** in tests/data/checks/test_notice.py."""

from dataclasses import dataclass
from functools import partial
from typing import Literal

Level = Literal["error", "warning", "info"]
LEVELS: tuple[Level, ...] = ("error", "warning", "info")


@dataclass(frozen=True)
class Notice:
    """One thing found: how bad it is, and a sentence that says what, where and what to do."""

    level: Level
    sentence: str


error, warning, info = partial(Notice, "error"), partial(Notice, "warning"), partial(Notice, "info")


def worst_first(notices: list[Notice]) -> list[Notice]:
    """Return the notices, errors first, then warnings, then information; within a level the order stays."""
    return sorted(notices, key=lambda notice: LEVELS.index(notice.level))


def evenly(rows: list[int], most: int) -> list[int]:
    """Return at most so many of the rows, evenly spaced."""
    return rows[:: -(-len(rows) // most)] if rows else []

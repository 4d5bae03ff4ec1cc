"""What may be disclosed: numbers that at least five subjects stand behind; and the stamp on folders that may not leave.

Rows per real case or subject, and real pixels, go below ``internal/``, which is stamped INTERNAL; no release carries
it, and only its owner may read it. **Checked** in tests/core/test_disclosure.py.
"""

from collections.abc import Hashable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from understudy.core.result import Result

Value = TypeVar("Value", bound=Hashable)
MIN_SUBJECTS = 5  # behind a public number
STAMP = "INTERNAL.txt"
INTERNAL = """INTERNAL. This folder holds pixels of real cases or a row per real case or subject.
It is evidence for those who may see the real data, and never leaves the institution; no release carries it.
"""


def public(result: Result, subjects: int) -> Result:
    """Return the result, or the same without its number where fewer than five subjects stand behind it."""
    if subjects >= MIN_SUBJECTS or result.value is None:
        return result
    note = f"withheld: {subjects} subjects stand behind it, and a public number needs {MIN_SUBJECTS}"
    return replace(result, value=None, low=None, high=None, note=note)


def rare(values: Sequence[Value], subjects: Sequence[str]) -> set[Value]:
    """Return which of the values of cases fewer than five subjects have; ``subjects`` says whose each case is."""
    owners: dict[Value, set[str]] = {}
    for value, subject in zip(values, subjects, strict=True):
        owners.setdefault(value, set()).add(subject)
    return {value for value, found in owners.items() if len(found) < MIN_SUBJECTS}


def internal(folder: Path) -> Path:
    """Return ``internal/`` below a folder, made and stamped; only its owner may open it."""
    made = folder / "internal"
    made.mkdir(exist_ok=True)
    made.chmod(0o700)
    stamp(made)
    return made


def stamp(folder: Path) -> None:
    """Say in a folder that it never leaves the institution."""
    (folder / STAMP).write_text(INTERNAL)


def lock_stamped(folder: Path) -> None:
    """Let only their owner read the files, and open the folders, of every stamped folder below one, and of itself."""
    for mark in folder.rglob(STAMP):
        mark.parent.chmod(0o700)
        for path in mark.parent.rglob("*"):
            path.chmod(0o700 if path.is_dir() else 0o600)

"""Recorded: what the import wrote down of how it read the source. **Checked** in tests/data/checks/test_recorded.py."""

from collections.abc import Iterable
from typing import Any

from understudy.core.cohort import Cohort
from understudy.data.checks.notice import Notice, info, warning


def recorded(cohort: Cohort) -> Iterable[Notice]:
    """Repeat the remarks of the import, and what it passed over; entries of another form than it writes say nothing."""
    for phrase, count in counts(cohort, "remarks"):
        yield warning(f"import: {phrase} ({count})")
    for reason, count in counts(cohort, "passed_over"):
        yield info(f"import passed over {count}: {reason}")


def counts(cohort: Cohort, name: str) -> list[tuple[str, int]]:
    """Return the phrases and numbers under a name of the import's record; entries of another form are left out."""
    entry: Any = cohort.preprocessing.get(name)
    pairs = entry.items() if isinstance(entry, dict) else ()
    return [(" ".join(str(phrase).split()), count) for phrase, count in pairs if isinstance(count, int)]

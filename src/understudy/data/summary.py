"""What an import says at its end: what was read, what was passed over and why, and what a user should know.

All of it stands in the cohort's manifest, as counts and phrases without a name, value or path of the source, so that
``check`` can say it again. **Checked** in tests/data/test_summary.py.
"""

from understudy.core.cohort import Cohort
from understudy.core.manifest import SPLITS
from understudy.data.checks.recorded import counts


def import_summary(cohort: Cohort) -> list[str]:
    """Return the lines about a cohort that an import made: one about what was read, then warnings."""
    shares = ", ".join(f"{split} {len(cohort.subjects(split))}" for split in SPLITS if len(cohort.rows(split)))
    read = cohort.preprocessing.get("files_read")
    files = f" from {read} files" if read else ""
    lines = [f"read: {len(cohort)} cases of {len(cohort.subjects())} subjects{files} ({shares or 'not split'})"]
    return [*lines, *(f"warning: {sentence}" for sentence in import_warnings(cohort))]


def import_warnings(cohort: Cohort) -> list[str]:
    """Return what an import passed over, by reason, and what it remarked, with counts; nothing of other cohorts."""
    passed = dict(counts(cohort, "passed_over"))
    out = [f"passed over: {total(passed)}"] if passed else []
    return out + [f"{phrase} ({number})" for phrase, number in counts(cohort, "remarks")]


def total(passed_over: dict[str, int]) -> str:
    """Write counts by reason: ``7 (3 x files of other kinds, 4 x images that the table does not name)``."""
    parts = ", ".join(f"{number} x {reason}" for reason, number in passed_over.items())
    return f"{sum(passed_over.values())} ({parts})"

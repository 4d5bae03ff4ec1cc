"""What an entry of the menu of release forms is."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from understudy.core.cohort import Cohort
from understudy.release.formats.read_back import CaseFiles


class Form(Protocol):
    """How the de-identified cohort is stored in a bundle, in one folder that no other form writes to.

    What is written reads back as the same cohort: the same id, cases and classes, arrays equal bit by bit. The
    disclosure check looks at what is read back, and searches every byte of what was written.
    """

    folder: str  # below the bundle
    suffixes: frozenset[str]  # of the names of the files that it writes, with the dot
    table: str  # the case table, below the bundle
    pictures: str  # a pattern that the files of images and label maps match, below the bundle
    media_type: str  # of these files
    holds: str  # what a recipient finds there, for the README

    def refuse(self, cohort: Cohort) -> None:
        """Raise UsageError where the form cannot hold a cohort as it is; nothing is rounded, scaled or left out."""

    def write(self, bundle: Path, cohort: Cohort) -> None:
        """Write the de-identified cohort into the folder of a bundle."""

    def names(self, cohort: Cohort) -> set[str]:
        """Return the names, below the bundle, of all files that :meth:`write` makes of a cohort."""

    def files(self, bundle: Path, channels: Sequence[str], i: int) -> CaseFiles | None:
        """Return the files of case i, of channels with these names; None where a case has none of its own."""

    def read(self, bundle: Path) -> Cohort:
        """Read the cohort back from a bundle; raises UnderstudyError where it is not there, or damaged."""

"""What an entry of the menu of release forms is."""

from pathlib import Path
from typing import Protocol

from understudy.core.cohort import Cohort


class Form(Protocol):
    """How the de-identified cohort is stored in a bundle, in one folder that no other form writes to.

    What is written reads back as the same cohort: the same id, cases and classes, arrays equal bit by bit. The
    disclosure check looks at what is read back, and searches every byte of what was written.

    Attributes:
        suffixes: ends of the names of the files that it writes, with the dot.
    """

    suffixes: frozenset[str]

    def write(self, bundle: Path, cohort: Cohort) -> None:
        """Write a cohort into a bundle.

        Args:
            bundle: the folder of the bundle.
            cohort: the de-identified cohort.
        """

    def read(self, bundle: Path) -> Cohort:
        """Read the cohort back from a bundle.

        Raises:
            UnderstudyError: it is not there, or damaged.
        """

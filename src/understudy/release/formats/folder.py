"""The folder of arrays, ``cohort/``: what every stage of understudy reads (core/cohort.py).

**Checked** in tests/release/formats/test_folder.py, and with every form in tests/release/test_formats.py.
"""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from understudy.core.cohort import Cohort
from understudy.release.formats.read_back import CaseFiles

FOLDER = "cohort"
FILES = ("cohort.json", "cases.csv", "images.npy", "labels.npy")


class FolderForm:
    """Store a cohort as it is."""

    folder = FOLDER
    suffixes = frozenset({".json", ".csv", ".npy"})
    table = "cohort/cases.csv"
    pictures = "cohort/*.npy"
    media_type = "application/x-npy"
    holds = "NumPy arrays `images.npy` and `labels.npy`, and the case table `cases.csv`"

    def refuse(self, cohort: Cohort) -> None:
        """Refuse nothing: every cohort is one."""

    def write(self, bundle: Path, cohort: Cohort) -> None:
        """Link or copy the files of a cohort into ``bundle/cohort``."""
        (bundle / FOLDER).mkdir()
        for name in FILES:
            if (cohort.path / name).is_file():
                _link_or_copy(cohort.path / name, bundle / FOLDER / name)

    def names(self, cohort: Cohort) -> set[str]:
        """Return the names of the files that are written."""
        given = {"images.npy": cohort.images is not None, "labels.npy": cohort.labels is not None}
        return {f"{FOLDER}/{name}" for name in FILES if given.get(name, True)}

    def files(self, bundle: Path, channels: Sequence[str], i: int) -> CaseFiles | None:
        """Return None: all cases share two files."""
        return None

    def read(self, bundle: Path) -> Cohort:
        """Open ``bundle/cohort``."""
        return Cohort.open(bundle / FOLDER)


def _link_or_copy(source: Path, target: Path) -> None:
    """Give a file a second name, which costs no room, or copy it where the file system knows no such names."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


FORM = FolderForm()

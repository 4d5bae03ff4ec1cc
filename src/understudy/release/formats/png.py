"""PNG: ``png/images/case-000001_0000.png``, a grey picture a channel, ``png/labels/case-000001.png``, a table.

Images are whole numbers from 0 to 65,535, of 8 bits where all are below 256, as they are: nothing is scaled. A label
map holds the numbers of its classes, 0 to K - 1, and looks black. Volumes, and other numbers, are refused. Spacings
stand in the table.
**Checked** in tests/release/formats/test_png.py.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from understudy.core.cohort import Cohort
from understudy.core.errors import UsageError
from understudy.release.formats.read_back import (
    DESCRIPTION,
    TABLE,
    CaseFiles,
    case_names,
    first_files,
    numbered_files,
    read_files,
    whole_range,
    write_description,
    write_table,
)

ENDING = ".png"
DEEP = 2**16 - 1


class PngForm:
    """Store 2D cases as pictures."""

    folder = "png"
    suffixes = frozenset({".json", ".csv", ENDING})
    table = "png/cases.csv"
    pictures = "png/**/*.png"
    media_type = "image/png"
    holds = "`images/CASE_0000.png` (a file a channel), `labels/CASE.png` (class numbers: they look black), `table.csv`"

    def refuse(self, cohort: Cohort) -> None:
        """Refuse volumes, and values that are not whole numbers from 0 to 65,535."""
        if len(cohort.size) != 2:
            raise UsageError(f"--format png holds pictures, and {cohort.path.name} holds volumes: choose nifti")
        found = whole_range(cohort)
        if found is None or found[0] < 0 or found[1] > DEEP:
            values = "fractions" if found is None else f"values from {found[0]} to {found[1]}"
            raise UsageError(
                f"--format png holds whole numbers from 0 to {DEEP}, and {cohort.path.name} has {values}: choose nifti"
            )

    def write(self, bundle: Path, cohort: Cohort) -> None:
        """Write pictures and the table."""
        folder, found = bundle / self.folder, whole_range(cohort)
        assert found is not None
        kept = np.uint8 if found[1] < 256 else np.uint16
        write_description(cohort, folder)
        write_table(cohort, folder, "file", first_files(cohort, ENDING))
        for i in range(len(cohort)):
            files = self.files(bundle, [channel.name for channel in cohort.encoding.channels], i)
            for file, channel in zip(files.images, () if cohort.images is None else cohort.images[i], strict=True):
                _save(file, channel.astype(kept))
            if cohort.labels is not None:
                _save(files.label, cohort.labels[i])

    def names(self, cohort: Cohort) -> set[str]:
        """Return the names of the files that are written."""
        return case_names(self.files, cohort) | {f"{self.folder}/{name}" for name in (*DESCRIPTION, TABLE)}

    def files(self, bundle: Path, channels: Sequence[str], i: int) -> CaseFiles:
        """Return the files of case i."""
        folder = bundle / self.folder
        return numbered_files(folder / "images", folder / "labels", ENDING, channels, i)

    def read(self, bundle: Path) -> Cohort:
        """Read the pictures back."""
        return read_files(bundle / self.folder, partial(self.files, bundle))


def _save(file: Path, array: np.ndarray) -> None:
    file.parent.mkdir(exist_ok=True)
    Image.fromarray(np.ascontiguousarray(array)).save(file, format="PNG")


FORM = PngForm()

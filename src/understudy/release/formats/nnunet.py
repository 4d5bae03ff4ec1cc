"""nnU-Net: ``nnunet/Dataset001_Synthetic`` with dataset.json, imagesTr and labelsTr, as its second version reads it.

Files are those of nifti.py. All cases are training cases. Classes of cases have no place there: they stand in
``nnunet/table.csv``, beside the data set.
**Source**: nnU-Net 2.8.1, documentation/dataset_format.md.
**Checked** in tests/release/formats/test_nnunet.py; nnU-Net's own verify_dataset_integrity passes (docs/clients.md).
"""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from understudy.core.cohort import Cohort
from understudy.core.errors import UsageError
from understudy.core.labels import BACKGROUND
from understudy.release.formats.nifti import ENDING, write_volumes
from understudy.release.formats.read_back import (
    DESCRIPTION,
    TABLE,
    CaseFiles,
    case_names,
    first_files,
    numbered_files,
    read_files,
    stored_type,
    write_description,
    write_table,
)

DATASET = "Dataset001_Synthetic"
IGNORED = "ignore"  # a class of this name is no class for nnU-Net


class NnunetForm:
    """Store a cohort as a raw data set of nnU-Net."""

    folder = "nnunet"
    suffixes = frozenset({".json", ".csv", ".gz"})
    table = "nnunet/cases.csv"
    pictures = "nnunet/**/*.nii.gz"
    media_type = "application/gzip"
    holds = "a raw data set for nnU-Net; classes of cases stand in `table.csv`"

    def refuse(self, cohort: Cohort) -> None:
        """Refuse a cohort without images or label maps, and a class with a name that means something else there."""
        if cohort.images is None or cohort.scheme is None or len(cohort.scheme) < 2:
            raise UsageError(
                f"--format nnunet holds images and label maps with a class beside the background, and "
                f"{cohort.path.name} lacks one of them: choose nifti"
            )
        if IGNORED in cohort.scheme.names or BACKGROUND in cohort.scheme.names[1:]:
            raise UsageError(
                f"nnU-Net takes a class named {IGNORED} or {BACKGROUND} for something else, and {cohort.path.name} has "
                "one: choose nifti"
            )
        stored_type(cohort, "nnunet")

    def write(self, bundle: Path, cohort: Cohort) -> None:
        """Write dataset.json, images and label maps, and the table beside them."""
        folder = bundle / self.folder
        write_description(cohort, folder)
        write_table(cohort, folder, "file", first_files(cohort, ENDING))
        (folder / DATASET).mkdir()
        assert cohort.scheme is not None
        described = {
            "channel_names": {str(c): channel.name for c, channel in enumerate(cohort.encoding.channels)},
            "labels": {BACKGROUND: 0} | {name: k for k, name in enumerate(cohort.scheme.names) if k},
            "numTraining": len(cohort),
            "file_ending": ENDING,
            "name": DATASET,
            "description": f"Synthetic cases made by understudy; cohort {cohort.id}.",
        }
        (folder / DATASET / "dataset.json").write_text(json.dumps(described, indent=1) + "\n")
        write_volumes(self, bundle, cohort)

    def names(self, cohort: Cohort) -> set[str]:
        """Return the names of the files that are written."""
        beside = {f"{self.folder}/{name}" for name in (*DESCRIPTION, TABLE, f"{DATASET}/dataset.json")}
        return case_names(self.files, cohort) | beside

    def files(self, bundle: Path, channels: Sequence[str], i: int) -> CaseFiles:
        """Return the files of case i."""
        data = bundle / self.folder / DATASET
        return numbered_files(data / "imagesTr", data / "labelsTr", ENDING, channels, i)

    def read(self, bundle: Path) -> Cohort:
        """Read images and label maps back."""
        return read_files(bundle / self.folder, partial(self.files, bundle))


FORM = NnunetForm()

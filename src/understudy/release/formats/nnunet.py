"""nnU-Net: ``nnunet/Dataset001_Synthetic`` with dataset.json, imagesTr and labelsTr, as its second version reads it.

Files are those of nifti.py. All cases are training cases. Classes of cases have no place there: they stand in
``nnunet/cases.csv``, beside the data set.
**Source**: nnU-Net 2.8.1, documentation/dataset_format.md. **Checked** in tests/release/formats/test_nnunet.py; nnU-Net's
own verify_dataset_integrity passes in benchmarks/clients (docs/clients.md).
"""

import json
from pathlib import Path

from understudy.core.cohort import Cohort
from understudy.core.errors import UsageError
from understudy.core.labels import BACKGROUND
from understudy.release.formats.nifti import ENDING, read_cases, write_case
from understudy.release.formats.read_back import case_name, stored_type, write_description

DATASET = "Dataset001_Synthetic"
IGNORED = "ignore"  # a class of this name is no class for nnU-Net


class NnunetForm:
    """Store a cohort as a raw data set of nnU-Net."""

    folder = "nnunet"
    suffixes = frozenset({".json", ".csv", ".gz"})

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
        """Write dataset.json, images and label maps."""
        folder, kept = bundle / self.folder, stored_type(cohort, "nnunet")
        write_description(cohort, folder)
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
        for i in range(len(cohort)):
            write_case(cohort, i, kept, folder / DATASET / "imagesTr", folder / DATASET / "labelsTr", case_name(i))

    def read(self, bundle: Path) -> Cohort:
        """Read images and label maps back."""
        data = bundle / self.folder / DATASET
        return read_cases(bundle / self.folder, data / "imagesTr", data / "labelsTr")


FORM = NnunetForm()

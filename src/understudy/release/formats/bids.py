"""BIDS: ``bids/`` is a raw data set of anatomical MR, with the label maps as a derivative, in ``derivatives/labels``.

Each case is a participant, ``sub-synth000001``; classes are columns of participants.tsv. Files are those of nifti.py. A
channel needs a name that BIDS has a suffix for (``SUFFIXES``); others, and other modalities, are refused. What
describes the cohort stands in ``sourcedata/``, where BIDS leaves room for anything.
**Source**: Brain Imaging Data Structure 1.11.1. **Differs**: BIDS has no word for synthetic data; ``GeneratedBy``, the
README and the names of participants say it.
**Checked** in tests/release/formats/test_bids.py; bids-validator-deno finds no error (docs/clients.md).
"""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from understudy.core.cohort import Cohort
from understudy.core.errors import UsageError
from understudy.core.provenance import code_version
from understudy.release.formats.nifti import ENDING, write_volumes
from understudy.release.formats.read_back import (
    DESCRIPTION,
    CaseFiles,
    case_names,
    read_files,
    stored_type,
    write_description,
)

VERSION = "1.11.1"
DESCRIBED = "sourcedata"
LABELS = "derivatives/labels"
RAW = ("README.md", "dataset_description.json", "participants.tsv", "participants.json")
OF_LABELS = (f"{LABELS}/dataset_description.json", f"{LABELS}/desc-labels_dseg.tsv")
MR = {"MR", "MRI"}
SUFFIXES = {  # of a channel's name in small letters
    **dict.fromkeys(("t1", "t1w", "t1n"), "T1w"),
    **dict.fromkeys(("t1c", "t1ce", "t1gd", "ce-gadolinium_t1w"), "ce-gadolinium_T1w"),
    **dict.fromkeys(("t2", "t2w"), "T2w"),
    **dict.fromkeys(("flair", "t2f"), "FLAIR"),
    **dict.fromkeys(("pd", "pdw"), "PDw"),
    **dict.fromkeys(("t2star", "t2starw"), "T2starw"),
}
ABOUT = """# Synthetic MR images

The images of this data set were made by a generator, not acquired from patients. Each participant is one synthetic
case: names, ages and visits do not exist. Label maps are a derivative data set, in derivatives/labels. What stands
behind these cases, and what was measured, is told in the card of the bundle that this folder came in.
"""


class BidsForm:
    """Store a cohort as a BIDS data set."""

    folder = "bids"
    suffixes = frozenset({".json", ".csv", ".tsv", ".md", ".gz"})
    table = "bids/sourcedata/cases.csv"
    pictures = "bids/**/*.nii.gz"
    media_type = "application/gzip"
    holds = "a BIDS data set, with its label maps in `derivatives/labels`"

    def refuse(self, cohort: Cohort) -> None:
        """Refuse what is no MR, has no images, or channels that BIDS has no suffix for."""
        if cohort.images is None or cohort.modality.upper() not in MR:
            raise UsageError(
                f"--format bids holds MR images, and {cohort.path.name} holds "
                f"{cohort.modality if cohort.images is not None else 'label maps alone'}: choose nifti"
            )
        names = [channel.name for channel in cohort.encoding.channels]
        suffixes = _suffixes(names)
        if None in suffixes or len(set(suffixes)) < len(suffixes):
            raise UsageError(
                f"BIDS has no suffix for each of the channels {', '.join(names)}: import with --channels out of "
                f"{', '.join(SUFFIXES)}, or choose nifti"
            )
        stored_type(cohort, "bids")

    def write(self, bundle: Path, cohort: Cohort) -> None:
        """Write the raw data set, and the derivative one where there are label maps."""
        folder = bundle / self.folder
        write_description(cohort, folder / DESCRIBED)
        (folder / "README.md").write_text(ABOUT)
        _write_json(folder / "dataset_description.json", _description("raw"))
        _write_participants(folder, cohort)
        write_volumes(self, bundle, cohort)
        if cohort.scheme is not None:
            _write_json(folder / LABELS / "dataset_description.json", _description("derivative"))
            rows = "".join(f"{k}\t{' '.join(name.split())}\n" for k, name in enumerate(cohort.scheme.names))
            (folder / LABELS / "desc-labels_dseg.tsv").write_text("index\tname\n" + rows)

    def names(self, cohort: Cohort) -> set[str]:
        """Return the names of the files that are written."""
        beside = {*(f"{DESCRIBED}/{name}" for name in DESCRIPTION), *RAW, *(OF_LABELS if cohort.scheme else ())}
        return case_names(self.files, cohort) | {f"{self.folder}/{name}" for name in beside}

    def files(self, bundle: Path, channels: Sequence[str], i: int) -> CaseFiles:
        """Return the files of case i."""
        folder, name = bundle / self.folder, participant(i)
        images = [folder / name / "anat" / f"{name}_{suffix}{ENDING}" for suffix in _suffixes(channels)]
        return CaseFiles(images, folder / LABELS / name / "anat" / f"{name}_desc-labels_dseg{ENDING}")

    def read(self, bundle: Path) -> Cohort:
        """Read images and label maps back."""
        return read_files(bundle / self.folder / DESCRIBED, partial(self.files, bundle))


def participant(i: int) -> str:
    """Return the participant that the case in row i is."""
    return f"sub-synth{i + 1:06d}"


def _suffixes(names: Sequence[str]) -> list[str | None]:
    return [SUFFIXES.get(name.lower()) for name in names]


def _description(kind: str) -> dict[str, Any]:
    return {
        "Name": "Synthetic MR images" if kind == "raw" else "Label maps of synthetic MR images",
        "BIDSVersion": VERSION,
        "DatasetType": kind,
        "GeneratedBy": [{"Name": "understudy", "Version": code_version()}],
    }


def _write_participants(folder: Path, cohort: Cohort) -> None:
    """Write participants.tsv and what its columns mean; a missing entry is n/a."""
    header = ["participant_id", "species", "source_subject", *cohort.classes]
    rows = [header]
    for i in range(len(cohort)):
        classes = [cohort.entry(name, i) or "n/a" for name in cohort.classes]
        rows.append([participant(i), "n/a", cohort.entry("subject_id", i), *classes])
    (folder / "participants.tsv").write_text("".join("\t".join(row) + "\n" for row in rows))
    meaning = {"species": "none: every participant is synthetic"}
    meaning["source_subject"] = (
        "cases of one source_subject were made from one label map's owner; else each has its own"
    )
    meaning |= dict.fromkeys(cohort.classes, "class of the case, as the generator was asked for it")
    _write_json(folder / "participants.json", {name: {"Description": text} for name, text in meaning.items()})


def _write_json(file: Path, data: dict[str, Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(data, indent=1) + "\n")


FORM = BidsForm()

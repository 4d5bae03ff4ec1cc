"""A BIDS data set has names that BIDS knows; bids-validator itself runs in benchmarks/clients."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from understudy.core.cohort import Cohort
from understudy.core.errors import UsageError
from understudy.release.formats.bids import FORM, participant

Cases = Callable[..., Cohort]


def test_the_tree_and_its_tables(cases: Cases, tmp_path: Path) -> None:
    FORM.write(tmp_path, cases(channels=("T1Gd", "t2")))
    bids = tmp_path / "bids"
    assert sorted(f.relative_to(bids).as_posix() for f in bids.rglob("*000001*") if f.is_file()) == [
        "derivatives/labels/sub-synth000001/anat/sub-synth000001_desc-labels_dseg.nii.gz",
        "sub-synth000001/anat/sub-synth000001_T2w.nii.gz",
        "sub-synth000001/anat/sub-synth000001_ce-gadolinium_T1w.nii.gz",
    ]
    assert (bids / "participants.tsv").read_text().splitlines() == [
        "participant_id\tspecies\tsource_subject\till",
        "sub-synth000001\tn/a\tcase-000001\t0",
        "sub-synth000002\tn/a\tcase-000002\t1",
        "sub-synth000003\tn/a\tcase-000003\tn/a",
    ]
    assert (bids / "derivatives/labels/desc-labels_dseg.tsv").read_text() == (
        "index\tname\n0\tbackground\n1\ttumour\n2\tsmall cyst\n"
    )
    for folder, kind in ((bids, "raw"), (bids / "derivatives/labels", "derivative")):
        told = json.loads((folder / "dataset_description.json").read_text())
        assert told["DatasetType"] == kind and told["GeneratedBy"][0]["Name"] == "understudy"
    assert participant(9) == "sub-synth000010"


def test_what_bids_has_no_name_for_is_refused(cases: Cases) -> None:
    for name, change, says in (
        ("ct", {"modality": "CT"}, "holds CT: choose nifti"),
        ("odd", {"channels": ("t1", "channel2")}, "no suffix for each of the channels t1, channel2"),
        ("twice", {"channels": ("t1", "T1w")}, "no suffix for each of the channels"),
    ):
        with pytest.raises(UsageError, match=says):
            FORM.refuse(cases(name, **change))

"""dataset.json says what nnU-Net reads; the import of a written data set is in tests/release/test_round_trips.py."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from understudy.core.cohort import Cohort
from understudy.core.errors import UsageError
from understudy.core.labels import LabelScheme
from understudy.release.formats.nnunet import FORM

Cases = Callable[..., Cohort]


def test_dataset_json(cases: Cases, tmp_path: Path) -> None:
    scheme = LabelScheme(("nothing", "tumour", "small cyst"), (0, 1, 2))
    FORM.write(tmp_path, cases(channels=("t1", "flair"), scheme=scheme))
    told = json.loads((tmp_path / "nnunet" / "Dataset001_Synthetic" / "dataset.json").read_text())
    assert told["channel_names"] == {"0": "t1", "1": "flair"} and told["numTraining"] == 3
    assert told["labels"] == {"background": 0, "tumour": 1, "small cyst": 2} and told["file_ending"] == ".nii.gz"


def test_names_that_nnunet_takes_for_something_else(cases: Cases) -> None:
    for name in ("ignore", "background"):
        scheme = LabelScheme(("nothing", name, "cyst"), (0, 1, 2))
        with pytest.raises(UsageError, match="takes a class named ignore or background for something else"):
            FORM.refuse(cases(name, scheme=scheme))

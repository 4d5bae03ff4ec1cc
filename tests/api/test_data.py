"""Cohorts are imported by a call; the chain as a whole is in tests/test_tutorial.py."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import understudy as us
from understudy.core.errors import UsageError


def test_a_phantom_and_a_folder(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    cohort = us.import_cohort(
        "phantom",
        None,
        tmp_path / "p",
        subjects=4,
        slices=1,
        size=16,
        split="train=1",
        progress=lambda *n: told.append(n),
    )
    assert (len(cohort), cohort.size, told[-1]) == (4, (16, 16), (4, 4))
    assert us.import_phantom(tmp_path / "p", subjects=4, slices=1, size=16, split="train=1").id == cohort.id
    (tmp_path / "source").mkdir()
    for i in range(4):
        Image.fromarray(np.full((8, 8), i, np.uint8)).save(tmp_path / "source" / f"s{i}.png")
    options = {"images": ".", "one_image_per_subject": True, "split": "train=1"}
    assert len(us.import_folder(str(tmp_path / "source"), tmp_path / "f", **options)) == 4


def test_what_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no source 'scans': choose from folder"):
        us.import_cohort("scans", tmp_path, tmp_path / "out")
    with pytest.raises(UsageError, match="import phantom has no setting 'table': it has"):
        us.import_phantom(tmp_path / "out", table="a.csv")
    with pytest.raises(UsageError, match="a folder with the data to import was expected"):
        us.import_folder(tmp_path / "none", tmp_path / "out")

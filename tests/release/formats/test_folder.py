"""The folder of arrays is the cohort as every stage reads it, also where a file system knows no second names."""

import os
from pathlib import Path
from typing import Any

import pytest

from understudy.core.cohort import Cohort
from understudy.release.formats.folder import FORM


def refuse(source: Path, target: Path) -> None:
    raise OSError("no links here")


@pytest.mark.parametrize("links", [True, False])
def test_bytes_are_the_same_and_stay_when_the_source_goes(
    bench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    if not links:
        monkeypatch.setattr(os, "link", refuse)
    bundle, given = tmp_path / "made", Cohort.open(bench.synthetic)
    bundle.mkdir()
    before = {file.name: file.read_bytes() for file in given.path.iterdir() if file.name != "seal.json"}
    FORM.write(bundle, given)
    for file in given.path.iterdir():
        file.unlink()
    assert {file.name: file.read_bytes() for file in (bundle / "cohort").iterdir()} == before
    assert FORM.read(bundle).id == given.id

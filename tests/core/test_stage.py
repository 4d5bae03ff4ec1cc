"""Outputs of a stage: whole or absent, made once, and nothing is overwritten."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from understudy.core.cohort import Cohort
from understudy.core.disclosure import internal
from understudy.core.errors import UsageError
from understudy.core.provenance import Provenance
from understudy.core.stage import finished, output_folder

Write = Callable[..., np.ndarray]


def test_finished(tmp_path: Path, write: Write) -> None:
    assert not finished(tmp_path / "c", "cohort.json", Provenance("test"))
    write(tmp_path / "c")
    assert finished(tmp_path / "c", "cohort.json", Provenance("test", {"x": (1, 2)}, 3))
    with pytest.raises(UsageError, match="seed"):
        finished(tmp_path / "c", "cohort.json", Provenance("test", {"x": (1, 2)}, 4))
    with pytest.raises(UsageError, match="exists"):
        write(tmp_path / "c")
    manifest = json.loads((tmp_path / "c" / "cohort.json").read_text())
    assert manifest["trained_on"] == [] and manifest["id"] == Cohort.open(tmp_path / "c").id


def test_output_folder_sweeps_what_a_killed_run_left(tmp_path: Path) -> None:
    (tmp_path / ".out.partial").mkdir()
    (tmp_path / ".out.partial" / "half").write_text("x")
    with output_folder(tmp_path / "out") as folder:
        assert list(folder.iterdir()) == []
        with pytest.raises(UsageError, match="another process"), output_folder(tmp_path / "out"):
            pass
        (folder / "whole").write_text("y")
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["whole"]
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_what_is_internal_in_an_output_is_its_owners_alone(tmp_path: Path) -> None:
    with output_folder(tmp_path / "out") as folder:
        (internal(folder) / "pairs.csv").write_text("x")
        (folder / "internal" / "pairs.csv").chmod(0o644)
    assert (tmp_path / "out" / "internal" / "pairs.csv").stat().st_mode & 0o777 == 0o600

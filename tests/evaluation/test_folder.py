"""Results folders: tables, grids and curves are what the report reads."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from understudy.core.cohort import Cohort
from understudy.data.pseudonym import PUBLIC_KEY, load_key
from understudy.data.seal import SEAL, content_id, sealed_by
from understudy.evaluation.folder import results_folder, write_curve, write_grid, write_table


def test_tables_and_curves(tmp_path: Path) -> None:
    write_table(tmp_path, "t", ("a", "b"), [(1, None), (np.float32(0.1), "x,y")])
    with (tmp_path / "tables" / "t.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [["a", "b"], ["1", ""], ["0.100000001", "x,y"]]
    series = {"real": (np.arange(2), [0.5, 1]), "g": ([0], [0.5], [0.4], [0.7])}
    write_curve(tmp_path, "c", "T", "x", "y", series)
    assert json.loads((tmp_path / "curves" / "c.json").read_text())["series"] == [
        {"name": "real", "x": [0.0, 1.0], "y": [0.5, 1.0]},
        {"name": "g", "x": [0.0], "y": [0.5], "low": [0.4], "high": [0.7]},
    ]


def test_grid_shows_the_cases(synthetic: Path, tmp_path: Path) -> None:
    cohort = Cohort.open(synthetic)
    assert cohort.images is not None and cohort.labels is not None
    write_grid(tmp_path / "images" / "s.npz", cohort, np.array([4, 2]), "s")
    with np.load(tmp_path / "images" / "s.npz", allow_pickle=False) as grid:
        assert (
            np.allclose(grid["images"] * 255, cohort.images[[4, 2]], atol=1e-4)
            and (grid["labels"] == cohort.labels[[4, 2]]).all()
        )
        assert grid["label_names"].tolist() == ["background", "Bright disc"] and grid["channel_names"].tolist() == [
            "a",
            "b",
        ]


def test_grid_of_volumes_is_their_middle_slice(toy: Callable[..., Path], tmp_path: Path) -> None:
    cohort = Cohort.open(toy(tmp_path / "v", "synthetic", 2, 0, size=16, depth=6))
    write_grid(tmp_path / "images" / "v.npz", cohort, np.arange(2))
    with np.load(tmp_path / "images" / "v.npz", allow_pickle=False) as grid:
        assert grid["images"].shape == (2, 2, 16, 16) and grid["labels"].shape == (2, 16, 16)


def test_a_results_folder_is_sealed_with_the_key_of_its_real_cohort(
    toy: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNDERSTUDY_KEY_FILE", str(tmp_path / "key"))
    path = toy(tmp_path / "real", "real", 2, 0, size=16)  # of nobody: without a key
    with results_folder(tmp_path / "nobody", Cohort.open(path)) as folder:
        (folder / "results.json").write_text("{}")
    assert sealed_by(tmp_path / "nobody", [PUBLIC_KEY]) == PUBLIC_KEY
    another = content_id(Cohort.open(path), b"not the key at hand")
    (path / "cohort.json").write_text(json.dumps(json.loads((path / "cohort.json").read_text()) | {"id": another}))
    for name, real in (("people", Cohort.open(path)), ("none", None)):
        with results_folder(tmp_path / name, real) as folder:
            (folder / "results.json").write_text("{}")
        assert not (tmp_path / name / SEAL).exists() and not (tmp_path / "key").exists()
    keys = [load_key(tmp_path / "key")]
    with results_folder(tmp_path / "own") as folder:
        (folder / "results.json").write_text("{}")
    assert sealed_by(tmp_path / "own", keys) == keys[0]

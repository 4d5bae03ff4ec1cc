"""Outputs of a stage: whole or absent, made once, and nothing is overwritten."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from understudy.core.cohort import Cohort
from understudy.core.encoding import Channel
from understudy.core.errors import UsageError
from understudy.core.labels import LabelScheme
from understudy.core.provenance import Provenance
from understudy.core.stage import finished, output_folder
from understudy.core.writer import CohortWriter

SCHEME = LabelScheme(("background", "tumour"), (0, 255))


def write(
    out: Path, n: int = 5, splits: tuple[str, ...] = ("train", "test"), fail_at: int = -1, **changes: Any
) -> np.ndarray:
    images = np.random.default_rng(0).integers(0, 255, (n, 2, 8, 6)).astype(np.uint8)
    settings: dict[str, Any] = {
        "kind": "real",
        "modality": "MR",
        "size": (8, 6),
        "channels": [Channel("a", 0, 255), Channel("b", 0, 255)],
        "dtype": "uint8",
        "scheme": SCHEME,
        "label_source": "patient",
        "classes": ["ill"],
        "provenance": Provenance("test", {"x": (1, 2)}, 3),
        "key": b"secret",
    } | changes
    with CohortWriter(out, **settings) as writer:
        for i in range(n):
            if i == fail_at:
                raise RuntimeError("stop")
            row = {
                "case_id": f"c{i}",
                "subject_id": f"s{i // 2}",
                "split": splits[i // 2 % len(splits)],
                "spacing": "1.0 2.0",
                "ill": "" if i == 0 else str(i % 2),
            }
            writer.append(images[i], (images[i, 0] > 128).astype(np.uint8), row)
    return images


def test_finished(tmp_path: Path) -> None:
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

"""Quality and rate against steps, of a tiny diffusion."""

import csv
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import understudy as us
from understudy.core.encoding import Channel
from understudy.core.provenance import Provenance
from understudy.core.writer import CohortWriter

TINY = {"channels": (8, 8), "attention_levels": (), "patch": 1, "images_seen": 8, "batch_size": 4, "sample_block": 8}


def test_every_choice_has_a_row(
    script: Callable[[str], ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    random = np.random.default_rng(0)
    with CohortWriter(
        tmp_path / "real", kind="real", modality="MR", size=(16, 16), channels=[Channel("a", 0, 255)], dtype="uint8",
        scheme=None, label_source=None, provenance=Provenance("test"), key=b"k",
    ) as writer:  # fmt: skip
        for i in range(16):
            row = {"case_id": f"c{i}", "subject_id": f"s{i}", "split": "train" if i < 8 else "control"}
            writer.append(random.integers(0, 256, (1, 16, 16)).astype(np.uint8), None, row)
    run = us.train("diffusion", tmp_path / "real", tmp_path / "run", preset="small", precision="fp32", **TINY)
    words = f"{run} --real {tmp_path / 'real'} --out {tmp_path / 'out'} "
    words += "--choices heun:2 dpmpp_2m:3 dpmpp_2m:24 dpmpp_2m:24:0.2 --n 8 --rounds 2 --seeds 0 1"
    words += " --against heun:2 --reference heun:24 --set features=random --set draws=2"
    monkeypatch.setattr(sys, "argv", ["sampling_steps.py", *words.split()])
    script("sampling_steps").main()
    with (tmp_path / "out" / "sampling_steps.csv").open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert [row["evaluations"] for row in rows] == ["3", "3", "24", "24"] and rows[0]["speed"] == "1"
    assert [row["line"] for row in rows] == ["edm: heun", *["edm: dpmpp_2m"] * 2, "edm: dpmpp_2m, from 0.2"]
    assert rows[2]["rms"] < rows[3]["rms"]  # it stops where noise is left
    assert float(rows[2]["rms"]) < float(rows[1]["rms"]) and float(rows[2]["speed"]) < 1
    for row in rows:
        assert all(float(row["frechet_low"]) <= float(row[f"frechet{end}"]) for end in ("", "_high"))
        assert all(row[f"{metric}_unseen"] for metric in ("frechet", "precision", "recall", "coverage"))
    assert (tmp_path / "out" / "sampling_steps.png").read_bytes()[:4] == b"\x89PNG"
    assert "<svg" in (tmp_path / "out" / "sampling_steps.svg").read_text()
    assert len(list((tmp_path / "out" / "cohorts").iterdir())) == 8
    useful = [row | {f"utility_ratio{end}": "0.8" for end in ("", "_low", "_high")} for row in rows]
    assert len(script("sampling_steps").draw(useful).axes) == 6 == 2 + len(script("sampling_steps").draw(rows).axes)

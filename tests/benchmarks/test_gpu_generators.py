"""The trial of a generator on a device, on the processor; the script that runs all on a GPU says what it skips."""

import csv
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

Script = Callable[[str], ModuleType]
GPU = Path(__file__).resolve().parents[2] / "benchmarks" / "gpu.sh"


def test_a_generator_is_tried(script: Script, tmp_path: Path) -> None:
    trials = script("gpu_generators")
    asked = [str(tmp_path), "--device", "cpu", "--size", "16", "--steps", "4", "--only", "stylegan2,nobody", "--tiny"]
    asked += ["--seconds", "100000"]
    trials.EVALUATIONS = {"fidelity": {"features": "random"}}
    assert trials.main(asked) == 1  # nobody
    first, second = csv.DictReader((tmp_path / "generators.csv").read_text().splitlines())
    assert first["same_sample_twice"] == "True" and float(first["resumed_differs_by"]) == 0 and not first["failed"]
    assert float(first["train_images_per_s"]) > 0 and "nobody" in second["failed"]
    (judged,) = csv.DictReader((tmp_path / "evaluations.csv").read_text().splitlines())
    assert judged["evaluation"] == "fidelity" and float(judged["seconds"]) > 0
    assert trials.main([*asked, "--seconds", "0"]) == 0  # nothing begun, and said
    assert "0 seconds are over" in (tmp_path / "skipped.csv").read_text()


def test_every_step_is_skipped_with_its_reason_where_no_time_is_left(tmp_path: Path) -> None:
    (tmp_path / "python").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "python").chmod(0o755)
    given = os.environ | {"PYTHON": str(tmp_path / "python"), "TINY": "1", "DEVICE": "cpu", "SECONDS_LIMIT": "4"}
    said = subprocess.run([GPU, tmp_path / "out"], env=given | {"STYLEGAN3": ""}, capture_output=True, text=True)
    skipped = dict(line.split(",", 1) for line in (tmp_path / "out" / "skipped.csv").read_text().splitlines())
    assert said.returncode == 0, said.stderr
    assert {"machine", "stylegan2", "stylegan3", "generators", "official StyleGAN code", "MONAI's diffusion"} == {
        *skipped
    }
    said = subprocess.run([GPU, tmp_path / "gpu"], env=given | {"DEVICE": "cuda"}, capture_output=True, text=True)
    assert said.returncode == 0 and "torch finds no CUDA device" in said.stdout

"""The chain: what is run, in which order, again and not again; nothing here starts a process of the command line."""

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from understudy.cli.main import main
from understudy.training.parallel import in_parallel

Script = Callable[[str], ModuleType]
PEAK = {"matmul_flops": 2e11, "convolution_flops": 1e11, "copy_bytes": 1e9, "precision": "bfloat16", "threads": 2}


class Commands:
    """Stands for processes: makes what a command would make, and takes a second for it."""

    def __init__(self, took: Any, fails: str = "") -> None:
        self.took, self.fails = took, fails
        self.lines: list[str] = []

    def __call__(self, words: list[str], folder: Path) -> Any:
        line = " ".join(words)
        self.lines.append(line)
        if "machine_peak" in line:
            return self.took(0, 1.0, 1.0, 9.0, 8.0, json.dumps(PEAK | {"torch": "2"}))
        if "--count" in words:
            Path(words[2]).write_text(json.dumps({"flops": 5e10}))
            return self.took(0, 1.0, 1.0, 9.0, 8.0, "")
        if self.fails and self.fails in line:
            return self.took(1, 1.0, 1.0, 9.0, 8.0, "error: no such thing\n")
        out = folder / words[words.index("--out") + 1]
        out.mkdir(parents=True)
        (out / "file").write_bytes(bytes(1000))
        return self.took(0, 1.0, 2.0, 9.0, 8.0, "")


@pytest.fixture
def commands(script: Script) -> Callable[..., Commands]:
    return lambda fails="": Commands(script("measured_process").Took, fails)


def go(script: Script, commands: Commands, folder: Path, *words: str) -> int:
    (folder / "pngs").mkdir(parents=True, exist_ok=True)
    asked = [str(folder), "--data", str(folder / "pngs"), "--sizes", "16,32", "--cases", "10,20", *words]
    return int(script("chain").main([*asked, "--generators", "diffusion"], commands))


def test_what_is_done_is_not_run_again_and_what_has_changed_is(
    script: Script, commands: Callable[..., Commands], tmp_path: Path
) -> None:
    first, again, other = commands(), commands(), commands()
    assert go(script, first, tmp_path) == 0
    assert sum("--count" not in line for line in first.lines) == 21  # 12 and 7 stages, and the machine twice
    assert go(script, again, tmp_path) == 0
    assert all("machine_peak" in line for line in again.lines)
    assert go(script, other, tmp_path, "--images", "64") == 0
    assert sum("images_seen=64" in line for line in other.lines) == 4  # two sizes, each once to count
    assert sum("--count" not in line for line in other.lines) == 19  # and all that reads them: 11 and 6


def test_shares_are_those_of_the_machine_and_growth_is_fitted(
    script: Script, commands: Callable[..., Commands], tmp_path: Path
) -> None:
    go(script, commands(), tmp_path)
    results = json.loads((tmp_path / "results.json").read_text())
    rows = {row["stage"]: row for row in script("chain_tables").table_rows(results, PEAK)}
    trained = rows["16/train-diffusion"]
    assert trained["gflop"] == 50 and trained["share_of_matmul"] == 0.25 and trained["share_of_convolution"] == 0.5
    assert trained["share_of_copy"] == 2e-6  # what it read and what it wrote, 1,000 bytes each
    assert rows["16/utility-10"]["gflop"] == 50
    grown = {(row["stage"], row["by"]): row["exponent"] for row in script("chain_tables").growth(results)}
    assert grown["privacy", "cases"] == grown["train diffusion", "pixels"] == 0 and ("utility", "cases") not in grown
    text = (tmp_path / "chain.md").read_text()
    assert "| 16/privacy-20 |" in text and "matrix product 200 GFLOP/s" in text
    assert (tmp_path / "chain.csv").is_file() and (tmp_path / "growth.csv").is_file()


def test_a_stage_that_fails_says_why_and_what_reads_it_is_not_run(
    script: Script, commands: Callable[..., Commands], tmp_path: Path
) -> None:
    assert go(script, commands("evaluate privacy"), tmp_path) == 1
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["16/privacy-10"]["failed"] == "error: no such thing"
    assert results["16/release-10"]["failed"] == "not run: it reads 16/privacy-10"
    assert "failed" not in results["16/fidelity-10"]
    healed = commands()
    assert go(script, healed, tmp_path) == 0
    assert sum("--count" not in line for line in healed.lines) == 8  # three times privacy, then release; the machine


def test_flops_can_be_counted_after_what_was_timed(
    script: Script, commands: Callable[..., Commands], tmp_path: Path
) -> None:
    timed, later = commands(), commands()
    assert go(script, timed, tmp_path, "--no-flops") == 0
    assert not any("--count" in line for line in timed.lines)
    before = json.loads((tmp_path / "results.json").read_text())
    assert go(script, later, tmp_path) == 0
    assert all("--count" in line or "machine_peak" in line for line in later.lines)
    after = json.loads((tmp_path / "results.json").read_text())
    assert after["16/train-diffusion"] == before["16/train-diffusion"] | {"gflop": 50}


def test_only_the_kinds_that_are_asked_for_and_what_they_read(
    script: Script, commands: Callable[..., Commands], tmp_path: Path
) -> None:
    ran = commands()
    go(script, ran, tmp_path, "--kinds", "train", "--no-flops")
    assert [line.split("main ")[-1].split()[0] for line in ran.lines if "machine" not in line] == [
        "import", "train", "import", "train"
    ]  # fmt: skip


def test_the_whole_chain_says_its_minutes(
    script: Script, commands: Callable[..., Commands], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ran = commands()
    assert script("chain").main([str(tmp_path), "--data", str(tmp_path), "--whole"], ran) == 0
    lines = [line.split("main ")[-1] for line in ran.lines if "machine" not in line]
    assert [line.split()[0] for line in lines] == ["import", "train", "sample", "evaluate", "evaluate", "evaluate"]
    assert "images_seen=40000" in lines[1] and "--n 1000" in lines[2] and "--audit" in lines[5]
    assert "from import to verdict 0.1 minutes, within 45" in capsys.readouterr().out


def test_phantoms_are_written_as_lgg_tcga_is_and_every_stage_is_a_command_that_exists(
    script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages = script("chain_stages")
    stages.write_phantoms(tmp_path / "data", main, 10, 1, 16)
    pixels = np.asarray(Image.open(tmp_path / "data" / "images128" / "000000.png"))
    assert pixels.shape == (16, 16, 3) and pixels.std() > 0
    monkeypatch.chdir(tmp_path)
    plan = stages.Plan(tmp_path / "data", (16,), stages.GENERATORS[:1], 4, (2,))
    real = next(plan.stages())
    (tmp_path / "16").mkdir()
    assert main(real.command()) == 0
    whole = list(stages.Plan(tmp_path / "data", (16,), images=4, cases=(2, 3)).stages())
    assert {stage.generator for stage in whole if stage.kind == "train"} == set(stages.GENERATORS)
    for stage in whole:
        if stage.kind == "train" and stage.reads == ("16/real",):
            assert main([*stage.command(), "--dry-run"]) == 0
    assert all(set(stage.reads) <= {one.name for one in whole[:i]} for i, stage in enumerate(whole))


def test_flops_of_a_command_are_counted(script: Script, tmp_path: Path) -> None:
    cohort = tmp_path / "cohort"
    assert main(["import", "phantom", "--subjects", "5", "--slices", "1", "--size", "16", "--out", str(cohort)]) == 0
    line = f"train diffusion {cohort} --set channels=[8] --set attention_levels=[] --set batch_size=2"
    pace = "--set images_seen=2 --set sampler_steps=2 --set sample_block=2"
    script("chain").count(tmp_path / "told.json", f"{line} {pace} --out {tmp_path / 'run'}".split())
    assert json.loads((tmp_path / "told.json").read_text())["flops"] > 1e6


def test_flops_of_threads_are_counted(script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def work(words: list[str]) -> int:
        jobs = [lambda done: torch.ones(10, 10) @ torch.ones(10, 10)] * 3
        in_parallel(jobs)
        return 0

    monkeypatch.setattr("understudy.cli.main.main", work)
    script("chain").count(tmp_path / "told.json", [])
    assert json.loads((tmp_path / "told.json").read_text())["flops"] == 3 * 2 * 10**3

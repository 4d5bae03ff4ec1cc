"""From results folders to a results folder, through the command line; the names that the two evaluations really use."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from understudy.cli.main import main
from understudy.evaluation.correlation.config import CorrelationConfig
from understudy.evaluation.correlation.join import join
from understudy.evaluation.correlation.stage import evaluate_correlation
from understudy.evaluation.fidelity.config import FidelityConfig
from understudy.evaluation.fidelity.stage import evaluate_fidelity
from understudy.evaluation.utility.config import UtilityConfig
from understudy.evaluation.utility.stage import evaluate_utility
from understudy.report import write_report

Write = Callable[..., Path]
QUICK = CorrelationConfig(draws=100, permutations=100)


@pytest.fixture
def folders(tmp_path: Path, fidelity: Write, utility: Write, cohorts: Write) -> list[Path]:
    return [fidelity(tmp_path / "f", cohorts(14)), utility(tmp_path / "u", cohorts(14))]


def test_the_report_shows_points_and_coefficients(tmp_path: Path, folders: list[Path]) -> None:
    evaluate_correlation(folders, tmp_path / "correlation", 0, QUICK)
    page = write_report([*folders, tmp_path / "correlation"], tmp_path / "report").read_text()
    assert "Fidelity against utility" in page and "Fréchet distance and utility" in page
    assert "Spearman 1.00 [1.00, 1.00]; + means" in page and "orders these synthetic cohorts" in page


def test_the_command_line(tmp_path: Path, folders: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    words, out = ["evaluate", "correlation", *map(str, folders)], ["--out", str(tmp_path / "correlation")]
    assert main([*words, *out, "--set", "draws=100", "--set", "permutations=100"]) == 0
    assert "correlation.frechet.kendall_within" in capsys.readouterr().out
    for line, says in (
        ([*words, *out, "--set", "updates=5"], "has no setting 'updates'"),
        (["evaluate", "correlation", str(folders[0]), "--out", str(tmp_path / "x")], "utility` are needed too"),
    ):
        assert main(line) in (1, 2) and says in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


def test_it_reads_what_the_evaluations_write(tmp_path: Path, real: Path, toy: Callable[..., Path]) -> None:
    """The one test that would see the names of results change."""
    torch.set_num_threads(1)
    made = [
        toy(tmp_path / f"s{i}", "synthetic", 12, i, generator=name, shift=20 * i)
        for i, name in enumerate(("diffusion", "StyleGAN 2", "diffusion"))
    ]
    looks: Any = FidelityConfig(features="random", draws=2, subsets=2, subset_size=5, sizes=2, neighbours=2)
    tests = UtilityConfig(updates=2, repeats=1, checks=1, draws=100, channels=(4, 8, 8), batch_size=4)
    for name, cohorts in (("all", made), ("one", made[1:2])):
        evaluate_fidelity(real, cohorts, tmp_path / f"f-{name}", 0, looks)
        evaluate_utility(real, cohorts, tmp_path / f"u-{name}", 0, tests)
    three, one = (
        join([tmp_path / f"f-{name}", tmp_path / f"u-{name}"], CorrelationConfig()) for name in ("all", "one")
    )
    assert [c.name for c in three.cohorts] == ["diffusion-1", "stylegan-2", "diffusion-2"]
    assert [c.name for c in one.cohorts] == ["stylegan-2"] and one.cohorts[0].n == 36
    both = three.cohorts[1], one.cohorts[0]
    assert both[0].id == both[1].id and both[0].utility.value == both[1].utility.value
    assert (
        both[0].fidelity.keys() == both[1].fidelity.keys() >= {"frechet", "coverage", "labels.bright-disc.wasserstein"}
    )
    assert both[0].fidelity["frechet"].value == both[1].fidelity["frechet"].value
    assert not [name for name in both[0].fidelity if name.endswith(("baseline", "size_matched"))]

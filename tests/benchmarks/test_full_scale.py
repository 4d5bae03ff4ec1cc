"""What is counted and what is asked for when the studies are measured at full scale."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from understudy.core.cohort import Cohort

Script = Callable[[str], ModuleType]


def test_flops_are_those_that_torch_counts(script: Script) -> None:
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.InstanceNorm2d(8), nn.Flatten(), nn.Linear(8 * 14 * 14, 5))
    x = torch.randn(2, 3, 16, 16)

    def penalised() -> None:
        slopes = torch.autograd.grad(net(x).sum(), list(net.parameters()), create_graph=True)
        torch.stack([slope.square().sum() for slope in slopes]).sum().backward()

    def predicted() -> None:
        with torch.inference_mode():
            net(x)

    for work in (penalised, predicted):
        with script("full_scale").Counter() as ours:
            work()
        with FlopCounterMode(display=False) as theirs:
            work()
        assert ours.flops == theirs.get_total_flops() > 0


def test_a_command_with_other_settings(script: Script) -> None:
    stages = script("full_scale_stages")
    said = ("train", "progan", "cohort", "--out", "run", "--set", "images_seen=9", "--set", "batch_sizes={8: 4}")
    made = stages.changed(said, {"images_seen": 2, "batch_sizes": {}}, {"--out": "other"})
    assert made == [
        "train", "progan", "cohort", "--out", "other", "--set", "images_seen=2", "--set", "batch_sizes={}"
    ]  # fmt: skip
    assert stages.settings_in(said) == {"images_seen": 9, "batch_sizes": {8: 4}}


@pytest.fixture
def cohort(tmp_path: Path, classes_cohort: Callable[..., Cohort]) -> Path:
    classes_cohort(tmp_path / "cohort", size=16)
    return tmp_path / "cohort"


@pytest.mark.parametrize(
    ("verb", "words", "network"),
    [
        ("evaluate", ("utility", "--real", "{}", "--set", "network=unet", "--set", "channels=[4, 8, 8]"), "unet"),
        (
            "evaluate",
            ("utility", "--real", "{}", "--task", "classification", "--set", "network=densenet-small"),
            "densenet-small",
        ),
        ("classify", ("{}", "--set", "network=densenet-small"), "densenet-small"),
    ],
)
def test_networks_of_tasks_are_measured(
    script: Script, cohort: Path, verb: str, words: tuple[str, ...], network: str
) -> None:
    stage = SimpleNamespace(verb=verb, arguments=(verb, *(word.format(cohort) for word in words)))
    found = script("full_scale").measure_task(stage, "akbar2024", 3, 60)
    assert (found["network"], found["steps"], found["batch"]) == (network, 3, 4)
    assert found["gflop_an_image"] > found["predicted_gflop_an_image"] > 0


def test_a_training_is_measured(script: Script, cohort: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    small = ("--set", "channels=[8, 16]", "--set", "attention_levels=[]", "--set", "images_seen=90")
    stage = SimpleNamespace(
        verb="train", folder=str(run), arguments=("train", "diffusion", str(cohort), "--out", str(run), *small)
    )
    found = script("full_scale").measure_training(stage, "akbar2024", 4, 60)
    assert (found["generator"], found["steps"], found["shape"][1:]) == ("diffusion", 4, [16, 16])
    assert (
        found["gflop_an_image"] > 0 and (run / "complete.json").is_file() and not run.with_name("run-longer").exists()
    )

"""What is counted and what is asked for when the studies are measured at full scale."""

from collections.abc import Callable
from types import ModuleType

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

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

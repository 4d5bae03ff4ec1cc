"""GPU hours of a whole study, on round numbers."""

from collections.abc import Callable
from types import ModuleType

import pytest

from understudy.studies.stage import Needs, Stage

Script = Callable[[str], ModuleType]


def test_akbars_study_in_round_numbers(script: Script) -> None:
    cost = script("full_scale_cost")
    loops = {"dataset": "brats2020", "generator": "progan"}
    words = {
        "run": ("train", "progan", "c", "--set", "images_seen=2000000"),
        "cases": ("sample", "r", "--n", "1000"),
        "utility": ("evaluate", "utility", "--set", "arms=[synthetic, both]", "--set", "repeats=10", "--set",
                    "updates=100", "--set", "batch_size=4", "--set", "checks=2"),
    }  # fmt: skip
    stages = [
        Stage(name, name, loops | {"segmenter": "swin"}, name, said[0], said, (), Needs(), "")
        for name, said in words.items()
    ]
    steps = [{"resolution": 4, "images": 3, "gflop_an_image": 1.0}, {"resolution": 8, "images": 1, "gflop_an_image": 5}]
    results = {
        "akbar2024/run-brats2020-progan": {"by_resolution": steps, "snapshot_mb": 1, "checkpoint_mb": 2},
        "akbar2024/cases-brats2020-progan": {"gflop_an_image": 3.0, "sampler_steps": None},
        "akbar2024/utility-brats2020-progan-swin-augmented": {"gflop_an_image": 2.0, "predicted_gflop_an_image": 0.5},
    }
    trained, sampled, utility = cost.akbar(results, stages, 10)
    assert trained.flops == pytest.approx(2e6 * 2.0 * 1e9)  # (3 x 1 + 1 x 5) / 4
    assert sampled.flops == pytest.approx(1000 * 3.0 * 1e9)
    assert utility.images == 3 * 10 * 100 * 4
    predicted = 3 * 10 * 10 * (2 * 31 + 56)
    assert utility.flops == pytest.approx((utility.images * 2.0 + predicted * 0.5) * 1e9)
    assert trained.hours(1e12) == pytest.approx(4e6 * 1e9 / 1e12 / 3600)

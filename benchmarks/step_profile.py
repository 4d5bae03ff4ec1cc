"""What a training step is made of: the time of its operators in groups, and its share of the machine's peak.

    python benchmarks/step_profile.py [--steps 5] [--side 64] [--only stylegan2 ...] [--csv FILE] [--tiny]

The steps are those of stylegan2_step.py, stylegan3_step.py, diffusion_step.py and utility_step.py, at their batch
sizes; ProGAN and StyleGAN1 as after growing; an update of the copy detector's encoder; and all that its pair network
does, from the registration of so many cases to the last update. Seconds are the median of some steps without a profiler; shares are of
the operators' own time under torch.profiler, in as many steps again. ``peak`` is FLOPs of matrix products and
convolutions a second of the first, over what the same process reaches just before in a training step of one 3x3
convolution (machine_peak.py).
"""

import argparse
import csv
import statistics
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from compare import Setting, our_step
from diffusion_step import IMAGE_CHANNELS
from diffusion_step import our_step as diffusion_step
from full_scale import Counter as FlopsCounter
from machine_peak import peak
from torch.profiler import ProfilerActivity, profile
from utility_step import step_of

from understudy.evaluation.privacy.copies.cases import local_contrast
from understudy.evaluation.privacy.copies.encoder import Lesson, learn, network
from understudy.evaluation.privacy.copies.likeness import Targets
from understudy.evaluation.privacy.copies.pairs import PairLesson, learn_pairs
from understudy.evaluation.privacy.copies.transforms import available
from understudy.tasks.fitting import channels_last, to_device
from understudy.tasks.networks import WIDTHS, build_network
from understudy.training.engine import Engine

Step = Callable[[], object]
GROUPS = {  # the first whose word is part of an operator's name
    "convolutions": ("convolution", "conv2d", "conv3d"),
    "matrix products": ("mm", "linear", "scaled_dot", "attention"),
    "optimiser, averages": ("_foreach", "adam", "lerp"),
    "resampling": ("grid_sampl", "interpolate", "upsample"),
    "copies, types, layouts": ("copy", "clone", "contiguous", "cat", "fill", "zero", "index", "pad", "empty", "stride"),
    "norms, sums": ("norm", "mean", "sum", "var", "softmax"),
}  # fmt: skip
REST = "element by element"


def task_step(batch: int, side: int) -> Step:
    """Return a step of the U-Net of ``evaluate utility``."""
    network = to_device(build_network("unet", 2, 3, 2, WIDTHS["unet"], 0), Engine("auto"), 2)
    labels = (torch.rand(batch, 1, side, side) < 0.1).long()
    return step_of(network, channels_last(torch.randn(batch, 3, side, side)), labels, True)


def detector_steps(cases: int) -> dict[str, tuple[int, Callable[[], Step]]]:
    """Return the batch sizes and steps of the copy detector's networks; cases are always seen at 64 px."""
    images = torch.nn.functional.interpolate(torch.randn(cases, 3, 16, 16), (64, 64), mode="bicubic").tanh()
    subjects, ways = torch.arange(cases) // 2, [one for name, one in available(3, 2).items() if name != "exact"]

    def pairs() -> Step:
        everybody = torch.ones(cases, dtype=torch.bool)
        targets = Targets(local_contrast(images), subjects, network(3).eval(), everybody)
        return lambda: learn_pairs(PairLesson(images, targets, ways, 0, cases // 2))

    return {
        "copy encoder": (min(128, cases), lambda: lambda: learn(Lesson(images, subjects, ways, 1, 0))),
        "pair network": (cases * 3 // 4, pairs),
    }


def steps(side: int, tiny: bool) -> dict[str, tuple[int, Callable[[], Step]]]:
    """Return a batch size and what builds the step, of every name."""
    setting = Setting(side=side, **({"channel_base": 256, "channel_max": 16} if tiny else {}))
    of_batch = 4 if tiny else 16

    def diffusion(patch: int) -> Step:
        return diffusion_step(torch.randn(of_batch, IMAGE_CHANNELS, side, side), patch)[0]

    return {
        "stylegan2": (of_batch, lambda: our_step("stylegan2", of_batch, setting, path_weight=0)),
        "stylegan3": (4, lambda: our_step("stylegan3", 4, setting)),
        "stylegan1": (of_batch, lambda: our_step("stylegan1", of_batch, setting, growing_share=0)),
        "progan": (of_batch, lambda: our_step("progan", of_batch, setting, growing_share=0)),
        "diffusion, patch 1": (of_batch, lambda: diffusion(1)),
        "diffusion, patch 2": (of_batch, lambda: diffusion(2)),
        "task U-Net": (2 * of_batch, lambda: task_step(2 * of_batch, side)),
        **detector_steps(32 if tiny else 256),
    }


def shares(step: Step, n: int) -> dict[str, float]:
    """Return each group's share of the operators' own time in n steps."""
    with profile(activities=[ProfilerActivity.CPU]) as found:
        for _ in range(n):
            step()
    took: Counter[str] = Counter()
    for event in found.key_averages():
        name = event.key.lower()
        group = next((group for group, words in GROUPS.items() if any(word in name for word in words)), REST)
        took[group] += event.self_cpu_time_total
    return {group: took[group] / took.total() for group in (*GROUPS, REST)}


def measured(step: Step, batch: int, n: int, highest: float) -> dict[str, Any]:
    """Return the row of a step: images a second, GFLOP an image, share of the peak, shares of groups."""
    with FlopsCounter() as counter:
        step()
    step()
    seconds = []
    for _ in range(n):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    middle, flops = statistics.median(seconds), counter.flops
    row = {"batch": batch, "images_per_s": batch / middle, "gflop_per_image": flops / batch / 1e9}
    return {**row, "peak": flops / middle / highest, **shares(step, n)}


def main() -> None:
    """Read the command line; print a row a step."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--side", type=int, default=64, help="pixels")
    parser.add_argument("--only", nargs="+", choices=[*steps(64, True)])
    parser.add_argument("--csv", type=Path)
    parser.add_argument("--tiny", action="store_true", help="to try the script: its numbers mean nothing")
    given = parser.parse_args()
    torch.manual_seed(0)
    highest = peak(tiny=given.tiny)["convolution_flops"]
    print(f"{torch.get_num_threads()} threads, {given.side} px; convolution step {highest / 1e9:.0f} GFLOP/s")
    known, rows = steps(given.side, given.tiny), []
    for name in given.only or known:
        batch, build = known[name]
        rows.append({"step": name, **measured(build(), batch, given.steps, highest)})
        told = [f"{value:.3g}" if isinstance(value, float) else str(value) for value in rows[-1].values()]
        print(" | ".join(told), flush=True)
    if given.csv:
        with given.csv.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()

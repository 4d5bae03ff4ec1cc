"""The step of a task network: the U-Net of ``evaluate utility`` against MONAI's as it comes, paired in one run.

    OMP_NUM_THREADS=1 .venv/bin/python benchmarks/utility_step.py [--rounds 7] [--batch 32] [--size 64] [--channels 3]

Rows: MONAI's DynUNet in fp32 and NCHW; the same in bf16 and channels_last; the same in bf16 and NCHW; understudy's, in
which normalisation and activation are one step (nets/instance_norm.py). Same widths and same parameters, loss and AdamW
included. Each round times every row once, in turn, in processor time of this process, which other programs lengthen
less than wall time; ratios are taken round by round. Below, what else an update takes: reading a batch, z-scores and
augmentation, in shares of understudy's whole update.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from monai.losses import DiceCELoss
from monai.networks.nets import DynUNet
from torch import nn

from understudy.core.encoding import Channel, Encoding
from understudy.tasks.augmentation import Ranges, augment
from understudy.tasks.fitting import channels_last, images_to_device, standardised, to_device
from understudy.tasks.networks import WIDTHS, build_network
from understudy.training.engine import Engine

CASES = 1000
Step = Callable[[], object]


def stock(channels: int) -> nn.Module:
    """Return MONAI's U-Net of the widths of understudy's."""
    widths = WIDTHS["unet"]
    halving = [2] * (len(widths) - 1)
    kernels = [3] * len(widths)
    return DynUNet(2, channels, 2, kernels, [1, *halving], halving, filters=list(widths))


def step_of(network: nn.Module, x: torch.Tensor, labels: torch.Tensor, fast: bool) -> Step:
    """Return a training step of a network on one batch, in bf16 or not."""
    optimizer = torch.optim.AdamW(network.parameters(), 2e-3)
    dice = DiceCELoss(include_background=False, to_onehot_y=True, softmax=True, batch=True)

    def step() -> None:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=fast):
            logits = network(x)
        optimizer.zero_grad(set_to_none=True)
        dice(logits.float(), labels).backward()
        optimizer.step()

    return step


def preparation(batch: int, size: int, channels: int, engine: Engine) -> dict[str, Step]:
    """Return what prepares a batch: the reading of cases, their z-scores, their augmentation."""
    draw = np.random.default_rng(0)
    images = draw.integers(0, 255, (CASES, channels, size, size), np.uint8)
    encoding = Encoding(tuple(Channel(str(i), 0, 255) for i in range(channels)), "uint8", None)
    rows, generator = draw.integers(CASES, size=batch), torch.Generator().manual_seed(0)
    read = images_to_device(encoding.encode_images(images[rows]), engine)
    z, labels = standardised(read), torch.zeros(batch, size, size, dtype=torch.long)
    return {
        "read": lambda: images_to_device(encoding.encode_images(images[rows]), engine),
        "z-scores": lambda: standardised(read),
        "augment": lambda: augment(z, labels, generator, Ranges()),
    }


def seconds(step: Step) -> float:
    """Return the processor time of one call."""
    start = time.process_time()
    step()
    return time.process_time() - start


def main() -> None:
    """Print milliseconds, and ratios with their range over rounds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("rounds", 7), ("batch", 32), ("size", 64), ("channels", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    arguments = parser.parse_args()
    batch, size, channels = arguments.batch, arguments.size, arguments.channels
    torch.manual_seed(0)
    engine = Engine("auto")  # keeps freed memory, which all rows profit from
    x = torch.randn(batch, channels, size, size)
    last, labels = channels_last(x), (torch.rand(batch, 1, size, size) < 0.1).long()
    ours = to_device(build_network("unet", 2, channels, 2, WIDTHS["unet"], 0), engine, 2)
    rows = {
        "MONAI, fp32 NCHW": step_of(stock(channels), x, labels, False),
        "MONAI, bf16 NCHW": step_of(stock(channels), x, labels, True),
        "MONAI, bf16 channels_last": step_of(to_device(stock(channels), engine, 2), last, labels, True),
        "understudy, bf16": step_of(ours, last, labels, True),
        **preparation(batch, size, channels, engine),
    }
    for step in rows.values():
        step()
    rounds = [{name: seconds(step) for name, step in rows.items()} for _ in range(arguments.rounds)]
    print(f"{batch} x {channels} x {size} x {size}, {torch.get_num_threads()} thread(s), {arguments.rounds} rounds")
    for name in rows:
        ratios = sorted(one[name] / one["understudy, bf16"] for one in rounds)
        middle = 1e3 * statistics.median(one[name] for one in rounds)
        print(f"{name:26s} {middle:7.1f} ms   {statistics.median(ratios):5.2f} [{ratios[0]:.2f}, {ratios[-1]:.2f}]")


if __name__ == "__main__":
    main()

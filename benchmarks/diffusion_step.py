"""Diffusion training step: understudy's U-Net against a stock MONAI net of the same size, paired in one run.

    .venv/bin/python benchmarks/diffusion_step.py [--rounds 7] [--batch 16] [--size 64] [--device cpu|cuda]
                                                  [--compile] [--csv FILE]

Rows: MONAI's DiffusionModelUNet as it comes (fp32, NCHW, AdamW step of an epsilon loss); the same in bf16 autocast and
channels_last; understudy's network of the same levels and about the same number of parameters, without and with patches
(the default), in the default precision here (`pip install einops` first: MONAI's attention wants it). Each round
times every row once, in turn; ratios are taken round by round. With --compile there is a row more, of the network with
patches by torch.compile; on a GPU, the memory that torch held for a row is told as well.
"""

import argparse
import csv
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from monai.networks.nets import DiffusionModelUNet
from torch.utils.flop_counter import FlopCounterMode

from understudy.core.encoding import Channel, Encoding
from understudy.generators.diffusion.diffusion import Diffusion, DiffusionConfig
from understudy.training.batches import Batch
from understudy.training.engine import Engine

CHANNELS = (64, 128, 192)
IMAGE_CHANNELS = 4


def monai_step(x: torch.Tensor, fast: bool) -> tuple[Callable[[], object], int]:
    """Return a training step of the stock net, and its number of parameters."""
    net = DiffusionModelUNet(
        spatial_dims=2, in_channels=IMAGE_CHANNELS, out_channels=IMAGE_CHANNELS, channels=CHANNELS, num_res_blocks=1,
        attention_levels=(False, False, True), num_head_channels=64, norm_num_groups=32,
    ).to(x.device)  # fmt: skip
    if fast:
        net, x = net.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-4)

    def step() -> None:
        noise, t = torch.randn_like(x), torch.randint(0, 1000, (len(x),), device=x.device)
        with torch.autocast(x.device.type, dtype=torch.bfloat16, enabled=fast):
            loss = (net(x + noise, t).float() - noise).square().mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    return step, sum(p.numel() for p in net.parameters())


def our_step(x: torch.Tensor, patch: int, compiled: bool = False) -> tuple[Callable[[], object], int]:
    """Return a whole update of understudy's diffusion (loss, optimiser, weight norm, EMA), and its parameters."""
    encoding = Encoding(tuple(Channel(str(i), 0, 1) for i in range(IMAGE_CHANNELS)), "float32", None)
    method = Diffusion(DiffusionConfig(channels=CHANNELS, patch=patch, batch_size=len(x)))
    method.encoding, method.size, method.engine = encoding, tuple(x.shape[2:]), Engine("auto", x.device.type)
    method.build(encoding, method.size)
    if compiled:
        method.net.compile()
    batch = Batch(x.contiguous(memory_format=torch.channels_last), None, 100_000)
    return lambda: method.update(batch), sum(p.numel() for p in method.net.parameters())


def main() -> None:
    """Read the command line; print images per second, and each row's ratio to the stock net."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("rounds", 7), ("batch", 16), ("size", 64)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--csv", type=Path, help="file that gets a row a row")
    arguments = parser.parse_args()
    torch.manual_seed(0)
    x = torch.randn(arguments.batch, IMAGE_CHANNELS, arguments.size, arguments.size, device=arguments.device)
    rows = {"MONAI stock, fp32 NCHW": monai_step(x, False), "MONAI, bf16 channels_last": monai_step(x, True),
            "understudy, patch 1": our_step(x, 1), "understudy, patch 2 (default)": our_step(x, 2)}  # fmt: skip
    if arguments.compile:
        rows["understudy, patch 2, compiled"] = our_step(x, 2, True)
    measure(rows, arguments)


def measure(rows: dict[str, tuple[Callable[[], object], int]], arguments: argparse.Namespace) -> None:
    """Time the rows in turn, and print."""
    on_gpu = arguments.device == "cuda"
    memory = dict.fromkeys(rows, 0.0)
    seconds: dict[str, list[float]] = {name: [] for name in rows}
    flops = {}
    for name, (step, _) in rows.items():
        if "compiled" not in name:
            with FlopCounterMode(display=False) as counter:
                step()
            flops[name] = counter.get_total_flops() / arguments.batch / 1e9
        step()
    flops["understudy, patch 2, compiled"] = flops["understudy, patch 2 (default)"]
    for _ in range(arguments.rounds):
        for name, (step, _) in rows.items():
            if on_gpu:
                torch.cuda.synchronize()
                torch.cuda.reset_peak_memory_stats()
            start = time.perf_counter()
            step()
            if on_gpu:
                torch.cuda.synchronize()
                memory[name] = torch.cuda.max_memory_allocated() / 1e9
            seconds[name].append(time.perf_counter() - start)
    setting = f"{torch.get_num_threads()} threads, {arguments.size} px, batch {arguments.batch}"
    print(f"{setting}, medians of {arguments.rounds} rounds")
    reference = seconds["MONAI stock, fp32 NCHW"]
    for name, times in seconds.items():
        ratios = [a / b for a, b in zip(reference, times, strict=True)]
        print(f"{name:32s} {rows[name][1] / 1e6:5.1f} M  {flops[name]:5.1f} GFLOP/image  "
              f"{arguments.batch / statistics.median(times):6.1f} images/s  ratio {statistics.median(ratios):.2f} "
              f"({min(ratios):.2f} .. {max(ratios):.2f})" + (f"  {memory[name]:.2f} GB" if on_gpu else ""))  # fmt: skip
        if arguments.csv:
            with arguments.csv.open("a", newline="") as file:
                csv.writer(file).writerow(
                    ["diffusion_step", name, arguments.size, arguments.batch, arguments.device,
                     f"{arguments.batch / statistics.median(times):.3f}", f"{statistics.median(ratios):.3f}",
                     f"{memory[name]:.3f}"]
                )  # fmt: skip


if __name__ == "__main__":
    main()

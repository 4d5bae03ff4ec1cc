"""Speed of a StyleGAN2 training step, beside the official code when a checkout of it is at hand.

    python benchmarks/stylegan2_step.py [--official PATH] [--rounds N] [--steps N] [--busy] [--device cpu|cuda]

One step is a generator step and a discriminator step without the lazy penalties and without augmentation: 64 pixels,
5 channels, channel_base 8192, channel_max 256, z = w = 512, batch 16. Each side runs in a process of its own, as its
user would run it: the official code in float32, its float16 being for GPUs only, with its pure PyTorch operations where
there is no GPU. The two take turns, so that whatever else the machine does slows both; the ratio of each round is
printed, then their median. Memory is the largest resident set of a process (on a GPU: the most that torch allocated).

With --busy each side uses one thread and its own processor time is counted instead of the time on the wall: that is
what can be measured on a machine that others use at the same moment.
"""

import argparse
import contextlib
import importlib.util
import multiprocessing
import os
import resource
import statistics
import sys
import time
import types
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import torch

SIDE, CHANNELS, BATCH, LATENT = 64, 5, 16, 512
WIDTHS = {"channel_base": 8192, "channel_max": 256}


def our_step(device: str) -> Callable[[], None]:
    """Build understudy's StyleGAN2 as `understudy train` does; return its step."""
    from understudy.core.encoding import Channel, Encoding
    from understudy.generators.stylegan2 import StyleGAN2, StyleGAN2Config
    from understudy.training.engine import Engine
    from understudy.training.feed import Batch

    config = StyleGAN2Config(**WIDTHS, batch_size=BATCH, path_weight=0, gamma=0, augment="none")
    method = StyleGAN2(config)
    method.engine = Engine(config.precision, device)
    method.build(Encoding(tuple(Channel(str(i), 0, 1) for i in range(CHANNELS)), "float32", None), (SIDE, SIDE))
    x = torch.rand(BATCH, CHANNELS, SIDE, SIDE, device=device) * 2 - 1

    def step() -> None:
        method.update(Batch(x, None, 100_000))

    return step


def official_step(path: str, device: str) -> Callable[[], None]:
    """Build the official networks, loss and optimisers of its configuration stylegan2; return its step."""
    sys.path.insert(0, path)
    stand_in("requests")  # these two are imported for downloads and for building CUDA kernels, neither happens here
    stand_in("pkg_resources", parse_version=lambda text: tuple(int(part) for part in text.split("+")[0].split(".")[:2]))
    from training.loss import StyleGAN2Loss
    from training.networks_stylegan2 import Discriminator, Generator

    low = {"num_fp16_res": 0, "conv_clamp": None} if device == "cpu" else {"num_fp16_res": 4, "conv_clamp": 256}
    of_training = {"mapping_kwargs": {"num_layers": 8}, "fused_modconv_default": "inference_only"}
    g = Generator(LATENT, 0, LATENT, SIDE, CHANNELS, **of_training, **WIDTHS, **low).train().to(device)
    d = Discriminator(0, SIDE, CHANNELS, **WIDTHS, **low).train().to(device)
    loss = StyleGAN2Loss(device, g, d, style_mixing_prob=0.9)
    optimizers = [torch.optim.Adam(m.parameters(), lr=0.002, betas=(0.0, 0.99), eps=1e-8) for m in (g, d)]
    x, no_class = torch.rand(BATCH, CHANNELS, SIDE, SIDE, device=device) * 2 - 1, torch.zeros(BATCH, 0, device=device)
    average = [p.detach().clone() for p in g.parameters()]

    def step() -> None:
        for phase, network, optimizer in zip(("Gmain", "Dmain"), (g, d), optimizers, strict=True):
            g.requires_grad_(False)
            d.requires_grad_(False)
            network.requires_grad_(True)
            optimizer.zero_grad(set_to_none=True)
            z = torch.randn(BATCH, LATENT, device=device)
            loss.accumulate_gradients(phase, x, no_class, z, no_class, 1, 0)
            optimizer.step()
        with torch.no_grad():
            for a, p in zip(average, g.parameters(), strict=True):
                a.copy_(p.lerp(a, 0.998))

    return step


def stand_in(name: str, **content: object) -> None:
    """Register an empty module under a name that is not installed."""
    if importlib.util.find_spec(name) is None:
        module = types.ModuleType(name)
        vars(module).update(content)
        sys.modules[name] = module


def serve(connection: Connection, busy: bool, build: Callable[..., Callable[[], None]], *arguments: str) -> None:
    """Process of one side: warm up, then time as many steps as asked for, until asked for none."""
    torch.manual_seed(0)
    if busy:
        torch.set_num_threads(1)
    clock = time.process_time if busy else time.perf_counter
    on_gpu = arguments[-1] == "cuda"
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        step = build(*arguments)
        for _ in range(2):
            step()
    connection.send("ready")
    while steps := connection.recv():
        start = clock()
        for _ in range(steps):
            step()
        if on_gpu:
            torch.cuda.synchronize()
        connection.send(clock() - start)
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    connection.send(torch.cuda.max_memory_allocated() if on_gpu else resident)


class Side:
    """One implementation in a process of its own.

    Args:
        busy: use one thread and count processor time.
        build: makes its step.
        arguments: for `build`, the device last.
    """

    def __init__(self, busy: bool, build: Callable[..., Callable[[], None]], *arguments: str) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(theirs, busy, build, *arguments), daemon=True)
        self.process.start()
        theirs.close()
        self.connection.recv()

    def rate(self, steps: int) -> float:
        """Images per second over so many steps."""
        self.connection.send(steps)
        return steps * BATCH / float(self.connection.recv())

    def close(self) -> float:
        """End the process; return its peak memory in GB."""
        self.connection.send(0)
        peak = float(self.connection.recv()) / 1e9
        self.process.join()
        return peak


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--official", type=Path, help="work tree of NVlabs/stylegan3, which holds StyleGAN2")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=3, help="steps of each side in a round")
    parser.add_argument("--busy", action="store_true", help="one thread a side, processor time")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    options = parser.parse_args()
    sides = {"understudy": Side(options.busy, our_step, options.device)}
    if options.official is None:
        print("official code: skipped (name a checkout of it with --official PATH)")
    elif not (options.official / "training" / "networks_stylegan2.py").is_file():
        parser.error(
            f"{options.official} is no checkout of NVlabs/stylegan3: training/networks_stylegan2.py is not there"
        )
    else:
        sides["official"] = Side(options.busy, official_step, str(options.official), options.device)
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for i in range(options.rounds):
        for name, side in sides.items():
            rates[name].append(side.rate(options.steps))
        line = ", ".join(f"{name} {found[-1]:.2f} images/s" for name, found in rates.items())
        ratio = f", ratio {rates['understudy'][-1] / rates['official'][-1]:.2f}" if "official" in rates else ""
        print(f"round {i + 1}: {line}{ratio}", flush=True)
    for name, side in sides.items():
        print(f"{name:10s} median {statistics.median(rates[name]):6.2f} images/s, peak memory {side.close():.2f} GB")
    if "official" in sides:
        ratios = [a / b for a, b in zip(rates["understudy"], rates["official"], strict=True)]
        print(f"ratio      median {statistics.median(ratios):6.2f} (rounds {min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()

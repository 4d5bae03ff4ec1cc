"""What the step benchmarks of the style-based GANs share: the setting, both sides, taking turns.

Each side runs in a process of its own, as its user would run it: the official code in float32, its float16 being for
GPUs only, with its pure PyTorch operations where there is no GPU. The two take turns, so that whatever else the machine
does slows both; the ratio of each round is printed, then their median. Memory is the largest resident set of a process
(on a GPU: the most that torch allocated).
"""

import argparse
import contextlib
import csv
import importlib
import importlib.util
import multiprocessing
import os
import resource
import signal
import statistics
import sys
import time
import types
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

CHANNELS, LATENT = 5, 512
PLAIN = {"gamma": 0, "augment": "none"}  # no lazy penalty, no augmentation, of generators that have them
Step = Callable[[], None]


@dataclass(frozen=True)
class Setting:
    """What both sides are asked for."""

    device: str = "cpu"
    side: int = 64  # pixels
    channel_base: int = 8192
    channel_max: int = 256
    compiled: bool = False  # understudy's networks, by torch.compile

    @property
    def widths(self) -> dict[str, int]:
        """The feature maps, as both name them."""
        return {"channel_base": self.channel_base, "channel_max": self.channel_max}


def our_step(generator: str, batch: int, setting: Setting, **settings: Any) -> Step:
    """Build one of understudy's generators as `understudy train` does; return its step."""
    from understudy.core.encoding import Channel, Encoding
    from understudy.generators import GENERATORS
    from understudy.training.batches import Batch
    from understudy.training.engine import Engine

    method, side, device = GENERATORS[generator], setting.side, setting.device
    plain = {key: value for key, value in PLAIN.items() if key in method.Config.model_fields}
    config = method.Config(**setting.widths, batch_size=batch, **plain, **settings)
    instance: Any = method(config)
    instance.engine, instance.size = Engine(config.precision, device), (side, side)
    instance.build(Encoding(tuple(Channel(str(i), 0, 1) for i in range(CHANNELS)), "float32", None), instance.size)
    if setting.compiled:
        instance.g.synthesis.compile()
        instance.d.compile()
    x = (torch.rand(batch, CHANNELS, side, side, device=device) * 2 - 1).contiguous(memory_format=torch.channels_last)

    def step() -> None:
        instance.update(Batch(x, None, 100_000))

    return step


def official_step(
    path: str, batch: int, setting: Setting, networks: str, rate: float, style_mixing: float, **settings: Any
) -> Step:
    """Build official networks, loss and optimisers; return their step.

    Args:
        path: work tree of NVlabs/stylegan3.
        batch: images a step.
        setting: what both sides are asked for.
        networks: module of the generator, below `training`.
        rate: learning rate of the generator.
        style_mixing: probability of style mixing.
        settings: of the generator.
    """
    sys.path.insert(0, path)
    stand_in("requests")  # these two are imported for downloads and for building CUDA kernels, neither happens here
    stand_in("pkg_resources", parse_version=lambda text: tuple(int(part) for part in text.split(".")[:2]))
    loss_of, discriminator = (importlib.import_module(f"training.{name}") for name in ("loss", "networks_stylegan2"))
    device, side, widths = setting.device, setting.side, setting.widths
    low = {"num_fp16_res": 0, "conv_clamp": None} if device == "cpu" else {"num_fp16_res": 4, "conv_clamp": 256}
    generator = importlib.import_module(f"training.{networks}").Generator
    g = generator(LATENT, 0, LATENT, side, CHANNELS, **{**widths, **low, **settings}).train().to(device)
    d = discriminator.Discriminator(0, side, CHANNELS, **widths, **low).train().to(device)
    loss = loss_of.StyleGAN2Loss(device, g, d, style_mixing_prob=style_mixing)
    optimizers = [
        torch.optim.Adam(m.parameters(), lr=lr, betas=(0.0, 0.99), eps=1e-8) for m, lr in ((g, rate), (d, 0.002))
    ]
    x, no_class = torch.rand(batch, CHANNELS, side, side, device=device) * 2 - 1, torch.zeros(batch, 0, device=device)
    average = [p.detach().clone() for p in g.parameters()]

    def step() -> None:
        for phase, network, optimizer in zip(("Gmain", "Dmain"), (g, d), optimizers, strict=True):
            g.requires_grad_(False)
            d.requires_grad_(False)
            network.requires_grad_(True)
            optimizer.zero_grad(set_to_none=True)
            z = torch.randn(batch, LATENT, device=device)
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


def serve(connection: Connection, busy: bool, warm_up: int, build: Callable[..., Step], *arguments: Any) -> None:
    """Process of one side: warm up, then time as many steps as asked for, until asked for none."""
    torch.manual_seed(0)
    if busy:
        torch.set_num_threads(1)
    clock = time.process_time if busy else time.perf_counter
    on_gpu = any(isinstance(one, Setting) and one.device == "cuda" for one in arguments)
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        step = build(*arguments)
        for _ in range(warm_up):
            step()
        if on_gpu:
            torch.cuda.synchronize()
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
        warm_up: steps before the first measured one.
        batch: images a step, also the first argument of `build`.
        build: makes its step.
        arguments: for `build`.

    Raises:
        SystemExit: the process ended by itself, as one does that the system stops for want of memory.
    """

    def __init__(self, busy: bool, warm_up: int, batch: int, build: Callable[..., Step], *arguments: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(
            target=serve, args=(theirs, busy, warm_up, build, batch, *arguments), daemon=True
        )
        self.batch = batch
        self.process.start()
        theirs.close()
        self._reply()

    def _reply(self) -> Any:
        try:
            return self.connection.recv()
        except EOFError:
            self.process.join()
            code = self.process.exitcode
            why = "killed, most likely for want of memory" if code == -signal.SIGKILL else f"exit code {code}"
            raise SystemExit(f"one side ended before its measurement was over ({why}): try a smaller --batch") from None

    def rate(self, steps: int) -> float:
        """Images per second over so many steps."""
        self.connection.send(steps)
        return steps * self.batch / float(self._reply())

    def close(self) -> float:
        """End the process; return its peak memory in GB."""
        self.connection.send(0)
        peak = float(self._reply()) / 1e9
        self.process.join()
        return peak


def options_of(doc: str | None, rounds: int, steps: int) -> argparse.ArgumentParser:
    """Make the command line of a benchmark, with its defaults."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--official", type=Path, help="work tree of NVlabs/stylegan3, which holds StyleGAN2 as well")
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--steps", type=int, default=steps, help="steps of each side in a round")
    parser.add_argument("--batch", type=int, default=16, help="images a step")
    parser.add_argument("--size", type=int, default=64, help="pixels a side")
    parser.add_argument("--channel-base", type=int, default=8192, help="feature maps times pixels a side")
    parser.add_argument("--channel-max", type=int, default=256, help="most feature maps")
    parser.add_argument("--compile", action="store_true", help="understudy's networks by torch.compile")
    parser.add_argument("--csv", type=Path, help="file that gets a row a side")
    parser.add_argument("--busy", action="store_true", help="one thread a side, processor time")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    return parser


def compare(
    parser: argparse.ArgumentParser, ours: Callable[..., Step], official: Callable[..., Step], *arguments: str
) -> None:
    """Measure both sides in turn and print.

    Args:
        parser: from `options_of`.
        ours: (batch, setting, *arguments) -> step.
        official: (batch, path, setting, *arguments) -> step.
        arguments: for both.
    """
    options = parser.parse_args()
    path, warm_up = options.official, min(options.steps, 2)
    setting = Setting(options.device, options.size, options.channel_base, options.channel_max, options.compile)
    if path is not None and not (path / "training" / "networks_stylegan2.py").is_file():
        parser.error(f"{path} is no checkout of NVlabs/stylegan3: training/networks_stylegan2.py is not there")
    sides = {"understudy": Side(options.busy, warm_up, options.batch, ours, setting, *arguments)}
    if path is None:
        print("official code: skipped (name a checkout of it with --official PATH)")
    else:
        sides["official"] = Side(options.busy, warm_up, options.batch, official, str(path), setting, *arguments)
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for i in range(options.rounds):
        for name, side in sides.items():
            rates[name].append(side.rate(options.steps))
        line = ", ".join(f"{name} {found[-1]:.2f} images/s" for name, found in rates.items())
        ratio = f", ratio {rates['understudy'][-1] / rates['official'][-1]:.2f}" if "official" in rates else ""
        print(f"round {i + 1}: {line}{ratio}", flush=True)
    rows = []
    for name, side in sides.items():
        rate, memory = statistics.median(rates[name]), side.close()
        print(f"{name:10s} median {rate:6.2f} images/s, peak memory {memory:.2f} GB")
        rows.append([Path(sys.argv[0]).stem, name, "/".join(arguments), options.size, options.batch, options.device,
                     options.compile and name == "understudy", f"{rate:.3f}", f"{memory:.3f}"])  # fmt: skip
    if options.csv:
        with options.csv.open("a", newline="") as file:
            csv.writer(file).writerows(rows)
    if "official" in sides:
        ratios = [a / b for a, b in zip(rates["understudy"], rates["official"], strict=True)]
        print(f"ratio      median {statistics.median(ratios):6.2f} (rounds {min(ratios):.2f} to {max(ratios):.2f})")

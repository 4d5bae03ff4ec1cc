"""What the machine itself reaches, to hold other work against: a matrix product, a step of convolutions, a copy.

    python benchmarks/machine_peak.py [--rounds 5] [--device cpu|cuda] [--tiny]

Printed as JSON: FLOP/s of a bf16 matrix product of 2,048 x 2,048, of a training step (forward and both derivatives) of
one 3x3 convolution of 128 feature maps of 64 x 64 pixels, 16 cases, bf16 and channels_last, and bytes a second that a
copy of 256 MiB reads and writes; each the best of some rounds after one to warm up. Two FLOPs are one multiplication
and addition. Where the processor has no bf16 of its own, both are in float32, and ``precision`` says so.
"""

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

SIDE, MAPS, PIXELS, CASES, COPIED = 2048, 128, 64, 16, 2**28


def best(work: Callable[[], object], rounds: int, device: str) -> float:
    """Return the seconds of the quickest round."""
    seconds = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        work()
        if device == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    return min(seconds[1:])


def peak(rounds: int = 5, device: str = "cpu", tiny: bool = False) -> dict[str, Any]:
    """Measure; ``tiny`` for a hundredth of the work, whose numbers mean nothing."""
    from understudy.training.engine import has_fast_bf16, keep_freed_memory

    keep_freed_memory()
    low = torch.bfloat16 if has_fast_bf16(device) else torch.float32
    side, maps, copied = (SIDE // 8, MAPS // 8, COPIED // 256) if tiny else (SIDE, MAPS, COPIED)
    a, b = (torch.randn(side, side, device=device).to(low) for _ in range(2))
    x = torch.randn(CASES, maps, PIXELS, PIXELS, device=device).to(low, memory_format=torch.channels_last)
    weight = torch.randn(maps, maps, 3, 3, device=device).to(low, memory_format=torch.channels_last)
    x.requires_grad_(True)
    weight.requires_grad_(True)
    slope = torch.randn_like(x, requires_grad=False)
    source = torch.randint(0, 255, (copied,), dtype=torch.uint8, device=device)
    target = torch.empty_like(source)

    def step() -> object:
        return torch.autograd.grad(F.conv2d(x, weight, padding=1), (x, weight), slope)

    convolution = 3 * 2 * CASES * PIXELS**2 * maps**2 * 9
    return {
        "matmul_flops": 2 * side**3 / best(lambda: a @ b, rounds, device),
        "convolution_flops": convolution / best(step, rounds, device),
        "copy_bytes": 2 * copied / best(lambda: target.copy_(source), rounds, device),
        "precision": str(low).removeprefix("torch."),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--tiny", action="store_true")
    given = parser.parse_args()
    print(json.dumps(peak(given.rounds, given.device, given.tiny)))

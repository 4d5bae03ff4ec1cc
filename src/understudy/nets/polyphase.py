"""Changing the sampling rate with low-pass filters, phase by phase, and the transpose of that.

**Source**: Vaidyanathan, "Multirate Systems and Filter Banks", 1993, section 4.3 (polyphase form); Karras et al.,
"Alias-Free Generative Adversarial Networks", 2021, arXiv 2106.12423, section 2.1 (what the filters are for).
**Differs**: a signal at the higher rate is never laid out in memory: it is held as its phases, each of which is one
short filter over the signal at the lower rate. Zeros put between samples are never multiplied, and where each phase is
used up before the next one is made, as nets/alias_free.py does, a few phases are all that exists at any time.
**Checked**: tests/nets/test_alias_free.py against loops, and as each other's transposes, to 1e-6.

Precision is that of the input, with sums within one filter in float32 or better.
"""

from collections.abc import Iterable, Iterator
from itertools import islice, product

import torch
import torch.nn.functional as F
from torch import Tensor

Pair = tuple[int, int]


def spread(x: Tensor, kernel: Tensor, stride: int, offset: int, size: int, split: int) -> Iterator[Tensor]:
    """Raise the sampling rate: y[m] = sum over i of kernel[m - i stride - offset] x[i], along both axes of
    (N, C, H, W).

    The kernel is (T,) for one axis after the other, or (T, T). ``stride`` is the factor on the sampling rate, ``size``
    the rows and columns of y, of which the split x split phases are yielded; stride is a multiple of split.
    """
    if kernel.ndim == 2:
        yield from _spread(x, kernel, (stride, stride), (offset, offset), (size, size), (split, split))
        return
    for rows in _spread(x, kernel[:, None], (stride, 1), (offset, 0), (size, x.shape[3]), (split, 1)):
        yield from _spread(rows, kernel[None, :], (1, stride), (0, offset), (rows.shape[2], size), (1, split))


def gather(phases: Iterator[Tensor], kernel: Tensor, stride: int, offset: int, size: Pair, split: int) -> Tensor:
    """Transpose of `spread`: x[i] = sum over m of kernel[m - i stride - offset] y[m], (N, C, *size), ``size`` = (H, W).

    ``phases`` are those of y in the order of `spread`, zero outside; kernel, stride, offset and split as there.
    """
    if kernel.ndim == 2:
        return _gather(phases, kernel, (stride, stride), (offset, offset), size, (split, split))
    across, down = kernel[None, :], kernel[:, None]
    rows = (
        _gather(islice(phases, split), across, (1, stride), (0, offset), (-1, size[1]), (1, split))
        for _ in range(split)
    )
    return _gather(rows, down, (stride, 1), (offset, 0), size, (split, 1))


def _spread(x: Tensor, kernel: Tensor, stride: Pair, offset: Pair, size: Pair, split: Pair) -> Iterator[Tensor]:
    """`spread` with a kernel, factors and sizes for each axis."""
    steps = [stride[i] // split[i] for i in (0, 1)]
    for phase in product(range(split[0]), range(split[1])):
        shape = [len(range(phase[i], size[i], split[i])) for i in (0, 1)]
        if steps == [1, 1]:
            yield _phase(x, kernel, stride, offset, phase, (shape[0], shape[1]))
            continue
        y = torch.empty(*x.shape[:2], *shape, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
        for k, j in product(range(steps[0]), range(steps[1])):
            there = y[:, :, k :: steps[0], j :: steps[1]]
            finer = (phase[0] + k * split[0], phase[1] + j * split[1])
            there.copy_(_phase(x, kernel, stride, offset, finer, (there.shape[2], there.shape[3])))
        yield y


def _phase(x: Tensor, kernel: Tensor, stride: Pair, offset: Pair, phase: Pair, size: Pair) -> Tensor:
    """Samples m = stride q + phase, q = 0, 1 ..., of a raised signal: one short filter over x."""
    (row, top), (column, left) = (divmod(phase[i] - offset[i], stride[i]) for i in (0, 1))
    part = kernel[top :: stride[0], left :: stride[1]].flip(0, 1)
    return _correlate(x, part, (1, 1), (part.shape[0] - 1 - row, part.shape[1] - 1 - column), size)


def _gather(phases: Iterable[Tensor], kernel: Tensor, stride: Pair, offset: Pair, size: Pair, split: Pair) -> Tensor:
    """`gather` with a kernel, factors and sizes for each axis; size -1: as the phases have it."""
    steps = (stride[0] // split[0], stride[1] // split[1])
    total = None
    for phase, part in zip(product(range(split[0]), range(split[1])), phases, strict=True):
        first = [(phase[i] - offset[i]) % split[i] for i in (0, 1)]
        before = [-(offset[i] + first[i] - phase[i]) // split[i] for i in (0, 1)]
        y = _correlate(
            part, kernel[first[0] :: split[0], first[1] :: split[1]], steps, (before[0], before[1]),
            (part.shape[2] if size[0] < 0 else size[0], size[1]),
        )  # fmt: skip
        total = y if total is None else total.add_(y)
    assert total is not None
    return total


def _correlate(x: Tensor, kernel: Tensor, stride: Pair, before: Pair, size: Pair) -> Tensor:
    """Put so many zeros (or, if negative, crop) before x, correlate, keep every stride-th sample, `size` in all."""
    after = [(size[i] - 1) * stride[i] + kernel.shape[i] - before[i] - x.shape[2 + i] for i in (0, 1)]
    if tuple(after) == before and min(before) >= 0:
        padding = before
    else:
        x, padding = F.pad(x, [before[1], after[1], before[0], after[0]]), (0, 0)
    weight = kernel.to(x.dtype).expand(x.shape[1], 1, -1, -1)
    return F.conv2d(x, weight, stride=stride, padding=padding, groups=x.shape[1])

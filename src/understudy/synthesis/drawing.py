"""Cases of one generator, or of several in turns, drawn block by block; processes share the blocks.

Case i comes from generator i mod R and is drawn with derive(seed, "case", i). Which cases stand together in a block
depends neither on the number of processes nor on where drawing begins, so a case has the same bits whoever draws it.
**Checked** in tests/synthesis/test_drawing.py.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from understudy.core.seed import derive
from understudy.core.writer import CohortWriter
from understudy.generators.base import Generator
from understudy.training.engine import Engine


@dataclass(frozen=True)
class Case:
    """One drawn case: image (C, *S) or None, label map (*S) or None."""

    number: int
    image: np.ndarray | None
    label: np.ndarray | None


@dataclass(frozen=True)
class Block:
    """Cases that one of the generators draws at once."""

    generator: int
    numbers: range


def blocks(sizes: Sequence[int], n: int, first: int = 0) -> list[Block]:
    """Return the blocks of n cases that hold ``first`` or later ones, in the order in which their cases are wanted.

    Generators, of which each draws so many cases at once, take turns.
    """
    found = []
    for r, size in enumerate(sizes):
        mine = range(r, n, len(sizes))
        found += [Block(r, mine[start : start + size]) for start in range(0, len(mine), size)]
    return sorted((b for b in found if b.numbers[-1] >= first), key=lambda b: b.numbers[0])


@contextmanager
def opened(writer: CohortWriter, engine: Engine) -> Iterator[int]:
    """Open a writer in the first process, which alone writes; yield to all how many cases a killed one left in it."""
    with writer if engine.rank == 0 else nullcontext():
        there = torch.tensor([writer.written], device=engine.device)
        yield int(engine.gather(there)[0])
    engine.wait()


def machine(generators: Sequence[Generator]) -> str:
    """Return what of the machine decides the bits of a case, as far as it is known."""
    engine = generators[0].engine
    return f"{engine.device.type} {engine.precision}"


def drawn(
    generators: Sequence[Generator],
    todo: Sequence[Block],
    first: int,
    seed: int,
    condition: Callable[[range], np.ndarray | None],
) -> Iterator[Case]:
    """Draw the cases of some :func:`blocks` from ``first`` on; every process draws its share, and has them all.

    ``condition`` returns what cases with these numbers are drawn for: (n, ...), or None.
    """
    engine, kind = generators[0].engine, _kind(generators[0])
    longest = max(generator.config.sample_block for generator in generators)
    wanted = deque(sorted(i for block in todo for i in block.numbers if i >= first))
    ready: dict[int, Case] = {}
    for start in range(0, len(todo), engine.world_size):
        part = todo[start : start + engine.world_size]
        cases = np.zeros(longest, kind)
        if engine.rank < len(part):
            own = part[engine.rank]
            seeds = [derive(seed, "case", i) for i in own.numbers]
            (made,) = generators[own.generator].sample_blocks(seeds, condition(own.numbers))
            for name in kind.names or ():
                cases[name][: len(seeds)] = getattr(made, name)
        for block, theirs in zip(part, _everyones(cases, engine), strict=False):
            for i, case in zip(block.numbers, theirs, strict=False):
                if i >= first:
                    ready[i] = Case(i, *(case[k] if k in (kind.names or ()) else None for k in ("images", "labels")))
        while wanted and wanted[0] in ready:
            yield ready.pop(wanted.popleft())


def _kind(generator: Generator) -> np.dtype[Any]:
    """Return the data type of one case: an image, a label map, or both."""
    encoding, size = generator.encoding, generator.size
    parts: list[Any] = []
    if encoding.image_channels:
        parts.append(("images", encoding.dtype, (encoding.image_channels, *size)))
    if encoding.scheme is not None:
        parts.append(("labels", "u1", size))
    return np.dtype(parts)


def _everyones(cases: np.ndarray, engine: Engine) -> Sequence[np.ndarray]:
    """Return the cases (n,) of all processes, in their order."""
    if engine.world_size == 1:
        return [cases]
    sent = torch.from_numpy(cases.view(np.uint8)).to(engine.device)
    return np.split(engine.gather(sent).cpu().numpy().view(cases.dtype), engine.world_size)

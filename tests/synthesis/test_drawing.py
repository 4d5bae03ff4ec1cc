"""Blocks: the same wherever drawing begins; cases come in order, each from its own generator."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from understudy.core.encoding import Channel, Encoding
from understudy.core.labels import LabelScheme
from understudy.core.seed import derive
from understudy.generators.base import Samples
from understudy.synthesis.drawing import Block, blocks, drawn
from understudy.training.engine import Engine

SCHEME = LabelScheme(("background", "a"), (0, 1))
Asked = list[tuple[int, list[int]]]


def stub(number: int, size: int, asked: Asked, scheme: LabelScheme | None = SCHEME, channels: int = 1) -> Any:
    """A generator that draws its own number and the seed, and notes what it was asked for."""

    def sample_blocks(seeds: list[int], condition: np.ndarray | None) -> list[Samples]:
        asked.append((number, [] if condition is None else condition.tolist()))
        images = np.array([[[[number, seed % 65521]]] for seed in seeds], np.uint16)
        images = np.repeat(images, channels, axis=1) if channels else None  # type: ignore[assignment]
        return [Samples(images, np.ones((len(seeds), 1, 2), np.uint8) if scheme else None)]

    encoding = Encoding(tuple(Channel(f"c{i}", 0, 1) for i in range(channels)), "uint16", scheme)
    config = SimpleNamespace(sample_block=size)
    engine = Engine("fp32", "cpu")
    return SimpleNamespace(config=config, engine=engine, encoding=encoding, size=(1, 2), sample_blocks=sample_blocks)


def test_blocks_are_the_same_wherever_drawing_begins() -> None:
    whole = blocks([4], 10)
    assert whole == [Block(0, range(4)), Block(0, range(4, 8)), Block(0, range(8, 10))]
    assert blocks([4], 10, 5) == whole[1:] and blocks([4], 10, 8) == whole[2:] and blocks([4], 10, 10) == []
    turns = blocks([4, 2], 10)
    assert [(b.generator, list(b.numbers)) for b in turns] == [
        (0, [0, 2, 4, 6]), (1, [1, 3]), (1, [5, 7]), (0, [8]), (1, [9]),
    ]  # fmt: skip
    for first in range(11):
        assert blocks([4, 2], 10, first) == [b for b in turns if b.numbers[-1] >= first]


@pytest.mark.parametrize("sizes", [[4], [4, 4], [2, 5, 3], [16]])
@pytest.mark.parametrize("first", [0, 3, 9])
def test_cases_come_in_order_each_from_its_own_generator(sizes: list[int], first: int) -> None:
    asked: Asked = []
    generators = [stub(r, size, asked) for r, size in enumerate(sizes)]
    cases = list(drawn(generators, blocks(sizes, 10, first), first, 7, np.array))
    assert [case.number for case in cases] == list(range(first, 10))
    for case in cases:
        assert case.image is not None and case.label is not None
        told = [case.number % len(sizes), derive(7, "case", case.number) % 65521]
        assert case.image[0, 0].tolist() == told and case.label.shape == (1, 2)
    assert asked == [(b.generator, list(b.numbers)) for b in blocks(sizes, 10, first)]


def test_what_a_cohort_has_not_is_none() -> None:
    for scheme, channels in ((None, 2), (SCHEME, 0)):
        (case,) = drawn([stub(0, 4, [], scheme, channels)], blocks([4], 1), 0, 7, lambda _: None)
        assert (case.image is None) == (channels == 0) and (case.label is None) == (scheme is None)

"""Blocks are the same wherever drawing begins, cases come in order, and a killed sampling goes on where it was."""

import os
import random
import signal
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from understudy.core import writer
from understudy.core.cohort import Cohort
from understudy.core.encoding import Channel, Encoding
from understudy.core.growing_file import GrowingFile
from understudy.core.labels import LabelScheme
from understudy.core.seed import derive
from understudy.generators import load
from understudy.generators.base import Samples
from understudy.synthesis import render, sample
from understudy.synthesis.drawing import Block, blocks, drawn
from understudy.synthesis.label_maps import MapRequest
from understudy.training.engine import Engine

SCHEME = LabelScheme(("background", "a"), (0, 1))
Asked = list[tuple[int, list[int]]]
N = 60


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


@pytest.fixture(scope="module")
def made(
    tmp_path_factory: pytest.TempPathFactory, classes_cohort: Callable[..., Cohort], train: Callable[..., Path]
) -> Path:
    """A cohort, a run that draws pairs, and a translator."""
    folder = tmp_path_factory.mktemp("resume")
    cohort = classes_cohort(folder / "cohort")
    train(cohort, folder / "joint", images_seen=4)
    train(cohort, folder / "translator", labels="given", images_seen=4)
    (folder / "key").write_text("k" * 40)
    return folder


def swift(drawn: list[int]) -> Callable[..., Any]:
    """Return a loader of generators that draw at once what follows from the seed; it counts the cases."""

    def swift_load(run: Path, *rest: Any) -> Any:
        real = load(run, *rest)

        def sample_blocks(seeds: list[int], condition: np.ndarray | None) -> list[Samples]:
            drawn.extend(seeds)
            images = np.stack([np.random.default_rng(seed).integers(0, 500, (1, 8, 8)) for seed in seeds])
            return [Samples(images.astype(np.uint16), (images[:, 0] > 250).astype(np.uint8))]

        what = {"config": real.config, "engine": real.engine, "encoding": real.encoding, "size": real.size}
        return SimpleNamespace(sample_blocks=sample_blocks, **what)

    return swift_load


def killed(work: Callable[[], Any], writes: int) -> None:
    """Do the work in a process that is killed in the midst of a write."""
    child = os.fork()
    if child:
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
        return
    write, count = GrowingFile.write, [0]

    def dying(self: GrowingFile, data: bytes) -> None:
        count[0] += 1
        if count[0] == writes:
            write(self, data[: len(data) // 2])
            self._file.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        write(self, data)

    GrowingFile.write = dying  # type: ignore[method-assign]
    try:
        work()
    finally:
        os._exit(1)  # it was not killed


def content(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir())}


@pytest.mark.parametrize("kind", ["sample", "ensemble", "render"])
def test_killed_at_random_moments_it_ends_as_if_it_had_not_been(
    kind: str, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn, moments = list[int](), random.Random(0)
    for module in (sample, render):
        monkeypatch.setattr(module, "load", swift(drawn))
    monkeypatch.setattr(sample, "open_runs", _renamed(sample.open_runs))

    def work(out: Path) -> Path:
        if kind == "render":
            maps = MapRequest(made / "cohort", seed=5)
            return render.render_cohort([made / "translator"], maps, N, 1, out, key=made / "key")
        runs = [made / "joint"] * (2 if kind == "ensemble" else 1)
        return sample.sample_cohort(runs, N, 1, out)

    work(tmp_path / "whole")
    whole = len(drawn)
    monkeypatch.setattr(writer, "NOTE_SECONDS", 0)
    reached = 0
    for _ in range(6):
        killed(lambda: work(tmp_path / "again"), moments.randint(2, 25))
        assert not (tmp_path / "again").exists() and (tmp_path / ".again.partial").is_dir()
        size = (tmp_path / ".again.partial" / "images.npy").stat().st_size
        assert size >= reached - 8 * 8 * 2  # but for the half of a case that is cut off
        reached = size
    drawn.clear()
    work(tmp_path / "again")
    assert 0 < len(drawn) < whole, "it began again"
    assert content(tmp_path / "again") == content(tmp_path / "whole")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["again", "whole"]
    Cohort.open(tmp_path / "again").verify()


def _renamed(open_runs: Callable[..., Any]) -> Callable[..., Any]:
    """Open runs that may be the same, as an ensemble that is mixed of one run twice."""
    return lambda paths, snapshot: [run for path in paths for run in open_runs([path], snapshot)]


def test_another_request_sweeps_what_is_there(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample, "load", swift([]))
    monkeypatch.setattr(writer, "NOTE_SECONDS", 0)
    killed(lambda: sample.sample_cohort(made / "joint", N, 1, tmp_path / "out"), 50)
    sample.sample_cohort(made / "joint", 5, 2, tmp_path / "out")
    sample.sample_cohort(made / "joint", 5, 2, tmp_path / "other")
    assert content(tmp_path / "out") == content(tmp_path / "other")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["other", "out"]

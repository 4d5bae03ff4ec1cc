"""The search against all pairs in float64: both measures, both screens, k, ties, blocks, types, groups, constants."""

import weakref
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch

from understudy.core.errors import UnderstudyError, UsageError
from understudy.evaluation.search import ArrayRows, Neighbours, Rows, UnitRows, nearest, search
from understudy.evaluation.search.measures import MEASURES
from understudy.evaluation.search.screen import Block

Name = Literal["pearson", "euclidean"]
SCREENS = [torch.bfloat16, torch.float32]


def noise(n: int, d: int = 200, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(3, 2, (n, d)).astype(np.float32)


def rows(values: np.ndarray, measure: Name) -> Rows:
    return UnitRows(ArrayRows(values)) if measure == "pearson" else ArrayRows(values)


def brute(a: np.ndarray, b: np.ndarray, measure: Name, k: int, same: np.ndarray | None = None) -> np.ndarray:
    """Return the k nearest of each row, from every pair in float64; of equal ones the lowest index."""
    a, b = (rows(x, measure).block(0, len(x)).astype(np.float64) for x in (a, b))
    far = np.array([-(b * q).sum(1) if measure == "pearson" else ((b - q) ** 2).sum(1) for q in a])
    if same is not None:
        far[same] = np.inf
    return np.argsort(far, axis=1, kind="stable")[:, :k]


def found(a: np.ndarray, b: np.ndarray, measure: Name, **settings: object) -> Neighbours:
    return search(rows(a, measure), rows(b, measure), measure=measure, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("screen", SCREENS)
@pytest.mark.parametrize("measure", ["pearson", "euclidean"])
@pytest.mark.parametrize("k", [1, 5])
def test_equals_all_pairs_and_computes_few(measure: Name, screen: torch.dtype, k: int) -> None:
    a, b = noise(50), noise(900, seed=1)
    b[700:750] = a + 0.1 * noise(50, seed=2)
    result = found(a, b, measure, k=k, screen=screen)
    assert np.array_equal(result.index, brute(a, b, measure, k))
    assert np.array_equal(result.index[:, 0], np.arange(700, 750))
    assert result.computed < 0.1 * 50 * 900


@pytest.mark.parametrize("measure", ["pearson", "euclidean"])
def test_of_images_that_are_all_alike_few_are_computed(measure: Name) -> None:
    """r is 0.997 to 0.999 for every pair; bf16 tells numbers below one apart by 0.004 only."""
    base = noise(1, 3000)
    a, b = (base + 0.05 * noise(n, 3000, seed=n) for n in (30, 400))
    result = found(a, b, measure, screen=torch.bfloat16)
    assert np.array_equal(result.index, brute(a, b, measure, 1))
    assert result.computed < 0.2 * 30 * 400


def test_values_are_pearsons_r_and_euclidean_distance() -> None:
    a, b = noise(20), noise(300, seed=1)
    r = np.corrcoef(a, b)[:20, 20:]
    assert np.abs(found(a, b, "pearson").value[:, 0] - r.max(1)).max() < 1e-6
    distance = np.sqrt(((a[:, None].astype(np.float64) - b[None]) ** 2).sum(2))
    assert np.allclose(found(a, b, "euclidean", k=3).value, np.sort(distance)[:, :3], rtol=1e-14)
    assert (found(a, a, "euclidean").value == 0).all()


@pytest.mark.parametrize("screen", SCREENS)
@pytest.mark.parametrize("measure", ["pearson", "euclidean"])
def test_near_ties_below_the_screens_resolution(measure: Name, screen: torch.dtype) -> None:
    """Targets that differ from one another by less than bf16 or an fp32 product can tell."""
    a, b = noise(1), np.repeat(noise(1, seed=1), 400, 0)
    b += 1e-4 * noise(400, seed=2)
    assert np.array_equal(found(a, b, measure, k=4, screen=screen).index, brute(a, b, measure, 4))


@pytest.mark.parametrize("measure", ["pearson", "euclidean"])
def test_blocks_do_not_matter_and_ties_go_to_the_lowest_index(measure: Name, monkeypatch: pytest.MonkeyPatch) -> None:
    b = np.concatenate([noise(30)] * 3)  # each target three times, in several blocks
    a = b[30:60] + 0.3 * noise(30, seed=2)
    whole = found(a, b, measure, k=2)
    assert np.array_equal(whole.index, np.arange(30)[:, None] + [0, 30])
    for targets, queries, memory in ((7, 13, 1024), (40, 1, 1)):
        monkeypatch.setattr(nearest, "TARGET_ROWS", targets)
        monkeypatch.setattr(nearest, "QUERY_ROWS", queries)
        other = found(a, b, measure, k=2, memory_mib=memory)
        assert np.array_equal(whole.index, other.index)
        assert np.array_equal(whole.value, other.value)


@pytest.mark.parametrize("measure", ["pearson", "euclidean"])
def test_parts_of_the_queries_searched_apart_and_by_other_threads_give_the_same(measure: Name, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", noise(31, 3001))
    a, b = np.load(tmp_path / "a.npy", mmap_mode="r"), noise(300, 3001, seed=1)
    whole, threads = found(a, b, measure, k=2), torch.get_num_threads()
    try:
        torch.set_num_threads(3 - min(threads, 2))
        parts = [ArrayRows(a, chosen) for chosen in np.array_split(np.arange(31), 3)]
        asked = [UnitRows(part) if measure == "pearson" else part for part in parts]
        results = [search(part, rows(b, measure), measure=measure, k=2) for part in asked]
    finally:
        torch.set_num_threads(threads)
    assert np.array_equal(np.concatenate([r.index for r in results]), whole.index)
    assert np.array_equal(np.concatenate([r.value for r in results]), whole.value)


@pytest.mark.parametrize("kind", ["uint8", "uint16", "float16", "float32", "float64"])
@pytest.mark.parametrize("measure", ["pearson", "euclidean"])
def test_memory_maps_of_every_type(measure: Name, kind: str, tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 1)):
        values = np.random.default_rng(seed).integers(0, 250, (60, 3, 5, 5)).astype(kind)
        np.save(tmp_path / f"{name}.npy", values)
    a, b = (np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in "ab")
    flat = [np.asarray(x).reshape(60, -1).astype(np.float64) for x in (a, b)]
    result, expected = found(a, b, measure), found(*flat, measure)
    assert np.array_equal(result.index, brute(*flat, measure, 1))
    assert np.array_equal(result.value, expected.value)
    if measure == "euclidean":
        assert np.allclose(result.value[:, 0], np.linalg.norm(flat[0] - flat[1][result.index[:, 0]], axis=1))


@pytest.mark.parametrize("measure", ["pearson", "euclidean"])
def test_a_subject_is_not_compared_with_itself(measure: Name, monkeypatch: pytest.MonkeyPatch) -> None:
    a = noise(30)
    groups = np.array([f"s{i // 3}" for i in range(30)])
    expected = brute(a, a, measure, 2, groups[:, None] == groups[None])
    monkeypatch.setattr(nearest, "TARGET_ROWS", 4)
    result = found(a, a, measure, k=2, query_groups=groups, target_groups=groups)
    assert np.array_equal(result.index, expected)
    alone = found(a[:4], a[:4], measure, k=2, query_groups=groups[:4], target_groups=groups[:4])
    assert alone.index.tolist() == [[3, -1]] * 3 + brute(a[3:4], a[:3], measure, 2).tolist()
    assert np.isnan(alone.value[:3, 1]).all()
    assert not np.isnan(alone.value[:, 0]).any()


def test_a_constant_case_is_at_r_0_from_the_first_targets_and_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = noise(4), noise(40, seed=1)
    a[1], b[3] = 7, 5
    monkeypatch.setattr(nearest, "TARGET_ROWS", 2)
    groups = np.arange(40) % 25
    result = found(a[1:2], b, "pearson", k=3, query_groups=groups[:1], target_groups=groups)
    assert result.index.tolist() == [[1, 2, 3]]  # the first target is of its own group
    assert result.value.tolist() == [[0, 0, 0]]
    assert result.computed == 3
    assert np.array_equal(found(a, b, "pearson").index[[0, 2, 3]], brute(a[[0, 2, 3]], b, "pearson", 1))
    assert np.array_equal(found(a, b, "euclidean").index, brute(a, b, "euclidean", 1))


@pytest.mark.parametrize("measure", ["pearson", "euclidean"])
def test_equal_rows_behind_the_first_block_cost_nothing(measure: Name, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearest, "TARGET_ROWS", 10)
    a = np.repeat(noise(1), 100, 0)
    result = found(a, a, measure, k=3)
    assert np.array_equal(result.index, np.tile([0, 1, 2], (100, 1)))
    assert result.computed <= 100 * 10


@pytest.mark.parametrize("measure", ["pearson", "euclidean"])
def test_columns_of_an_array_in_fortran_order(measure: Name, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sums along rows are the same to the last bit for one row and for many, in whatever order the array lies."""
    a, b = noise(40).astype(np.float64), noise(60, seed=1).astype(np.float64)
    whole = found(a, b, measure)
    monkeypatch.setattr(nearest, "TARGET_ROWS", 1)
    assert np.array_equal(found(np.asfortranarray(a), np.asfortranarray(b), measure).value, whole.value)


def test_fewer_targets_than_k() -> None:
    result = found(noise(3), noise(2, seed=1), "pearson", k=4)
    assert (np.sort(result.index[:, :2]) == [0, 1]).all()
    assert (result.index[:, 2:] == -1).all()
    assert np.isnan(result.value[:, 2:]).all()


@pytest.mark.parametrize("dtype", SCREENS)
@pytest.mark.parametrize(("memory", "dimension"), [(64, 12288), (1024, 12288), (16, 64), (1, 2**16)])
def test_blocks_fit_the_memory(memory: int, dimension: int, dtype: torch.dtype) -> None:
    query, target = (ArrayRows(np.zeros((1, dimension), kind)) for kind in (np.float64, np.uint8))
    queries, targets = nearest._block_rows(query, target, dtype, memory)
    held = dimension * (queries * (8 + dtype.itemsize) + targets * (4 + dtype.itemsize))
    assert held <= 7 / 8 * memory * 2**20 + dimension * 24
    assert queries >= targets
    assert memory < 1024 or held > 0.75 * memory * 2**20


def test_a_block_is_let_go_before_the_next_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[weakref.ref[Block]] = []
    read, query, target = nearest.read_block, ArrayRows(noise(50)), ArrayRows(noise(30, seed=1))

    def watched(source: Rows, start: int, stop: int, centre: np.ndarray, dtype: torch.dtype) -> Block:
        assert sum(block() is not None for block in made) == (source is target)  # of the queries, where targets follow
        block = read(source, start, stop, centre, dtype)
        made.append(weakref.ref(block))
        return block

    monkeypatch.setattr(nearest, "read_block", watched)
    monkeypatch.setattr(nearest, "_block_rows", lambda *_: (20, 10))
    search(query, target, measure="euclidean")
    assert len(made) == 3 + 3 * 3


def test_queries_and_targets_are_never_read_whole() -> None:
    class Watched(ArrayRows):
        longest = 0

        def block(self, start: int, stop: int) -> np.ndarray:
            self.longest = max(self.longest, stop - start)
            return super().block(start, stop)

    a, b = (Watched(200 * np.random.default_rng(seed).random((300, 4096), np.float32)) for seed in (0, 1))
    search(a, b, measure="euclidean", memory_mib=4, screen=torch.float32)
    assert a.longest <= 2**18 // 4096
    assert b.longest <= nearest._block_rows(a, b, torch.float32, 4)[1] <= 32


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"k": 0}, UsageError, "at least 1; found 0"),
        ({"query_groups": np.arange(5)}, UsageError, "or of neither"),
        ({"query_groups": np.arange(5), "target_groups": np.arange(4)}, UsageError, "all 6 targets"),
    ],
)
def test_bad_requests_are_refused(changes: dict[str, object], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        found(noise(5), noise(6), "pearson", **changes)


def test_rows_that_cannot_be_compared_are_refused() -> None:
    with pytest.raises(UnderstudyError, match="200 values"):
        found(noise(2), noise(2, 100), "pearson")
    with pytest.raises(UnderstudyError, match="0 targets"):
        found(noise(2), noise(0), "pearson")
    for a, b in ((noise(2), noise(2)), (np.zeros((2, 200)), noise(2))):
        with pytest.raises(UnderstudyError, match="UnitRows"):
            search(ArrayRows(a), ArrayRows(b))
    bad = noise(3)
    bad[1, 4] = np.nan
    for measure in MEASURES:
        with pytest.raises(UnderstudyError, match="finite"):
            found(noise(2), bad, measure)  # type: ignore[arg-type]

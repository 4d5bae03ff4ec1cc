"""Search against all pairs in float64: both products, ties, blocks, types, groups, constants; and the bounds."""

import weakref
from pathlib import Path

import numpy as np
import pytest
import torch

from understudy.core.errors import UnderstudyError, UsageError
from understudy.evaluation import nearest as module
from understudy.evaluation.nearest import PIECE_VALUES, Nearest, Rows, UnitRows, exact_r, nearest, unit_vectors


@pytest.fixture(params=[True, False], ids=["int8", "fp32"])
def int8(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether whole numbers are multiplied as such, or in fp32."""
    monkeypatch.setattr(module, "INT8", request.param)
    return bool(request.param)


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many pairs each call computes in float64."""
    counts: list[int] = []

    def counted(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        counts.append(len(a))
        return exact_r(a, b)

    monkeypatch.setattr(module, "exact_r", counted)
    return counts


def noise(n: int, d: int = 200, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(3, 2, (n, d)).astype(np.float32)


def all_r(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return r of all pairs (n, m), from float64."""
    return np.stack([exact_r(np.repeat(unit_vectors(q[None]), len(b), 0), unit_vectors(b)) for q in a])


def found(a: np.ndarray, b: np.ndarray, **settings: object) -> Nearest:
    return nearest(UnitRows(a), UnitRows(b), **settings)  # type: ignore[arg-type]


def same(one: Nearest, other: Nearest) -> bool:
    return np.array_equal(one.index, other.index) and np.array_equal(one.r, other.r, equal_nan=True)


def test_equals_all_pairs_and_computes_few(int8: bool, computed: list[int]) -> None:
    a, b = noise(50), noise(900, seed=1)
    b[700:750] = a + 0.1 * noise(50, seed=2)
    result, r = found(a, b), all_r(a, b)
    assert np.array_equal(result.index, np.arange(700, 750))
    assert np.array_equal(result.r, r.max(1))
    assert sum(computed) < 0.1 * 50 * 900
    assert np.array_equal(found(a, b[:700]).index, r[:, :700].argmax(1))


def test_r_is_that_of_numpy() -> None:
    a, b = noise(40), noise(3000, seed=1)
    full = np.corrcoef(a, b)[:40, 40:]
    result = found(a, b)
    assert np.array_equal(result.index, full.argmax(1))
    assert np.abs(result.r - full.max(1)).max() < 1e-6


def test_gain_and_offset_do_not_hide_a_copy() -> None:
    a, b = noise(20, seed=1), noise(2500)
    a[3], a[7] = b[2000], 2 * b[11] + 5
    result = found(a, b)
    assert result.index[[3, 7]].tolist() == [2000, 11]
    assert np.allclose(result.r[[3, 7]], 1, atol=1e-6)
    assert np.delete(result.r, [3, 7]).max() < 0.5


def test_of_images_that_are_all_alike_few_are_computed(int8: bool, computed: list[int]) -> None:
    """r is 0.997 to 0.999 for every pair: without the centre, int8 could not tell any two apart."""
    base = noise(1, 3000)
    a, b = (base + 0.05 * noise(n, 3000, seed=n) for n in (30, 400))
    assert np.array_equal(found(a, b).index, all_r(a, b).argmax(1))
    assert sum(computed) < 0.2 * 30 * 400


def test_near_ties_below_the_prefilters_resolution(int8: bool) -> None:
    """Targets that differ from one another by less than int8 or an fp32 product can tell."""
    a, b = noise(1), np.repeat(noise(1, seed=1), 400, 0)
    b += 1e-4 * noise(400, seed=2)
    assert np.array_equal(found(a, b).index, all_r(a, b).argmax(1))


def test_blocks_do_not_matter_and_ties_go_to_the_lowest_index(monkeypatch: pytest.MonkeyPatch) -> None:
    b = np.concatenate([noise(30)] * 3)  # each target three times, in several blocks
    a = b[30:60] + 0.3 * noise(30, seed=2)
    whole = found(a, b)
    assert np.array_equal(whole.index, np.arange(30))
    for targets, queries, memory in ((7, 13, 1024), (40, 1, 1), (1, 16, 1)):
        monkeypatch.setattr(module, "TARGET_ROWS", targets)
        monkeypatch.setattr(module, "QUERY_ROWS", queries)
        assert same(whole, found(a, b, memory_mib=memory))


def test_parts_of_the_queries_searched_apart_and_by_other_threads_give_the_same(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", noise(31, 3001))
    a, b = np.load(tmp_path / "a.npy", mmap_mode="r"), noise(300, 3001, seed=1)
    whole, threads = found(a, b), torch.get_num_threads()
    try:
        torch.set_num_threads(3 - min(threads, 2))
        parts = [found(part, b) for part in np.array_split(a, 3)]
    finally:
        torch.set_num_threads(threads)
    assert same(whole, Nearest(np.concatenate([p.index for p in parts]), np.concatenate([p.r for p in parts])))


@pytest.mark.parametrize("kind", ["uint8", "uint16", "float16", "float32", "float64", "int32"])
def test_memory_maps_of_every_type(kind: str, tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 1)):
        np.save(tmp_path / f"{name}.npy", np.random.default_rng(seed).integers(0, 250, (60, 3, 5, 5)).astype(kind))
    a, b = (np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in "ab")
    flat = [np.asarray(x).reshape(60, -1).astype(np.float64) for x in (a, b)]
    assert np.array_equal(found(a, b).r, all_r(*flat).max(1))


def test_a_subject_is_not_compared_with_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    a = noise(30)
    groups = np.array([f"s{i // 3}" for i in range(30)])
    r = all_r(a, a)
    r[groups[:, None] == groups[None]] = -2
    monkeypatch.setattr(module, "TARGET_ROWS", 4)
    assert np.array_equal(found(a, a, query_groups=groups, target_groups=groups).index, r.argmax(1))
    alone = found(a[:3], a[:3], query_groups=groups[:3], target_groups=groups[:3])
    assert alone.index.tolist() == [-1] * 3
    assert np.isnan(alone.r).all()


def test_a_constant_case_is_at_r_0_from_the_first_target_and_costs_nothing(
    monkeypatch: pytest.MonkeyPatch, computed: list[int]
) -> None:
    a, b = noise(4), noise(40, seed=1)
    a[1], b[3] = 7, 5
    monkeypatch.setattr(module, "TARGET_ROWS", 2)
    groups = np.arange(40) % 25
    result = found(a[1:2], b, query_groups=groups[:1], target_groups=groups)
    assert (result.index.tolist(), result.r.tolist()) == ([1], [0])  # the first target is of its own group
    assert sum(computed) == 1
    assert np.array_equal(found(a, b).index[[0, 2, 3]], all_r(a[[0, 2, 3]], b).argmax(1))
    assert found(a, np.full((5, 200), 3)).r.tolist() == [0] * 4
    assert exact_r(unit_vectors(a), unit_vectors(a)).round(6).tolist() == [1, 0, 1, 1]


def test_equal_rows_behind_the_first_block_cost_nothing(monkeypatch: pytest.MonkeyPatch, computed: list[int]) -> None:
    monkeypatch.setattr(module, "TARGET_ROWS", 10)
    a = np.repeat(np.eye(1, 4) - 0.25, 100, 0) * 2  # its r with itself is 1 exactly
    result = found(a, a)
    assert (result.index == 0).all()
    assert sum(computed) <= 100 * 10


def test_columns_of_an_array_in_fortran_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sums along rows are the same to the last bit for one row and for many, in whatever order the array lies."""
    a, b = noise(40).astype(np.float64), noise(60, seed=1).astype(np.float64)
    whole = found(a, b)
    monkeypatch.setattr(module, "TARGET_ROWS", 1)
    assert same(whole, found(np.asfortranarray(a), np.asfortranarray(b)))


def test_unit_rows_have_mean_0_and_length_1_and_constants_are_zero() -> None:
    values = np.random.default_rng(0).normal(1000, 3, (5, 400))
    values[3] = 1e-3
    block = UnitRows(values).block(0, 5)
    assert block.dtype == np.float32
    assert np.abs(block.mean(1)).max() < 1e-7
    assert np.abs((block.astype(np.float64) ** 2).sum(1) - [1, 1, 1, 0, 1]).max() < 1e-7
    assert not block[3].any()
    assert np.array_equal(UnitRows(values.reshape(5, 20, 20)).block(1, 3), block[1:3])


@pytest.mark.parametrize(("memory", "dimension"), [(64, 12288), (1024, 12288), (16, 64), (1, 2**16)])
def test_blocks_fit_the_memory(memory: int, dimension: int) -> None:
    queries, targets = module._block_rows(dimension, memory)
    held = dimension * (queries + targets) * 5
    assert held <= 7 / 8 * memory * 2**20 + dimension * 24
    assert queries >= targets
    assert memory < 1024 or held > 0.75 * memory * 2**20


def test_a_block_is_let_go_before_the_next_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[weakref.ref[module._Block]] = []
    read, query, target = module._read, UnitRows(noise(50)), UnitRows(noise(30, seed=1))

    def watched(source: Rows, start: int, stop: int, centre: np.ndarray) -> module._Block:
        assert sum(block() is not None for block in made) == (source is target)  # of the queries, where targets follow
        block = read(source, start, stop, centre)
        made.append(weakref.ref(block))
        return block

    monkeypatch.setattr(module, "_read", watched)
    monkeypatch.setattr(module, "_block_rows", lambda *_: (20, 10))
    nearest(query, target)
    assert len(made) == 3 + 3 * 3


def test_queries_and_targets_are_never_read_whole() -> None:
    class Watched(UnitRows):
        longest = 0

        def block(self, start: int, stop: int) -> np.ndarray:
            self.longest = max(self.longest, stop - start)
            return super().block(start, stop)

    a, b = (Watched(np.random.default_rng(seed).random((200, 4096), np.float32)) for seed in (0, 1))
    nearest(a, b, memory_mib=4)
    assert a.longest <= 2**18 // 4096
    assert b.longest <= module._block_rows(4096, 4)[1] <= 32


def test_pieces_cover_all_once_and_errors_are_not_lost() -> None:
    seen: list[tuple[int, int]] = []
    module._in_pieces(lambda a, b: seen.append((a, b)), 10, PIECE_VALUES // 3)
    assert sorted(seen) == [(0, 3), (3, 6), (6, 9), (9, 10)]
    module._in_pieces(lambda a, b: seen.append((a, b)), 2, 10 * PIECE_VALUES)
    assert sorted(seen[-2:]) == [(0, 1), (1, 2)]

    def fail(start: int, stop: int) -> None:
        raise UnderstudyError(f"piece {start} to {stop}")

    with pytest.raises(UnderstudyError, match="piece 0 to 5"):
        module._in_pieces(fail, 5, 10)


@pytest.mark.parametrize("changes", [{}, {"target_groups": np.arange(4)}])
def test_groups_of_one_side_only_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="all 5 queries and of all 6 targets"):
        found(noise(5), noise(6), query_groups=np.arange(5), **changes)


def test_rows_that_cannot_be_compared_are_refused() -> None:
    with pytest.raises(UnderstudyError, match="200 values"):
        found(noise(2), noise(2, 100))
    with pytest.raises(UnderstudyError, match="0 targets"):
        found(noise(2), noise(0))

    class Plain(UnitRows):
        def block(self, start: int, stop: int) -> np.ndarray:
            return np.asarray(self.array[start:stop])

    bad = unit_vectors(noise(2))
    for value in (3, np.nan):
        bad[1, 4] = value
        with pytest.raises(UnderstudyError, match="UnitRows"):
            nearest(UnitRows(noise(2)), Plain(bad))
        with pytest.raises(UnderstudyError, match="UnitRows"):
            nearest(Plain(bad), UnitRows(noise(2)))
    with pytest.raises(UnderstudyError, match="NaN or infinite"):
        unit_vectors(np.array([[1.0, np.nan], [1, 2]]))


def block(values: np.ndarray, centre: np.ndarray | float = 0) -> module._Block:
    """Return a block of rows as they are; nothing asks for length one."""

    class Plain(UnitRows):
        def block(self, start: int, stop: int) -> np.ndarray:
            return self.array[start:stop]

    return module._read(Plain(values), 0, len(values), np.zeros(values.shape[1]) + centre)


def excess(a: np.ndarray, b: np.ndarray, centre: np.ndarray | float = 0) -> np.ndarray:
    """Return how far the bounds lie above the products in float64."""
    bounds = module._upper_bounds(block(a, centre), slice(0, len(a)), block(b, centre))
    return bounds.numpy() - a.astype(np.float64) @ b.astype(np.float64).T


@pytest.mark.parametrize("dimension", [2, 7, 300, 12288])
def test_no_product_is_above_its_bound_and_bounds_are_narrow(int8: bool, dimension: int) -> None:
    base = noise(1, dimension)
    for alike in (0, 30):  # the latter: images that are all alike, which the centre tells apart
        a, b = (unit_vectors(alike * base + noise(n, dimension, n)) for n in (20, 33))
        above = excess(a, b, b.mean(0, dtype=np.float64))
        assert above.min() >= 0
        assert above.max() < (0.045, 0.012)[alike > 0]


def test_rounding_that_always_errs_the_same_way_is_covered(int8: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """All values but the largest are rounded down by nearly half a step, so that no error cancels another."""
    monkeypatch.setattr(module, "UNIT_ERROR", 1)
    a = np.full((1, 4097), 1.49 / 127 / 2, np.float32)
    a[0, 0] = 1 / 2
    made = block(a)
    assert made.whole[0, 0] == 127 and (made.whole[0, 1:] == 1).all()
    below = float((a.astype(np.float64) ** 2).sum() - ((made.whole.double() * made.terms[4, 0]) ** 2).sum())
    assert below > 0.05
    assert 0 <= excess(a, a)[0, 0] < 3 * below


def test_the_worst_order_of_adding_is_allowed_for(int8: bool) -> None:
    """No library adds so badly as to need it: the width itself is held, for values that rounding leaves alone."""
    a = np.full((1, 4096), 1 / 64, np.float32)
    below = 0 if int8 else (4096 - 1) * 2.0**-24  # d products in fp32, one after another, each sum rounded down
    assert below <= excess(a, a)[0, 0] <= below + 4 * module.MARGIN


def test_long_rows_are_multiplied_in_runs(int8: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sums of more than 2^17 products leave int32, sums of 2^24 fp32: what counts is a run and how many there are."""
    assert module.RUN * 127**2 < 2**31
    long = np.full((1, 2 * module.RUN + 5), 1 / 1024, np.float32)  # all 127: every run as large as it can be
    monkeypatch.setattr(module, "UNIT_ERROR", 1)
    assert 0 <= excess(long, long)[0, 0] < 0.02
    monkeypatch.setattr(module, "RUN", 64)
    assert excess(unit_vectors(noise(5, 4000)), unit_vectors(noise(7, 4000, 1))).min() >= 0
    a, adding = np.full((1, 4096), 1 / 64, np.float32), ((1 if int8 else 64) + 64) * 2.0**-24
    assert adding <= excess(a, a)[0, 0] <= 1.01 * (adding + 2 * module.MARGIN)


def test_what_is_lost_is_measured() -> None:
    values = unit_vectors(noise(9, 500))
    made = block(values, centre=0.01)
    centred, step = values.astype(np.float64) - 0.01, made.terms[4].double()[:, None]
    length, lost = (np.sqrt((x**2).sum(1)) for x in (centred, centred - (made.whole * step).numpy()))
    expected = [((values.astype(np.float64) ** 2).sum(1) - length**2) / 2, length, lost, length + lost]
    assert np.allclose(made.terms[:4].numpy(), expected, rtol=1e-5, atol=1e-8)
    assert np.allclose(step[:, 0] * 127, np.abs(centred).max(1)) and made.whole.abs().max() == 127
    assert 5e-4 < (lost / length).max() < 0.02


def test_both_products_are_those_of_whole_numbers(int8: bool) -> None:
    a, b = (
        torch.from_numpy(np.random.default_rng(s).integers(-127, 128, (n, 999), np.int8)) for s, n in ((0, 4), (1, 7))
    )
    assert torch.equal(module._product(a, b).long(), a.long() @ b.long().T)

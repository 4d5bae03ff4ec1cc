"""Networks that learn at the same time: order, threads, what ends them; weights drawn by a seed."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest
import torch

from understudy.training.parallel import in_parallel, seeded


@pytest.fixture
def two_threads() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(threads)


def test_results_stand_in_the_order_of_jobs_and_updates_are_counted(two_threads: None) -> None:
    counted: list[int] = []

    def job(i: int) -> Callable[[Callable[[], None]], int]:
        def run(done: Callable[[], None]) -> int:
            time.sleep(0.02 * (4 - i))
            done()
            return i

        return run

    assert in_parallel([job(i) for i in range(4)], lambda: counted.append(1)) == [0, 1, 2, 3]
    assert len(counted) == 4


@pytest.mark.parametrize(("at_once", "most"), [(None, 2), (1, 1)])
def test_as_many_run_at_once_as_torch_has_threads_each_with_one(
    at_once: int | None, most: int, two_threads: None
) -> None:
    running, seen, threads = [0], [0], []
    lock = threading.Lock()

    def job(_: Callable[[], None]) -> None:
        with lock:
            running[0] += 1
            seen[0] = max(seen[0], running[0])
        threads.append(torch.get_num_threads())
        time.sleep(0.05)
        with lock:
            running[0] -= 1

    in_parallel([job] * 4, at_once=at_once)
    assert seen[0] == most
    assert set(threads) == {1}
    assert torch.get_num_threads() == 2


def test_bits_do_not_depend_on_the_number_of_threads() -> None:
    def job(_: Callable[[], None]) -> torch.Tensor:
        x = torch.randn(200, 50_000, generator=torch.Generator().manual_seed(0))
        return (x @ x.T).sum(1)

    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found.append(in_parallel([job, job]))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(found[0][0], one) for pair in found for one in pair)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_failure_ends_the_others_at_their_next_update(error: type[BaseException], two_threads: None) -> None:
    updates = [0]

    def fails(_: Callable[[], None]) -> None:
        raise error("planted")

    def long(done: Callable[[], None]) -> None:
        for _ in range(2000):
            time.sleep(0.005)
            done()
            updates[0] += 1

    begun = time.perf_counter()
    with pytest.raises(error, match="planted"):
        in_parallel([long, fails, long, long])
    assert time.perf_counter() - begun < 5
    assert updates[0] < 500


def test_what_is_drawn_depends_on_the_seed_and_other_draws_go_on_as_if_nothing_was() -> None:
    torch.manual_seed(3)
    with seeded(7):
        first = torch.rand(3)
    after = torch.rand(3)
    torch.manual_seed(3)
    assert torch.equal(after, torch.rand(3))
    with seeded(7):
        assert torch.equal(first, torch.rand(3))


def test_threads_draw_one_after_another(two_threads: None) -> None:
    def job(_: Callable[[], None]) -> list[float]:
        with seeded(1):
            found = []
            for _ in range(20):
                found.append(float(torch.rand(1)))
                time.sleep(0.001)
        return found

    first, second = in_parallel([job, job])
    assert first == second

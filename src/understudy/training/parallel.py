"""Several small networks learn at the same time, a thread each; drawing of weights by a seed, one network at a time.

Steps of small networks gain little from a second thread, and their bits depend on how many there are. So each network
has one thread, and as many networks learn at once as torch has threads: the machine is as busy, and the same seed gives
the same bits whatever the number of threads.
**Checked**: tests/training/test_parallel.py.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from threading import Event, Lock
from typing import TypeVar

import torch

from understudy.training.engine import keep_freed_memory

Result = TypeVar("Result")
Done = Callable[[], None]
_GLOBAL_GENERATOR = Lock()


class _Stopped(Exception):
    """Ends a job because another one failed, or because the user interrupted."""


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Torch's global generator draws by a seed within; no other thread draws meanwhile, and it is left as it was."""
    with _GLOBAL_GENERATOR, torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(seed)
        yield


def in_parallel(
    jobs: Sequence[Callable[[Done], Result]], done: Done = lambda: None, at_once: int | None = None
) -> list[Result]:
    """Return what the jobs return, in their order; as many run at once as torch has threads, or at most ``at_once``.

    Each job is given a function to call after every update: it calls ``done``, and ends the job where another one
    failed or the user interrupted.

    Raises:
        BaseException: what the first job that failed raised.
    """
    threads, stop = torch.get_num_threads(), Event()

    def updated() -> None:
        if stop.is_set():
            raise _Stopped
        done()

    keep_freed_memory()
    torch.set_num_threads(1)  # of every new thread, for its products
    try:
        with ThreadPoolExecutor(min(threads, at_once or threads)) as pool:
            futures = [pool.submit(job, updated) for job in jobs]
            try:
                wait(futures, return_when=FIRST_EXCEPTION)
                return _results(futures)
            except BaseException:
                stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    finally:
        torch.set_num_threads(threads)


def _results(futures: Sequence[Future[Result]]) -> list[Result]:
    """Return the results of all; raise what one that is done raised."""
    for future in futures:
        if future.done() and (error := future.exception()) is not None:
            raise error
    return [future.result() for future in futures]

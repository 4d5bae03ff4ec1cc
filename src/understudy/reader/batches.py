"""Answers on their way to the disk: those that come while others are being written go together with the next writing.

A disk takes milliseconds to say that something is safe, however much it is: so one writing for all who wait, in a
thread of its own, and every reader is told after it. **Checked** in tests/reader/test_batches.py.
"""

import asyncio

from understudy.reader.store import Answer, Store

Waiting = tuple[Answer, str, "asyncio.Future[None]"]


class Batches:
    """Writes the answers of several readers to one store."""

    def __init__(self, store: Store) -> None:
        """Keep the store."""
        self._store, self._waiting = store, list[Waiting]()
        self._writing: asyncio.Task[None] | None = None

    async def add(self, answer: Answer, nonce: str) -> None:
        """Return when the answer is on the disk; raise what the writing raised."""
        told: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((answer, nonce, told))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())
        await told

    async def _write(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            rows = [(answer, nonce) for answer, nonce, _ in batch]
            (done,) = await asyncio.gather(asyncio.to_thread(self._store.add_all, rows), return_exceptions=True)
            for _, _, told in batch:
                if told.done():  # the reader went away
                    continue
                if isinstance(done, BaseException):
                    told.set_exception(done)
                else:
                    told.set_result(None)

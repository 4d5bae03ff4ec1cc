"""Many answers at once need few writings, each is told after its own, and a failure reaches all who wait for it."""

import asyncio
from typing import Any

import pytest

from understudy.reader.batches import Batches
from understudy.reader.store import Answer


class Disk:
    """A store that notes what it is given at once."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.batches: list[list[Any]] = []
        self.fault = fault

    def add_all(self, answers: list[Any]) -> int:
        if self.fault:
            raise self.fault
        self.batches.append(answers)
        return len(answers)


async def many(disk: Any, n: int) -> list[Any]:
    batches = Batches(disk)
    return await asyncio.gather(
        *(batches.add(Answer(i, 0, {}, 1, 1), f"{i}") for i in range(n)), return_exceptions=True
    )


def test_what_waits_goes_together() -> None:
    disk = Disk()
    assert asyncio.run(many(disk, 20)) == [None] * 20
    assert sorted(one.reader for batch in disk.batches for one, _ in batch) == list(range(20))
    assert len(disk.batches) <= 2


def test_a_failure_is_told_to_all_who_wait() -> None:
    told = asyncio.run(many(Disk(OSError("disk is full")), 3))
    assert [str(one) for one in told] == ["disk is full"] * 3


def test_who_goes_away_does_not_stop_the_others() -> None:
    async def left() -> None:
        batches = Batches(Disk())  # type: ignore[arg-type]
        gone = asyncio.create_task(batches.add(Answer(1, 0, {}, 1, 1), "a"))
        await asyncio.sleep(0)
        gone.cancel()
        await batches.add(Answer(2, 0, {}, 1, 1), "b")
        with pytest.raises(asyncio.CancelledError):
            await gone

    asyncio.run(left())

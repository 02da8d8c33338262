"""The client-side limit."""

from __future__ import annotations

import asyncio
import random

import pytest

from kro.runtime.client.limiter import TokenBucket
from support.clock import FakeClock, settle


class Line:
    """Takers of one bucket, and who was served in which order."""

    def __init__(self, bucket: TokenBucket) -> None:
        self.served: list[int] = []
        self.tasks: list[asyncio.Task[None]] = []
        self._bucket = bucket

    async def join(self, number: int, rank: int = 0) -> None:
        async def take() -> None:
            await self._bucket.take(rank)
            self.served.append(number)

        self.tasks.append(asyncio.create_task(take()))
        await settle()

    async def leave(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


async def test_a_burst_passes_and_the_rest_keeps_the_rate() -> None:
    """Saved tokens go at once; then one request every 1/rate seconds, in order of arrival."""
    clock = FakeClock()
    line = Line(TokenBucket(10, 3, clock=clock))
    for number in range(6):
        await line.join(number)
    assert line.served == [0, 1, 2]
    for expected in (4, 5, 6):
        await clock.advance(0.1)
        assert len(line.served) == expected

    assert line.served == list(range(6))
    assert clock.pending == 0


async def test_the_more_urgent_go_first_and_nobody_waits_for_ever() -> None:
    """P-109: in line by rank, in order of arrival within one, with a second's head start a rank."""
    clock = FakeClock()
    line = Line(TokenBucket(2, 1, clock=clock))
    await line.join(0)
    for number, rank in ((1, 3), (2, 3), (3, 0), (4, 1), (5, 0)):
        await line.join(number, rank)
    for number in range(6, 20):
        await line.join(number)
        await clock.advance(0.5)

    at = line.served.index
    assert line.served[:4] == [0, 3, 5, 6]
    assert at(4) < at(1) < at(2)
    assert 1 in line.served[:12]
    await line.leave()


async def test_those_who_give_up_cost_nothing() -> None:
    """Cancelled in line or as the token came: it goes to the next, and none is lost."""
    chance = random.Random(5)
    for _ in range(50):
        clock = FakeClock()
        line = Line(TokenBucket(10, 1, clock=clock))
        for number in range(12):
            await line.join(number, chance.randrange(3))
        doomed = chance.sample(line.tasks, 8)
        clock.turn(0.1 * chance.randrange(3))  # tickets are set, nobody has run yet
        for task in doomed:
            task.cancel()
        await clock.advance(1.2)

        kept = [task for task in line.tasks if task not in doomed]
        assert all(task.done() and not task.cancelled() for task in kept)
        assert clock.pending == 0


async def test_saved_tokens_are_bounded_by_the_burst() -> None:
    """A long silence earns a burst, not more."""
    clock = FakeClock()
    bucket = TokenBucket(10, 2, clock=clock)
    await bucket.take()
    await clock.advance(1000.0)

    assert [await bucket.take() for _ in range(2)] == [0.0, 0.0]
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await bucket.take()

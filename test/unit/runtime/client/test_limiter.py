"""The client-side limit."""

from __future__ import annotations

import asyncio

import pytest

from kro.runtime.client.limiter import TokenBucket


class Time:
    """A clock whose sleepers wait for `pass_`."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def now(self) -> float:
        return self.now_s

    async def sleep(self, delay_s: float) -> None:
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append((self.now_s + delay_s, woken))
        await woken

    async def pass_(self, seconds: float) -> None:
        self.now_s += seconds
        for due, woken in sorted(self._sleepers, key=lambda each: each[0]):
            if due <= self.now_s + 1e-9 and not woken.done():
                woken.set_result(None)
        for _ in range(5):
            await asyncio.sleep(0)


async def test_a_burst_passes_and_the_rest_keeps_the_rate() -> None:
    """Saved tokens go at once; then one request every 1/rate seconds, in order of arrival."""
    time = Time()
    bucket = TokenBucket(10, 3, now=time.now, sleep=time.sleep)
    served: list[int] = []

    async def request(number: int) -> None:
        await bucket.take()
        served.append(number)

    async with asyncio.TaskGroup() as group:
        for number in range(6):
            group.create_task(request(number))
        await asyncio.sleep(0)
        assert served == [0, 1, 2]
        for expected in (4, 5, 6):
            await time.pass_(0.1)
            assert len(served) == expected

    assert served == list(range(6))


async def test_a_cancelled_waiter_gives_its_token_back() -> None:
    """Giving up in the line costs those behind nothing in the long run."""
    time = Time()
    bucket = TokenBucket(1, 1, now=time.now, sleep=time.sleep)
    await bucket.take()
    waiting = [asyncio.create_task(bucket.take()) for _ in range(50)]
    await asyncio.sleep(0)
    for each in waiting:
        each.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)

    await time.pass_(1.0)

    assert await bucket.take() == 0.0


async def test_saved_tokens_are_bounded_by_the_burst() -> None:
    """A long silence earns a burst, not more."""
    time = Time()
    bucket = TokenBucket(10, 2, now=time.now, sleep=time.sleep)
    time.now_s = 1000.0

    assert [await bucket.take() for _ in range(2)] == [0.0, 0.0]
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await bucket.take()

"""Time as the runtime sees it: one protocol, so that tests can turn the clock by hand.

Instants are monotonic seconds; the wall clock serves only for what is written into objects.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Protocol


class Timer(Protocol):
    """A callback that waits for its instant."""

    def cancel(self) -> None:
        """Make sure that the callback is not called; harmless after it was."""
        ...


class Clock(Protocol):
    """Where instants and timers come from."""

    def now(self) -> float:
        """Return monotonic seconds."""
        ...

    def wall(self) -> datetime:
        """Return the time of day in UTC."""
        ...

    def call_at(self, when: float, callback: Callable[[], object]) -> Timer:
        """Call `callback` on the loop once `now()` has reached `when`."""
        ...


class LoopClock:
    """The clock of the running event loop."""

    def now(self) -> float:
        """Return the loop's time."""
        return asyncio.get_running_loop().time()

    def wall(self) -> datetime:
        """Return the time of day in UTC."""
        return datetime.now(UTC)

    def call_at(self, when: float, callback: Callable[[], object]) -> Timer:
        """Call `callback` on the running loop at `when`."""
        return asyncio.get_running_loop().call_at(when, callback)


async def sleep(clock: Clock, delay_s: float) -> None:
    """Return after `delay_s` seconds of this clock."""
    if delay_s <= 0:
        await asyncio.sleep(0)
        return
    woken = asyncio.get_running_loop().create_future()
    timer = clock.call_at(
        clock.now() + delay_s, lambda: None if woken.done() else woken.set_result(None)
    )
    try:
        await woken
    finally:
        timer.cancel()


@asynccontextmanager
async def timeout(clock: Clock, delay_s: float) -> AsyncIterator[asyncio.Timeout]:
    """Cancel the block after `delay_s` seconds of this clock; it then raises TimeoutError.

    What it yields tells by `expired()` whether that happened.
    """
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(None) as deadline:

        def expire() -> None:
            if not deadline.expired():
                deadline.reschedule(loop.time())

        timer = clock.call_at(clock.now() + delay_s, expire)
        try:
            yield deadline
        finally:
            timer.cancel()


def rfc3339(instant: datetime) -> str:
    """Return the instant as objects carry it: UTC, whole seconds, with a `Z`."""
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")


def rfc3339_micro(instant: datetime) -> str:
    """Return the instant as Leases and Events carry it: UTC, microseconds, with a `Z`."""
    return instant.strftime("%Y-%m-%dT%H:%M:%S.%fZ")

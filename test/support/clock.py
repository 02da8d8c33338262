"""A clock that a test turns by hand."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta


class _Timer:
    __slots__ = ("callback", "cancelled")

    def __init__(self, callback: Callable[[], object]) -> None:
        self.callback = callback
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class FakeClock:
    """Stands still until `advance`, which fires timers in order and lets the loop settle."""

    def __init__(self, start_s: float = 1000.0) -> None:
        self._now = start_s
        self._start = start_s
        self._timers: list[tuple[float, int, _Timer]] = []
        self._order = itertools.count()

    def now(self) -> float:
        return self._now

    def wall(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self._now - self._start)

    def call_at(self, when: float, callback: Callable[[], object]) -> _Timer:
        timer = _Timer(callback)
        heapq.heappush(self._timers, (when, next(self._order), timer))
        return timer

    @property
    def pending(self) -> int:
        """How many timers wait."""
        return sum(1 for _, _, timer in self._timers if not timer.cancelled)

    def turn(self, seconds: float) -> None:
        """Fire what falls due within `seconds`, in order, without letting tasks run between."""
        end = self._now + seconds
        while self._timers and self._timers[0][0] <= end:
            when, _, timer = heapq.heappop(self._timers)
            if not timer.cancelled:
                self._now = max(self._now, when)
                timer.callback()
        self._now = end

    async def advance(self, seconds: float) -> None:
        """Let `seconds` pass; tasks get as far as they can before, between and after timers."""
        end = self._now + seconds
        await settle()
        while True:
            while self._timers and self._timers[0][2].cancelled:
                heapq.heappop(self._timers)
            if not self._timers or self._timers[0][0] > end:
                break
            when, _, timer = heapq.heappop(self._timers)
            self._now = max(self._now, when)
            timer.callback()
            await settle()
        self._now = max(self._now, end)
        await settle()


async def settle(rounds: int = 12) -> None:
    """Let every ready task run until the loop has nothing left to do at once."""
    for _ in range(rounds):
        await asyncio.sleep(0)

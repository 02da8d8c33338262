"""Client-side limits: requests per second, and how fast watches open."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from typing import Final

from kro.runtime.clock import Clock, LoopClock, Timer

HEAD_START_S: Final = 1.0
"""How much sooner a request counts as having come for each rank that it is more urgent."""


class TokenBucket:
    """`rate` tokens a second, at most `burst` saved; one line, in which rank is a head start.

    Takers of the same rank are served in the order in which they came. One of a lower rank waits
    for those of a higher rank that come up to a second a rank after it, and not for ever. One that
    gives up costs the others nothing.

    Concurrency: one event loop; `take` may be cancelled.
    """

    def __init__(self, rate: float, burst: int, *, clock: Clock | None = None) -> None:
        self._rate = rate
        self._burst = float(max(1, burst))
        self._clock: Clock = clock or LoopClock()
        self._tokens = self._burst
        self._counted = float("-inf")
        self._line: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = itertools.count()
        self._timer: Timer | None = None

    async def take(self, rank: int = 0) -> float:
        """Return, once a token is ours, how long that took."""
        self._count()
        if self._tokens >= 1 and not self._line:
            self._tokens -= 1
            return 0.0
        came = self._clock.now()
        ticket: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._line, (came + rank * HEAD_START_S, next(self._order), ticket))
        self._arm()
        try:
            await ticket
        except asyncio.CancelledError:
            if ticket.done() and not ticket.cancelled():
                self._tokens += 1
                self._serve()
            raise
        return self._clock.now() - came

    def _count(self) -> None:
        """Add the tokens that time has brought."""
        now = self._clock.now()
        # A token that is due in less than a microsecond is there: timers are no better than that.
        self._tokens = min(self._burst, self._tokens + (now - self._counted) * self._rate + 1e-6)
        self._counted = now

    def _serve(self) -> None:
        self._count()
        while self._line and (self._line[0][2].done() or self._tokens >= 1):
            *_, ticket = heapq.heappop(self._line)
            if not ticket.done():
                self._tokens -= 1
                ticket.set_result(None)
        self._arm()

    def _arm(self) -> None:
        """Keep one timer while somebody waits."""
        if self._timer is None and self._line:
            wait_s = max(1 - self._tokens, 0.0) / self._rate
            self._timer = self._clock.call_at(self._clock.now() + wait_s, self._due)

    def _due(self) -> None:
        self._timer = None
        self._serve()

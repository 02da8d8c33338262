"""Client-side limits: requests per second, and how fast watches open."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

Now = Callable[[], float]
Sleep = Callable[[float], Awaitable[None]]


class TokenBucket:
    """`rate` tokens a second, at most `burst` saved; first come, first served.

    A taker reserves its token at once and sleeps until the token exists, so that the order of
    arrival is the order of service. One that is cancelled in its sleep gives its token back.
    """

    def __init__(
        self,
        rate: float,
        burst: int,
        *,
        now: Now = time.monotonic,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._rate = rate
        self._burst = float(max(1, burst))
        self._now = now
        self._sleep = sleep
        self._tokens = self._burst
        self._counted = now()

    async def take(self) -> float:
        """Return, once a token is ours, how long that took."""
        now = self._now()
        self._tokens = min(self._burst, self._tokens + (now - self._counted) * self._rate)
        self._counted = now
        self._tokens -= 1
        if self._tokens >= 0:
            return 0.0
        wait_s = -self._tokens / self._rate
        used = False
        try:
            await self._sleep(wait_s)
            used = True
        finally:
            if not used:
                self._tokens = min(self._burst, self._tokens + 1)
        return wait_s

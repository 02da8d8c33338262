"""Informers on a fake API server, for tests of what stands on them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from kro.refs import GVR
from kro.runtime import Informers
from support.apiserver import FakeApiServer
from support.clock import FakeClock, settle


class World:
    """A fake server, a clock, and informers between them."""

    def __init__(self, *, linger_s: float = 30.0) -> None:
        self.clock = FakeClock()
        self.server = FakeApiServer()
        self.informers = Informers(
            client=self.server,
            clock=self.clock,
            served=self._served,
            linger_s=linger_s,
            seed=random.Random(7),
        )

    async def _served(self, gvr: GVR) -> bool:
        return gvr not in self.server.unserved

    @asynccontextmanager
    async def running(self, *others: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
        """Run the informers, and whatever else, for the length of the block."""

        async def run(each: Callable[[], Awaitable[None]]) -> None:
            await each()

        tasks = [asyncio.create_task(run(each)) for each in (self.informers.run, *others)]
        try:
            await settle()
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            for task in tasks:
                if not task.cancelled() and (error := task.exception()) is not None:
                    raise error

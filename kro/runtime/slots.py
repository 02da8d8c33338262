"""How many passes run at once, over all controllers of the process.

Each controller asks for one slot at a time, and slots are given in the order of asking. So
controllers with work take turns, whatever the length of their queues: with 10 000 keys of one kind
and one of another, the other starts within one round.

Source: spec "Controller runtime" P-090, P-092, P-094.
"""

from __future__ import annotations

import asyncio
from collections import deque
from types import TracebackType
from typing import Final

from kro.runtime.clock import Clock, Timer

GROW_EVERY_S: Final = 5.0
SHRINK_EVERY_S: Final = 1.0


class Slot:
    """One of the limited places; ends with its `with` block, or by `release`."""

    __slots__ = ("_slots",)

    def __init__(self, slots: Slots) -> None:
        self._slots: Slots | None = slots

    def __enter__(self) -> None:
        """Hold it."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give it back."""
        self.release()

    def release(self) -> None:
        """Give it back; a second time does nothing."""
        slots, self._slots = self._slots, None
        if slots is not None:
            slots._released()


class Slots:
    """A hard limit of concurrent passes that shrinks while the API server throttles us.

    Concurrency: one event loop.
    """

    def __init__(self, limit: int, *, clock: Clock) -> None:
        if limit < 1:
            raise ValueError(f"a limit of {limit} passes lets nothing run; give at least 1")
        self._configured = limit
        self._limit = limit
        self._clock = clock
        self._held = 0
        self._line: deque[asyncio.Future[Slot]] = deque()
        self._growth: Timer | None = None
        self._shrink_from = float("-inf")

    @property
    def held(self) -> int:
        """How many slots are in use."""
        return self._held

    @property
    def limit(self) -> int:
        """How many may be in use now."""
        return self._limit

    async def acquire(self) -> Slot:
        """Return a slot, in the order of asking; cancelling the wait loses none."""
        if not self._line and self._held < self._limit:
            self._held += 1
            return Slot(self)
        ticket: asyncio.Future[Slot] = asyncio.get_running_loop().create_future()
        self._line.append(ticket)
        try:
            return await ticket
        except asyncio.CancelledError:
            if ticket.done() and not ticket.cancelled():
                ticket.result().release()
            elif ticket in self._line:
                self._line.remove(ticket)
            raise

    def throttled(self) -> None:
        """Halve the limit, never below 1: the API server asked for less. It grows back by itself.

        Several answers of one burst count once.
        """
        now = self._clock.now()
        if now < self._shrink_from:
            return
        self._shrink_from = now + SHRINK_EVERY_S
        self._limit = max(1, self._limit // 2)
        if self._growth is not None:
            self._growth.cancel()
        self._plan_growth()

    def _plan_growth(self) -> None:
        self._growth = self._clock.call_at(self._clock.now() + GROW_EVERY_S, self._grow)

    def _grow(self) -> None:
        self._growth = None
        if self._limit < self._configured:
            self._limit += 1
            self._serve()
        if self._limit < self._configured:
            self._plan_growth()

    def _released(self) -> None:
        self._held -= 1
        self._serve()

    def _serve(self) -> None:
        while self._line and self._held < self._limit:
            ticket = self._line.popleft()
            if not ticket.done():
                self._held += 1
                ticket.set_result(Slot(self))

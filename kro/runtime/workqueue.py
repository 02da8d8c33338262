"""A line of keys: what is to be looked at next, and what is being looked at now.

A key says *which* object, never what happened to it. However many changes land while it waits,
it gets one pass; however many land during its pass, it gets exactly one more.

Why lines by priority and not a heap: a key's class changes rarely, a line costs O(1), and an aging
rule ("every so often the lowest line goes first") is one comparison on a counter. A key that is
promoted leaves a stale place in its old line, which is skipped when it comes up.

Source: spec "Controller runtime" P-081…P-085, P-091, P-095, P-096.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections import deque
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from enum import IntEnum
from types import TracebackType
from typing import Final, Generic, TypeVar

from kro.runtime.clock import Clock, Timer
from kro.runtime.metric_hooks import NullQueueMetrics, QueueMetrics

K = TypeVar("K", bound=Hashable)


class Priority(IntEnum):
    """Who goes first within one queue; smaller is sooner."""

    CHANGE = 0
    """The object itself changed: its spec, or its deletion began."""
    EVENT = 1
    """Something that the object depends on changed."""
    RETRY = 2
    """A pass failed, or asked to be called again."""
    SWEEP = 3
    """Nothing happened: registration, start-up, periodic visit."""


AGING_PERIOD: Final = 16
"""Of so many takes one goes to the lowest line and one to the line above it: 6 % each."""


class QueueClosed(Exception):
    """The queue hands out no more keys."""


class _Place:
    """A key's place in a line; a key that moved to another line leaves a dead one behind."""

    __slots__ = ("alive", "key", "priority", "since")

    def __init__(self, key: Hashable, priority: Priority, since: float) -> None:
        self.key = key
        self.priority = priority
        self.since = since
        self.alive = True


class _Due:
    """A delayed add."""

    __slots__ = ("mandatory", "priority", "when")

    def __init__(self, when: float, priority: Priority, *, mandatory: bool) -> None:
        self.when = when
        self.priority = priority
        self.mandatory = mandatory


class Lease(Generic[K]):
    """The right to work on one key; ends with the `with` block, however that ends."""

    __slots__ = ("_queue", "key", "priority", "since")

    def __init__(self, queue: WorkQueue[K], key: K, priority: Priority, since: float) -> None:
        self._queue: WorkQueue[K] | None = queue
        self.key = key
        self.priority = priority
        self.since = since

    def __enter__(self) -> K:
        """Return the key."""
        return self.key

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give the key back."""
        self.end()

    def end(self) -> None:
        """Give the key back; a second time does nothing."""
        queue, self._queue = self._queue, None
        if queue is not None:
            queue._ended(self)


class WorkQueue(Generic[K]):
    """A fair queue of keys: one lease per key at a time, and no `add` is ever lost.

    A key is *waiting* while it stands in line, *leased* while somebody works on it, *dirty* when it
    was added during its lease (it rejoins the line when the lease ends, cancelled or not), and
    *delayed* while its earliest due time has not come.

    Concurrency: one event loop, no lock. State changes only between awaits.
    """

    def __init__(self, *, clock: Clock, metrics: QueueMetrics | None = None) -> None:
        self._clock = clock
        self._metrics: QueueMetrics = metrics or NullQueueMetrics()
        self._lines: tuple[deque[_Place], ...] = tuple(deque() for _ in Priority)
        self._waiting: dict[K, _Place] = {}
        self._leased: dict[K, Lease[K]] = {}
        self._dirty: dict[K, Priority] = {}
        self._delayed: dict[K, _Due] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._order = itertools.count()
        self._timer: tuple[float, Timer] | None = None
        self._takes = 0
        self._closed = False
        self._changed = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    # what it holds

    @property
    def depth(self) -> int:
        """How many keys stand in line."""
        return len(self._waiting)

    @property
    def leased(self) -> int:
        """How many keys are being worked on."""
        return len(self._leased)

    @property
    def delayed(self) -> int:
        """How many keys wait for their time."""
        return len(self._delayed)

    @property
    def closed(self) -> bool:
        """Whether no more keys are handed out."""
        return self._closed

    def wants(self, key: K) -> bool:
        """Tell whether the key stands in line, or will when its lease ends."""
        return key in self._waiting or key in self._dirty

    def oldest_s(self) -> float:
        """Return how long the key that waits longest has been in line."""
        heads = [line[0].since for line in self._lines if self._skip_dead(line)]
        return self._clock.now() - min(heads) if heads else 0.0

    def unfinished_s(self) -> float:
        """Return the sum of the ages of all leases."""
        now = self._clock.now()
        return sum(now - lease.since for lease in self._leased.values())

    def longest_running_s(self) -> float:
        """Return the age of the oldest lease."""
        return self._clock.now() - min(
            (lease.since for lease in self._leased.values()), default=self._clock.now()
        )

    # adds

    def add(self, key: K, priority: Priority = Priority.EVENT) -> None:
        """Make sure that a pass of `key` begins after this call.

        A delayed add of the key that is not mandatory is thereby done with: the pass that comes
        decides anew whether it wants another one.
        """
        if self._closed:
            return
        due = self._delayed.get(key)
        if due is not None and not due.mandatory:
            del self._delayed[key]
        self._add(key, priority)

    def add_after(
        self,
        key: K,
        delay_s: float,
        priority: Priority = Priority.RETRY,
        *,
        mandatory: bool = False,
    ) -> None:
        """Add `key` once `delay_s` seconds have passed; of several the earliest counts.

        Nothing is planned when a pass is due anyway, unless `mandatory`.
        """
        if self._closed or (self.wants(key) and not mandatory):
            return
        self._metrics.retried()
        if delay_s <= 0:
            self._add(key, priority)
            return
        when = self._clock.now() + delay_s
        due = self._delayed.get(key)
        if due is not None:
            due.mandatory = due.mandatory or mandatory
            due.priority = min(due.priority, priority)
            if due.when <= when:
                return
            due.when = when
        else:
            self._delayed[key] = _Due(when, priority, mandatory=mandatory)
        heapq.heappush(self._heap, (when, next(self._order), key))
        if len(self._heap) > 2 * len(self._delayed) + 64:
            self._rebuild_heap()
        self._arm()

    def forget(self, key: K) -> None:
        """Drop every wish for a pass of `key`; a lease that runs is not touched."""
        self._delayed.pop(key, None)
        self._dirty.pop(key, None)
        place = self._waiting.pop(key, None)
        if place is not None:
            place.alive = False
            self._metrics.depth(0 if self._closed else len(self._waiting))

    # leases

    def take(self) -> Lease[K] | None:
        """Lease the next key, or return None when nothing is in line or the queue is closed."""
        if self._closed or not self._waiting:
            return None
        self._takes += 1
        place = self._next_place()
        key: K = place.key  # type: ignore[assignment]  # places are made of keys
        place.alive = False
        del self._waiting[key]
        now = self._clock.now()
        lease = Lease(self, key, place.priority, now)
        self._leased[key] = lease
        self._idle.clear()
        self._metrics.depth(len(self._waiting))
        self._metrics.taken(now - place.since)
        return lease

    async def wait(self) -> None:
        """Return when a key stands in line.

        Raises:
            QueueClosed: no key will be handed out any more.
        """
        while True:
            if self._closed:
                raise QueueClosed
            if self._waiting:
                return
            self._changed.clear()
            await self._changed.wait()

    @asynccontextmanager
    async def lease(self) -> AsyncIterator[K]:
        """Hold the next key for the length of the block.

        Raises:
            QueueClosed: no key will be handed out any more.
        """
        while (lease := self.take()) is None:
            await self.wait()
        with lease as key:
            yield key

    async def idle(self) -> None:
        """Return when nobody works on any key."""
        await self._idle.wait()

    def close(self) -> None:
        """Hand out no more keys and take none: who waits for one gets QueueClosed; leases go on."""
        self._closed = True
        self._metrics.depth(0)  # what still stands in line is nobody's any more
        self._delayed.clear()
        self._heap.clear()
        if self._timer is not None:
            self._timer[1].cancel()
            self._timer = None
        self._changed.set()

    # how it works

    def _add(self, key: K, priority: Priority) -> None:
        if key in self._leased:
            known = self._dirty.get(key)
            if known is None:
                self._metrics.added()
            self._dirty[key] = priority if known is None else min(known, priority)
            return
        place = self._waiting.get(key)
        if place is None:
            self._metrics.added()
            self._join(key, priority, self._clock.now())
        elif priority < place.priority:
            place.alive = False
            self._join(key, priority, place.since)

    def _join(self, key: K, priority: Priority, since: float) -> None:
        place = _Place(key, priority, since)
        self._waiting[key] = place
        self._lines[priority].append(place)
        self._metrics.depth(len(self._waiting))
        self._changed.set()

    def _next_place(self) -> _Place:
        """Take the first living place out of the line whose turn it is."""
        filled = [line for line in self._lines if self._skip_dead(line)]
        turn = self._takes % AGING_PERIOD
        if turn == 0:
            line = filled[-1]
        elif turn == AGING_PERIOD // 2:
            line = filled[max(len(filled) - 2, 0)]
        else:
            line = filled[0]
        return line.popleft()

    @staticmethod
    def _skip_dead(line: deque[_Place]) -> bool:
        while line and not line[0].alive:
            line.popleft()
        return bool(line)

    def _ended(self, lease: Lease[K]) -> None:
        key = lease.key
        del self._leased[key]
        now = self._clock.now()
        self._metrics.done(now - lease.since)
        priority = self._dirty.pop(key, None)
        if priority is not None and not self._closed:
            self._join(key, priority, now)
        if not self._leased:
            self._idle.set()

    def _fire(self) -> None:
        self._timer = None
        now = self._clock.now()
        while self._heap and self._heap[0][0] <= now:
            when, _, key = heapq.heappop(self._heap)
            due = self._delayed.get(key)
            if due is not None and due.when == when:
                del self._delayed[key]
                self._add(key, due.priority)
        self._arm()

    def _arm(self) -> None:
        """Keep exactly one timer, for the earliest delayed key."""
        if not self._delayed:
            self._heap.clear()
        if not self._heap:
            return
        when = self._heap[0][0]
        if self._timer is not None:
            if self._timer[0] <= when:
                return
            self._timer[1].cancel()
        self._timer = (when, self._clock.call_at(when, self._fire))

    def _rebuild_heap(self) -> None:
        self._heap = [(due.when, next(self._order), key) for key, due in self._delayed.items()]
        heapq.heapify(self._heap)

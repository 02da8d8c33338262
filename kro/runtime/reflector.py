"""Keeps a store equal to what the API server holds: load, then watch, and again where need be.

This is the engine that makes the signals; `reflector_states.step` says what follows from them.

- **Load.** A streamed list (KEP-3157) first: the present state as events, up to a bookmark that
  says so, after which the same stream goes on as the watch. Where the server refuses that, or the
  bookmark does not come, paged lists take over for an hour.
- **Watch.** From the cursor of the load. A closed, cut or silent stream costs a resume from the
  last event and nothing else; only a lost history costs a new load.
- **What a failure costs the others.** Nothing: waits, counters and connections are this reflector's
  own. Only the number of loads at the same time is shared, and a load that takes long gives its
  place back.

Source: spec "Controller runtime" P-001…P-030.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Final, Protocol

from kro.errors import ClusterError
from kro.logs import get_logger
from kro.refs import GVR, NamespacedName
from kro.runtime.backoff import StreamBackoff
from kro.runtime.client.errors import (
    BadRequestError,
    ConnectionLostError,
    ForbiddenError,
    GoneError,
    InvalidError,
    MethodNotAllowedError,
    NotAcceptableError,
    NotFoundError,
    ProtocolError,
    ResourceVersionTooLargeError,
    ServerError,
    SilentStreamError,
    TooManyRequestsError,
    UnauthorizedError,
)
from kro.runtime.client.requests import Page
from kro.runtime.client.watch import Bookmark, Change, ChangeType
from kro.runtime.clock import Clock
from kro.runtime.reflector_states import (
    Absent,
    Advanced,
    Ahead,
    Denied,
    Doubtful,
    Dropped,
    Expired,
    Forbidden,
    Listed,
    NotServed,
    Opened,
    Signal,
    State,
    Synced,
    Unsynced,
    step,
)
from kro.runtime.scope import Scope
from kro.runtime.slots import Slots
from kro.runtime.source import Source, Stream
from kro.runtime.stored import Stored, decoder
from kro.runtime.versions import at_least

PAGE_SIZE: Final = 500
SLOW_START_S: Final = 10.0
"""How long a streamed load may say nothing before paged lists take over."""
PAGED_FOR_S: Final = 3600.0
SILENCE_S: Final = 75.0
"""Bookmarks are due every minute."""
SHORT_S: Final = 1.0
LOAD_SLOT_S: Final = 5.0
"""A load that takes longer no longer counts against the shared limit."""
POLL_S: Final = 30.0
"""How often a resource is loaded that cannot be watched."""
STEADY_S: Final = 10.0
HEALTHY_S: Final = 60.0
YIELD_EVERY: Final = 200


_REFUSALS: Final = (
    BadRequestError,
    InvalidError,
    ForbiddenError,
    MethodNotAllowedError,
    NotAcceptableError,
    SilentStreamError,
)
"""How a server says that it knows no streamed lists."""


class _ShortStreamError(ClusterError):
    reason = "ShortStream"


class _HalfLoadError(ClusterError):
    reason = "HalfLoad"


class Sink(Protocol):
    """What a reflector fills. Every method is synchronous: store and handlers move together."""

    def replace(self, items: list[Stored], cursor: str) -> None:
        """Hold exactly these."""
        ...

    def change(self, kind: ChangeType, stored: Stored) -> None:
        """Take one event."""
        ...

    def advance(self, cursor: str) -> None:
        """Take a bookmark."""
        ...

    def clear(self) -> None:
        """Hold nothing: the resource is not served."""
        ...

    def entered(self, state: State, *, connected: bool, problem: str) -> None:
        """Hear of the reflector's state; `connected` while a stream is open."""
        ...

    def relisting(self, reason: str) -> None:
        """Hear that a load begins, and why."""
        ...

    def alive(self) -> None:
        """Hear of a sign of life."""
        ...


class Reflector:
    """One resource in one scope: what the API server holds of it goes into `sink`, for ever.

    Outlives every ClusterError; `run` ends by cancellation only, and then no request of its own is
    left. An event counts as seen once the sink has it: cancelling replays one at most.
    """

    def __init__(
        self,
        gvr: GVR,
        scope: Scope,
        *,
        source: Source,
        sink: Sink,
        clock: Clock,
        loads: Slots,
        served: Callable[[GVR], Awaitable[bool]] | None = None,
        seed: random.Random | None = None,
    ) -> None:
        self._gvr, self._scope = gvr, scope
        self._source, self._sink, self._clock, self._loads = source, sink, clock, loads
        self._served = served
        self._random = seed or random.Random()
        self._decode = decoder(scope.transform)
        self._state: State = Unsynced()
        self._backoff = StreamBackoff(clock, seed=self._random)
        self._away = StreamBackoff(
            clock, base_s=0.1, cap_s=30.0, reset_s=float("inf"), seed=self._random
        )
        """Waits while the resource is absent or forbidden: short first, a minute at the end."""
        self._nudged = asyncio.Event()
        self._paged_until = float("-inf")
        self._half_loads = 0
        self._expiries = 0
        self._server_errors = 0
        self._silent_streams = 0
        self._has_bookmarks = False
        self._reason = "start"
        self._connected = False
        self._problem = ""
        self._log = get_logger("dynamic-controller.watch-manager", gvr=str(gvr), scope=str(scope))

    @property
    def state(self) -> State:
        """Where the machine stands."""
        return self._state

    def nudge(self) -> None:
        """Try at once if the resource was absent or forbidden: something about it has changed."""
        if isinstance(self._state, Absent | Forbidden):
            self._away.reset()
            self._nudged.set()

    async def run(self) -> None:
        """Load and watch until cancelled."""
        while True:
            try:
                await self._attempt()
                delay_s = 0.0
            except ClusterError as error:
                delay_s = await self._failed(error)
            finally:
                self._disconnect()
            if delay_s > 0:
                await self._pause(delay_s)
            else:
                await asyncio.sleep(0)

    # attempts

    async def _attempt(self) -> None:
        position = self._state.before if isinstance(self._state, Forbidden) else self._state
        match position:
            case Synced(cursor):
                await self._watch(cursor)
            case Unsynced(floor):
                await self._load(floor)
            case Absent():
                await self._load("")

    async def _load(self, floor: str) -> None:
        self._sink.relisting(self._reason)
        slot = await self._loads.acquire()
        timer = self._clock.call_at(self._clock.now() + LOAD_SLOT_S, slot.release)
        try:
            if self._clock.now() < self._paged_until:
                await self._list(floor)
            else:
                await self._load_by_stream(floor, slot.release)
        finally:
            timer.cancel()
            slot.release()

    async def _list(self, floor: str) -> None:
        items: list[Stored] = []
        cursor = ""
        async for page in self._pages(floor, limit=PAGE_SIZE):
            items += page.items
            cursor = page.resource_version
            self._sink.alive()
        self._loaded(items, cursor)

    def _pages(self, floor: str, *, limit: int) -> AsyncIterator[Page[Stored]]:
        return self._source.pages(
            self._gvr,
            limit=limit,
            namespace=self._scope.namespace,
            label_selector=self._scope.selector,
            field_selector=self._scope.field_selector,
            resource_version=floor,
            resource_version_match="NotOlderThan" if floor else "",
            retry=False,
            decode=self._decode,
        )

    async def _load_by_stream(self, floor: str, loaded: Callable[[], None]) -> None:
        """Load by a streamed list and go on watching; use paged lists where that does not work."""
        try:
            async with self._open(floor, initial=True, silence_s=SLOW_START_S) as stream:
                started = self._clock.now()
                rest = await self._initial(stream)
                self._half_loads = 0
                loaded()
                self._connect()
                stream.silence_s = self._silence()
                await self._take(rest)
                await self._follow(stream, started)
        except _REFUSALS:
            if isinstance(self._state, Synced):
                raise
            await self._list(floor)
            self._fall_back()
        except (ConnectionLostError, ProtocolError, _HalfLoadError):
            if not isinstance(self._state, Synced):
                self._half_loads += 1
                if self._half_loads >= 3:
                    self._fall_back()
            raise

    async def _initial(self, stream: Stream) -> list[Change[Stored] | Bookmark]:
        """Take the present state from the stream and return what came after it."""
        items: dict[NamespacedName, Stored] = {}
        async for events in stream:
            self._sink.alive()
            for at, event in enumerate(events):
                if isinstance(event, Change):
                    if event.type is ChangeType.DELETED:
                        items.pop(event.object.name, None)
                    else:
                        items[event.object.name] = event.object
                elif event.initial_events_end:
                    self._has_bookmarks = True
                    self._loaded(list(items.values()), event.resource_version)
                    return events[at + 1 :]
        raise _HalfLoadError("the stream ended before the load was complete")

    def _fall_back(self) -> None:
        self._log.info("streamed list does not work; using paged lists for an hour")
        self._half_loads = 0
        self._paged_until = self._clock.now() + PAGED_FOR_S

    async def _watch(self, cursor: str) -> None:
        async with self._open(cursor, initial=False, silence_s=self._silence()) as stream:
            started = self._clock.now()
            self._move(Opened())
            self._connect()
            await self._follow(stream, started)

    def _open(
        self, cursor: str, *, initial: bool, silence_s: float | None
    ) -> AbstractAsyncContextManager[Stream]:
        return self._source.watch(
            self._gvr,
            namespace=self._scope.namespace,
            label_selector=self._scope.selector,
            field_selector=self._scope.field_selector,
            resource_version=cursor,
            timeout_s=self._random.randint(300, 600),
            send_initial_events=initial,
            silence_s=silence_s,
            decode=self._decode,
        )

    async def _follow(self, stream: Stream, started: float) -> None:
        """Take events until the stream ends; a stream that ends at once and empty has failed.

        One that brought a change, or lived for a while, has shown that the server works: what fails
        next waits as briefly as a first failure.
        """
        took, changes = 0, stream.events
        try:
            async for events in stream:
                await self._take(events)
                took += len(events)
                if stream.bookmarks:
                    self._has_bookmarks = True
        finally:
            lived_s = self._clock.now() - started
            if lived_s >= HEALTHY_S:
                self._expiries = 0
            if lived_s >= STEADY_S or stream.events > changes:
                self._backoff.reset()
            if took:
                self._server_errors = 0
        if lived_s < SHORT_S and not took:
            raise _ShortStreamError("the watch was closed as soon as it was open")

    async def _take(self, events: list[Change[Stored] | Bookmark]) -> None:
        self._sink.alive()
        for at, event in enumerate(events, start=1):
            if isinstance(event, Change):
                self._sink.change(event.type, event.object)
                cursor = event.object.resource_version
            else:
                self._sink.advance(event.resource_version)
                cursor = event.resource_version
            if cursor:
                self._move(Advanced(cursor))
            if at % YIELD_EVERY == 0:
                await asyncio.sleep(0)

    def _loaded(self, items: list[Stored], cursor: str) -> None:
        self._sink.replace(items, cursor)
        self._server_errors = 0
        self._problem = ""
        self._away.reset()
        self._move(Listed(cursor))

    def _silence(self) -> float | None:
        """Return how long a stream may be silent: for ever, where bookmarks never come."""
        if self._silent_streams >= 2 and not self._has_bookmarks:
            return None
        return SILENCE_S * self._random.uniform(0.9, 1.1)

    # failures

    async def _failed(self, error: ClusterError) -> float:
        """Draw the conclusion from a failed attempt and return how long to wait."""
        self._tell(error)
        match error:
            case GoneError():
                self._reason = "expired"
                delay_s = 0.0 if self._expiries == 0 else min(2.0 ** (self._expiries - 1), 60.0)
                self._expiries += 1
                self._move(Expired())
                return delay_s
            case ResourceVersionTooLargeError():
                self._reason = "ahead"
                self._move(Ahead())
                return self._backoff.failed()
            case NotFoundError() if await self._is_gone():
                self._reason = "absent"
                if not isinstance(self._state, Absent):
                    self._sink.clear()
                self._move(NotServed())
                return self._away.failed(at_most_s=60.0)
            case UnauthorizedError() | ForbiddenError():
                self._move(Denied())
                return self._away.failed(at_most_s=60.0)
            case MethodNotAllowedError() if isinstance(self._state, Synced):
                self._reason = "unwatchable"
                self._move(Doubtful())
                return POLL_S
            case TooManyRequestsError():
                self._move(Dropped())
                return self._backoff.failed(at_least_s=error.retry_after_s or 1.0)
            case ServerError():
                self._server_errors += 1
                if self._server_errors % 3 == 0 and isinstance(self._state, Synced):
                    self._reason = "errors"
                    self._move(Doubtful())
                return self._backoff.failed(at_least_s=error.retry_after_s or 0.0)
            case SilentStreamError():
                self._silent_streams += 1
                if isinstance(self._state, Synced) and await self._went_back(self._state.cursor):
                    self._reason = "went back"
                    self._move(Ahead())
                return 0.0 if self._has_bookmarks else self._backoff.failed()
        self._move(Dropped())
        return self._backoff.failed()

    async def _went_back(self, cursor: str) -> bool:
        """Ask whether the server is older than our cursor: it was restored from a backup.

        A watch from the future is accepted and stays silent, so that nothing else would tell.
        """
        try:
            async for page in self._pages("", limit=1):
                return at_least(page.resource_version, cursor) is False
        except ClusterError:
            return False
        return False

    async def _is_gone(self) -> bool:
        """Ask discovery whether a 404 means that the resource does not exist."""
        if self._served is None:
            return True
        try:
            return not await self._served(self._gvr)
        except ClusterError:
            return False

    def _tell(self, error: ClusterError) -> None:
        problem = str(error) or type(error).__name__
        if problem != self._problem:
            self._problem = problem
            self._log.debug("watch interrupted", error=problem, reason=error.reason)
            self._say()

    async def _pause(self, delay_s: float) -> None:
        """Wait; a nudge ends the wait."""
        self._nudged.clear()
        timer = self._clock.call_at(self._clock.now() + delay_s, self._nudged.set)
        try:
            await self._nudged.wait()
        finally:
            timer.cancel()

    # what others hear

    def _move(self, signal: Signal) -> None:
        before = self._state
        self._state = step(before, signal)
        if type(before) is not type(self._state):
            self._say()

    def _connect(self) -> None:
        self._connected = True
        self._problem = ""
        self._away.reset()
        self._say()

    def _disconnect(self) -> None:
        if self._connected:
            self._connected = False
            self._say()

    def _say(self) -> None:
        self._sink.entered(self._state, connected=self._connected, problem=self._problem)

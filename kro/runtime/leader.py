"""Leader election on a Lease, kept alive by a thread that the main loop cannot disturb.

The thread has its own event loop, connection and TLS context. It renews while the main loop is
busy, saturated or throttled; it closes the write gate and ends the process when renewing fails; and
it stops renewing when the main loop has been silent for too long, so that a stuck process does not
keep the lead. Losing is terminal: the process that lost ends.

Validity is counted on a clock that also runs while the machine sleeps, from the instant at which
the last successful renewal was *sent*. Wall time is written into the Lease and never compared.

Source: spec "Controller runtime" P-106, P-124 to P-135; "API surface and operations" §7.4.
"""

from __future__ import annotations

import asyncio
import faulthandler
import os
import random
import socket
import threading
import uuid
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

from kro.errors import ClusterError
from kro.logs import get_logger
from kro.refs import GVR, JsonObject, NamespacedName
from kro.runtime.client import (
    Client,
    ClusterConfig,
    ConflictError,
    Limits,
    NotFoundError,
    NotLeadingError,
    Observer,
    Transport,
)
from kro.runtime.clock import rfc3339, rfc3339_micro
from kro.runtime.gate import LeaderGate, boot_time
from kro.runtime.lease import (
    Leading,
    LeaseSettings,
    Lost,
    Renewed,
    Seen,
    Signal,
    Standby,
    State,
    Ticked,
    duration_of,
    held_lease,
    holder_of,
    look_pause_s,
    may_take,
    new_lease,
    record_of,
    released_lease,
    step,
    takeable_at,
)
from kro.runtime.recorder import EVENTS, event_manifest, event_name, reference_to

LEASES = GVR("coordination.k8s.io", "v1", "leases")
BEAT_S = 1.0
STUCK_S = 30.0
"""How long the main loop may be silent before a leading process is given up."""
_RELEASE_S = 2.0
_LOOKS = 3
_LOOK_AGAIN_S = 0.1
_ANNOUNCE_S = 1.0
EXIT_S = 5.0
"""How long a process may take to end after it lost the lead."""
GOODBYE_S = 1.0


class LeadershipLostError(ClusterError):
    """This process led and does not any more; it has to end."""

    reason = "LeadershipLost"


def default_identity() -> str:
    """Return an identity that no other process has: host name and a random UUID."""
    return f"{socket.gethostname()}_{uuid.uuid4()}"


def exit_process() -> None:
    """End the process now, with the stacks of all threads on stderr, if that can be written."""
    goodbye = threading.Thread(target=faulthandler.dump_traceback, args=(2,), daemon=True)
    goodbye.start()
    goodbye.join(GOODBYE_S)  # it may be a pipe that nobody reads
    os._exit(1)


class LeaderElector:
    """Competes for a Lease, and keeps it.

    Guarantees: `gate` lets no write start that another leader could overlap; `run` ends, by
    LeadershipLostError, within a second after the lead was lost, and if the process has not ended
    5 s later, the thread ends it.
    Assumes: the process ends after `run` raised; `run` is cancelled only once all passes have
    ended, for that is when the lease is released.
    """

    def __init__(
        self,
        config: ClusterConfig,
        *,
        lease: NamespacedName,
        user_agent: str,
        identity: str = "",
        settings: LeaseSettings | None = None,
        observer: Observer | None = None,
        on_change: Callable[[bool], None] = lambda leading: None,
        stuck_s: float = STUCK_S,
        boot: Callable[[], float] = boot_time,
        end_process: Callable[[], None] = exit_process,
    ) -> None:
        self.identity = identity or default_identity()
        self.settings = settings if settings is not None else LeaseSettings()
        self.gate = LeaderGate(self.settings, boot)
        self._config = config
        self._lease = lease
        self._user_agent = user_agent
        self._observer = observer
        self._on_change = on_change
        self._stuck_s = stuck_s
        self._boot = boot
        self._end_process = end_process
        self._log = get_logger("leader", lease=str(lease), identity=self.identity)
        self._state: State = Standby()
        self._held: JsonObject | None = None
        self._holder = ""
        self._takeable: float | None = None
        self._claimed = False
        """Whether the API server may have taken a write that makes us the holder."""
        self._beat = boot()
        self._led: asyncio.Event | None = None
        self._ended: asyncio.Event | None = None
        self._main: asyncio.AbstractEventLoop | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._competing: asyncio.Timeout | None = None
        self._stopping = threading.Event()

    @property
    def is_leader(self) -> bool:
        """Whether this process leads, and renewed in time."""
        try:
            self.gate.permit()
        except NotLeadingError:
            return False
        return True

    @property
    def holder(self) -> str:
        """Who was last seen to hold the lease."""
        return self._holder

    def problem(self) -> str | None:
        """Say, for the liveness probe, that a leader cannot renew any more. From any thread."""
        state = self._state
        if isinstance(state, Lost):
            return f"leadership lost: {state.why}"
        if isinstance(state, Leading) and not self.is_leader:
            return "the lease was not renewed in time"
        return None

    async def led(self) -> None:
        """Return once this process leads; waits for ever while it does not."""
        if self._led is None:
            self._led = asyncio.Event()
        await self._led.wait()

    async def run(self) -> None:
        """Compete until cancelled, then release the lease.

        Raises:
            LeadershipLostError: the lead was lost, or the thread failed.
        """
        self._main = asyncio.get_running_loop()
        self._led = self._led or asyncio.Event()
        self._ended = asyncio.Event()
        thread = threading.Thread(target=self._thread, name="lease", daemon=True)
        self._beat = self._boot()
        thread.start()
        try:
            while not self._ended.is_set():
                self._beat = self._boot()
                try:
                    async with asyncio.timeout(BEAT_S):
                        await self._ended.wait()
                except TimeoutError:
                    continue
        finally:
            self._stopping.set()
            if self._loop is not None and not self._ended.is_set():
                self._loop.call_soon_threadsafe(self._end_competition)
            if not isinstance(self._state, Lost):
                await asyncio.to_thread(thread.join, self.settings.renew_deadline_s)
        why = self._state.why if isinstance(self._state, Lost) else "the lease thread ended"
        raise LeadershipLostError(f"the lease {self._lease} is lost: {why}")

    # Everything below runs in the thread.

    def _thread(self) -> None:
        try:
            asyncio.run(self._elect())
        finally:
            self.gate.renewed = None
            if not self._stopping.is_set():
                if not isinstance(self._state, Lost):
                    self._state = Lost("the lease thread failed")
                # The process has this long to end by itself.
                last_resort = threading.Timer(EXIT_S, self._end_process)
                last_resort.daemon = True
                last_resort.start()
            self._tell_main(self._note_end)

    async def _elect(self) -> None:
        limit_s = self.settings.renew_deadline_s / 2
        limits = Limits(connections=1, total_s=limit_s, connect_s=limit_s, pool_s=limit_s)
        transport = Transport(
            self._config, user_agent=self._user_agent, limits=limits, observer=self._observer
        )
        client = Client(transport)
        try:
            with suppress(TimeoutError):  # how `_end_competition` ends it
                async with asyncio.timeout(None) as self._competing:
                    self._loop = asyncio.get_running_loop()
                    if not self._stopping.is_set():
                        await self._compete(client)
            self._competing = None
            if self._claimed and self.settings.release and not isinstance(self._state, Lost):
                await self._release(client)
        finally:
            await client.aclose()

    def _end_competition(self) -> None:
        if self._competing is not None:
            self._competing.reschedule(0.0)

    async def _compete(self, client: Client) -> None:
        led = False
        while True:
            started = self._boot()
            # A machine that slept wakes up here: the gate is closed by this clock, and so are we.
            self._signal(Ticked(started))
            if isinstance(self._state, Leading) and started - self._beat >= self._stuck_s:
                self._log.error("main loop is stuck; giving the process up", silent_s=self._stuck_s)
                self._state = Lost("the main loop is stuck")
                self.gate.renewed = None
                self._end_process()
            if isinstance(self._state, Lost):
                return
            await self._attempt(client)
            if isinstance(self._state, Leading) and not led:
                led = True
                await self._announce(client, "became leader")
            self._signal(Ticked(self._boot()))
            await asyncio.sleep(self._pause_s(started))

    def _pause_s(self, started: float) -> float:
        """Return how long to wait for the next attempt."""
        state, period_s = self._state, self.settings.retry_period_s
        if isinstance(state, Leading):
            return max(0.0, min(period_s - (self._boot() - started), self._left_s(state)))
        if isinstance(state, Lost):
            return 0.0
        return look_pause_s(self._boot(), self._takeable, self.settings, chance=random.random())

    def _left_s(self, state: Leading) -> float:
        return self.settings.renew_deadline_s - (self._boot() - state.renewed)

    async def _attempt(self, client: Client) -> None:
        """Try once to acquire or to renew."""
        state = self._state
        limit_s = self.settings.renew_deadline_s / 2
        if isinstance(state, Leading):
            limit_s = min(limit_s, self._left_s(state))
        try:
            async with asyncio.timeout(limit_s):
                if not await self._renew_blindly(client):
                    await self._read_and_take(client)
        except (ClusterError, TimeoutError) as error:
            # The stop of the competition passes as a cancellation, never as this TimeoutError.
            self._log.warning(
                "lease attempt failed",
                leading=isinstance(self._state, Leading),
                error=str(error) or "no answer in time",
            )

    async def _renew_blindly(self, client: Client) -> bool:
        """Renew by the version that we wrote last; return whether it still was the newest."""
        if not isinstance(self._state, Leading) or self._held is None:
            return False
        try:
            await self._write(client, self._held)
        except (ConflictError, NotFoundError):
            self._held = None
            return False
        return True

    async def _read_and_take(self, client: Client) -> None:
        try:
            lease = await client.get(LEASES, self._lease)
        except NotFoundError:
            sent = self._boot()
            self._claimed = True
            created = new_lease(self._lease, self.identity, wall=_wall(), settings=self.settings)
            self._held = await client.create(LEASES, created, namespace=self._lease.namespace)
            self._signal(Renewed(sent))
            return
        holder = holder_of(lease)
        self._holder = holder
        if holder != self.identity:
            if holder:
                self._signal(Seen(record_of(lease), self._boot()))
            state = self._state
            if isinstance(state, Lost):
                return
            if isinstance(state, Standby):
                duration_s = duration_of(lease)
                self._takeable = takeable_at(state, duration_s, self.settings)
                if not may_take(state, holder, duration_s, self._boot(), self.settings):
                    return
        await self._write(client, lease)

    async def _write(self, client: Client, lease: JsonObject) -> None:
        sent = self._boot()
        self._claimed = True
        held = held_lease(lease, self.identity, wall=_wall(), settings=self.settings)
        self._held = await client.update(LEASES, self._lease, held)
        self._signal(Renewed(sent))

    async def _release(self, client: Client) -> None:
        """Give the lease back, if it still is ours.

        A write that was cut off may reach the server after our look at it: so look again.
        """
        self.gate.renewed = None
        try:
            async with asyncio.timeout(_RELEASE_S):
                for look in range(_LOOKS):
                    await asyncio.sleep(_LOOK_AGAIN_S * look)
                    with suppress(NotFoundError, ConflictError):
                        lease = await client.get(LEASES, self._lease)
                        if holder_of(lease) == self.identity:
                            released = released_lease(lease, wall=_wall())
                            self._held = await client.update(LEASES, self._lease, released)
                            break
                else:
                    return
                self._log.info("lease released")
                if isinstance(self._state, Leading):
                    await self._announce(client, "stopped leading")
        except (ClusterError, TimeoutError) as error:
            # The next leader then waits for the lease to run out.
            self._log.warning("lease not released", error=str(error) or "no answer in time")

    async def _announce(self, client: Client, what: str) -> None:
        """Tell an event about the lease, if that is quickly done: renewals wait for it."""
        assert self._held is not None
        reference = reference_to(self._held)
        name, now = event_name(reference), rfc3339(datetime.now(UTC))
        event = event_manifest(
            name,
            reference,
            component=self.identity,
            type="Normal",
            reason="LeaderElection",
            note=f"{self.identity} {what}",
            first=now,
            last=now,
        )
        try:
            async with asyncio.timeout(min(_ANNOUNCE_S, self.settings.retry_period_s)):
                await client.create(EVENTS, event, namespace=name.namespace)
        except (ClusterError, TimeoutError) as error:
            self._log.debug("event not written", error=str(error) or "no answer in time")

    def _signal(self, signal: Signal) -> None:
        before = self._state
        after = self._state = step(before, signal, self.settings)
        self.gate.renewed = after.renewed if isinstance(after, Leading) else None
        if isinstance(after, Leading) and not isinstance(before, Leading):
            self._holder = self.identity
            self._log.info("leading")
            self._tell_main(self._note_led)
        elif isinstance(after, Lost) and not isinstance(before, Lost):
            self._log.error("leadership lost", why=after.why)

    def _tell_main(self, callback: Callable[[], None]) -> None:
        if self._main is not None and not self._main.is_closed():
            self._main.call_soon_threadsafe(callback)

    # These two run on the main loop.

    def _note_led(self) -> None:
        self._on_change(True)
        if self._led is not None:
            self._led.set()

    def _note_end(self) -> None:
        self._on_change(False)
        if self._ended is not None:
            self._ended.set()


def _wall() -> str:
    return rfc3339_micro(datetime.now(UTC))

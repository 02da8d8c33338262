"""The live micro-controllers: one for each generated resource, coming and going.

A micro-controller is a hold on its resource's informer, a `Controller`, and the handler between
them. Its registration has an *epoch*: what belongs to an earlier one (a queued key, a pass in
flight, a late wake-up) reaches nothing, because each epoch has a queue of its own and no two of one
resource run at once.

Source: spec "Controller runtime" 1.3, 1.4, P-059…P-068.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Callable
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from typing import Final

from kro.logs import get_logger
from kro.refs import GVR, NamespacedName
from kro.runtime.backoff import BackoffSettings, Bucket, retry_delay
from kro.runtime.clock import Clock, sleep
from kro.runtime.controller import (
    Controller,
    Outcome,
    Reconcile,
)
from kro.runtime.coordinator import Coordinator
from kro.runtime.informer import Informed, Informers
from kro.runtime.keys import ObjectKey
from kro.runtime.metric_hooks import NullRegistryMetrics, RegistryMetrics
from kro.runtime.predicates import Wants, spec_changed
from kro.runtime.scope import Scope
from kro.runtime.shared_informer import Event, Registration
from kro.runtime.slots import Slots
from kro.runtime.workqueue import Priority

CRASH_WINDOW_S: Final = 600.0
CRASHES_TO_FAIL: Final = 5

_log = get_logger("dynamic-controller")


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrySettings:
    """What all micro-controllers have in common.

    Units: seconds.
    """

    concurrency: int = 8
    backoff: BackoffSettings = field(default_factory=BackoffSettings)
    global_rate: float = 100.0
    global_burst: int = 1000
    max_retries: int = 20
    resync_s: float = 36_000.0
    pass_timeout_s: float = 300.0
    drain_s: float = 60.0


class MicroController:
    """The controller of one generated resource during one registration."""

    def __init__(
        self,
        gvr: GVR,
        epoch: int,
        *,
        informed: Informed,
        controller: Controller,
        wants: Wants,
        metrics: RegistryMetrics,
    ) -> None:
        self.gvr = gvr
        self.epoch = epoch
        self.informed = informed
        """The resource's own informer: the instances."""
        self.controller = controller
        self.wants = wants
        self.draining = False
        self.gone = asyncio.Event()
        """Set when the last pass of this registration has ended."""
        self._metrics = metrics
        self._registration: Registration | None = None
        self.task: asyncio.Task[None] | None = None

    def attach(self) -> None:
        """Let instances' events reach the queue; what is there comes at the lowest priority."""
        self._registration = self.informed.add_handler(self._event)

    def close(self) -> None:
        """Take no more events, and begin no more passes."""
        self.draining = True
        if self._registration is not None:
            self._registration.remove()
        self.controller.queue.close()

    def sweep(self) -> None:
        """Enqueue every known instance at the lowest priority."""
        if self.informed.synced:
            for name in self.informed.keys():  # noqa: SIM118 - a lister is no mapping
                self._metrics.event(self.gvr, "update")
                self.controller.enqueue(name, Priority.SWEEP)

    def _event(self, event: Event) -> None:
        if event.initial:
            self._metrics.event(self.gvr, "add")
            self.controller.enqueue(event.name, Priority.SWEEP)
            return
        if event.writer == ObjectKey(self.gvr, event.name):
            return
        old = None if event.old is None else event.old.object()
        new = None if event.new is None else event.new.object()
        if event.doubted or self.wants(old, new):
            kind = "delete" if new is None else "add" if old is None else "update"
            self._metrics.event(self.gvr, kind)
            self.controller.enqueue(event.name, Priority.CHANGE)


class Registry:
    """Starts, swaps and ends micro-controllers, and restarts those whose loop crashes.

    Guarantees: at most one micro-controller a resource, at every instant. `run` is the parent of
    all; what is started before it runs begins to work once it does.

    Concurrency: one event loop; everything but `run`, `stop` and the wait is atomic.
    """

    def __init__(
        self,
        *,
        informers: Informers,
        clock: Clock,
        slots: Slots,
        coordinator: Coordinator | None = None,
        metrics: RegistryMetrics | None = None,
        settings: RegistrySettings | None = None,
    ) -> None:
        self._informers, self._clock, self._slots = informers, clock, slots
        self.coordinator = coordinator
        """May be set after construction: a coordinator's enqueue is this registry's."""
        self._metrics: RegistryMetrics = metrics or NullRegistryMetrics()
        self._settings = settings or RegistrySettings()
        self._bucket: Bucket | None = None
        self._live: dict[GVR, MicroController] = {}
        self._leaving: set[MicroController] = set()
        self._epochs = itertools.count(1)
        self._group: asyncio.TaskGroup | None = None
        self._context = Context()
        """That of `run`: a kind's loop is not the pass's that began it."""
        self._crashes: deque[float] = deque(maxlen=CRASHES_TO_FAIL)

    def __len__(self) -> int:
        """Return how many micro-controllers live."""
        return len(self._live)

    @property
    def crash_looping(self) -> bool:
        """Whether loops have crashed so often that the process should be seen as not ready."""
        since = self._clock.now() - CRASH_WINDOW_S
        return sum(1 for at in self._crashes if at >= since) >= CRASHES_TO_FAIL

    def live(self) -> list[MicroController]:
        """Return all micro-controllers."""
        return list(self._live.values())

    def get(self, gvr: GVR) -> MicroController | None:
        """Return the resource's micro-controller, or None when there is none."""
        return self._live.get(gvr)

    async def run(self) -> None:
        """Run all micro-controllers until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                self._group, self._context = group, copy_context()
                for micro in self._live.values():
                    self._launch(micro)
                await asyncio.get_running_loop().create_future()
        finally:
            self._group = None
            for micro in [*self._live.values(), *self._leaving]:
                micro.close()
                micro.informed.release()
            self._live.clear()

    def start(
        self,
        gvr: GVR,
        reconcile: Reconcile,
        *,
        wants: Wants = spec_changed,
        scope: Scope | None = None,
    ) -> MicroController:
        """Make sure that the resource's objects are reconciled by `reconcile`; never waits.

        Where a micro-controller lives already, its function is swapped: what is queued runs with
        the new one, and every known object is enqueued once.
        """
        micro = self._live.get(gvr)
        if micro is not None:
            micro.controller.reconcile = self._guarded(gvr, micro.informed, reconcile)
            micro.wants = wants
            micro.sweep()
            return micro
        informed = self._informers.watch(gvr, scope, owner="parent")
        settings = self._settings
        if self._bucket is None:
            self._bucket = Bucket(
                self._clock, rate=settings.global_rate, burst=settings.global_burst
            )
        controller = Controller(
            str(gvr),
            self._guarded(gvr, informed, reconcile),
            clock=self._clock,
            slots=self._slots,
            concurrency=settings.concurrency,
            pass_timeout_s=settings.pass_timeout_s,
            backoff=settings.backoff,
            bucket=self._bucket,
            max_retries=settings.max_retries,
            resync_s=settings.resync_s,
            keys=_keys_of(informed),
            metrics=self._metrics.controller(gvr),
            queue_metrics=self._metrics.queue(gvr),
            log=get_logger("dynamic-controller", gvr=str(gvr)),
        )
        micro = MicroController(
            gvr,
            next(self._epochs),
            informed=informed,
            controller=controller,
            wants=wants,
            metrics=self._metrics,
        )
        self._live[gvr] = micro
        self._metrics.registered(gvr, len(self._live))
        micro.attach()
        if self._group is not None:
            self._launch(micro)
        return micro

    async def wait_synced(self, gvr: GVR, timeout_s: float = 30.0) -> bool:
        """Return True once the resource is served and its events reach the queue."""
        micro = self._live.get(gvr)
        return micro is not None and await micro.informed.wait_synced(timeout_s)

    async def stop(self, gvr: GVR, *, deadline_s: float | None = None) -> None:
        """Make sure that the resource has no micro-controller, no pass and no declaration left.

        Passes in flight may end until the deadline and are cancelled then. Cancelling this call
        does not bring the micro-controller back.
        """
        micro = self._live.pop(gvr, None)
        if micro is None:
            return
        micro.close()
        self._leaving.add(micro)
        try:
            limit_s = self._settings.drain_s if deadline_s is None else deadline_s
            await micro.controller.drain(limit_s)
            if micro.task is not None:
                micro.task.cancel()
                await asyncio.wait([micro.task])
        finally:
            if micro.task is not None:
                micro.task.cancel()
            self._leaving.discard(micro)
            micro.gone.set()
            micro.informed.release()
            if self.coordinator is not None and gvr not in self._live:
                self.coordinator.forget_kind(gvr)
            self._metrics.deregistered(gvr, len(self._live))

    async def drain(self, deadline_s: float) -> bool:
        """Begin no more passes and wait for those in flight; returns whether all ended in time."""
        micros = list(self._live.values())
        for micro in micros:
            micro.close()
        async with asyncio.TaskGroup() as group:
            drains = [group.create_task(micro.controller.drain(deadline_s)) for micro in micros]
        return all(drain.result() for drain in drains)

    def enqueue(self, key: ObjectKey, priority: Priority = Priority.EVENT) -> None:
        """Make sure that a pass of `key` begins after this call, if its resource is here."""
        micro = self._live.get(key.gvr)
        if micro is not None:
            micro.controller.enqueue(key.name, priority)

    def sweep(self, gvr: GVR) -> None:
        """Enqueue every known object of a resource at the lowest priority."""
        micro = self._live.get(gvr)
        if micro is not None:
            micro.sweep()

    # how it works

    def _guarded(self, gvr: GVR, informed: Informed, reconcile: Reconcile) -> Reconcile:
        """Return `reconcile`, followed by forgetting what belongs to an object that is gone."""

        async def guarded(name: NamespacedName) -> Outcome:
            outcome = await reconcile(name)
            if self.coordinator is not None and informed.synced and informed.stored(name) is None:
                self.coordinator.forget(ObjectKey(gvr, name))
            return outcome

        return guarded

    def _launch(self, micro: MicroController) -> None:
        assert self._group is not None
        micro.task = self._group.create_task(
            self._supervise(micro),
            name=f"micro-controller {micro.gvr}",
            context=self._context.copy(),
        )

    async def _supervise(self, micro: MicroController) -> None:
        """Run a micro-controller's loop, and run it again when it crashes, each time later."""
        for earlier in [each for each in self._leaving if each.gvr == micro.gvr]:
            await earlier.gone.wait()  # its passes must not overlap with ours
        crashes = 0
        while not micro.draining:
            started = self._clock.now()
            try:
                await micro.controller.run()
            except Exception as error:  # noqa: BLE001 - the supervisor: one kind's bug stays its own
                self._crashes.append(self._clock.now())
                self._metrics.crashed(micro.gvr)
                crashes = 1 if self._clock.now() - started > CRASH_WINDOW_S else crashes + 1
                delay_s = retry_delay(crashes, base_s=1.0, cap_s=60.0)
                _log.error(
                    "micro-controller crashed",
                    gvr=str(micro.gvr),
                    delay_s=delay_s,
                    exc_info=error,
                )
                await sleep(self._clock, delay_s)


def _keys_of(informed: Informed) -> Callable[[], list[NamespacedName]]:
    def keys() -> list[NamespacedName]:
        return informed.keys() if informed.synced else []

    return keys

"""Shared informers: one reflector and one store for each resource and scope, kept by their owners.

An owner holds an informer through an `Informed`; the first hold starts it, the last release lets it
linger for a while and then ends it. Taking a hold never waits: what may wait is `wait_synced`, and
its deadline concerns only the one who waits.

Handlers are called on the loop, in the same stretch in which the store changes. A handler that is
added to a running informer first hears of everything that is there.

Source: spec "Controller runtime" P-041…P-058; 1.8 for what differs from kro (Go).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import Context, copy_context
from types import TracebackType
from typing import Self

from kro.refs import GVR, JsonObject, NamespacedName
from kro.runtime.client.errors import ClientError
from kro.runtime.clock import Clock, timeout
from kro.runtime.metric_hooks import InformerMetrics, NullInformerMetrics
from kro.runtime.reflector import Reflector
from kro.runtime.scope import Scope
from kro.runtime.selector import LabelSelector
from kro.runtime.shared_informer import (
    Handler,
    InformerState,
    InformerStatus,
    Moved,
    Registration,
    SharedInformer,
)
from kro.runtime.slots import Slots
from kro.runtime.source import Source
from kro.runtime.store import IndexFn, Names, Objects
from kro.runtime.stored import Stored
from kro.runtime.versions import at_least


class Informed:
    """One owner's hold on a shared informer, and a view of its store (a `Lister`).

    Release it when it is no longer needed; a `with` block does.
    """

    def __init__(self, shared: SharedInformer, informers: Informers) -> None:
        self._shared = shared
        self._informers = informers
        self._released = False

    @property
    def gvr(self) -> GVR:
        """The resource."""
        return self._shared.gvr

    @property
    def scope(self) -> Scope:
        """The part of the resource."""
        return self._shared.scope

    @property
    def state(self) -> InformerState:
        """How the informer is."""
        return self._shared.state

    @property
    def problem(self) -> str:
        """What keeps it from being synced, in words; empty when nothing does."""
        return self._shared.problem

    @property
    def released(self) -> bool:
        """Whether the hold was given up."""
        return self._released

    # the lister

    @property
    def synced(self) -> bool:
        """Whether the store is whole (it is also when the resource is known to be absent)."""
        return self._shared.store.synced

    def get(self, name: NamespacedName) -> JsonObject | None:
        """Return the object, decoded anew, or None when there is none."""
        return self._shared.store.get(name)

    def stored(self, name: NamespacedName) -> Stored | None:
        """Return the object as it is stored."""
        return self._shared.store.stored(name)

    def list(self, *, namespace: str = "", selector: LabelSelector | None = None) -> Objects:
        """Return the matching objects in the order of their names."""
        return self._shared.store.list(namespace=namespace, selector=selector)

    def by_index(self, index: str, value: str) -> Objects:
        """Return the objects that stand under `value`, in the order of their names."""
        return self._shared.store.by_index(index, value)

    def keys(self) -> Names:
        """Return all names, sorted."""
        return self._shared.store.keys()

    def __len__(self) -> int:
        """Return how many objects there are."""
        return len(self._shared.store)

    # waiting

    async def wait_synced(self, timeout_s: float = 30.0) -> bool:
        """Return True once the resource is served and loaded, False when the time is over."""
        return await self._informers._wait_synced(self._shared, timeout_s)

    async def wait_seen(
        self, name: NamespacedName, resource_version: str, timeout_s: float = 1.0
    ) -> bool:
        """Return True once the store is as new as this version of the object."""

        def seen() -> bool:
            store = self._shared.store
            if not store.synced:
                return False
            stored = store.stored(name)
            if stored is not None and at_least(stored.resource_version, resource_version):
                return True
            return at_least(store.cursor, resource_version) is True

        return await self._informers._wait_until(self._shared, seen, timeout_s)

    async def wait_changed(
        self, name: NamespacedName, resource_version: str, timeout_s: float
    ) -> bool:
        """Return True once the store has another version of the object than this, or none."""

        def changed() -> bool:
            stored = self._shared.store.stored(name)
            return stored is None or stored.resource_version != resource_version

        return await self._informers._wait_until(self._shared, changed, timeout_s)

    # own writes

    def observe(self, obj: JsonObject, *, writer: object | None = None) -> bool:
        """Put the answer of an own write into the store, unless the stream knows better.

        Handlers hear of it at once, with `writer`; the stream's own event of it stays silent.
        Return whether the store took it.
        """
        return self._shared.observe(obj, writer)

    def forget(self, name: NamespacedName, uid: str, *, writer: object | None = None) -> None:
        """Take out the object that the server told us is gone, if it is the one with this UID."""
        self._shared.forget(name, uid, writer)

    @contextmanager
    def writing(self, name: NamespacedName) -> Iterator[None]:
        """Hold for the length of an own write of the object, so that its effect cannot be missed.

        When the write ends without a definite answer (lost connection, cancelled), the next event
        of the object reaches its controller's queue whatever it changed: a pass that ran meanwhile
        has compared with a state that may have been outdated.

        Source: spec "Controller runtime" P-104.
        """
        definite = False
        try:
            yield
            definite = True
        except ClientError as error:
            definite = not error.ambiguous
            raise
        finally:
            if not definite:
                self._shared.doubt(name)

    # handlers and life

    def add_handler(
        self, handler: Handler, *, on_synced: Callable[[], None] | None = None
    ) -> Registration:
        """Call `handler` for each object that is there, and then for every change.

        `on_synced` is called when the informer becomes synced after a gap: the first load, or after
        the resource was absent or forbidden.
        """
        return self._shared.add_handler(handler, on_synced)

    def status(self) -> InformerStatus:
        """Return what an operator may want to know."""
        return self._shared.status()

    def release(self) -> None:
        """Give the hold up; a second time does nothing."""
        if not self._released:
            self._released = True
            self._informers._release(self, self._shared)

    def __enter__(self) -> Self:
        """Return the hold."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give the hold up."""
        self.release()


class Informers:
    """All informers of the process, by resource and scope.

    `run` is the parent of every reflector; holds may be taken before it runs and work once it does.

    Concurrency: one event loop; everything but `run` and the waits is atomic.
    """

    def __init__(
        self,
        *,
        client: Source,
        clock: Clock,
        served: Callable[[GVR], Awaitable[bool]] | None = None,
        metrics: InformerMetrics | None = None,
        moved: Moved | None = None,
        linger_s: float = 30.0,
        loads: int = 4,
        seed: random.Random | None = None,
    ) -> None:
        self._client, self._clock, self._served = client, clock, served
        self._metrics: InformerMetrics = metrics or NullInformerMetrics()
        self._moved = moved
        self._linger_s = linger_s
        self._loads = Slots(loads, clock=clock)
        self._seed = seed
        self._shared: dict[tuple[GVR, Scope], SharedInformer] = {}
        self._group: asyncio.TaskGroup | None = None
        self._context = Context()
        """That of `run`: what a pass begins is not the pass's, for it outlives it."""

    def __len__(self) -> int:
        """Return how many informers run or linger."""
        return len(self._shared)

    async def run(self) -> None:
        """Run the reflectors until cancelled; a reflector that breaks a promise ends this."""
        try:
            async with asyncio.TaskGroup() as group:
                self._group, self._context = group, copy_context()
                for shared in self._shared.values():
                    self._start(shared)
                await asyncio.get_running_loop().create_future()
        finally:
            self._group = None
            for key in list(self._shared):
                self._end(key)

    def watch(
        self,
        gvr: GVR,
        scope: Scope | None = None,
        *,
        owner: str = "",
        indexes: Mapping[str, IndexFn] | None = None,
    ) -> Informed:
        """Return a hold on the informer of this resource and scope; never waits."""
        key = (gvr, scope if scope is not None else Scope())
        shared = self._shared.get(key)
        if shared is None:
            shared = SharedInformer(
                *key, clock=self._clock, metrics=self._metrics, moved=self._moved
            )
            self._shared[key] = shared
            if self._group is not None:
                self._start(shared)
            self._metrics.informers(len(self._shared))
        elif shared.linger is not None:
            shared.linger.cancel()
            shared.linger = None
        shared.store.add_indexes(indexes or {})
        hold = Informed(shared, self)
        shared.owners[hold] = owner
        return hold

    def is_watched(self, gvr: GVR, scope: Scope | None = None) -> bool:
        """Tell whether an informer of this resource and scope runs or lingers."""
        return (gvr, scope if scope is not None else Scope()) in self._shared

    def retry(self, gvr: GVR | None = None) -> None:
        """Let absent and forbidden informers (of one resource, or all) try again at once."""
        for shared in self._shared.values():
            if (gvr is None or shared.gvr == gvr) and shared.reflector is not None:
                shared.reflector.nudge()

    def states(self) -> list[InformerStatus]:
        """Return the status of every informer."""
        return [shared.status() for shared in self._shared.values()]

    # how it works

    def _start(self, shared: SharedInformer) -> None:
        assert self._group is not None
        shared.reflector = Reflector(
            shared.gvr,
            shared.scope,
            source=self._client,
            sink=shared,
            clock=self._clock,
            loads=self._loads,
            served=self._served,
            seed=self._seed,
        )
        shared.task = self._group.create_task(
            shared.reflector.run(),
            name=f"reflector {shared.gvr} {shared.scope}".strip(),
            context=self._context.copy(),
        )

    def _release(self, hold: Informed, shared: SharedInformer) -> None:
        shared.owners.pop(hold, None)
        key = (shared.gvr, shared.scope)
        if shared.owners or self._shared.get(key) is not shared:
            return
        if self._linger_s <= 0:
            self._end(key)
            return
        shared.linger = self._clock.call_at(
            self._clock.now() + self._linger_s, lambda: self._end(key)
        )

    def _end(self, key: tuple[GVR, Scope]) -> None:
        shared = self._shared.pop(key)
        if shared.linger is not None:
            shared.linger.cancel()
        if shared.task is not None:
            shared.task.cancel()
        shared.stopped()
        self._metrics.informers(len(self._shared))

    async def _wait_synced(self, shared: SharedInformer, timeout_s: float) -> bool:
        started = self._clock.now()
        served = (InformerState.SYNCED, InformerState.STALE)

        def is_synced() -> bool:
            return shared.store.synced and shared.state in served

        synced = await self._wait_until(shared, is_synced, timeout_s)
        if not synced:  # that it is synced was told when it became so
            self._metrics.waited(shared.gvr, self._clock.now() - started, synced=False)
        return synced

    async def _wait_until(
        self, shared: SharedInformer, condition: Callable[[], bool], timeout_s: float
    ) -> bool:
        if condition():
            return True
        try:
            async with timeout(self._clock, timeout_s):
                while not condition():
                    if shared.state is InformerState.STOPPED:
                        return False
                    await shared.moved.wait()
        except TimeoutError:
            return condition()
        return True

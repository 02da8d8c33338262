"""F-73: whatever runs is cancelled at every await in turn, and nothing is half done or left over.

The instance pass, on a real API server, and the lease have the same in test/integration.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable

import pytest

from kro.errors import ClusterError
from kro.refs import GVR, NamespacedName
from kro.runtime import (
    CheckAgain,
    Controller,
    Coordinator,
    NullInformerMetrics,
    ObjectKey,
    Outcome,
    Priority,
    Registry,
    RegistrySettings,
    Scope,
    Settled,
    Slots,
)
from kro.runtime.client import BadRequestError, ExpiredError, ForbiddenError
from kro.runtime.reflector import Reflector
from kro.runtime.shared_informer import SharedInformer
from support.apiserver import CONFIGMAPS, WIDGETS, FakeApiServer, answer, no_fault
from support.cancellation import Suspensions, at_every_suspension, no_task_left
from support.clock import FakeClock, settle
from support.informers import World
from support.invariants import Told

A = NamespacedName("default", "a")


# the reflector


class Watched:
    """A reflector and its sink, whose cluster goes through everything that a cluster can."""

    def __init__(self, *, streams_lists: bool) -> None:
        self.clock = FakeClock()
        self.server = FakeApiServer()
        self.server.fault = self._no_streams if not streams_lists else no_fault
        self.loads = Slots(2, clock=self.clock)
        self.told = Told()
        self.sink = SharedInformer(
            CONFIGMAPS, Scope(), clock=self.clock, metrics=NullInformerMetrics()
        )
        self.sink.add_handler(self.told, None)
        for name in "abc":
            self.server.put(name)

    def reflector(self) -> Reflector:
        return Reflector(
            CONFIGMAPS,
            Scope(),
            source=self.server,
            sink=self.sink,
            clock=self.clock,
            loads=self.loads,
            seed=random.Random(3),
        )

    @staticmethod
    def _no_streams(verb: str, gvr: GVR) -> ClusterError | None:
        return answer(BadRequestError, 400) if verb == "stream" else None

    def cut(self, error: ClusterError | None = None) -> None:
        for stream in list(self.server.streams):
            stream.cut(error)

    async def history(self) -> None:
        """Changes, a cut, two expiries, a withdrawn permission, a removed resource."""
        server, fault = self.server, self.server.fault

        async def pass_() -> None:
            await self.clock.advance(12.0)

        server.put("d")
        await pass_()
        self.cut()
        server.delete("a")
        await pass_()
        server.compact()
        self.cut()
        await pass_()
        self.cut(answer(ExpiredError, 410))
        await pass_()
        server.fault = lambda verb, gvr: answer(ForbiddenError, 403)
        self.cut()
        await pass_()
        server.fault = fault
        await pass_()
        server.unserved.add(CONFIGMAPS)
        self.cut()
        await pass_()
        server.unserved.clear()
        await pass_()
        server.put("e")
        await pass_()

    def stored(self) -> dict[str, str]:
        store = self.sink.store
        if not store.synced:
            return {}
        return {str(each.name): each.resource_version for each in store.select()}

    def truth(self) -> dict[str, str]:
        return {str(name): version for name, version in self.server.names().items()}


@pytest.mark.parametrize("streams_lists", [True, False], ids=["streamed", "paged"])
async def test_a_reflector_leaves_no_stream_no_slot_and_a_whole_store(streams_lists: bool) -> None:
    """F-73, P-015: what handlers were told is what the store holds, and the next one goes on."""

    async def attempt(suspensions: Suspensions) -> None:
        watched = Watched(streams_lists=streams_lists)
        async with no_task_left():
            first = asyncio.create_task(suspensions.run(watched.reflector().run()))
            await watched.history()
            if not suspensions.struck:
                first.cancel()
            await asyncio.wait([first])
            assert first.cancelled()
            assert watched.server.streams == []
            assert watched.loads.held == 0
            assert watched.told.versions == watched.stored()

            second = asyncio.create_task(watched.reflector().run())
            await watched.clock.advance(60.0)
            assert watched.stored() == watched.told.versions == watched.truth()
            second.cancel()
            await asyncio.wait([second])
        assert watched.clock.pending == 0

    assert await at_every_suspension(attempt) > 20


# waiting for informers


@pytest.mark.parametrize("what", ["synced", "seen"])
async def test_a_wait_for_an_informer_leaves_it_as_it_was(what: str) -> None:
    """F-73, P-054: the informer goes on, other waiters are served, no timer is left."""

    async def attempt(suspensions: Suspensions) -> None:
        world = World(linger_s=0.0)
        world.server.hold_new_streams = True
        world.server.put("a")
        async with no_task_left(), world.running():
            with world.informers.watch(CONFIGMAPS) as things:

                def wait() -> Awaitable[bool]:
                    if what == "synced":
                        return things.wait_synced(30.0)
                    return things.wait_seen(A, str(world.server.version + 1), 30.0)

                doomed = asyncio.create_task(suspensions.run(wait()))
                other = asyncio.create_task(_of(wait()))
                await settle()
                for stream in world.server.streams:
                    stream.release()
                await settle()
                world.server.put("a")
                await settle()
                assert await other
                await asyncio.wait([doomed])
                assert doomed.cancelled() is suspensions.struck
                assert things.synced
                assert len(things) == 1
        assert (len(world.informers), world.clock.pending) == (0, 0)

    assert await at_every_suspension(attempt) >= 1


async def _of(wait: Awaitable[bool]) -> bool:
    return await wait


async def test_informers_that_are_cancelled_anywhere_can_be_run_again() -> None:
    """F-73, P-056: with the tasks of all reflectors counted in."""

    async def attempt(suspensions: Suspensions) -> None:
        world = World(linger_s=0.0)
        for name in "abc":
            world.server.put(name)
        world.server.unserved.add(WIDGETS)

        async def session() -> None:
            async with asyncio.TaskGroup() as group:
                running = group.create_task(world.informers.run())
                with world.informers.watch(CONFIGMAPS), world.informers.watch(WIDGETS):
                    await world.clock.advance(3.0)
                    world.server.streams[0].cut()
                    await world.clock.advance(3.0)
                running.cancel()

        async with no_task_left():
            task = asyncio.create_task(suspensions.run(session(), tasks=True))
            await asyncio.wait([task])
            assert task.cancelled() is suspensions.struck
            assert world.server.streams == []
            assert len(world.informers) == 0
            async with world.running():
                with world.informers.watch(CONFIGMAPS) as again:
                    await settle()
                    assert len(again) == 3
        assert world.clock.pending == 0

    assert await at_every_suspension(attempt) > 30


# passes


class Kind:
    """A registered kind whose passes declare, wait in several tasks, and write."""

    def __init__(self) -> None:
        self.world = World(linger_s=0.0)
        world = self.world
        self.slots = Slots(2, clock=world.clock)
        self.registry = Registry(
            informers=world.informers,
            clock=world.clock,
            slots=self.slots,
            settings=RegistrySettings(drain_s=5.0, resync_s=0.0),
        )
        self.coordinator = Coordinator(
            informers=world.informers, enqueue=self.registry.enqueue, clock=world.clock
        )
        self.registry.coordinator = self.coordinator
        self.written: set[str] = set()
        self.running = 0
        self.overlapped = False
        self.suspensions: Suspensions | None = None
        world.server.put("a", gvr=WIDGETS)

    async def reconcile(self, name: NamespacedName) -> Outcome:
        """Step the first pass by the suspensions of the attempt, later ones plainly."""
        suspensions, self.suspensions = self.suspensions, None
        if suspensions is None:
            return await self._pass(name)
        return await suspensions.run(self._pass(name), tasks=True)

    async def _pass(self, name: NamespacedName) -> Outcome:
        self.overlapped = self.overlapped or self.running > 0
        self.running += 1
        try:
            with self.coordinator.cycle(ObjectKey(WIDGETS, name)) as cycle:
                child = cycle.watch_object("n", CONFIGMAPS, name, scope=Scope())
                async with asyncio.TaskGroup() as group:
                    for part in "xyz":
                        group.create_task(self._write(part))
                await child.wait_synced(5.0)
            return Settled()
        finally:
            self.running -= 1

    async def _write(self, part: str) -> None:
        await asyncio.sleep(0)
        self.written.add(part)
        await asyncio.sleep(0)


async def test_a_pass_releases_lease_slot_and_cycle_and_the_next_one_does_the_work() -> None:
    """F-73, P-082, P-084, P-101, with the tasks of the pass counted in."""

    async def attempt(suspensions: Suspensions) -> None:
        kind = Kind()
        kind.suspensions = suspensions
        world, registry = kind.world, kind.registry
        async with no_task_left(), world.running(registry.run, kind.coordinator.run):
            micro = registry.start(WIDGETS, kind.reconcile)
            await settle(40)
            # It changed during the pass, whatever became of that.
            world.server.put("a", gvr=WIDGETS, spec=1)
            registry.enqueue(ObjectKey(WIDGETS, A))
            await world.clock.advance(1.0)

            assert kind.slots.held == micro.controller.queue.leased == kind.running == 0
            assert kind.written == {"x", "y", "z"}
            assert not kind.overlapped
            kind.written.clear()
            world.server.put("a")
            await world.clock.advance(1.0)
            assert kind.written == {"x", "y", "z"}, "what it declared no longer wakes it"
            await registry.stop(WIDGETS)
            assert len(world.informers) == 0

    assert await at_every_suspension(attempt) > 8


async def test_a_deregistration_that_is_cancelled_has_ended_all_the_same() -> None:
    """F-73, P-062."""

    async def attempt(suspensions: Suspensions) -> None:
        kind = Kind()
        held = asyncio.Event()

        async def reconcile(name: NamespacedName) -> Outcome:
            await held.wait()
            return Settled()

        async with no_task_left(), kind.world.running(kind.registry.run, kind.coordinator.run):
            kind.registry.start(WIDGETS, reconcile)
            await settle()
            stop = asyncio.create_task(suspensions.run(kind.registry.stop(WIDGETS)))
            await settle()
            held.set()
            await settle(30)
            await asyncio.wait([stop])
            assert stop.cancelled() is suspensions.struck
            assert kind.registry.get(WIDGETS) is None
            assert (kind.slots.held, len(kind.world.informers)) == (0, 0)
            kind.registry.start(WIDGETS, kind.reconcile)
            await kind.world.clock.advance(1.0)
            assert kind.written == {"x", "y", "z"}

    assert await at_every_suspension(attempt) >= 1


async def test_a_controller_leaks_no_lease_and_no_slot() -> None:
    """F-73, P-084: the loop of the queue itself, with its passes counted in."""

    async def attempt(suspensions: Suspensions) -> None:
        clock = FakeClock()
        slots = Slots(2, clock=clock)
        chance = random.Random(2)

        async def reconcile(name: NamespacedName) -> Outcome:
            await asyncio.sleep(0)
            if chance.random() < 0.3:
                raise ClusterError("by chance")
            return Settled() if chance.random() < 0.5 else CheckAgain(after_s=0.2)

        controller = Controller("things", reconcile, clock=clock, slots=slots, concurrency=2)

        async def session() -> None:
            async with asyncio.TaskGroup() as group:
                running = group.create_task(controller.run())
                for at in range(5):
                    controller.enqueue(NamespacedName("", f"k{at}"), Priority.EVENT)
                await clock.advance(0.5)
                running.cancel()

        async with no_task_left():
            task = asyncio.create_task(suspensions.run(session(), tasks=True))
            await asyncio.wait([task])
            assert task.cancelled() is suspensions.struck
            assert (controller.queue.leased, slots.held) == (0, 0)
            controller.queue.close()
        assert clock.pending == 0

    assert await at_every_suspension(attempt) > 20


async def test_a_wait_for_a_slot_loses_none() -> None:
    """F-73: cancelled in line, and cancelled with the slot already given."""

    async def attempt(suspensions: Suspensions) -> None:
        slots = Slots(1, clock=FakeClock())
        first = await slots.acquire()

        async def use() -> None:
            (await slots.acquire()).release()

        doomed = asyncio.create_task(suspensions.run(use()))
        await settle()
        first.release()
        with contextlib.suppress(asyncio.CancelledError):
            await doomed
        assert slots.held == 0
        (await asyncio.wait_for(slots.acquire(), 5)).release()

    assert await at_every_suspension(attempt) == 1

from __future__ import annotations

import asyncio
import contextlib
import random

import pytest

from kro.refs import GVR, NamespacedName
from kro.runtime import (
    CheckAgain,
    Coordinator,
    NullRegistryMetrics,
    ObjectKey,
    Outcome,
    Priority,
    Registry,
    RegistrySettings,
    Scope,
    Settled,
    Slots,
)
from kro.runtime.client import ClientError, ConnectionLostError, UnreachableError
from support.apiserver import CONFIGMAPS, WIDGETS
from support.clock import settle
from support.informers import World as FakeWorld


def named(name: str) -> NamespacedName:
    return NamespacedName("default", name)


class Counts(NullRegistryMetrics):
    def __init__(self) -> None:
        self.live = 0
        self.crashes = 0
        self.events: list[str] = []

    def registered(self, gvr: GVR, count: int) -> None:
        self.live = count

    def deregistered(self, gvr: GVR, count: int) -> None:
        self.live = count

    def crashed(self, gvr: GVR) -> None:
        self.crashes += 1

    def event(self, gvr: GVR, kind: str) -> None:
        self.events.append(kind)


class World(FakeWorld):
    def __init__(self) -> None:
        super().__init__(linger_s=0.0)
        self.counts = Counts()
        self.slots = Slots(4, clock=self.clock)
        self.registry = Registry(
            informers=self.informers,
            clock=self.clock,
            slots=self.slots,
            metrics=self.counts,
            settings=RegistrySettings(drain_s=10.0, resync_s=0.0),
        )
        self.coordinator = Coordinator(
            informers=self.informers, enqueue=self.registry.enqueue, clock=self.clock
        )
        self.registry.coordinator = self.coordinator


class Passes:
    """A reconcile function that notes its passes and can be held."""

    def __init__(self, label: str = "") -> None:
        self.label = label
        self.names: list[str] = []
        self.gate: asyncio.Event | None = None
        self.ended = 0

    async def __call__(self, name: NamespacedName) -> Outcome:
        self.names.append(name.name)
        if self.gate is not None:
            await self.gate.wait()
        self.ended += 1
        return Settled()


async def test_instances_that_exist_and_that_come_are_reconciled() -> None:
    world, passes = World(), Passes()
    world.server.put("early", gvr=WIDGETS)
    async with world.running(world.registry.run):
        world.registry.start(WIDGETS, passes)
        await settle()
        world.server.put("late", gvr=WIDGETS)
        await settle()

    assert passes.names == ["early", "late"]
    assert world.counts.events == ["add", "add"]


async def test_registration_waits_for_nothing_and_tells_when_the_kind_is_watched() -> None:
    """P-061: a kind that is not served yet becomes synced when it is."""
    world, passes = World(), Passes()
    world.server.unserved.add(WIDGETS)
    async with world.running(world.registry.run):
        world.registry.start(WIDGETS, passes)
        waiting = asyncio.create_task(world.registry.wait_synced(WIDGETS, 30.0))
        await world.clock.advance(1.0)
        early = waiting.done()
        world.server.unserved.clear()
        await world.clock.advance(5.0)

        assert (early, await waiting) == (False, True)
        assert await world.registry.wait_synced(CONFIGMAPS, 1.0) is False


async def test_a_second_registration_swaps_and_looks_at_everything_again() -> None:
    """P-059: items queued before run with the new function."""
    world, old, new = World(), Passes(), Passes()
    for name in "ab":
        world.server.put(name, gvr=WIDGETS)
    async with world.running(world.registry.run):
        first = world.registry.start(WIDGETS, old)
        await settle()
        old.names.clear()
        world.registry.enqueue(ObjectKey(WIDGETS, named("a")))
        second = world.registry.start(WIDGETS, new)
        await settle()

        assert first is second
        assert (old.names, sorted(new.names)) == ([], ["a", "b"])
        assert world.counts.live == 1


async def test_only_events_that_concern_the_spec_lead_to_passes() -> None:
    """P-067."""
    world, passes = World(), Passes()
    world.server.put("a", gvr=WIDGETS)
    async with world.running(world.registry.run):
        world.registry.start(WIDGETS, passes, wants=lambda old, new: old is None or new is None)
        await settle()
        world.server.put("a", gvr=WIDGETS)
        await settle()
        world.server.delete("a", gvr=WIDGETS)
        await settle()

    assert passes.names == ["a", "a"]
    assert world.counts.events == ["add", "delete"]


@pytest.mark.parametrize(
    ("error", "looked"),
    [
        pytest.param(ConnectionLostError("cut", ambiguous=True), ["a"], id="answer lost"),
        pytest.param(asyncio.CancelledError(), ["a"], id="cancelled"),
        pytest.param(UnreachableError("refused"), [], id="never sent"),
        pytest.param(None, [], id="answered"),
    ],
)
async def test_the_effect_of_a_write_whose_answer_was_lost_is_looked_at(
    error: BaseException | None, looked: list[str]
) -> None:
    """P-104: a status that nobody is told of would otherwise stay wrong for ever."""
    world, passes = World(), Passes()
    world.server.put("a", gvr=WIDGETS)
    world.server.put("b", gvr=WIDGETS)
    async with world.running(world.registry.run):
        micro = world.registry.start(WIDGETS, passes, wants=lambda *_: False)
        await settle()
        passes.names.clear()
        lost = contextlib.suppress(ClientError, asyncio.CancelledError)
        with lost, micro.informed.writing(named("a")):
            if error is not None:
                raise error
        world.server.put("b", gvr=WIDGETS)
        world.server.put("a", gvr=WIDGETS)
        await settle()
        world.server.put("a", gvr=WIDGETS)
        await settle()

        assert passes.names == looked


async def test_deregistration_waits_for_passes_and_leaves_nothing() -> None:
    """P-062."""
    world, passes = World(), Passes()
    passes.gate = asyncio.Event()
    world.server.put("a", gvr=WIDGETS)
    async with world.running(world.registry.run):
        tasks = len(asyncio.all_tasks())
        world.registry.start(WIDGETS, passes)
        await settle()
        with world.coordinator.cycle(ObjectKey(WIDGETS, named("a"))) as cycle:
            cycle.watch_object("n", CONFIGMAPS, named("c"), scope=Scope())
        stopping = asyncio.create_task(world.registry.stop(WIDGETS))
        await settle()
        waited = not stopping.done()
        passes.gate.set()
        await stopping
        await settle()

        assert (waited, passes.ended, len(world.registry), world.counts.live) == (True, 1, 0, 0)
        assert len(world.informers) == 0
        assert len(asyncio.all_tasks()) == tasks
        assert (world.slots.held, world.server.streams) == (0, [])
        await world.registry.stop(CONFIGMAPS)


async def test_deregistration_cancels_what_does_not_end_in_time() -> None:
    """P-062."""
    world, passes = World(), Passes()
    passes.gate = asyncio.Event()
    world.server.put("a", gvr=WIDGETS)
    async with world.running(world.registry.run):
        world.registry.start(WIDGETS, passes)
        await settle()
        stopping = asyncio.create_task(world.registry.stop(WIDGETS))
        await world.clock.advance(11.0)

        assert stopping.done()
        assert (passes.ended, world.slots.held) == (0, 0)


async def test_a_new_registration_waits_until_the_passes_of_the_old_one_are_over() -> None:
    """P-063, P-082: never two passes of one key, never two micro-controllers."""
    world, old, new = World(), Passes(), Passes()
    old.gate = asyncio.Event()
    world.server.put("a", gvr=WIDGETS)
    async with world.running(world.registry.run):
        world.registry.start(WIDGETS, old)
        await settle()
        stopping = asyncio.create_task(world.registry.stop(WIDGETS))
        await settle()
        micro = world.registry.start(WIDGETS, new)
        await settle()
        during = list(new.names)
        old.gate.set()
        await stopping
        await settle()

        assert (during, new.names) == ([], ["a"])
        assert micro.epoch == 2
        assert world.registry.get(WIDGETS) is micro


async def test_a_registration_that_never_worked_leaves_nothing() -> None:
    """P-060."""
    world = World()
    world.server.unserved.add(WIDGETS)
    async with world.running(world.registry.run):
        tasks, timers = len(asyncio.all_tasks()), world.clock.pending
        world.registry.start(WIDGETS, Passes())
        await world.clock.advance(100.0)
        await world.registry.stop(WIDGETS)
        await settle()

        assert (len(world.registry), len(world.informers), world.counts.live) == (0, 0, 0)
        assert (len(asyncio.all_tasks()), world.clock.pending) == (tasks, timers)


async def test_a_storm_on_a_shared_object_is_one_pass_an_instance_at_a_time() -> None:
    """F-64, shortened to 300 instances and 100 updates: no more keys wait than there are."""
    world = World()
    deepest = 0

    async def reconcile(name: NamespacedName) -> Outcome:
        nonlocal deepest
        deepest = max(deepest, micro.controller.depth)
        return Settled()

    async with world.running(world.registry.run):
        for at in range(300):
            world.server.put(f"i{at}", gvr=WIDGETS)
        micro = world.registry.start(WIDGETS, reconcile)
        await settle(50)
        for at in range(300):
            with world.coordinator.cycle(ObjectKey(WIDGETS, named(f"i{at}"))) as cycle:
                cycle.watch_object("n", CONFIGMAPS, named("shared"), scope=Scope())
        await settle(50)
        for _ in range(100):
            world.server.put("shared")
            await asyncio.sleep(0)
        await settle(50)

        assert deepest <= 300


async def test_keys_of_unknown_kinds_are_dropped() -> None:
    """P-063: an enqueue of an earlier registration reaches nothing."""
    world = World()
    async with world.running(world.registry.run):
        world.registry.enqueue(ObjectKey(WIDGETS, named("a")), Priority.EVENT)
        world.registry.sweep(WIDGETS)

        assert len(world.registry) == 0


async def test_a_crashed_loop_is_restarted_later_each_time_and_others_go_on() -> None:
    """P-064: the fifth crash within ten minutes fails readiness."""
    world, good, bad = World(), Passes(), Passes()
    async with world.running(world.registry.run):
        world.registry.start(CONFIGMAPS, good)
        micro = world.registry.start(WIDGETS, bad)
        await settle()
        wait = micro.controller.queue.wait
        crashing = True

        async def broken() -> None:
            if crashing:
                raise RuntimeError("a bug of ours")
            await wait()

        micro.controller.queue.wait = broken  # type: ignore[method-assign]  # the bug
        world.registry.enqueue(ObjectKey(WIDGETS, named("a")))
        await settle()
        once = (world.counts.crashes, world.registry.crash_looping)
        await world.clock.advance(20.0)
        often = (world.counts.crashes, world.registry.crash_looping)
        crashing = False
        await world.clock.advance(61.0)
        world.server.put("a")
        world.server.put("b", gvr=WIDGETS)
        await settle()

        assert once == (1, False)
        assert often == (5, True)
        assert good.names == ["a"]
        assert "b" in bad.names
        await world.clock.advance(700.0)
        assert not world.registry.crash_looping


async def test_the_state_of_an_instance_that_is_gone_is_forgotten() -> None:
    """P-078, D-09."""
    world = World()
    key = ObjectKey(WIDGETS, named("a"))

    async def reconcile(name: NamespacedName) -> Outcome:
        with world.coordinator.cycle(key) as cycle:
            cycle.watch_object("n", CONFIGMAPS, named("c"), scope=Scope())
        return CheckAgain(after_s=60.0)

    world.server.put("a", gvr=WIDGETS)
    async with world.running(world.registry.run):
        world.registry.start(WIDGETS, reconcile)
        await settle()
        during = len(world.coordinator._listeners)
        world.server.delete("a", gvr=WIDGETS)
        await settle()

        assert (during, world.coordinator._listeners) == (1, {})


async def test_an_instance_that_is_a_child_wakes_itself_and_its_owner() -> None:
    """P-065, P-066: nesting; the parent's informer outlives its own registration."""
    world, own, outer = World(), Passes(), Passes()
    world.server.put("outer")
    async with world.running(world.registry.run):
        world.registry.start(WIDGETS, own)
        world.registry.start(CONFIGMAPS, outer)
        await settle()
        with world.coordinator.cycle(ObjectKey(CONFIGMAPS, named("outer"))) as cycle:
            cycle.watch_object("n", WIDGETS, named("inner"), scope=Scope())
        world.server.put("inner", gvr=WIDGETS)
        await settle()
        await world.registry.stop(WIDGETS)
        world.server.put("inner", gvr=WIDGETS)
        await settle()

        assert own.names == ["inner"]
        assert outer.names == ["outer", "outer", "outer"]
        assert world.informers.is_watched(WIDGETS)
        world.coordinator.forget_kind(CONFIGMAPS)
        assert not world.informers.is_watched(WIDGETS)


async def test_drain_of_all_waits_for_each() -> None:
    """P-138."""
    world, passes = World(), Passes()
    passes.gate = asyncio.Event()
    for gvr in (WIDGETS, CONFIGMAPS):
        world.server.put("a", gvr=gvr)
    async with world.running(world.registry.run):
        for gvr in (WIDGETS, CONFIGMAPS):
            world.registry.start(gvr, passes)
        await settle()
        drain = asyncio.create_task(world.registry.drain(60.0))
        await settle()
        waited = not drain.done()
        passes.gate.set()

        assert (waited, await drain, passes.ended) == (True, True, 2)


@pytest.mark.parametrize("seed", range(8))
async def test_random_registrations_never_overlap_and_end_as_the_last_one_says(seed: int) -> None:
    """P-059, P-063, P-082, P-149: 96 schedules."""
    chance = random.Random(seed)
    for _ in range(12):
        world = World()
        busy: set[str] = set()
        last = ""

        def make(label: str, world: World = world, busy: set[str] = busy) -> Passes:
            passes = Passes(label)
            held = chance.random() < 0.5

            async def reconcile(name: NamespacedName) -> Outcome:
                nonlocal last
                assert name.name not in busy, "two passes of one key overlap"
                busy.add(name.name)
                try:
                    last = label
                    for _ in range(chance.randrange(6) if held else 0):
                        await asyncio.sleep(0)
                finally:
                    busy.discard(name.name)
                return Settled()

            passes.__call__ = reconcile  # type: ignore[method-assign]  # the same by its name
            return passes

        stops: list[asyncio.Task[None]] = []
        expected: str | None = None
        world.server.put("a", gvr=WIDGETS)
        async with world.running(world.registry.run):
            for at in range(chance.randint(3, 20)):
                if chance.random() < 0.6:
                    expected = f"f{at}"
                    world.registry.start(WIDGETS, make(expected).__call__)
                else:
                    expected = None
                    stops.append(asyncio.create_task(world.registry.stop(WIDGETS)))
                    await asyncio.sleep(0)
                if chance.random() < 0.5:
                    world.server.put("a", gvr=WIDGETS)
                for _ in range(chance.randrange(5)):
                    await asyncio.sleep(0)
            await settle(100)

            assert all(stop.done() for stop in stops)
            assert len(world.registry) == (expected is not None)
            if expected is not None:
                assert last == expected
            else:
                assert len(world.informers) == 0

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from kro.refs import GVR, NamespacedName
from kro.runtime import (
    Coordinator,
    Cycle,
    InformerState,
    NullCoordinatorMetrics,
    ObjectKey,
    Priority,
    Scope,
    Stored,
)
from kro.runtime.coordinator import NARROW_LIMIT
from support.apiserver import CONFIGMAPS, WIDGETS
from support.clock import settle
from support.informers import World as FakeWorld

APPS = GVR("kro.run", "v1alpha1", "apps")
ALL = Scope()
OWNED = Scope(selector="owned=true")


def named(name: str) -> NamespacedName:
    return NamespacedName("default", name)


def app(name: str) -> ObjectKey:
    return ObjectKey(APPS, named(name))


class Counts(NullCoordinatorMetrics):
    def __init__(self) -> None:
        self.per_kind: dict[GVR, int] = {}
        self.per_resource: dict[GVR, tuple[int, int]] = {}

    def listeners(self, kind: GVR, count: int) -> None:
        self.per_kind[kind] = count

    def entries(self, gvr: GVR, scalars: int, collections: int) -> None:
        self.per_resource[gvr] = (scalars, collections)


class World(FakeWorld):
    """Informers on a fake server, and a coordinator whose keys are noted."""

    def __init__(self) -> None:
        super().__init__(linger_s=0.0)
        self.woken: list[str] = []
        self.priorities: list[Priority] = []
        self.counts = Counts()
        self.coordinator = Coordinator(
            informers=self.informers,
            enqueue=self._enqueue,
            clock=self.clock,
            metrics=self.counts,
            seed=random.Random(5),
        )

    def _enqueue(self, key: ObjectKey, priority: Priority) -> None:
        self.woken.append(key.name.name)
        self.priorities.append(priority)

    def cycle(self, key: str, *declare: Callable[[Cycle], object], fail: bool = False) -> None:
        """Make one pass of an instance that declares, and then ends well or raises."""
        try:
            with self.coordinator.cycle(app(key)) as cycle:
                for each in declare:
                    each(cycle)
                if fail:
                    raise LookupError("the pass failed")
        except LookupError:
            assert fail

    async def wakes(self, name: str, **labels: str) -> list[str]:
        """Write an object and return whom that wakes."""
        await settle()
        self.woken.clear()
        self.server.put(name, labels=labels)
        await settle()
        return sorted(self.woken)


def to(name: str, node: str = "n", scope: Scope | None = ALL) -> Callable[[Cycle], object]:
    return lambda cycle: cycle.watch_object(node, CONFIGMAPS, named(name), scope=scope)


def select(text: str, node: str = "n", scope: Scope | None = ALL) -> Callable[[Cycle], object]:
    return lambda cycle: cycle.watch_selector(node, CONFIGMAPS, text, scope=scope)


def keep(cycle: Cycle) -> None:
    cycle.keep()


async def test_events_of_a_declared_object_wake_its_instance() -> None:
    world = World()
    async with world.running():
        world.cycle("one", to("a"))
        world.cycle("two", to("b"))

        assert await world.wakes("a") == ["one"]
        assert await world.wakes("c") == []


async def test_two_instances_hear_of_one_object() -> None:
    world = World()
    async with world.running():
        world.cycle("one", to("a"))
        world.cycle("two", to("a"), select("app=x", "s"))

        assert await world.wakes("a", app="x") == ["one", "two"]


async def test_a_declaration_is_effective_before_the_pass_reads() -> None:
    """P-070: a change between declaration and commit is not lost."""
    world = World()
    async with world.running():
        world.cycle("other", to("z"))
        await settle()
        with world.coordinator.cycle(app("one")) as cycle:
            cycle.watch_object("n", CONFIGMAPS, named("a"), scope=ALL)
            during = await world.wakes("a")

        assert during == ["one"]


@pytest.mark.parametrize(
    ("passes", "woken"),
    [
        pytest.param([((to("a"),), False)], "a", id="commit"),
        pytest.param([((to("a"),), False), ((to("b"),), False)], "b", id="another target"),
        pytest.param([((to("a"),), False), ((), False)], "", id="not declared again"),
        pytest.param(
            [((to("a"),), False), ((to("b"),), True)], "a", id="abort keeps the committed"
        ),
        pytest.param(
            [((to("a"),), False), ((to("b"),), True), ((to("c"),), False)],
            "c",
            id="what was aborted is never promoted",
        ),
        pytest.param([((to("a"),), True)], "a", id="a first pass that fails keeps its own"),
        pytest.param(
            [((to("a"),), True), ((to("b"),), False)], "b", id="until a later pass replaces them"
        ),
        pytest.param([((to("a"), to("b")), False)], "b", id="the same node twice"),
        pytest.param([((to("a"), to("a")), False)], "a", id="the same declaration twice"),
        pytest.param([((to("a"),), False), ((to("a"),), True)], "a", id="abort of the same"),
        pytest.param([((to("a"),), False), ((keep,), False)], "a", id="kept while waiting"),
        pytest.param(
            [((to("a"),), False), ((to("b", "m"), keep), False)], "ab", id="kept and added to"
        ),
        pytest.param(
            [((to("a"),), False), ((to("b"), keep), False)], "b", id="kept, but this node moved"
        ),
        pytest.param(
            [((select("app=a"),), False), ((select("app=b"),), True)],
            "a",
            id="a changed selector is rolled back",
        ),
    ],
)
async def test_declarations_have_two_phases(
    passes: list[tuple[tuple[Callable[[Cycle], object], ...], bool]], woken: str
) -> None:
    """P-069, P-071, P-072."""
    world = World()
    async with world.running():
        for declare, fail in passes:
            world.cycle("one", *declare, fail=fail)

        heard = [name for name in "abc" if await world.wakes(name, app=name)]
    assert "".join(heard) == woken


async def test_informers_live_exactly_as_long_as_declarations_need_them() -> None:
    """P-073, D-04, D-08: no orphan informer, no entry without one."""
    world = World()
    async with world.running():
        world.cycle("one", to("a"), lambda c: c.watch_object("w", WIDGETS, named("w"), scope=ALL))
        world.cycle("two", to("a"))
        both = len(world.informers)
        world.cycle("one", to("a"))
        one_left = len(world.informers)
        world.coordinator.forget(app("one"))
        still = len(world.informers)
        world.coordinator.forget_kind(APPS)

        assert (both, one_left, still, len(world.informers)) == (2, 1, 1, 0)
        assert world.counts.per_kind == {APPS: 0}
        assert world.counts.per_resource == {CONFIGMAPS: (0, 0), WIDGETS: (0, 0)}


async def test_a_forgotten_instance_cannot_come_back_by_a_pass_that_still_runs() -> None:
    """P-063, P-078, D-19."""
    world = World()
    async with world.running():
        with world.coordinator.cycle(app("one")) as cycle:
            cycle.watch_object("n", CONFIGMAPS, named("a"), scope=ALL)
            world.coordinator.forget(app("one"))
            late = cycle.watch_object("m", CONFIGMAPS, named("b"), scope=ALL)
            assert not late.released

        assert late.released
        assert len(world.informers) == 0
        assert world.coordinator._listeners == {}


async def test_finishing_without_declaring_leaves_no_state() -> None:
    """P-078."""
    world = World()
    async with world.running():
        world.cycle("one")
        world.coordinator.forget(app("unknown"))

        assert world.coordinator._listeners == {}


async def test_the_end_of_a_gap_wakes_everybody_once() -> None:
    """P-055, P-021: deletions inside the gap are noticed."""
    world = World()
    async with world.running():
        world.cycle("one", to("a"))
        world.cycle("two", to("a"), select("app", "s"))
        await settle()
        world.server.unserved.add(CONFIGMAPS)
        world.server.streams[0].cut()
        await world.clock.advance(3.0)
        world.woken.clear()
        world.server.unserved.clear()
        world.informers.retry()
        await settle()

        assert sorted(world.woken) == ["one", "two"]


async def test_own_writes_do_not_wake_their_writer_but_everybody_else() -> None:
    world = World()
    async with world.running():
        world.cycle("one", to("a"))
        world.cycle("two", to("a"))
        await settle()
        things = world.informers.watch(CONFIGMAPS)
        world.server.streams[0].held = True
        world.woken.clear()
        things.observe(world.server.put("a"), writer=app("one"))
        world.server.streams[0].release()
        await settle()

        assert world.woken == ["two"]


async def test_objects_wake_the_instance_that_their_labels_name() -> None:
    """Routes need no declaration, and the instance that was named before the change hears too."""
    world = World()

    def owners(stored: Stored) -> list[ObjectKey]:
        owner = stored.label("owner")
        return [app(owner)] if owner is not None else []

    async with world.running():
        things = world.informers.watch(CONFIGMAPS)
        world.server.put("early", labels={"owner": "zero"})
        route = world.coordinator.route(things, owners)
        await settle()
        at_start = list(zip(world.woken, world.priorities, strict=True))
        first = await world.wakes("a", owner="one")
        moved = await world.wakes("a", owner="two")
        nobody = await world.wakes("b")
        route.remove()

        assert at_start == [("zero", Priority.SWEEP)]
        assert (first, moved, nobody) == (["one"], ["one", "two"], [])
        assert await world.wakes("a", owner="two") == []


async def test_single_objects_are_watched_alone_until_there_are_many() -> None:
    """P-155: external references cost one watch each, up to a limit; then the resource is one."""
    world = World()
    async with world.running():
        for at in range(100):
            world.cycle(f"i{at}", to(f"c{at}", scope=None))

        assert len(world.informers) == NARROW_LIMIT + 1
        assert await world.wakes("c3") == ["i3"]
        assert await world.wakes("c99") == ["i99"]


async def test_a_watch_that_does_not_work_is_seen_and_looked_at_again() -> None:
    """P-079: every 60 s ± 20 %, and nobody waits for it."""
    world = World()
    world.server.unserved.add(CONFIGMAPS)
    async with world.running(world.coordinator.run):
        world.cycle("one", to("a"))
        await world.clock.advance(20.0)
        early = list(world.woken)
        await world.clock.advance(600.0)
        degraded = world.coordinator.degraded(app("one"))
        woken = len(world.woken)
        world.server.unserved.clear()
        world.informers.retry()
        await world.clock.advance(20.0)

        assert early == []
        assert 8 <= woken <= 13
        assert [(each.gvr, each.state) for each in degraded] == [(CONFIGMAPS, InformerState.ABSENT)]
        assert degraded[0].since_s >= 600
        assert world.coordinator.degraded(app("one")) == []


async def test_an_event_for_ten_thousand_instances_gives_the_loop_its_turns() -> None:
    """P-080."""
    world = World()
    async with world.running():
        for at in range(10_000):
            world.cycle(f"i{at}", to("shared"))
        await settle()
        world.woken.clear()
        world.server.put("shared")
        things = world.coordinator._watches[CONFIGMAPS, ALL].informed
        while not world.woken:
            await settle(1)
        at_once = len(world.woken)
        await settle(20)

        assert at_once <= 2000
        assert len(set(world.woken)) == 10_000
        assert things.synced


@pytest.mark.parametrize("seed", range(10))
async def test_random_cycles_agree_with_a_naive_model(seed: int) -> None:
    """P-069 to P-073: 300 schedules of commits, aborts, keeps and removals of three instances."""
    chance = random.Random(seed)
    for _ in range(30):
        world = World()
        committed: dict[str, dict[str, str]] = {}
        has_committed: set[str] = set()
        async with world.running():
            for _ in range(chance.randint(3, 15)):
                who = chance.choice(["one", "two", "three"])
                if chance.random() < 0.15:
                    world.coordinator.forget(app(who))
                    committed.pop(who, None)
                    has_committed.discard(who)
                    continue
                pending = {
                    chance.choice("mn"): chance.choice("abc") for _ in range(chance.randrange(3))
                }
                fail, kept = chance.random() < 0.3, chance.random() < 0.3
                declare = [to(target, node) for node, target in pending.items()]
                world.cycle(who, *declare, *([keep] if kept else []), fail=fail)
                before = committed.get(who, {})
                if fail:
                    after = before if who in has_committed else before | pending
                else:
                    after = before | pending if kept else pending
                    has_committed.add(who)
                committed[who] = after
                if not after:
                    has_committed.discard(who)
            for target in "abc":
                expected = [who for who, nodes in committed.items() if target in nodes.values()]

                assert await world.wakes(target) == sorted(expected)
            assert len(world.informers) == any(committed.values())

"""What the loop shows of queues, backoffs and informers once a second."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from kro.refs import NamespacedName
from kro.runtime import Controller, Outcome, Sampling, Scope, Settled
from kro.runtime.sampling import ControllerSample, InformerSample
from support.apiserver import CONFIGMAPS, WIDGETS
from support.clock import settle
from support.informers import World


class Shown:
    """Remembers every snapshot."""

    def __init__(self) -> None:
        self.snapshots: list[tuple[Sequence[ControllerSample], Sequence[InformerSample]]] = []

    def show(
        self, controllers: Sequence[ControllerSample], informers: Sequence[InformerSample]
    ) -> None:
        """Keep it."""
        self.snapshots.append((controllers, informers))


def sampling(world: World, shown: Shown, *controllers: Controller) -> Sampling:
    """Return a sampling of these controllers and the world's informers."""
    return Sampling(
        controllers=lambda: [(each.name, "line", each) for each in controllers],
        informers=world.informers,
        label=lambda gvr: gvr.resource,
        clock=world.clock,
        shown=shown,
    )


async def test_a_queue_is_shown_with_its_ages() -> None:
    """P-095, P-154: what waits, what runs and for how long, what is planned and what fails."""
    world, shown = World(), Shown()
    done = asyncio.Event()

    async def reconcile(name: NamespacedName) -> Outcome:
        if name.name == "slow":
            await done.wait()
            return Settled()
        raise OSError("broken")

    controller = Controller("webs", reconcile, clock=world.clock, concurrency=1)
    async with world.running(controller.run):
        controller.enqueue(NamespacedName("a", "broken"))
        await settle()
        controller.enqueue(NamespacedName("a", "slow"))
        await settle()
        controller.enqueue(NamespacedName("a", "waiting"))
        await world.clock.advance(0.1)

        sampling(world, shown, controller).take()
        done.set()
        await settle()

    (sample,) = shown.snapshots[0][0]
    assert (sample.name, sample.queue) == ("webs", "line")
    assert round(sample.longest_s, 3) == round(sample.unfinished_s, 3) == 0.1
    assert round(sample.oldest_s, 3) == 0.1
    assert (sample.delayed, sample.backing_off, sample.stuck) == (1, 1, 0)


async def test_informers_of_one_resource_are_shown_as_one() -> None:
    """P-154: objects and holds add up, the one that heard least recently counts."""
    world, shown = World(), Shown()
    world.server.put("a")
    world.server.put("b")
    async with world.running():
        world.informers.watch(CONFIGMAPS, owner="one")
        world.informers.watch(CONFIGMAPS, owner="one")
        world.informers.watch(CONFIGMAPS, Scope.one(NamespacedName("default", "a")), owner="two")
        await settle()
        world.server.hold_new_streams = True
        world.informers.watch(WIDGETS)
        await settle()
        await world.clock.advance(2.0)

        sampling(world, shown).take()

    found = {each.resource: each for each in shown.snapshots[0][1]}
    one = found[CONFIGMAPS.resource]
    assert (one.holds, one.objects) == (3, 3)
    assert one.staleness_s is not None
    assert found[WIDGETS.resource].staleness_s is None


async def test_a_snapshot_is_taken_every_second() -> None:
    """A scrape shows what is at most a second old."""
    world, shown = World(), Shown()
    async with world.running(sampling(world, shown).run):
        await world.clock.advance(3.0)

    assert len(shown.snapshots) == 4

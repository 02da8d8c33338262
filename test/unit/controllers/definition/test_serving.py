"""Which definitions hear that a kind begins to work, or stops; and when instances have to look."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import cast

from kro.controllers.definition.serving import ServedKinds
from kro.controllers.instance import InstanceController, Serving, Unavailable
from kro.graph import Graph, build
from kro.refs import GVK, GVR, JsonObject, Mapped, NamespacedName
from kro.runtime import (
    Informed,
    Informers,
    InformerState,
    Outcome,
    Registry,
    Scope,
    Settled,
    Slots,
)
from kro.runtime.client import ForbiddenError
from kro.schema import BundledSchemas
from support.apiserver import CONFIGMAPS, FakeApiServer, answer, no_fault
from support.clock import FakeClock, settle
from support.generated import greeter

MEMBERS = Scope(selector="member")
SECRETS = GVR("", "v1", "secrets")


class _Controller:
    """Watches the kinds of two children, as an instance controller does."""

    def __init__(self, informers: Informers) -> None:
        self._watched = {gvr: informers.watch(gvr, MEMBERS) for gvr in (CONFIGMAPS, SECRETS)}
        self.passes: list[NamespacedName] = []

    def serve(self, how: Serving | Unavailable | None) -> None:
        """Take it."""

    def watched(self) -> Mapping[GVR, Informed]:
        return self._watched

    def wants(self, old: JsonObject | None, new: JsonObject | None) -> bool:
        return True

    async def reconcile(self, name: NamespacedName) -> Outcome:
        self.passes.append(name)
        return Settled()


class _World:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.server = FakeApiServer()
        self.woken: list[str] = []
        self.informers = Informers(client=self.server, clock=self.clock, moved=self._moved)
        self.registry = Registry(
            informers=self.informers, clock=self.clock, slots=Slots(4, clock=self.clock)
        )
        self.controllers: list[_Controller] = []
        self.served = ServedKinds(registry=self.registry, make=self._make)

    def _make(self, gvk: GVK, mapped: Mapped) -> InstanceController:
        self.controllers.append(_Controller(self.informers))
        return cast("InstanceController", self.controllers[-1])

    def _moved(self, gvr: GVR, scope: Scope, before: InformerState, after: InformerState) -> None:
        self.woken += self.served.moved(gvr, scope, before, after)

    def serve(self, kind: str) -> Graph:
        graph = build(kind.lower(), greeter(kind)["spec"], BundledSchemas())
        self.served.serve(graph, definition=kind.lower(), uid="u")
        return graph

    def passes(self) -> int:
        return sum(len(controller.passes) for controller in self.controllers)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(each.run()) for each in (self.informers, self.registry)]
        try:
            await settle()
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)


async def test_a_definition_hears_once_that_all_its_kinds_are_loaded() -> None:
    """However many there are: a start with hundreds of kinds is one pass each."""
    world = _World()
    world.serve("Shop")
    assert world.woken == []

    async with world.running():
        assert world.woken == ["shop"]


async def test_a_forbidden_child_kind_wakes_its_definition_and_the_instances() -> None:
    """They have to look by themselves from then on; when it works again, they need not."""
    world = _World()
    graph = world.serve("Shop")
    world.server.put("a", gvr=graph.instance.mapped.gvr)
    async with world.running():
        world.woken.clear()
        before = world.passes()
        world.server.fault = lambda _, gvr: answer(ForbiddenError, 403) if gvr == SECRETS else None
        for stream in world.server.streams:
            stream.cut()
        await world.clock.advance(30.0)
        forbidden, looked = list(world.woken), world.passes() - before
        world.server.fault = no_fault
        world.informers.retry(SECRETS)
        await settle()

        assert forbidden == ["shop"]
        assert looked == 1
        assert world.woken == ["shop", "shop"]
        assert world.passes() - before == 2


async def test_streams_that_are_cut_wake_nobody() -> None:
    """A store that is resumed was never wrong."""
    world = _World()
    graph = world.serve("Shop")
    world.server.put("a", gvr=graph.instance.mapped.gvr)
    async with world.running():
        world.woken.clear()
        before = world.passes()
        for stream in list(world.server.streams):
            stream.cut()
        await world.clock.advance(30.0)

        assert world.woken == []
        assert world.passes() == before


async def test_other_scopes_and_resources_concern_nobody() -> None:
    """An informer of an external reference is none of those that a definition waits for."""
    world = _World()
    world.serve("Shop")
    change = (InformerState.SYNCED, InformerState.FORBIDDEN)

    assert world.served.moved(CONFIGMAPS, Scope(), *change) == []
    assert world.served.moved(GVR("apps", "v1", "deployments"), MEMBERS, *change) == []
    assert world.served.moved(CONFIGMAPS, MEMBERS, *change) == ["shop"]

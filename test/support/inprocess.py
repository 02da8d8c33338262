"""The instance controller in the test's own process: requests are counted, the graph is given.

Everything is real (client, informers, queue, API server) but the definition controller: a test
builds the graph and says what is served.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import yaml

from kro.controllers.instance import (
    Claims,
    InstanceController,
    InstanceSettings,
    NoMetrics,
    Serving,
    Unavailable,
)
from kro.graph import Graph, build
from kro.refs import GVR, JsonObject, NamespacedName
from kro.runtime import (
    Coordinator,
    Informers,
    LoopClock,
    MicroController,
    Outcome,
    Reconcile,
    Registry,
    RegistrySettings,
    Slots,
)
from kro.runtime.client import Client, NullObserver, Transport, load_config
from kro.runtime.discovery import Discovery
from kro.schema import BundledSchemas
from support.kube import CRDS, Kube
from support.lab import Lab, is_established


class Requests(NullObserver):
    """Counts what the controller asks of the API server; watches count when they open."""

    def __init__(self) -> None:
        self._seen: list[tuple[str, str]] = []

    def take(self) -> Counter[str]:
        """Return `verb resource` → number since the last call; watches are left out."""
        seen, self._seen = self._seen, []
        return Counter(f"{verb} {resource}" for verb, resource in seen if verb != "watch")

    def attempt(
        self,
        *,
        method: str,
        verb: str,
        gvr: GVR | None,
        host: str,
        code: str,
        duration_s: float,
        sent_bytes: int,
        received_bytes: int,
    ) -> None:
        """Count one attempt."""
        self._seen.append((verb, gvr.resource if gvr else ""))


class Forgotten(NoMetrics):
    """Notes which instances a controller has no more to do with."""

    def __init__(self) -> None:
        self.names: list[NamespacedName] = []

    def conditions_persisted(
        self, gvr: GVR, name: NamespacedName, conditions: list[JsonObject]
    ) -> None:
        """Note an instance that has no conditions any more."""
        if not conditions:
            self.names.append(name)


class InProcess:
    """A controller of instances of one definition at a time."""

    def __init__(self, kubeconfig: Path, settings: InstanceSettings | None = None) -> None:
        self.requests = Requests()
        self.forgotten = Forgotten()
        self._settings = settings or InstanceSettings()
        transport = Transport(
            load_config(str(kubeconfig)), user_agent="kro/test", observer=self.requests
        )
        self.client = Client(transport)
        self._clock = LoopClock()
        self._informers = Informers(client=self.client, clock=self._clock)
        self._registry = Registry(
            informers=self._informers,
            clock=self._clock,
            slots=Slots(16, clock=self._clock),
            coordinator=None,
            settings=RegistrySettings(),
        )
        self._coordinator = Coordinator(
            informers=self._informers, enqueue=self._registry.enqueue, clock=self._clock
        )
        self._discovery = Discovery(self.client)
        self._served: dict[GVR, InstanceController] = {}

    async def run(self) -> None:
        """Run until cancelled."""
        async with asyncio.TaskGroup() as group:
            for part in (self._informers, self._registry, self._coordinator):
                group.create_task(part.run())

    async def serve(self, lab: Lab, text: str) -> Graph:
        """Build the graph of a definition, install its CRD and serve it."""
        spec = yaml.safe_load(text)
        spec["schema"] |= {"apiVersion": "v1alpha1", "group": lab.group}
        graph = build("in-process", spec, BundledSchemas())
        crd = f"{graph.instance.mapped.gvr.resource}.{lab.group}"
        await lab.kube.apply(graph.crd, gvr=CRDS)
        await lab.kube.until(CRDS, crd, is_established)
        lab.know(graph.instance.gvk.kind, graph.instance.mapped.gvr)
        gvr = graph.instance.mapped.gvr
        controller = self._served.get(gvr)
        if controller is None:
            controller = self._served[gvr] = self._controller(graph)
        controller.serve(Serving(graph=graph, definition_name="in-process", definition_uid="u-1"))
        self._registry.start(gvr, controller.reconcile, wants=controller.wants)
        assert await self._registry.wait_synced(gvr, 20)
        for informed in controller.watched().values():
            assert await informed.wait_synced(20)
        return graph

    def explain(self, gvr: GVR, why: Unavailable | Serving | None) -> None:
        """Serve the kind otherwise, and wake its instances."""
        self._served[gvr].serve(why)
        self._registry.sweep(gvr)

    def swap(self, gvr: GVR, change: Callable[[Reconcile], Reconcile]) -> MicroController:
        """Run the kind's passes by what `change` makes of their function, from now on."""
        controller = self._served[gvr]
        return self._registry.start(gvr, change(controller.reconcile), wants=controller.wants)

    async def settle(self, gvr: GVR, name: NamespacedName) -> Outcome:
        """Do one more pass over an instance, as any event would."""
        return await self._served[gvr].reconcile(name)

    def _controller(self, graph: Graph) -> InstanceController:
        return InstanceController(
            gvk=graph.instance.gvk,
            mapped=graph.instance.mapped,
            client=self.client,
            informers=self._informers,
            coordinator=self._coordinator,
            discovery=self._discovery,
            clock=self._clock,
            claims=Claims(),
            settings=self._settings,
            metrics=self.forgotten,
        )


@asynccontextmanager
async def running(
    kubeconfig: Path, settings: InstanceSettings | None = None
) -> AsyncIterator[tuple[InProcess, asyncio.Task[None]]]:
    """Run a controller in this process; cancelling its task ends it, as leaving the block does."""
    controller = InProcess(kubeconfig, settings)
    task = asyncio.create_task(controller.run())
    try:
        yield controller, task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await controller.client.aclose()


@asynccontextmanager
async def in_process(
    kubeconfig: Path, settings: InstanceSettings | None = None
) -> AsyncIterator[tuple[InProcess, Lab]]:
    """Run a controller in this process, with a lab for it."""
    async with running(kubeconfig, settings) as (controller, _), Kube(kubeconfig) as kube:
        yield controller, await Lab.opened(kube)

"""Which generated kinds are served, and by what: one instance controller a kind.

A kind is served in one of three ways: with a graph; without one, so that its instances say why; or
for deletion only, when its definition is gone but instances live on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kro.controllers.instance import InstanceController, Serving, Unavailable
from kro.graph import Graph
from kro.refs import GVK, GVR, Mapped
from kro.runtime import Registry


@dataclass(frozen=True, slots=True)
class Served:
    """One generated kind that this process serves."""

    definition: str
    controller: InstanceController
    how: Serving | Unavailable | None


class ServedKinds:
    """Starts, swaps and stops the controllers of generated kinds.

    Concurrency: one event loop; everything but the waits is atomic.
    """

    def __init__(
        self,
        *,
        registry: Registry,
        make: Callable[[GVK, Mapped], InstanceController],
    ) -> None:
        self._registry = registry
        self._make = make
        self._served: dict[GVR, Served] = {}

    def of(self, definition: str) -> frozenset[GVR]:
        """Return the kinds that are served for this definition."""
        return frozenset(gvr for gvr, s in self._served.items() if s.definition == definition)

    def serve(self, graph: Graph, *, definition: str, uid: str) -> None:
        """Serve the graph's kind with this graph from now on."""
        how = Serving(graph=graph, definition_name=definition, definition_uid=uid)
        self._put(graph.instance.gvk, graph.instance.mapped, definition, how)

    def explain(self, gvk: GVK, mapped: Mapped, *, definition: str, why: str) -> None:
        """Serve a kind without a graph: its instances say why, and can be deleted."""
        self._put(gvk, mapped, definition, Unavailable(why, retry=False, reason="failed"))

    def finish(self, gvk: GVK, mapped: Mapped, *, definition: str) -> None:
        """Serve a kind for deletion only."""
        self._put(gvk, mapped, definition, None)

    async def wait(self, gvr: GVR, timeout_s: float) -> str:
        """Wait until the kind and its children's kinds are watched; return what is not by then."""
        if not await self._registry.wait_synced(gvr, timeout_s):
            return f"add parent handler {gvr}: cache sync timeout for {gvr}"
        served = self._served.get(gvr)
        if served is None:
            return f"{gvr} is no longer served"
        behind = await served.controller.wait_synced(timeout_s)
        if behind:
            return f"cache sync timeout for {', '.join(str(child) for child in behind)}"
        return ""

    async def stop(self, gvr: GVR) -> None:
        """Serve the kind no longer; running passes end first."""
        served = self._served.pop(gvr, None)
        await self._registry.stop(gvr)
        if served is not None:
            served.controller.close()

    def _put(
        self, gvk: GVK, mapped: Mapped, definition: str, how: Serving | Unavailable | None
    ) -> None:
        """Serve the kind so; every instance gets a pass, unless it is served so already."""
        served = self._served.get(mapped.gvr)
        if served is not None and served.definition == definition and _same(served.how, how):
            return
        controller = served.controller if served else self._make(gvk, mapped)
        self._served[mapped.gvr] = Served(definition, controller, how)
        controller.serve(how)
        self._registry.start(mapped.gvr, controller.reconcile, wants=controller.wants)


def _same(one: Serving | Unavailable | None, other: Serving | Unavailable | None) -> bool:
    if isinstance(one, Serving) and isinstance(other, Serving):
        return one.graph is other.graph and one.definition_uid == other.definition_uid
    return one == other

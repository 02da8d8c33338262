"""Which generated kinds are served, and by what: one instance controller a kind.

A kind is served in one of three ways: with a graph; without one, so that its instances say why; or
for deletion only, when its definition is gone but instances live on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from kro.controllers.instance import InstanceController, Serving, Unavailable
from kro.graph import Graph
from kro.refs import GVK, GVR, Mapped
from kro.runtime import Informed, InformerState, Registry, Scope

WHOLE: Final = (InformerState.SYNCED, InformerState.STALE)
"""States of an informer whose store says what the API server said not long ago."""


@dataclass(frozen=True, slots=True)
class Served:
    """One generated kind that this process serves."""

    definition: str
    controller: InstanceController
    how: Serving | Unavailable | None


class ServedKinds:
    """Starts, swaps and stops the controllers of generated kinds.

    Concurrency: one event loop; everything but `stop` is atomic.
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

    def watches(self, gvr: GVR) -> tuple[Informed, ...]:
        """Return the informers of a kind, first its own, and of its children's kinds.

        None where the kind is not served. Kinds that only earlier graphs wrote are among them.
        """
        served, micro = self._served.get(gvr), self._registry.get(gvr)
        if served is None or micro is None:
            return ()
        return (micro.informed, *served.controller.watched().values())

    def moved(
        self, gvr: GVR, scope: Scope, before: InformerState, after: InformerState
    ) -> list[str]:
        """Return the definitions that must hear that an informer went from one state to another.

        Where the informer of a child's kind stops or begins to work, the instances get a pass: from
        then on they have to look by themselves, or need not any more.
        """
        if before in WHOLE and after in WHOLE:
            return []
        concerned = []
        for kind, served in self._served.items():
            watches = self.watches(kind)
            if not any((each.gvr, each.scope) == (gvr, scope) for each in watches):
                continue
            loaded = before is InformerState.LOADING and after in WHOLE
            if loaded and any(each.state is InformerState.LOADING for each in watches):
                continue  # the last one that is loaded tells
            concerned.append(served.definition)
            if gvr != kind and not loaded:
                self._registry.sweep(kind)
        return concerned

    def sweep(self, gvr: GVR) -> None:
        """Give every instance of a kind a pass, after all that has more need of one."""
        self._registry.sweep(gvr)

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

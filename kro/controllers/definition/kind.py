"""The kind of a definition: its CRD on the server, and who serves its instances here.

Source: spec "graph and RGD controller" §7.6, §7.7, §7.9; design D9.
"""

from __future__ import annotations

from typing import Final

from kro.controllers.crd import (
    CrdRefusedError,
    accepted_kind,
    crd_name,
    is_established,
    is_terminating,
    names_conflict,
)
from kro.controllers.definition.crds import GeneratedCrds
from kro.controllers.definition.serving import ServedKinds
from kro.controllers.definition.status import CONTROLLER_READY, KIND_READY, Report
from kro.controllers.reporting import message_of
from kro.controllers.revision import name_of, uid_of
from kro.errors import ClusterError
from kro.graph import Graph
from kro.refs import GVR, JsonObject
from kro.runtime import CheckAgain, Outcome, Settled
from kro.schema import crd_gvk, crd_mapped

ESTABLISHED_S: Final = 3.0
"""How long the API server may take to serve a CRD before the status tells that it does not."""
SYNC_S: Final = 30.0
"""How long a pass waits for a kind to be watched; once the status says that it is not, passes only
look."""


class GeneratedKind:
    """Brings the kinds of definitions into service, and keeps them there while they are needed.

    Args:
        progress_s: how soon a pass that waits for the API server looks again without an event.

    Concurrency: one event loop; one pass a definition.
    """

    def __init__(self, *, crds: GeneratedCrds, served: ServedKinds, progress_s: float) -> None:
        self._crds = crds
        self._served = served
        self._progress_s = progress_s

    def keep_serving(self, definition: JsonObject, graph: Graph) -> None:
        """Serve the graph where the API server serves its kind, and it is this definition's."""
        name, gvr = name_of(definition), graph.instance.mapped.gvr
        if any(crd_mapped(crd).gvr == gvr for crd in self._crds.served(name)):
            self._served.serve(graph, definition=name, uid=uid_of(definition))

    async def ensure(self, definition: JsonObject, report: Report, graph: Graph) -> Outcome | None:
        """Make the CRD say what it should; return what to wait for, or None when it is served."""
        conditions = report.conditions
        try:
            crd, written = await self._crds.ensure(definition, graph)
        except CrdRefusedError as error:
            conditions.set(KIND_READY, "False", "Failed", message_of(error))
            return Settled()  # a change of the CRD or of the definition wakes it
        except ClusterError as error:
            conditions.set(KIND_READY, "False", "Failed", message_of(error))
            raise
        if is_terminating(crd):
            why = f"CRD {name_of(crd)} is being deleted; it is created again once it is gone"
            conditions.set(KIND_READY, "False", "Failed", why)
            return CheckAgain(after_s=self._progress_s, why=why)
        if is_established(crd):
            kind = accepted_kind(crd)
            conditions.set(KIND_READY, "True", "Ready", f"kind {kind} has been accepted and ready")
            return None
        if conflict := names_conflict(crd):
            conditions.set(KIND_READY, "False", "Failed", f"CRD {name_of(crd)}: {conflict}")
        elif written:
            report.deferred = True
            return CheckAgain(after_s=ESTABLISHED_S, why="the CRD was just written")
        return CheckAgain(after_s=self._progress_s, why="the CRD is not established")

    async def watch(self, report: Report, gvr: GVR) -> Outcome:
        """Say that the kind is served, once it and its children's kinds are watched."""
        before = report.conditions.get(CONTROLLER_READY)
        patience_s = 0.0 if before and before.reason == "FailedToStart" else SYNC_S
        problem = await self._served.wait(gvr, patience_s)
        if problem:
            report.conditions.set(CONTROLLER_READY, "False", "FailedToStart", problem)
            return CheckAgain(after_s=self._progress_s, why=problem)
        report.conditions.set(CONTROLLER_READY, "True", "Running", "controller is running")
        return Settled()

    def finish_instances(self, name: str, *, all_of_them: bool = True) -> frozenset[GVR]:
        """Serve the definition's kinds for deletion only; return which kinds that are.

        Args:
            all_of_them: also kinds that are served with a graph now; without it, only those that
                nothing serves, such as the kind of an earlier definition of the same name.
        """
        served = self._served.of(name)
        left = set()
        for crd in self._crds.served(name):
            mapped = crd_mapped(crd)
            if all_of_them or mapped.gvr not in served:
                left.add(mapped.gvr)
                self._served.finish(crd_gvk(crd), mapped, definition=name)
        return frozenset(left)

    def explain(self, name: str, why: str) -> None:
        """Serve the definition's kinds without a graph: their instances say why."""
        for crd in self._crds.served(name):
            self._served.explain(crd_gvk(crd), crd_mapped(crd), definition=name, why=why)

    async def delete_crd(self, definition: JsonObject) -> None:
        """Delete the CRD that the definition's spec names, if the definition owns it.

        Raises:
            ClusterError: the request failed.
        """
        for crd in self._crds.of(name_of(definition)):
            if name_of(crd) == crd_name(definition):
                await self._crds.delete(crd)

    async def stop_what_is_gone(self, name: str) -> None:
        """Serve what is left of a definition that is gone for deletion, and the rest no longer."""
        left = self.finish_instances(name)
        for gvr in self._served.of(name) - left:
            await self._served.stop(gvr)

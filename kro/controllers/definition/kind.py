"""The kind of a definition: its CRD on the server, and who serves its instances here.

What keeps a kind from being served is ControllerReady's False: its own informer cannot be loaded.
What keeps only some of its resources from working (a child's kind that may not be watched or is
not served, rights that are missing) leaves it True, as in kro (Go), and is told by its message.

Source: spec "graph and RGD controller" §7.6, §7.7, §7.9; "Controller runtime" D-07, F-40, F-41;
design D9.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from kro.controllers.access import Need, denial, needs_of
from kro.controllers.crd import (
    CrdRefusedError,
    accepted_kind,
    crd_name,
    is_established,
    is_terminating,
    names_conflict,
)
from kro.controllers.definition.crds import GeneratedCrds
from kro.controllers.definition.serving import WHOLE, ServedKinds
from kro.controllers.definition.status import CONTROLLER_READY, KIND_READY, Report
from kro.controllers.preflight import Preflight
from kro.controllers.reporting import cut, message_of
from kro.controllers.revision import name_of, uid_of
from kro.errors import ClusterError
from kro.graph import Graph
from kro.logs import get_logger
from kro.refs import GVR, JsonObject
from kro.runtime import CheckAgain, Clock, Informed, InformerState, Outcome, Settled
from kro.schema import crd_gvk, crd_mapped

ESTABLISHED_S: Final = 3.0
"""How long the API server may take to serve a CRD before the status tells that it does not."""
SYNC_S: Final = 30.0
"""How long a kind may take to be loaded before the status tells that it is not; nobody waits for
it, its event brings the next pass."""
_READING: Final = ("list", "watch")
RECHECK_S: Final = 10.0
"""How often is looked whether what is missing has come: a right that is granted is no event."""


class GeneratedKind:
    """Brings the kinds of definitions into service, and keeps them there while they are needed.

    Args:
        retry: lets informers of a resource that were refused try again at once.
        progress_s: how soon a pass that waits for the API server looks again without an event.

    Concurrency: one event loop; one pass a definition.
    """

    def __init__(
        self,
        *,
        crds: GeneratedCrds,
        served: ServedKinds,
        preflight: Preflight,
        retry: Callable[[GVR], None],
        clock: Clock,
        progress_s: float,
    ) -> None:
        self._crds = crds
        self._served = served
        self._preflight = preflight
        self._retry = retry
        self._clock = clock
        self._progress_s = progress_s
        self._loading_since: dict[GVR, float] = {}
        self._missing: dict[str, tuple[Need, ...]] = {}
        self._log = get_logger("rgd-controller")

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
            problem = cut(await self._preflight.explain(error))
            conditions.set(KIND_READY, "False", "Failed", problem)
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

    async def watch(self, report: Report, graph: Graph) -> Outcome:
        """Say that the kind is served, once it and its children's kinds are watched.

        What does not come in time, or may not be used, is told; it holds nobody up.

        Raises:
            NotLeadingError: this process may not ask for its rights any more.
        """
        gvr = graph.instance.mapped.gvr
        missing = await self._rights(name_of(report.definition), graph)
        watches = self._served.watches(gvr)
        if not watches:
            problem = f"add parent handler {gvr}: its CRD is not this definition's any more"
            report.conditions.set(CONTROLLER_READY, "False", "FailedToStart", problem)
            return CheckAgain(after_s=self._progress_s, why=problem)
        written = {node.mapped.gvr for node in graph.nodes.values() if not node.kind.is_external}
        own, children = watches[0], [each for each in watches[1:] if each.gvr in written]
        left_s = self._patience(gvr, (own, *children))
        if left_s > 0:
            report.deferred = True
            return CheckAgain(after_s=left_s, why="kinds are being loaded")
        told = [denial(missing)] if missing else []
        if own.state not in WHOLE:
            problem = f"add parent handler {gvr}: {_trouble(own)}"
            text = cut("\n".join((problem, *told)))
            report.conditions.set(CONTROLLER_READY, "False", "FailedToStart", text)
            return CheckAgain(after_s=RECHECK_S, why=problem)
        unreadable = {(need.group, need.resource) for need in missing if need.only(_READING).verbs}
        told += [
            _trouble(each)
            for each in children
            if each.state not in WHOLE and (each.gvr.group, each.gvr.resource) not in unreadable
        ]
        text = cut("\n".join(("controller is running", *told)))
        report.conditions.set(CONTROLLER_READY, "True", "Running", text)
        return CheckAgain(after_s=RECHECK_S, why=told[0]) if told else Settled()

    def _patience(self, gvr: GVR, watches: Iterable[Informed]) -> float:
        """Return for how long the kind's informers may go on loading before that is a problem.

        A kind that the API server has just begun to serve may seem absent at first.
        """
        if all(each.state in (*WHOLE, InformerState.FORBIDDEN) for each in watches):
            self._loading_since.pop(gvr, None)
            return 0.0
        since = self._loading_since.setdefault(gvr, self._clock.now())
        return max(0.0, since + SYNC_S - self._clock.now())

    async def _rights(self, name: str, graph: Graph) -> tuple[Need, ...]:
        """Return what the definition needs and may not be done; what was granted works at once."""
        before = self._missing.pop(name, ())
        missing = await self._preflight.missing(name, needs_of(graph))
        if missing:
            self._missing[name] = missing
        if missing == before:
            return missing
        self._log.info("missing rights changed", name=name, missing=denial(missing) or "none")
        if any(need not in missing for need in before):
            kind = graph.instance.mapped.gvr
            for gvr in {kind, *(node.mapped.gvr for node in graph.nodes.values())}:
                self._retry(gvr)
            self._served.sweep(kind)
        return missing

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
        self._preflight.forget(name)
        self._missing.pop(name, None)
        left = self.finish_instances(name)
        for gvr in self._served.of(name) - left:
            self._loading_since.pop(gvr, None)
            await self._served.stop(gvr)


def _trouble(informed: Informed) -> str:
    """Return why an informer is not whole."""
    gvr, problem = informed.gvr, informed.problem
    match informed.state:
        case InformerState.FORBIDDEN:
            return f"{gvr} may not be watched: {problem}"
        case InformerState.ABSENT:
            return f"{gvr} is not served"
    return f"cache sync timeout for {gvr}" + (f": {problem}" if problem else "")

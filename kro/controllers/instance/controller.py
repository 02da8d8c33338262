"""The controller of one generated kind: which pass an instance gets, and with what graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias, cast

from kro import names
from kro.controllers.instance.applyset import applyset_id
from kro.controllers.instance.children import Children
from kro.controllers.instance.deletion import Deletion
from kro.controllers.instance.kind import (
    Claims,
    EventRecorder,
    Explain,
    InstanceMetrics,
    InstanceSettings,
    Kind,
    NoMetrics,
    Serving,
    Unavailable,
    as_it_is,
)
from kro.controllers.instance.labels import is_suspended
from kro.controllers.instance.memory import Memory
from kro.controllers.instance.reconcile import Reconciliation
from kro.controllers.instance.report import Report
from kro.controllers.instance.status import conditions_of
from kro.errors import InvariantError
from kro.graph import Graph
from kro.graph.evaluation import UNMETERED, InstanceState, Meter, is_terminating
from kro.refs import GVK, GVR, JsonObject, Mapped, NamespacedName
from kro.runtime import (
    CheckAgain,
    Clock,
    Coordinator,
    Cycle,
    Discovery,
    Informed,
    Informers,
    Outcome,
    Settled,
    has_finalizer,
    spec_changed,
)
from kro.runtime.client import Client
from kro.schema import apply_defaults

Served: TypeAlias = Serving | Unavailable | None
"""What a kind is served with; None: its definition is gone, instances can only be deleted."""


class InstanceController:
    """Reconciles the instances of one generated kind.

    Concurrency: `reconcile` may run for many instances at once, but only once per instance at a
    time (the work queue's leases hold that). `serve` swaps what later passes use, at any moment.
    """

    def __init__(
        self,
        *,
        gvk: GVK,
        mapped: Mapped,
        client: Client,
        informers: Informers,
        coordinator: Coordinator,
        discovery: Discovery,
        clock: Clock,
        claims: Claims,
        settings: InstanceSettings,
        recorder: EventRecorder | None = None,
        metrics: InstanceMetrics | None = None,
        meter: Meter = UNMETERED,
        explain: Explain = as_it_is,
    ) -> None:
        self._kind = Kind(
            gvk=gvk,
            mapped=mapped,
            client=client,
            informers=informers,
            coordinator=coordinator,
            discovery=discovery,
            clock=clock,
            settings=settings,
            claims=claims,
            instances=informers.watch(mapped.gvr, owner=f"instances of {gvk}"),
            recorder=recorder,
            metrics=metrics or NoMetrics(),
            meter=meter,
            explain=explain,
        )
        self._children = Children(self._kind)
        self._memory = Memory()
        self._served: Served = Unavailable("latest issued graph revision not available")

    def serve(self, served: Served) -> None:
        """Use this graph, or this reason why there is none, from the next pass on.

        The caller wakes the instances; passes that have begun end with what they began with.
        """
        self._served = served
        if isinstance(served, Serving):
            self._children.follow(served.graph)

    def watched(self) -> Mapping[GVR, Informed]:
        """Return the informers of the kinds of all children, those of earlier graphs too."""
        return self._children.watched()

    def close(self) -> None:
        """Stop watching; no pass may run any more."""
        self._children.close()
        self._kind.instances.release()

    @staticmethod
    def wants(old: JsonObject | None, new: JsonObject | None) -> bool:
        """Return whether a change of an instance deserves a pass.

        A changed spec, a deletion that begins, a finalizer of ours that somebody took away and the
        annotation that suspends do; labels, other annotations and the status do not.
        """
        if old is None or new is None or spec_changed(old, new):
            return True
        lost = has_finalizer(old, names.FINALIZER) and not has_finalizer(new, names.FINALIZER)
        return lost or is_suspended(old) != is_suspended(new)

    async def reconcile(self, name: NamespacedName) -> Outcome:
        """Do one pass over one instance.

        Raises:
            KroError: the pass failed and deserves another one, each time later.
        """
        if not self._kind.instances.synced:
            return Settled()  # an early event of a child: the load brings every instance there is
        started = self._kind.clock.now()
        failed = True
        try:
            outcome = await self._reconcile(name)
            failed = False
        finally:
            took = self._kind.clock.now() - started
            self._kind.metrics.passed(self._kind.mapped.gvr, took, failed=failed)
        if self._kind.instances.stored(name) is None:
            # It went meanwhile, perhaps by this very pass, which no event follows then.
            self._memory.forget(name)
            self._kind.metrics.conditions_persisted(self._kind.mapped.gvr, name, [])
        return outcome

    async def _reconcile(self, name: NamespacedName) -> Outcome:
        kind = self._kind
        live = kind.instances.get(name)
        if live is None:
            return Settled()
        if kind.settings.condition_metrics:
            kind.metrics.conditions_persisted(kind.mapped.gvr, name, conditions_of(live))
        served = self._served
        graph = served.graph if isinstance(served, Serving) else None
        if graph is not None:
            live = _with_defaults(live, graph)
        report = Report(kind, live, graph=graph)
        set_id = applyset_id(name, kind.gvk.group_kind)
        with kind.coordinator.cycle(kind.key(name)) as cycle:
            if is_terminating(live):
                return await Deletion(
                    kind=kind,
                    children=self._children,
                    report=report,
                    set_id=set_id,
                    cycle=cycle,
                ).run()
            match served:
                case Serving():
                    kind.metrics.graph_resolved(kind.mapped.gvr)
                    return await Reconciliation(
                        kind=kind,
                        children=self._children,
                        memory=self._memory,
                        report=report,
                        serving=served,
                        set_id=set_id,
                        cycle=cycle,
                    ).run()
                case Unavailable():
                    return await self._explain(report, served, cycle)
                case None:
                    cycle.keep()
                    return Settled()
        raise InvariantError("a pass ended without an outcome")

    async def _explain(self, report: Report, served: Unavailable, cycle: Cycle) -> Outcome:
        """Say on the instance why nothing happens; what its status says besides stays."""
        kind = self._kind
        cycle.keep()
        kind.metrics.graph_unavailable(kind.mapped.gvr, served.reason)
        report.unresolved(served.message)
        await report.write_over(InstanceState.ERROR)
        if not served.retry:
            return Settled()
        return CheckAgain(after_s=kind.settings.requeue_s or 60.0, why=served.message)


def _with_defaults(live: JsonObject, graph: Graph) -> JsonObject:
    """Return the instance with the defaults that its schema has gained since it was stored.

    The API server fills them in whenever it answers, but a change of the CRD is no event of the
    instances: what a watch has brought lacks them until an instance is written.
    """
    properties = graph.instance.schema.get("properties")
    schema = properties.get("spec") if isinstance(properties, dict) else None
    if not isinstance(schema, dict):
        return live
    known: JsonObject = {"spec": live["spec"]} if "spec" in live else {}
    return {**live, **cast("JsonObject", apply_defaults(known, {"properties": {"spec": schema}}))}

"""What one pass tells the user: conditions step by step, and one status at its end."""

from __future__ import annotations

from datetime import UTC
from typing import cast

from kro.controllers.conditions import ConditionSet
from kro.controllers.instance.conditions import BUILT_IN, ConditionType
from kro.controllers.instance.kind import Kind
from kro.controllers.instance.status import (
    conditions_of,
    has_author_conditions,
    status_of,
    whole,
    with_author_conditions,
    write_status,
)
from kro.controllers.reporting import cut
from kro.errors import EvaluationError
from kro.graph import Graph
from kro.graph.evaluation import InstanceState, evaluate_conditions, stamp
from kro.refs import JsonObject, JsonValue


class Report:
    """Collects what a pass finds out, and writes it."""

    def __init__(self, kind: Kind, live: JsonObject, *, graph: Graph | None) -> None:
        metadata = cast("JsonObject", live["metadata"])
        self._kind = kind
        self._authored = (
            bool(graph.instance.conditions) if graph is not None else has_author_conditions(live)
        )
        self._graph = graph
        self._generation = int(cast("int", metadata.get("generation") or 0))
        self._now = kind.clock.wall().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        own = [] if self._authored else conditions_of(live)
        self._conditions = ConditionSet(
            ConditionType,
            owner=live,
            stored=[condition for condition in own if condition.get("type") in BUILT_IN],
            now=self._now,
        )
        self.live = live
        """The instance as it is after the writes of this pass so far."""

    def managed(self) -> None:
        """Finalizer and labels are in place."""
        self._conditions.set(
            ConditionType.MANAGED,
            "True",
            "Managed",
            "instance is properly managed with finalizers and labels",
        )

    def unmanaged(self, why: str) -> None:
        """Finalizer or labels could not be written, or the finalizer not removed."""
        self._conditions.set(ConditionType.MANAGED, "False", "ManagementFailed", cut(why))

    def resolved(self) -> None:
        """The graph is there."""
        self._conditions.set(
            ConditionType.RESOLVED,
            "True",
            "Resolved",
            "runtime graph created and all resources resolved",
        )

    def unresolved(self, why: str) -> None:
        """There is no graph to work with."""
        self._conditions.set(ConditionType.RESOLVED, "False", "ResolutionFailed", cut(why))

    def ready(self, note: str = "") -> None:
        """Every resource is there and ready; `note` tells what may nevertheless go unnoticed."""
        text = "all resources are created and ready"
        self._conditions.set(
            ConditionType.RESOURCES,
            "True",
            "AllResourcesReady",
            f"{text}; {note}" if note else text,
        )

    def not_ready(self, why: str) -> None:
        """Something is missing, failed, or waits."""
        self._conditions.set(
            ConditionType.RESOURCES,
            "False",
            "NotReady",
            cut(f"resource reconciliation failed: {why}"),
        )

    def terminating(self, why: str) -> None:
        """A resource has to disappear before it can be written."""
        self._conditions.set(ConditionType.RESOURCES, "False", "ResourceDeleting", cut(why))

    def suspended(self) -> None:
        """The user wants the resources left alone."""
        self._conditions.set(
            ConditionType.RESOURCES,
            "False",
            "ReconciliationSuspended",
            "reconciliation suspended via kro.run/reconcile annotation",
        )

    def deleting(self, why: str = "deleting resources") -> None:
        """The instance and its resources are going."""
        self._conditions.set(ConditionType.RESOURCES, "Unknown", "UnderDeletion", cut(why))

    async def write(
        self, state: InstanceState, fields: JsonObject, bindings: dict[str, object]
    ) -> tuple[EvaluationError, ...]:
        """Write the status of a pass that looked at the resources.

        Returns what is wrong with the author's conditions, which the status cannot say.

        Raises:
            ClusterError: the write failed.
        """
        broken: tuple[EvaluationError, ...] = ()
        if self._graph is not None and self._authored:
            declared = evaluate_conditions(self._graph, self.live, bindings, self._built_in())
            conditions = stamp(
                declared,
                conditions_of(self.live),
                generation=self._generation,
                now=self._now,
            )
            broken = declared.errors
        else:
            conditions = self._built_in()
        if broken:
            state = InstanceState.ERROR
        elif self._conditions.ready:
            state = InstanceState.ACTIVE
        await self._put(whole(state, conditions, fields))
        return broken

    async def write_over(self, state: InstanceState) -> None:
        """Write state and built-in conditions over the status that is there; the rest stays.

        Raises:
            ClusterError: the write failed.
        """
        status: JsonObject = {**status_of(self.live), "state": str(state)}
        if not self._authored:
            status["conditions"] = cast("JsonValue", self._built_in())
        await self._put(status)

    async def write_deleting(self) -> None:
        """Write that the instance is being deleted; the author's fields and conditions stay.

        Raises:
            ClusterError: the write failed.
        """
        conditions = self._built_in()
        if self._authored:
            own = next(c for c in conditions if c["type"] == ConditionType.RESOURCES)
            conditions = with_author_conditions(conditions_of(self.live), own)
        status: JsonObject = {
            **status_of(self.live),
            "state": str(InstanceState.DELETING),
            "conditions": cast("JsonValue", conditions),
        }
        await self._put(status)

    async def _put(self, status: JsonObject) -> None:
        self.live = await write_status(self._kind, self.live, status)

    def _built_in(self) -> list[JsonObject]:
        return cast("list[JsonObject]", self._conditions.wire())

"""The status of a definition: conditions, state, order, and the patch that writes what changed.

Source: spec "graph and RGD controller" §7.4, §7.5; "API surface and operations" §1.5, §5.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from kro.controllers.conditions import ConditionSet
from kro.controllers.reporting import order_of
from kro.graph import Graph
from kro.refs import JsonObject, JsonValue

RESOLVED: Final = "GraphRevisionsResolved"
GRAPH_ACCEPTED: Final = "GraphAccepted"
KIND_READY: Final = "KindReady"
CONTROLLER_READY: Final = "ControllerReady"
DEPENDENTS: Final = (RESOLVED, GRAPH_ACCEPTED, KIND_READY, CONTROLLER_READY)
DECISIVE: Final = (GRAPH_ACCEPTED, KIND_READY, CONTROLLER_READY)
"""What `state` looks at: a definition whose next revision is being compiled stays Active."""
RETIRED: Final = ("ResourceGraphAccepted",)

AWAITS_SETTLEMENT: Final = "WaitingForGraphRevisionSettlement"
AWAITS_WARMUP: Final = "WaitingForGraphRevisionWarmup"
AWAITS_COMPILATION: Final = "WaitingForGraphRevisionCompilation"


@dataclass(slots=True)
class Report:
    """What one pass finds out about a definition, and the patch that says it."""

    definition: JsonObject
    conditions: ConditionSet
    order: dict[str, JsonValue] = field(default_factory=dict)
    """Empty: the order that stands in the status stays."""
    last_issued: int = 0
    deferred: bool = False
    """Our own write brings the next pass at once; what this one found is written by that one."""

    @classmethod
    def of(cls, definition: JsonObject, *, now: str) -> Report:
        """Return what the definition's status says now, ready to be changed."""
        status = _status(definition)
        stored = status.get("conditions")
        issued = status.get("lastIssuedRevision")
        conditions = ConditionSet(
            DEPENDENTS,
            owner=definition,
            stored=stored if isinstance(stored, list) else (),
            now=now,
            retired=RETIRED,
        )
        return cls(definition, conditions, last_issued=issued if isinstance(issued, int) else 0)

    def show(self, graph: Graph | None) -> None:
        """Let the status show this graph's order; without one it is cleared."""
        self.order = order_of(graph)

    def refuse(self, why: str) -> None:
        """Say that the spec cannot be served as it is."""
        self.conditions.set(GRAPH_ACCEPTED, "False", "InvalidResourceGraph", why)

    def issued(self, revision: int) -> None:
        """Raise the highest number that was ever issued."""
        self.last_issued = max(self.last_issued, revision)

    @property
    def awaits_compilation(self) -> bool:
        """Whether the status says already that this generation's revision is being compiled."""
        resolved = self.conditions.get(RESOLVED)
        return (
            resolved is not None
            and resolved.reason == AWAITS_COMPILATION
            and resolved.observed_generation == self.conditions.generation
        )

    def patch(self) -> JsonObject:
        """Return the merge patch of `status`, or nothing if the status says it all."""
        wanted: dict[str, JsonValue] = {
            "state": self.state,
            "conditions": self.conditions.wire(),
            "lastIssuedRevision": self.last_issued or None,
            **self.order,
        }
        current = _status(self.definition)
        return {key: value for key, value in wanted.items() if current.get(key) != value}

    @property
    def state(self) -> str:
        """`Active` when the graph is accepted, its kind is served and the controller runs."""
        return "Active" if all(self.conditions.is_true(kind) for kind in DECISIVE) else "Inactive"

    @property
    def state_before(self) -> str:
        """The state that the definition's status holds."""
        return str(_status(self.definition).get("state", ""))


def _status(definition: Mapping[str, JsonValue]) -> Mapping[str, JsonValue]:
    status = definition.get("status")
    return status if isinstance(status, dict) else {}

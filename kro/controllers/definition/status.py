"""The status of a definition: conditions, state, order, and the patch that writes what changed.

Source: spec "graph and RGD controller" §7.4, §7.5; "API surface and operations" §1.5, §5.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from kro.controllers.conditions import ConditionSet
from kro.graph import Graph
from kro.refs import JsonObject, JsonValue

GRAPH_ACCEPTED: Final = "GraphAccepted"
KIND_READY: Final = "KindReady"
CONTROLLER_READY: Final = "ControllerReady"
DEPENDENTS: Final = (GRAPH_ACCEPTED, KIND_READY, CONTROLLER_READY)
RETIRED: Final = ("ResourceGraphAccepted",)

MESSAGE_LIMIT: Final = 32_768
"""Longest condition message: the API server takes objects of 1.5 MiB, people read less."""


def conditions_of(definition: Mapping[str, JsonValue], *, now: str) -> ConditionSet:
    """Return the definition's conditions, ready to be changed by one pass."""
    stored = _status(definition).get("conditions")
    return ConditionSet(
        DEPENDENTS,
        owner=definition,
        stored=stored if isinstance(stored, list) else (),
        now=now,
        retired=RETIRED,
    )


def message_of(error: BaseException) -> str:
    """Return the text of an error as a condition shows it, cut where it is too long."""
    text = str(error)
    if len(text) <= MESSAGE_LIMIT:
        return text
    return text[:MESSAGE_LIMIT] + "\n… (cut)"


def status_patch(
    definition: Mapping[str, JsonValue], conditions: ConditionSet, graph: Graph | None
) -> JsonObject:
    """Return the merge patch of `status` that makes it say this, or nothing if it does.

    Without a graph the order and the dependencies are cleared.
    """
    wanted: dict[str, JsonValue] = {
        "state": state_of(conditions),
        "conditions": conditions.wire(),
        "topologicalOrder": list(graph.order) if graph and graph.order else None,
        "resources": _dependencies(graph) if graph else None,
    }
    current = _status(definition)
    return {key: value for key, value in wanted.items() if current.get(key) != value}


def state_of(conditions: ConditionSet) -> str:
    """Return `Active` when the graph is accepted, its kind is served and the controller runs."""
    return "Active" if all(conditions.is_true(kind) for kind in DEPENDENTS) else "Inactive"


def current_state(definition: Mapping[str, JsonValue]) -> str:
    """Return the state that the definition's status holds."""
    return str(_status(definition).get("state", ""))


def _dependencies(graph: Graph) -> list[JsonValue] | None:
    """Return the nodes that depend on others, in apply order, or None if there are none."""
    rows: list[JsonValue] = [
        {
            "id": node_id,
            "dependencies": [
                {"id": other} for other in graph.nodes if other in graph.nodes[node_id].depends_on
            ],
        }
        for node_id in graph.order
        if graph.nodes[node_id].depends_on
    ]
    return rows or None


def _status(definition: Mapping[str, JsonValue]) -> Mapping[str, JsonValue]:
    status = definition.get("status")
    return status if isinstance(status, dict) else {}

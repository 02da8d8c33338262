"""What a status says about a graph and about errors, the same on definitions and revisions."""

from __future__ import annotations

from typing import Final

from kro.graph import Graph
from kro.refs import JsonValue

MESSAGE_LIMIT: Final = 32_768
"""Longest condition message: the API server takes objects of 1.5 MiB, people read less."""


def message_of(error: BaseException) -> str:
    """Return the text of an error as a condition shows it, cut where it is too long."""
    return cut(str(error))


def cut(text: str) -> str:
    """Return a text that fits into a condition."""
    if len(text) <= MESSAGE_LIMIT:
        return text
    return text[:MESSAGE_LIMIT] + "\n… (cut)"


def order_of(graph: Graph | None) -> dict[str, JsonValue]:
    """Return `topologicalOrder` and `resources` of a status; None where a key is to be absent.

    `resources` lists, in apply order, the nodes that depend on others.
    """
    if graph is None:
        return {"topologicalOrder": None, "resources": None}
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
    return {"topologicalOrder": list(graph.order) or None, "resources": rows or None}

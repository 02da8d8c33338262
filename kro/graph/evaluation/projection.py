"""The author's status fields: what of them can be said now.

Source: spec instance-runtime.md §1.7, §6.5; cel.md §5.5.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from kro.cel import Pending
from kro.errors import EvaluationError
from kro.graph import fieldpath
from kro.graph.evaluation.meter import UNMETERED, Meter, metered
from kro.graph.evaluation.outcome import Projection
from kro.graph.evaluation.resolve import wire_number
from kro.graph.evaluation.texts import shown
from kro.graph.node import Graph
from kro.refs import JsonObject, JsonValue

RESERVED = ("state", "conditions")
"""Status fields that no expression sets."""


def project(graph: Graph, bindings: Mapping[str, object], meter: Meter = UNMETERED) -> Projection:
    """Return the status fields whose expressions have all their data.

    A list is there only without gaps: up to its last element that could be computed, every one
    could. A field whose expression cannot work with the data is left out and reported.

    Args:
        bindings: `schema` and the nodes that have a value in this pass.
    """
    values: list[tuple[fieldpath.FieldPath, JsonValue]] = []
    errors: list[EvaluationError] = []
    since = meter.now()
    for field in graph.instance.status_fields:
        try:
            value = metered(field.expression, bindings, meter)
            if not isinstance(value, Pending):
                values.append((field.path, wire_number(cast("JsonValue", value))))
        except EvaluationError as error:
            where = f"{fieldpath.join(field.path)}: eval {shown(field.expression)}: "
            errors.append(EvaluationError(where + error.problem, excerpt=error.excerpt))
    meter.resolved(since, broken=bool(errors))
    whole = cast("JsonObject", fieldpath.assemble(_without_gaps(values)))
    status = whole.get("status")
    fields = status if isinstance(status, dict) else {}
    return Projection(
        {key: value for key, value in fields.items() if key not in RESERVED}, tuple(errors)
    )


def _without_gaps(
    values: list[tuple[fieldpath.FieldPath, JsonValue]],
) -> list[tuple[fieldpath.FieldPath, JsonValue]]:
    """Return the values without those in lists that lack an earlier element."""
    present: dict[fieldpath.FieldPath, set[int]] = {}
    for path, _ in values:
        for depth, segment in enumerate(path):
            if isinstance(segment, int):
                present.setdefault(path[:depth], set()).add(segment)
    gaps = {prefix for prefix, found in present.items() if max(found) >= len(found)}
    if not gaps:
        return values
    kept = [
        (path, value)
        for path, value in values
        if not any(path[:depth] in gaps for depth in range(len(path)))
    ]
    return _without_gaps(kept)

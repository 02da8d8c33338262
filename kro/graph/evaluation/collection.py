"""forEach: from lists to one manifest per combination.

Source: spec instance-runtime.md §2.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

from kro.errors import EvaluationError
from kro.graph.evaluation.meter import UNMETERED, Meter
from kro.graph.evaluation.resolve import (
    Unresolved,
    check_identity,
    evaluate,
    evaluate_fields,
    item_fields,
    render,
    shared_fields,
)
from kro.graph.evaluation.texts import name_of, quoted, shown
from kro.graph.node import Node
from kro.refs import JsonObject, JsonValue


def expand(
    node: Node, bindings: Mapping[str, object], *, limit: int, meter: Meter = UNMETERED
) -> list[JsonObject] | Unresolved:
    """Return the manifests of a collection: first dimension outermost, each list in its own order.

    Raises:
        EvaluationError: a dimension is no list, the product is above `limit`, an expression cannot
            work with its data, or two items have the same identity.
    """
    shared = evaluate_fields(node, shared_fields(node), bindings, meter)
    if isinstance(shared, Unresolved):
        return shared
    dimensions = _dimensions(node, bindings, limit=limit, meter=meter)
    if isinstance(dimensions, Unresolved):
        return dimensions
    names = [dimension.name for dimension in node.for_each]
    own = item_fields(node)
    manifests: list[JsonObject] = []
    for combination in product(*dimensions):
        items = {**bindings, **dict(zip(names, combination, strict=True))}
        values = evaluate_fields(node, own, items, meter)
        if isinstance(values, Unresolved):
            return values
        manifest = render(node.template, (*shared, *values))
        check_identity(node, manifest)
        manifests.append(manifest)
    _check_distinct(node, manifests)
    meter.expanded(len(manifests))
    return manifests


def _dimensions(
    node: Node, bindings: Mapping[str, object], *, limit: int, meter: Meter
) -> list[list[JsonValue]] | Unresolved:
    lists: list[list[JsonValue]] = []
    for dimension in node.for_each:
        value = evaluate(node, dimension.expression, bindings, meter)
        if isinstance(value, Unresolved):
            return value
        if not isinstance(value, list):
            got = "null" if value is None else type(value).__name__
            raise EvaluationError(
                f"node {quoted(node.id)}: forEach {quoted(dimension.name)}: eval "
                f"{shown(dimension.expression)}: must return a list, got {got}"
            )
        lists.append(value)
    if all(lists):
        _check_size(node, lists, limit=limit)
    return lists


def _check_size(node: Node, lists: list[list[JsonValue]], *, limit: int) -> None:
    size = 1
    for values in lists:
        size *= len(values)
        if size > limit:
            raise EvaluationError(
                f"node {quoted(node.id)}: collection size of {size} is over the maximum "
                f"collection size of {limit}"
            )


def _check_distinct(node: Node, manifests: list[JsonObject]) -> None:
    seen = set()
    for manifest in manifests:
        name = name_of(manifest)
        if name in seen:
            identity = "/".join((*node.gvk, *name))
            raise EvaluationError(
                f"node {quoted(node.id)} identity collision: duplicate identity: {identity}"
            )
        seen.add(name)

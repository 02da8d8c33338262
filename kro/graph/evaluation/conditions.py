"""Conditions that the author declares: evaluated, checked for duplicates, stamped.

Source: spec instance-runtime.md §6.4, api-and-operations.md §5.5.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kro.cel import RUNTIME_VALUE, Condition, Pending
from kro.errors import EvaluationError
from kro.graph.evaluation.frame import schema_value
from kro.graph.evaluation.texts import quoted, shown
from kro.graph.node import INSTANCE_ID, Graph
from kro.refs import JsonObject, JsonValue

RUNTIME = "runtime"
"""The variable whose methods make and read conditions."""


@dataclass(frozen=True, slots=True)
class Declared:
    """What the author's condition expressions gave."""

    conditions: tuple[Condition, ...]
    """In the order of the declaration; every type once."""
    complete: bool
    """Whether every expression had its data and gave conditions."""
    errors: tuple[EvaluationError, ...] = ()
    """Expressions that are broken, and types that were given twice: the instance is degraded."""


def evaluate_conditions(
    graph: Graph,
    instance: JsonObject,
    bindings: Mapping[str, object],
    built_in: Iterable[JsonObject],
) -> Declared:
    """Return what the declared conditions are now.

    Args:
        bindings: `schema` and the nodes that have a value in this pass.
        built_in: kro's own conditions of this pass: what `runtime.condition(schema, …)` sees.
    """
    seen: list[JsonValue] = [
        {key: condition.get(key) or "" for key in ("type", "status", "reason", "message")}
        for condition in built_in
    ]
    schema = schema_value(graph, {**instance, "status": {"conditions": seen}}, status=True)
    scope = {**bindings, INSTANCE_ID: schema, RUNTIME: RUNTIME_VALUE}
    found: list[Condition] = []
    errors: list[EvaluationError] = []
    complete = True
    for expression in graph.instance.conditions:
        try:
            result = expression.conditions(scope)
        except EvaluationError as error:
            where = f"condition {shown(expression)}: "
            errors.append(EvaluationError(where + error.problem, excerpt=error.excerpt))
            continue
        if isinstance(result, Pending):
            complete = False
        else:
            found.extend(result)
    counts = Counter(condition.type for condition in found)
    errors.extend(
        EvaluationError(f"condition type {quoted(name)} is produced more than once")
        for name, count in counts.items()
        if count > 1
    )
    unique = tuple(condition for condition in found if counts[condition.type] == 1)
    return Declared(unique, complete and not errors, tuple(errors))


def stamp(
    declared: Declared, persisted: Iterable[JsonObject], *, generation: int, now: str
) -> list[JsonObject]:
    """Return the conditions as they go on the wire.

    The time of the last transition is kept where the status is what it was; after an incomplete
    evaluation, conditions that were not produced stay as they are.

    Args:
        persisted: the conditions that the API server holds.
        now: RFC 3339, UTC, whole seconds.
    """
    before = {str(condition.get("type")): condition for condition in persisted}
    stamped: list[JsonObject] = []
    for condition in declared.conditions:
        entry: JsonObject = {
            "type": condition.type,
            "status": condition.status,
            "observedGeneration": generation,
            "lastTransitionTime": now,
        }
        if condition.reason:
            entry["reason"] = condition.reason
        if condition.message:
            entry["message"] = condition.message
        old = before.get(condition.type)
        if old is not None and old.get("status") == condition.status:
            entry["lastTransitionTime"] = old.get("lastTransitionTime") or now
        stamped.append(entry)
    if not declared.complete:
        produced = {condition.type for condition in declared.conditions}
        stamped.extend(old for name, old in before.items() if name not in produced)
    return stamped

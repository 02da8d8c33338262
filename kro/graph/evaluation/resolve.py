"""One node's expressions against what is observed: includeWhen, template, placing the results.

A problem that time may heal comes back as `Unresolved`; one that it will not heal is raised.

Source: spec instance-runtime.md §1.4-1.6, §9.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, cast

from kro.cel import OMIT, Expression, Pending
from kro.errors import EvaluationError
from kro.graph import fieldpath
from kro.graph.evaluation.meter import UNMETERED, Meter, metered
from kro.graph.evaluation.texts import PENDING_SUFFIX, quoted, shown
from kro.graph.node import FieldKind, Node, TemplateField
from kro.refs import JsonObject, JsonValue

DEEPEST: Final = 200
"""Levels of nesting that the value of an expression may have.

What is read from the cluster is whole down to more than that, so nothing that was cut off there can
get into an object; and what is written still fits with the levels of the template around it.
"""


@dataclass(frozen=True, slots=True)
class Unresolved:
    """Data that a node needs is not there yet."""

    problem: str
    """One sentence for people, without the name of the object that is waited for."""
    on: str = ""
    """Id of the node whose data is missing, where it is known."""


def evaluate(
    node: Node,
    expression: Expression,
    bindings: Mapping[str, object],
    meter: Meter = UNMETERED,
) -> JsonValue | Unresolved:
    """Return the value of a node's template or forEach expression; it may hold `OMIT`.

    Raises:
        EvaluationError: the expression cannot work with the data.
    """
    where = f"node {quoted(node.id)}: failed to evaluate expression: eval {shown(expression)}: "
    try:
        value = metered(expression, bindings, meter)
        if not isinstance(value, Pending):
            return wire_number(cast("JsonValue", value))
    except EvaluationError as error:
        raise EvaluationError(where + error.problem, excerpt=error.excerpt) from error
    return Unresolved(where + value.problem + PENDING_SUFFIX, value.on)


def wire_number(value: JsonValue, *, level: int = 0) -> JsonValue:
    """Return the value of an expression as it is written in JSON: whole floats are integers.

    Raises:
        EvaluationError: it is nested deeper than anything that we write.
    """
    if isinstance(value, dict | list):
        if level == DEEPEST:
            raise EvaluationError(f"the value is nested more than {DEEPEST} levels deep")
        if isinstance(value, dict):
            return {key: wire_number(item, level=level + 1) for key, item in value.items()}
        return [wire_number(item, level=level + 1) for item in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**63:
        return int(value)
    return value


def is_included(
    expressions: Iterable[tuple[Expression, bool]],
    bindings: Mapping[str, object],
    meter: Meter = UNMETERED,
) -> bool | Unresolved:
    """Return whether every includeWhen expression is true; stop at the first not.

    Args:
        expressions: each with whether it refers to another node: only then missing data can come.

    Raises:
        EvaluationError: no boolean, data of the instance that is missing, or a broken expression.
    """
    for expression, waits in expressions:
        where = f"includeWhen {shown(expression)}: "
        try:
            value = metered(expression, bindings, meter)
        except EvaluationError as error:
            raise EvaluationError(where + error.problem, excerpt=error.excerpt) from error
        if isinstance(value, Pending):
            if waits:
                return Unresolved(where + value.problem + PENDING_SUFFIX, value.on)
            raise EvaluationError(where + value.problem, excerpt=value.excerpt)
        if value is None or value is False:
            return False
        if value is not True:
            raise EvaluationError(where + f"did not return bool, got {type(value).__name__}")
    return True


def evaluate_fields(
    node: Node,
    fields: Iterable[TemplateField],
    bindings: Mapping[str, object],
    meter: Meter = UNMETERED,
) -> list[tuple[fieldpath.FieldPath, JsonValue]] | Unresolved:
    """Return the value of every field, or the first one that is not resolvable yet.

    Raises:
        EvaluationError: as `evaluate`.
    """
    values: list[tuple[fieldpath.FieldPath, JsonValue]] = []
    for field in fields:
        value = evaluate(node, field.expression, bindings, meter)
        if isinstance(value, Unresolved):
            return value
        values.append((field.path, value))
    return values


def shared_fields(node: Node) -> list[TemplateField]:
    """Return the fields whose value is the same for every object of the node."""
    return [field for field in node.fields if field.kind is not FieldKind.ITERATION]


def item_fields(node: Node) -> list[TemplateField]:
    """Return the fields that an iterator decides."""
    return [field for field in node.fields if field.kind is FieldKind.ITERATION]


def render(
    template: JsonObject, values: Iterable[tuple[fieldpath.FieldPath, JsonValue]]
) -> JsonObject:
    """Return a copy of the template with the values at their places and `OMIT` swept out.

    The template is not changed, and shares nothing that is a container with the result, except what
    the values themselves hold.
    """
    manifest = copied(template)
    omits = False
    for path, value in values:
        fieldpath.replace(manifest, path, value)
        omits = omits or _holds_omit(value)
    return cast("JsonObject", _swept(manifest)) if omits else cast("JsonObject", manifest)


def copied(value: JsonValue) -> JsonValue:
    """Return a copy of a JSON value that shares no container with it."""
    if isinstance(value, dict):
        return {key: copied(item) for key, item in value.items()}
    if isinstance(value, list):
        return [copied(item) for item in value]
    return value


def _holds_omit(value: object) -> bool:
    if isinstance(value, dict):
        return any(_holds_omit(item) for item in value.values())
    if isinstance(value, list):
        return any(_holds_omit(item) for item in value)
    return value is OMIT


def _swept(value: object) -> object:
    if isinstance(value, dict):
        return {key: _swept(item) for key, item in value.items() if item is not OMIT}
    if isinstance(value, list):
        return [_swept(item) for item in value if item is not OMIT]
    return value


def check_identity(node: Node, manifest: JsonObject) -> None:
    """Hold that a manifest has a name, and metadata of the right shape.

    Raises:
        EvaluationError: the name is missing, empty or no string, or the namespace is no string.
    """
    metadata = manifest.get("metadata")
    if not isinstance(metadata, dict):
        raise EvaluationError(f"node {quoted(node.id)}: metadata must resolve to an object")
    name = metadata.get("name")
    if not isinstance(name, str) or not name:
        raise EvaluationError(
            f"node {quoted(node.id)}: metadata.name must resolve to a non-empty string, "
            f"got {name!r}"
        )
    namespace = metadata.get("namespace")
    if namespace is not None and not isinstance(namespace, str):
        raise EvaluationError(
            f"node {quoted(node.id)}: metadata.namespace must resolve to a string, "
            f"got {namespace!r}"
        )


def settle_namespace(node: Node, manifest: JsonObject, instance_namespace: str) -> JsonObject:
    """Return the manifest, with the instance's namespace where a namespaced one has none.

    Raises:
        EvaluationError: the instance is cluster-scoped and has no namespace to give.
    """
    metadata = cast("JsonObject", manifest["metadata"])
    if not node.mapped.namespaced or metadata.get("namespace"):
        return manifest
    if not instance_namespace:
        raise EvaluationError(
            f"node {quoted(node.id)} is namespaced and must resolve metadata.namespace when the "
            "instance is cluster-scoped"
        )
    return {**manifest, "metadata": {**metadata, "namespace": instance_namespace}}

"""The status block: its expressions, and the schema that follows from their types.

Source: spec simpleschema.md §4, graph-and-rgd-controller.md §1.7, §2.14.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from kro.cel import CelType, Expression, Kind
from kro.errors import ExpressionError, SchemaError
from kro.graph import fieldpath
from kro.graph.definition import type_name
from kro.graph.expressions import Inspected, Inspector, Typed, listed, shown
from kro.graph.fieldpath import FieldPath, FieldPathError
from kro.graph.node import FieldKind, TemplateField
from kro.graph.problems import Problems
from kro.graph.revision import MAX_DEPTH
from kro.graph.template import Found, Misfit, walk
from kro.refs import JsonObject, JsonValue

STATUS_PATH = "spec.schema.status"

MAX_INDEX = 1000
"""Largest list position in a status; every one before it takes room in each instance."""

_UNTYPED = "x-kubernetes-preserve-unknown-fields"
_LEAVES: dict[Kind, JsonObject] = {
    Kind.BOOL: {"type": "boolean"},
    Kind.INT: {"type": "integer"},
    Kind.UINT: {"type": "integer"},
    Kind.DOUBLE: {"type": "number"},
    Kind.STRING: {"type": "string"},
    Kind.BYTES: {"type": "string", "format": "byte"},
}


@dataclass(frozen=True, slots=True)
class StatusBlock:
    """The author's status, taken apart.

    Shape: `fields` have paths within the status, as kro (Go) reads them: a key that looks like
    `a[0]` is an element of the list `a`.
    """

    fields: tuple[tuple[FieldPath, Inspected], ...]
    conditions: tuple[JsonValue, ...]
    """Entries of `status.conditions`, as they are."""


def read_status(
    status: JsonValue, allowed: Collection[str], inspector: Inspector, problems: Problems
) -> StatusBlock:
    """Return the parts of the status block; what is wrong with form and names is reported."""
    if status is None:
        return StatusBlock((), ())
    if not isinstance(status, dict):
        problems.add(
            SchemaError(
                f"failed to unmarshal status schema: must be an object, got {type_name(status)}",
                path=STATUS_PATH,
            )
        )
        return StatusBlock((), ())
    conditions: tuple[JsonValue, ...] = ()
    if "conditions" in status:
        conditions = _read_conditions(status["conditions"], problems)
        status = {key: value for key, value in status.items() if key != "conditions"}
    _check_leaves(status, problems)
    fields: list[tuple[FieldPath, Inspected]] = []
    for item in walk(status, None):
        place = fieldpath.below(STATUS_PATH, item.path)
        if isinstance(item, Misfit):
            prefix = "failed to extract CEL expressions from status: "
            problems.add(
                SchemaError(prefix + item.error.problem, path=place, excerpt=item.error.excerpt)
            )
            continue
        found = _inspect(item, place, allowed, inspector, problems)
        if found is not None:
            fields.append(found)
    _check_agreement(fields, problems)
    return StatusBlock(tuple(fields), conditions)


def _check_agreement(fields: Sequence[tuple[FieldPath, Inspected]], problems: Problems) -> None:
    """Report a place that is both a list and an object: `a[0]` as a key beside `a`."""
    try:
        fieldpath.assemble([(path, True) for path, _ in fields])
    except LookupError as error:
        problems.add(
            SchemaError(
                "failed to generate status schema from CEL types: a field is both a list and an "
                f"object at {error}",
                path=STATUS_PATH,
                hint="a name in the status holds no brackets",
            )
        )


def _inspect(
    item: Found, place: str, allowed: Collection[str], inspector: Inspector, problems: Problems
) -> tuple[FieldPath, Inspected] | None:
    text = fieldpath.join(item.path)
    found = inspector.inspect_restricted(
        item.template,
        place,
        where=f'status field "{text}" expression "{shown(item.template)}": ',
        allowed=allowed,
        hint="a status field sees schema and the resources",
    )
    if found is None:
        return None
    if not found.names:
        problems.add(
            ExpressionError(
                "failed to create instance node: instance status field must refer to a resource "
                f"or schema: status.{text}",
                path=place,
                excerpt=item.template.excerpt(0),
            )
        )
        return None
    try:
        path = fieldpath.parse(text)
        largest = max((segment for segment in path if isinstance(segment, int)), default=0)
        if largest > MAX_INDEX:
            raise FieldPathError(f"failed to parse path {text}: index {largest} is too large")
        return path, found
    except FieldPathError as error:
        problems.add(
            SchemaError(
                f"failed to generate status schema from CEL types: {error}",
                path=place,
                hint="a name in the status holds neither brackets nor quotes",
            )
        )
        return None


def _read_conditions(value: JsonValue, problems: Problems) -> tuple[JsonValue, ...]:
    prefix = "failed to extract conditions block: status.conditions"
    path = f"{STATUS_PATH}.conditions"
    if not isinstance(value, list):
        problems.add(SchemaError(f"{prefix} must be a list, got {_go_type(value)}", path=path))
        return ()
    for i, item in enumerate(value):
        if not isinstance(item, str):
            problems.add(
                SchemaError(
                    f"{prefix}[{i}] must be a CEL expression string, got {_go_type(item)}",
                    path=f"{path}[{i}]",
                    hint="write ${runtime.newCondition({type: 'Healthy', status: ...})}",
                )
            )
    return tuple(value)


def _go_type(value: JsonValue) -> str:
    """Return the type as kro (Go) names it in the same message."""
    match value:
        case None:
            return "<nil>"
        case bool():
            return "bool"
        case int():
            return "int64"
        case float():
            return "float64"
        case str():
            return "string"
        case list():
            return "[]interface {}"
        case _:
            return "map[string]interface {}"


def _check_leaves(status: JsonObject, problems: Problems) -> None:
    plain = list(_plain_leaves(status, ()))
    if plain:
        paths = listed([fieldpath.join(path) for path in plain])
        problems.add(
            SchemaError(
                f"status fields without expressions are not supported: [{paths}]",
                path=fieldpath.below(STATUS_PATH, plain[0]),
                hint="the status shows what resources hold: write ${resource.status.field}",
            )
        )


def _plain_leaves(value: JsonValue, path: FieldPath) -> Iterator[FieldPath]:
    if isinstance(value, dict):
        for key in sorted(value):
            yield from _plain_leaves(value[key], (*path, key))
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from _plain_leaves(item, (*path, i))
    elif not isinstance(value, str) or not any(walk(value, None, path)):
        yield path


def compile_status(
    block: StatusBlock, typed: Typed, problems: Problems
) -> tuple[tuple[TemplateField, ...], JsonObject]:
    """Return the compiled status fields and the schema inferred from their types."""
    fields: list[TemplateField] = []
    for path, found in block.fields:
        expression = typed.compile(
            found,
            f'failed to type-check status expression "{shown(found.template)}" '
            f'at path "{fieldpath.join(path)}": ',
        )
        if expression is not None:
            fields.append(
                TemplateField(path=("status", *path), expression=expression, kind=FieldKind.DYNAMIC)
            )
    leaves = [(field.path[1:], field.expression) for field in fields]
    return tuple(fields), infer_schema(leaves, problems)


def infer_schema(fields: Sequence[tuple[FieldPath, Expression]], problems: Problems) -> JsonObject:
    """Return the schema of an object with these fields, typed as the expressions are."""
    root: JsonObject = {"type": "object", "properties": {}}
    for path, expression in fields:
        try:
            leaf = schema_of(expression.type)
        except RecursionError as error:
            problems.add(
                SchemaError(
                    f"failed to generate status schema from CEL types: {error}",
                    path=fieldpath.below(STATUS_PATH, path),
                )
            )
            continue
        _place(root, path, leaf)
    return root


def _place(root: JsonObject, path: FieldPath, leaf: JsonObject) -> None:
    """Put a leaf's schema where its path leads; elements of one list share their schema.

    Where two leaves want the same place, the later one has it.
    """
    node = root
    for segment in path:
        if isinstance(segment, int):
            if node.get("type") != "array":
                node.clear()
                node["type"] = "array"
            child = node.get("items")
            if not isinstance(child, dict):
                node["items"] = child = {}
        else:
            if node.get("type") != "object" or "properties" not in node:
                node.clear()
                node.update({"type": "object", "properties": {}})
            properties = node["properties"]
            assert isinstance(properties, dict)
            found = properties.get(segment)
            child = found if isinstance(found, dict) else {}
            properties[segment] = child
        node = child
    node.clear()
    node.update(leaf)


def schema_of(type_: CelType) -> JsonObject:
    """Return the schema of a status field whose expression has this type.

    Raises:
        RecursionError: a type contains itself.
    """
    match type_.kind:
        case Kind.TIMESTAMP:
            return {
                "type": "string",
                "format": "date-time",
                "description": "Timestamp representing a creation time",
            }
        case Kind.NULL:
            return {_UNTYPED: True, "description": "null type - any value allowed"}
        case Kind.DYN:
            return {_UNTYPED: True}
        case Kind.LIST:
            return {"type": "array", "items": schema_of(type_.params[0])}
        case Kind.MAP:
            return {"type": "object", "additionalProperties": schema_of(type_.params[1])}
        case Kind.STRUCT:
            return _schema_of_struct(type_, ())
        case Kind.OPAQUE:
            return {"type": "object", "additionalProperties": True}
    leaf = _LEAVES.get(type_.kind)
    if leaf is not None:
        return dict(leaf)
    return {_UNTYPED: True, "description": f"unknown CEL type: {type_}"}


def _schema_of_struct(type_: CelType, within: tuple[str, ...]) -> JsonObject:
    if type_.name in within or len(within) > MAX_DEPTH:
        raise RecursionError(f"cyclic type reference detected: {type_.name}")
    if not type_.fields:
        return {"type": "object"}
    inner = (*within, type_.name)
    return {
        "type": "object",
        "properties": {
            name: _schema_of_part(field, inner) for name, field in sorted(type_.fields.items())
        },
    }


def _schema_of_part(type_: CelType, within: tuple[str, ...]) -> JsonObject:
    match type_.kind:
        case Kind.LIST:
            return {"type": "array", "items": _schema_of_part(type_.params[0], within)}
        case Kind.MAP:
            values = _schema_of_part(type_.params[1], within)
            return {"type": "object", "additionalProperties": values}
        case Kind.STRUCT:
            return _schema_of_struct(type_, within)
    leaf = _LEAVES.get(type_.kind)
    return dict(leaf) if leaf is not None else {_UNTYPED: True}

"""The walk through a manifest: where expressions stand, and which literals do not fit the schema.

Keys are visited in sorted order, so that what comes out does not depend on the order of a mapping.
Source: spec graph-and-rgd-controller.md §2.7, cel.md §1.4-1.6.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from kro.cel import CelType, Template, parse_template, schema_type
from kro.errors import AuthorError, DefinitionError, ExpressionError, UnknownFieldError
from kro.graph import fieldpath
from kro.graph.fieldpath import FieldPath
from kro.graph.problems import did_you_mean
from kro.refs import JsonObject, JsonValue


@dataclass(frozen=True, slots=True)
class Found:
    """A text of a manifest with at least one expression in it."""

    path: FieldPath
    template: Template


@dataclass(frozen=True, slots=True)
class Misfit:
    """Something that cannot be in a manifest; the error has no path of its own yet."""

    path: FieldPath
    error: AuthorError


def walk(
    value: JsonValue, schema: JsonObject | None, path: FieldPath = ()
) -> Iterator[Found | Misfit]:
    """Yield every expression of a manifest and every literal that its schema does not admit.

    Without a schema every text is searched and nothing else is looked at. The walk does not go on
    below something that does not fit.
    """
    if schema is None or schema.get("x-kubernetes-preserve-unknown-fields") is True:
        yield from _search(value, path)
    else:
        yield from _walk_typed(value, schema, path)


def _search(value: JsonValue, path: FieldPath) -> Iterator[Found | Misfit]:
    if isinstance(value, str):
        yield from _text(value, path)
    elif isinstance(value, dict):
        for key in sorted(value):
            yield from walk(value[key], None, (*path, key))
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from walk(item, None, (*path, i))


def _text(text: str, path: FieldPath) -> Iterator[Found | Misfit]:
    try:
        template = parse_template(text)
    except ExpressionError as error:
        yield Misfit(
            path,
            ExpressionError(
                error.problem, excerpt=error.excerpt, hint=error.hint or "leave the inner ${} out"
            ),
        )
    else:
        if template is not None:
            yield Found(path, template)


def _walk_typed(value: JsonValue, schema: JsonObject, path: FieldPath) -> Iterator[Found | Misfit]:
    expected = _expected(schema)
    if expected is None:
        yield _misfit(
            path,
            f"schema at path {fieldpath.join(path)} has no valid type, OneOf, AnyOf, or "
            "AdditionalProperties",
            hint="set the whole object with one expression",
        )
    elif value is None:
        return
    elif isinstance(value, dict):
        yield from _walk_object(value, schema, expected, path)
    elif isinstance(value, list):
        items = schema.get("items")
        if "array" not in expected:
            yield _wrong_type(path, expected, "array")
        elif not isinstance(items, dict):
            yield _misfit(
                path, f"invalid array schema for path {fieldpath.join(path)}: no schema for items"
            )
        else:
            for i, item in enumerate(value):
                yield from walk(item, items, (*path, i))
    elif isinstance(value, str):
        yield from _walk_text(value, expected, path)
    elif not _admits_scalar(value, expected):
        yield _wrong_type(path, expected, _scalar_name(value))


def _walk_object(
    value: JsonObject, schema: JsonObject, expected: tuple[str, ...], path: FieldPath
) -> Iterator[Found | Misfit]:
    if "object" not in expected and schema.get("additionalProperties") in (None, False):
        yield _wrong_type(path, expected, "object")
        return
    for key in sorted(value):
        child = child_schema(schema, key)
        if child is not None:
            yield from walk(value[key], child, (*path, key))
            continue
        properties = schema.get("properties")
        known = properties if isinstance(properties, dict) else ()
        problem = (
            f"error getting field schema for path {fieldpath.join(path)}.{key}: "
            f"schema not found for field {key}"
        )
        error = UnknownFieldError(problem, hint=did_you_mean(key, known))
        yield Misfit((*path, key), error)


def _walk_text(text: str, expected: tuple[str, ...], path: FieldPath) -> Iterator[Found | Misfit]:
    for found in _text(text, path):
        if isinstance(found, Found) and found.template.standalone:
            yield found
            return
        if "string" in expected or "any" in expected:
            yield found
            return
    if "string" not in expected and "any" not in expected:
        yield _wrong_type(path, expected, "string")


def child_schema(schema: JsonObject, key: str) -> JsonObject | None:
    """Return the schema of the field `key` of an object: a property, else that of any key."""
    properties = schema.get("properties")
    child = properties.get(key) if isinstance(properties, dict) else None
    if child is None:
        child = schema.get("additionalProperties")
        if child is True:
            child = {}
    return child if isinstance(child, dict) else None


def expected_type(schema: JsonObject, id_: str, path: FieldPath) -> CelType | None:
    """Return the CEL type that the schema of resource `id_` wants at `path`, None if it says none.

    An empty name stands for its parent, as in kro (Go).
    """
    name = f"__type_{id_}"
    for segment in path:
        child: JsonValue = schema
        if isinstance(segment, int):
            child = schema.get("items")
            name += ".@idx"
        elif segment:
            child = child_schema(schema, segment)
            name += f".{segment}"
        if not isinstance(child, dict):
            return None
        schema = child
    return schema_type(schema, name)


def _expected(schema: JsonObject) -> tuple[str, ...] | None:
    """Return the JSON types that a schema admits, None if it says nothing about types."""
    declared = schema.get("type")
    one_of, any_of = schema.get("oneOf"), schema.get("anyOf")
    additional = schema.get("additionalProperties")
    if not declared and not one_of and not any_of and additional in (None, False):
        return None
    if schema.get("x-kubernetes-int-or-string") is True:
        return ("string", "integer")
    for branches in (one_of, any_of):
        if isinstance(branches, list) and branches:
            return _branch_types(branches)
    if isinstance(declared, str) and declared:
        return (declared,)
    return ("any",)


def _branch_types(branches: list[JsonValue]) -> tuple[str, ...]:
    types: dict[str, None] = {}
    for branch in branches:
        if isinstance(branch, dict):
            declared = branch.get("type")
            if isinstance(declared, str) and declared:
                types[declared] = None
            if branch.get("required") or branch.get("not"):
                types["object"] = None
    return tuple(types)


def _admits_scalar(value: JsonValue, expected: tuple[str, ...]) -> bool:
    if "any" in expected:
        return True
    if isinstance(value, bool):
        return "boolean" in expected
    if isinstance(value, int):
        return "integer" in expected or "number" in expected
    whole = isinstance(value, float) and value.is_integer()
    return "number" in expected or (whole and "integer" in expected)


def _scalar_name(value: JsonValue) -> str:
    if isinstance(value, bool):
        return "boolean"
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    return "integer" if whole else "float64"


def _wrong_type(path: FieldPath, expected: tuple[str, ...], got: str) -> Misfit:
    hint = ""
    if "string" in expected and got in ("integer", "boolean", "float64"):
        hint = "put it into quotes"
    elif expected == ("array",) and got == "object":
        hint = "begin each item with a dash"
    return _misfit(
        path,
        f"expected {' or '.join(expected)} type for path {fieldpath.join(path)}, got {got}",
        hint=hint,
    )


def _misfit(path: FieldPath, problem: str, *, hint: str = "") -> Misfit:
    return Misfit(path, DefinitionError(problem, hint=hint))

"""Values against a schema: defaults, unknown fields, validation — as the API server does them.

All three walk the schema, so their recursion is bounded by it and not by the value.
Source: the structural-schema rules of apiextensions 0.36.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import Final

from kro.errors import SchemaError
from kro.refs import JsonObject, JsonValue
from kro.schema.literals import quoted
from kro.schema.paths import child

PRESERVE: Final = "x-kubernetes-preserve-unknown-fields"
INT_OR_STRING: Final = "x-kubernetes-int-or-string"
EMBEDDED: Final = "x-kubernetes-embedded-resource"

_RESOURCE_FIELDS: Final = frozenset(("apiVersion", "kind", "metadata"))


def apply_defaults(value: JsonValue, schema: JsonObject) -> JsonValue:
    """Return a copy of the value with every default of the schema filled in.

    A null where the schema allows none counts as absent: it takes the default, or is dropped.
    """
    match value:
        case dict():
            return _defaulted_object(value, schema)
        case list():
            items = _sub(schema, "items")
            if items is None:
                return value
            return [apply_defaults(_or_default(item, items), items) for item in value]
        case _:
            return value


def unknown_fields(value: JsonValue, schema: JsonObject, path: str = "") -> list[str]:
    """Return the paths of the fields that the API server would prune, in the order of the value."""
    return list(_unknown(value, schema, path, is_resource=not path))


def validate_value(value: JsonValue, schema: JsonObject, path: str = "") -> list[SchemaError]:
    """Return every way in which the value breaks the schema, each with the path of the place.

    CEL rules and formats are not looked at.
    """
    return [SchemaError(problem, path=where) for where, problem in _problems(value, schema, path)]


# ---- defaults


def _defaulted_object(value: JsonObject, schema: JsonObject) -> JsonObject:
    properties = _sub(schema, "properties") or {}
    rest = _sub(schema, "additionalProperties")
    result: JsonObject = {}
    for key, item in value.items():
        known = properties.get(key, rest)
        if not isinstance(known, dict):
            result[key] = item
            continue
        item = _or_default(item, known)
        if item is None and not _nullable(known):
            continue
        result[key] = apply_defaults(item, known)
    for key, known in properties.items():
        if key not in result and isinstance(known, dict):
            default = known.get("default")
            if default is not None:
                result[key] = apply_defaults(default, known)
    return result


def _or_default(item: JsonValue, schema: JsonObject) -> JsonValue:
    return schema.get("default") if item is None and not _nullable(schema) else item


def _nullable(schema: JsonObject) -> bool:
    if schema.get("nullable"):
        return True
    return "type" not in schema and not schema.get(INT_OR_STRING)


# ---- unknown fields


def _unknown(
    value: JsonValue, schema: JsonObject, path: str, *, is_resource: bool = False
) -> Iterator[str]:
    if isinstance(value, list):
        items = _sub(schema, "items")
        if items is not None:
            for index, item in enumerate(value):
                yield from _unknown(item, items, child(path, index))
        return
    if not isinstance(value, dict):
        return
    properties = _sub(schema, "properties") or {}
    rest = schema.get("additionalProperties")
    is_open = bool(schema.get(PRESERVE)) or rest is True
    is_resource = is_resource or bool(schema.get(EMBEDDED))
    for key, item in value.items():
        if is_resource and key in _RESOURCE_FIELDS:
            continue
        known = properties.get(key, rest)
        if isinstance(known, dict):
            yield from _unknown(item, known, child(path, key))
        elif not is_open:
            yield child(path, key)


# ---- validation

_Problem = tuple[str, str]


def _problems(value: JsonValue, schema: JsonObject, path: str) -> Iterator[_Problem]:
    if value is None and _nullable(schema):
        return
    wrong_type = _type_problem(value, schema)
    if wrong_type:
        yield path, wrong_type
        return
    for problem in _own_problems(value, schema):
        yield path, problem
    match value:
        case dict():
            yield from _object_problems(value, schema, path)
        case list():
            items = _sub(schema, "items")
            if items is not None:
                for index, item in enumerate(value):
                    yield from _problems(item, items, child(path, index))
    yield from _combined(value, schema, path)


def _object_problems(value: JsonObject, schema: JsonObject, path: str) -> Iterator[_Problem]:
    for name in _unique(schema.get("required")):
        if isinstance(name, str) and name not in value:
            yield child(path, name), "is required"
    properties = _sub(schema, "properties") or {}
    rest = schema.get("additionalProperties")
    for key, item in value.items():
        known = properties.get(key, rest)
        if isinstance(known, dict):
            yield from _problems(item, known, child(path, key))
        elif known is False:
            yield child(path, key), "is not a field here"


def _combined(value: JsonValue, schema: JsonObject, path: str) -> Iterator[_Problem]:
    for part in _schemas(schema.get("allOf")):
        yield from _problems(value, part, path)
    alternatives = _schemas(schema.get("anyOf"))
    if alternatives and not any(_fits(value, part) for part in alternatives):
        yield path, "fits none of the allowed alternatives"
    if alternatives := _schemas(schema.get("oneOf")):
        count = sum(_fits(value, part) for part in alternatives)
        if count != 1:
            yield path, f"must fit exactly one of {len(alternatives)} alternatives, fits {count}"
    denied = _sub(schema, "not")
    if denied is not None and _fits(value, denied):
        yield path, "has a form that is not allowed here"


def _fits(value: JsonValue, schema: JsonObject) -> bool:
    return next(_problems(value, schema, ""), None) is None


def _type_problem(value: JsonValue, schema: JsonObject) -> str:
    if schema.get(INT_OR_STRING):
        if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
            return ""
        return f"must be an integer or a string, got {_kind(value)}"
    wanted = schema.get("type")
    if not isinstance(wanted, str) or not wanted:
        return ""
    got = _kind(value)
    if got == wanted or (wanted == "number" and got == "integer"):
        return ""
    if wanted == "integer" and isinstance(value, float) and value.is_integer():
        return ""
    article = "an" if wanted[0] in "aio" else "a"
    return f"must be {article} {wanted}, got {got}"


def _kind(value: JsonValue) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case _:
            return "object"


def _own_problems(value: JsonValue, schema: JsonObject) -> Iterator[str]:
    enum = schema.get("enum")
    if isinstance(enum, list) and enum and not any(_equal(value, item) for item in enum):
        shown = ", ".join(_shown(item) for item in enum[:20])
        yield f"must be one of {shown}" + (", …" if len(enum) > 20 else "")
    match value:
        case bool() | None:
            return
        case int() | float():
            yield from _number_problems(value, schema)
        case str():
            yield from _string_problems(value, schema)
        case list():
            yield from _bounds(len(value), schema, "minItems", "maxItems", "item")
            if schema.get("uniqueItems") and len({_identity(item) for item in value}) < len(value):
                yield "must not hold the same item twice"
        case dict():
            yield from _bounds(
                len(value), schema, "minProperties", "maxProperties", "entry", "entries"
            )


def _number_problems(value: float, schema: JsonObject) -> Iterator[str]:
    low, high = schema.get("minimum"), schema.get("maximum")
    if isinstance(low, int | float):
        if schema.get("exclusiveMinimum"):
            if value <= low:
                yield f"must be greater than {low}"
        elif value < low:
            yield f"must be at least {low}"
    if isinstance(high, int | float):
        if schema.get("exclusiveMaximum"):
            if value >= high:
                yield f"must be less than {high}"
        elif value > high:
            yield f"must be at most {high}"
    step = schema.get("multipleOf")
    if isinstance(step, int | float) and step and Decimal(str(value)) % Decimal(str(step)):
        yield f"must be a multiple of {step}"


def _string_problems(value: str, schema: JsonObject) -> Iterator[str]:
    yield from _bounds(len(value), schema, "minLength", "maxLength", "character")
    pattern = schema.get("pattern")
    if isinstance(pattern, str) and pattern and not _search(pattern)(value):
        yield f"must match {quoted(pattern, 120)}"


def _search(pattern: str) -> Callable[[str], object]:
    import re2  # a native library that only schemas with patterns need

    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options).search  # type: ignore[no-any-return]
    except re2.error:
        return lambda _: (
            True
        )  # a pattern that is no RE2 is an error of the schema, not of the value


def _bounds(
    size: int, schema: JsonObject, low: str, high: str, unit: str, units: str = ""
) -> Iterator[str]:
    def counted(bound: float) -> str:
        return f"{bound} {unit if bound == 1 else units or f'{unit}s'}, has {size}"

    least, most = schema.get(low), schema.get(high)
    if isinstance(least, int | float) and size < least:
        yield f"must have at least {counted(least)}"
    if isinstance(most, int | float) and size > most:
        yield f"must have at most {counted(most)}"


# ---- small tools


def _equal(left: JsonValue, right: JsonValue) -> bool:
    """Compare as JSON: `1` equals `1.0`, `true` does not."""
    return _identity(left) == _identity(right)


def _identity(value: JsonValue) -> object:
    match value:
        case bool():
            return ("boolean", value)
        case list():
            return tuple(_identity(item) for item in value)
        case dict():
            return frozenset((key, _identity(item)) for key, item in value.items())
        case _:
            return value


def _shown(value: JsonValue) -> str:
    return quoted(value) if isinstance(value, str) else str(value)


def _unique(values: JsonValue) -> Iterable[JsonValue]:
    return (
        dict.fromkeys(v for v in values if isinstance(v, str)) if isinstance(values, list) else ()
    )


def _schemas(value: JsonValue) -> list[JsonObject]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _sub(schema: JsonObject, key: str) -> JsonObject | None:
    value = schema.get(key)
    return value if isinstance(value, dict) else None

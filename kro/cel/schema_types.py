"""OpenAPI schemas as CEL types (spec: cel.md §3.2, §3.3).

Structs look at their properties when they are asked for a field.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from kro.cel.celtypes import (
    BOOL,
    BYTES,
    DOUBLE,
    DURATION,
    DYN,
    INT,
    STRING,
    TIMESTAMP,
    CelType,
    Kind,
)
from kro.cel.fieldnames import escape_field
from kro.cel.wrapped import properties, view_of
from kro.refs import JsonObject

_SCALARS: Final[Mapping[str, CelType]] = {"boolean": BOOL, "number": DOUBLE, "integer": INT}
_FORMATS: Final[Mapping[str, CelType]] = {
    "byte": BYTES,
    "date-time": TIMESTAMP,
    "date": TIMESTAMP,
    "duration": DURATION,
}


def schema_type(schema: JsonObject, name: str) -> CelType | None:
    """Return the type of data that `schema` describes, None if the checker cannot see it.

    `name` is the place, `__type_<variable>`; structs are nominal by it.
    """
    declared = schema.get("type")
    if schema.get("x-kubernetes-int-or-string") or schema.get("format") == "int-or-string":
        return CelType(Kind.DYN, view=view_of(schema))
    if declared == "array":
        items = schema.get("items")
        element = schema_type(items, f"{name}.@idx") if isinstance(items, dict) else None
        if element is None:
            return None
        return CelType(Kind.LIST, "", (element,), view=view_of(schema))
    if declared == "object":
        return _object_type(schema, name)
    if declared == "string":
        type_ = _FORMATS.get(str(schema.get("format")), STRING)
    else:
        known = _SCALARS.get(str(declared))
        if known is None:
            return None
        type_ = known
    return CelType(type_.kind, view=view_of(schema))


def _object_type(schema: JsonObject, name: str) -> CelType:
    additional = schema.get("additionalProperties")
    is_open = schema.get("x-kubernetes-preserve-unknown-fields") is True
    if isinstance(additional, dict):
        value = schema_type(additional, f"{name}.@elem") or DYN
        return CelType(Kind.MAP, "", (STRING, value), open=is_open, view=view_of(schema))
    return CelType(
        Kind.STRUCT,
        name,
        fields=lambda: _fields(schema, name),
        open=is_open,
        view=view_of(schema),
    )


def _fields(schema: JsonObject, name: str) -> Mapping[str, CelType]:
    fields: dict[str, CelType] = {}
    for key, value in properties(schema).items():
        field = escape_field(key)
        if field is not None and isinstance(value, dict):
            type_ = schema_type(value, f"{name}.{key}")
            if type_ is not None:
                fields[field] = type_
    return fields

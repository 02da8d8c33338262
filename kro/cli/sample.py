"""A sample object for a schema: every field filled, the same one every time.

Patterns are not solved: a text that has one gets a dummy, which the user has to edit.
"""

from __future__ import annotations

import math
from itertools import count

from kro.refs import JsonObject, JsonValue
from kro.schema import crd_gvk, crd_mapped

_DEEPEST = 60
_LONGEST = 1000
"""Characters of a text, or items of a list, that a sample has at most."""


def sample_instance(crd: JsonObject) -> JsonObject:
    """Return an object of a CRD's kind, without status."""
    gvk = crd_gvk(crd)
    metadata: JsonObject = {"name": f"{gvk.kind.lower()}-sample"}
    if crd_mapped(crd).namespaced:
        metadata["namespace"] = "default"
    sample: JsonObject = {"apiVersion": gvk.api_version, "kind": gvk.kind, "metadata": metadata}
    root = _schema_of(crd)
    properties = root.get("properties")
    spec = properties.get("spec") if isinstance(properties, dict) else None
    if isinstance(spec, dict) and spec.get("properties"):
        sample["spec"] = _Sampler().value(spec, 0)
    return sample


def _schema_of(crd: JsonObject) -> JsonObject:
    value: JsonValue = crd
    for key in ("spec", "versions", 0, "schema", "openAPIV3Schema"):
        value = value[key]  # type: ignore[index]
    assert isinstance(value, dict)
    return value


class _Sampler:
    def __init__(self) -> None:
        self._numbers = count()

    def value(self, schema: JsonObject, depth: int) -> JsonValue:
        """Return a value for a schema: its default, one of its enum, or made up by its type."""
        enum = schema.get("enum")
        match schema:
            case {"default": default} if default not in ({}, None):
                return default
            case _ if isinstance(enum, list) and enum:
                return enum[0]
            case {"x-kubernetes-int-or-string": True} | {"type": "integer"}:
                return self._integer(schema)
            case {"type": "string"}:
                return self._text(schema)
            case {"type": "number"}:
                return self._number(schema)
            case {"type": "boolean"}:
                return True
            case {"type": "array"}:
                return self._list(schema, depth)
            case {"type": "object"}:
                return self._object(schema, depth)
        return {} if schema.get("x-kubernetes-preserve-unknown-fields") else None

    def _object(self, schema: JsonObject, depth: int) -> JsonValue:
        if depth > _DEEPEST:
            return {}
        properties, rest = schema.get("properties"), schema.get("additionalProperties")
        filled: JsonObject = {}
        if isinstance(properties, dict):
            for name, item in properties.items():
                if isinstance(item, dict):
                    filled[name] = self.value(item, depth + 1)
        elif isinstance(rest, dict):
            for index in range(_bounded(schema.get("minProperties"), 1)):
                filled[f"key-{index}" if index else "key"] = self.value(rest, depth + 1)
        return filled

    def _list(self, schema: JsonObject, depth: int) -> JsonValue:
        items = schema.get("items")
        if not isinstance(items, dict) or depth > _DEEPEST:
            return []
        most = schema.get("maxItems")
        size = min(
            _bounded(schema.get("minItems"), 1), _bounded(most, 1) if most == 0 else _LONGEST
        )
        return [self.value(items, depth + 1) for _ in range(size)]

    def _text(self, schema: JsonObject) -> str:
        text = f"dummy-string-{next(self._numbers)}"
        text = text.ljust(_bounded(schema.get("minLength"), 0), "x")
        most = schema.get("maxLength")
        return text[: int(most)] if isinstance(most, int | float) else text

    def _integer(self, schema: JsonObject) -> int:
        low, high = _bounds(schema)
        first, last = math.ceil(low), math.floor(high)
        return min(max(first, 1), last) if first <= last else first

    def _number(self, schema: JsonObject) -> float:
        low, high = _bounds(schema)
        return min(max(low, 0.5), high) if low <= high else low


def _bounds(schema: JsonObject) -> tuple[float, float]:
    low, high = schema.get("minimum"), schema.get("maximum")
    least = low if isinstance(low, int | float) else 0
    most = high if isinstance(high, int | float) else max(10_000, least)
    step = 1 if schema.get("type") == "integer" else 1e-3
    if schema.get("exclusiveMinimum"):
        least += step
    if schema.get("exclusiveMaximum"):
        most -= step
    return (least if isinstance(low, int | float) else min(least, most)), most


def _bounded(value: JsonValue, default: int) -> int:
    number = int(value) if isinstance(value, int | float) else 0
    return min(max(number, default), _LONGEST)

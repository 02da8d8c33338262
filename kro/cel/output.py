"""From CEL values to JSON (spec: cel.md §5.3)."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Final

from kro.cel.budget import charge
from kro.cel.failures import Failure
from kro.cel.library.times import format_go_duration, format_rfc3339
from kro.cel.values import (
    INT_MAX,
    OMIT,
    Duration,
    MapValue,
    ObjectValue,
    Optional,
    Timestamp,
    Uint,
    Value,
    is_list,
    type_name,
)
from kro.cel.wrapped import TypedMap

_ZERO_TIME: Final = -62_135_596_800 * 10**9
_SCALARS: Final = frozenset({str, int, bool, float, type(None)})
_GO_NAMES: Final[Mapping[type, str]] = {
    int: "int64",
    Uint: "uint64",
    float: "float64",
    bool: "bool",
}


def to_native(value: Value, *, marshal: bool = False) -> Any:
    """Return the JSON value, or `OMIT`, that a CEL value leaves as.

    What comes whole from data is returned as it is, not copied: it must not be changed. With
    `marshal`, as `json.marshal` has it: bytes are base64 text and every uint is allowed.

    Raises:
        Failure: the value, or one inside it, has no JSON form.
    """
    kind = type(value)
    if kind in _SCALARS:
        return value
    if kind is dict:
        return _dict(value, marshal)
    if kind is list:
        charge(len(value))
        return _list(value, marshal)
    if isinstance(value, ObjectValue):
        if getattr(value, "native", True):
            return value.raw
        raise Failure(f"unsupported type: {type_name(value)}")
    if is_list(value):
        charge(len(value))
        return [to_native(element, marshal=marshal) for element in value]
    if kind is TypedMap:
        return value.raw
    if isinstance(value, MapValue):
        return _map(value, marshal)
    return _scalar(value, marshal)


def _scalar(value: Value, marshal: bool) -> Any:
    kind = type(value)
    if kind is Uint:
        if value > INT_MAX and not marshal:
            raise Failure(f"uint value {int(value)} overflows int64")
        return int(value)
    if kind is Timestamp:
        if value.ns == _ZERO_TIME:
            return None
        return format_rfc3339(value, utc=True, whole_seconds=True)
    if kind is Duration:
        return format_go_duration(value)
    if kind is Optional:
        return to_native(value.content, marshal=marshal) if value.has_value else None
    if value is OMIT:
        return {} if marshal else OMIT
    if kind is bytes:
        if marshal:
            return base64.b64encode(value).decode("ascii")
        raise Failure(
            "bytes value cannot be used directly in a resource template or status field; "
            "encode it explicitly, for example with base64.encode()"
        )
    raise Failure(f"unsupported type: {type_name(value)}")


def _list(value: list[Any], marshal: bool) -> list[Any]:
    """Return the list itself if no element changes."""
    changed: list[Any] | None = None
    for position, element in enumerate(value):
        if type(element) not in _SCALARS:
            converted = to_native(element, marshal=marshal)
            if converted is not element:
                if changed is None:
                    changed = list(value)
                changed[position] = converted
    return value if changed is None else changed


def _dict(value: dict[str, Any], marshal: bool) -> dict[str, Any]:
    """Return the dict itself if no value changes."""
    charge(len(value))
    changed: dict[str, Any] | None = None
    for key, element in value.items():
        if type(element) not in _SCALARS:
            converted = to_native(element, marshal=marshal)
            if converted is not element:
                if changed is None:
                    changed = dict(value)
                changed[key] = converted
    return value if changed is None else changed


def _map(value: MapValue, marshal: bool) -> dict[str, Any]:
    charge(len(value))
    converted: dict[str, Any] = {}
    for key, element in value.items():
        if type(key) is not str:
            raise Failure(f"map key must be string, got {_GO_NAMES.get(type(key), 'unknown')}")
        converted[key] = to_native(element, marshal=marshal)
    return converted

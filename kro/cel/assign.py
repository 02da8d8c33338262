"""Whether a result may be written to a field (spec: cel.md §3.5).

The odd cases are the reference's.
"""

from __future__ import annotations

from kro.cel.celtypes import CelType, Kind
from kro.cel.unify import is_assignable


def accepts(expected: CelType, got: CelType) -> str | None:
    """Return None if a result of type `got` fits a field of type `expected`, else the reason."""
    if is_assignable(got, expected):
        return None
    return _mismatch(got, expected)


def _mismatch(got: CelType, expected: CelType) -> str | None:
    """Return why `got` is structurally not compatible with `expected`."""
    while got.kind is Kind.OPTIONAL:
        got = got.params[0]
    if got.kind is Kind.DYN or expected.kind is Kind.DYN:
        return None
    if expected.kind is Kind.STRUCT:
        if got.kind is Kind.MAP:
            return _map_to_struct(got, expected)
        return _fields_to_struct(got, expected)
    if expected.kind is Kind.MAP and got.kind is Kind.STRUCT:
        return _struct_to_map(got, expected)
    if expected.kind is Kind.LIST:
        # The first type parameter of whatever it is counts as its element: maps slip through.
        if not got.params:
            return "list parameter count mismatch"
        reason = _mismatch(got.params[0], expected.params[0])
        return None if reason is None else f"list element type incompatible: {reason}"
    if expected.kind is Kind.MAP:
        if len(got.params) != 2:
            return "map parameter count mismatch"
        for part, mine, its in zip(("key", "value"), got.params, expected.params, strict=True):
            reason = _mismatch(mine, its)
            if reason is not None:
                return f"map {part} type incompatible: {reason}"
        return None
    if got.kind is expected.kind and got.name == expected.name:
        return None
    return f'type kind mismatch: got "{got}", expected "{expected}"'


def _map_to_struct(got: CelType, expected: CelType) -> str | None:
    key, value = got.params
    if key.kind is not Kind.STRING:
        return f'map keys must be strings to assign to struct, got "{key}"'
    for name, field in expected.fields.items():
        reason = _mismatch(value, field)
        if reason is not None:
            return f'map value incompatible with struct field "{name}": {reason}'
    return None


def _struct_to_map(got: CelType, expected: CelType) -> str | None:
    for name, field in got.fields.items():
        reason = _mismatch(field, expected.params[1])
        if reason is not None:
            return f'struct field "{name}" incompatible with map value type: {reason}'
    return None


def _fields_to_struct(got: CelType, expected: CelType) -> str | None:
    if expected.open or not got.fields:
        return None
    for name, field in got.fields.items():
        target = expected.fields.get(name)
        if target is None:
            return f'field "{name}" exists in output but not in expected type'
        reason = _mismatch(field, target)
        if reason is not None:
            return f'field "{name}" has incompatible type: {reason}'
    return None


def is_bool_result(type_: CelType) -> bool:
    """Return whether readyWhen and includeWhen accept the type: bool or an optional bool."""
    if type_.kind is Kind.OPTIONAL:
        type_ = type_.params[0]
    return type_.kind is Kind.BOOL

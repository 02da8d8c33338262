"""Reading from values: variables, fields, indices, membership, the elements of a comprehension."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from kro.cel.budget import charge
from kro.cel.failures import (
    Failure,
    IndexOutOfBounds,
    NoSuchAttribute,
    NoSuchKey,
    NoSuchOverload,
)
from kro.cel.values import (
    INT_MAX,
    INT_MIN,
    NONE,
    KeyedMap,
    MapValue,
    ObjectValue,
    Optional,
    Uint,
    Value,
    equal,
    is_list,
    is_map,
    map_from,
    type_name,
)


def variable(bindings: Mapping[str, Any], name: str) -> Value:
    """Return what is bound to `name`."""
    try:
        return bindings[name]
    except KeyError:
        raise NoSuchAttribute(name) from None


def select(operand: Value, field: str) -> Value:
    """Return `operand.field`."""
    if type(operand) is dict:
        try:
            return operand[field]
        except KeyError:
            raise NoSuchKey(field) from None
    if isinstance(operand, ObjectValue):
        return operand.get(field)
    return index(operand, field)


def walk(operand: Value, fields: Sequence[str]) -> Value:
    """Return `operand.f1.f2…`; a failure knows its step."""
    step = 0
    try:
        for step, field in enumerate(fields):  # noqa: B007 - the step that failed
            operand = select(operand, field)
    except Failure as failure:
        failure.step = step
        raise
    return operand


def has(operand: Value, field: str) -> bool:
    """Return `has(operand.field)`."""
    if type(operand) is dict:
        return field in operand
    if isinstance(operand, ObjectValue):
        return operand.has(field)
    if type(operand) is Optional:
        return operand.has_value and has(operand.content, field)
    return find(operand, field).has_value


def index(operand: Value, key: Value) -> Value:
    """Return `operand[key]`."""
    if operand is NONE:
        return NONE
    if type(key) not in _KEYS:
        raise _no_key(key)
    if is_list(operand):
        position = _position(key)
        if 0 <= position < len(operand):
            return operand[position]
        raise IndexOutOfBounds(position)
    if is_map(operand):
        try:
            return operand[key] if _is_key(operand, key) else _missing(key)
        except KeyError:
            return _missing(key)
    if isinstance(operand, ObjectValue):
        if type(key) is not str:
            raise NoSuchOverload
        return operand.get(key)
    if type(operand) is Optional:
        return find(operand.content, key)
    return _missing(key)


_KEYS: Final = frozenset({str, int, Uint, bool, float})


def _no_key(key: Value) -> Failure:
    """Return the failure for a value that is no key of anything: waiting would not help."""
    return Failure(f"invalid qualifier type: {type_name(key)}")


def _missing(key: Value) -> Value:
    raise NoSuchKey(str(key).lower() if type(key) is bool else key)


def _is_key(operand: Value, key: Value) -> bool:
    """Return whether `key` may be looked up: plain dicts have string keys only."""
    return type(key) is str or isinstance(operand, MapValue)


def _position(key: Value) -> int:
    """Return the list index that a value stands for."""
    kind = type(key)
    if kind is int:
        return int(key)
    if kind is Uint or (kind is float and key.is_integer()):
        if not INT_MIN <= key <= INT_MAX:
            raise Failure(f"unsupported index value {key} in list")
        return int(key)
    raise Failure(f"unsupported index type '{type_name(key)}' in list")


def find(operand: Value, key: Value) -> Optional:
    """Return `operand[?key]` or `operand.?key`: an optional, empty if there is no such."""
    if operand is NONE:
        return operand
    if type(key) not in _KEYS:
        raise _no_key(key)
    if is_map(operand):
        if not _is_key(operand, key) or key not in operand:
            return NONE
        return Optional(operand[key])
    if isinstance(operand, ObjectValue):
        if type(key) is not str:
            raise NoSuchOverload
        return Optional(operand.get(key)) if operand.has(key) else NONE
    if is_list(operand):
        position = _position(key)
        return Optional(operand[position]) if 0 <= position < len(operand) else NONE
    if type(operand) is Optional:
        return find(operand.content, key)
    return NONE


def contains(element: Value, operand: Value) -> bool:
    """Return `element in operand`."""
    if type(operand) is dict:
        return type(element) is str and element in operand
    if is_list(operand):
        charge(len(operand))
        if type(operand) is list and type(element) is str:
            return element in operand
        return any(equal(one, element) for one in operand)
    if is_map(operand):
        return element in operand
    if isinstance(operand, ObjectValue):
        return type(element) is str and operand.has(element)
    raise NoSuchOverload


def elements(operand: Value) -> Sequence[Value] | Iterable[Value]:
    """Return what a comprehension with one variable goes over: elements, or a map's keys."""
    if is_list(operand) or is_map(operand):
        charge(len(operand))
        return operand  # type: ignore[no-any-return]
    if isinstance(operand, ObjectValue):
        return list(operand.names())
    raise NoSuchOverload


def pairs(operand: Value) -> Iterable[tuple[Value, Value]]:
    """Return what a comprehension with two variables goes over: index, element; key, value."""
    if is_list(operand):
        charge(len(operand))
        return enumerate(operand)
    if is_map(operand):
        charge(len(operand))
        return operand.items()  # type: ignore[no-any-return]
    if isinstance(operand, ObjectValue):
        names = list(operand.names())
        return [(name, operand.get(name)) for name in names]
    raise NoSuchOverload


def literal_map(entries: list[tuple[Value, Value]]) -> Value:
    """Return the map of a literal; the last of equal keys wins."""
    for key, _ in entries:
        if type(key) not in _KEYS:
            raise Failure("unsupported key type in map literal")
    return map_from(entries)


def insert(entries: dict[Value, Value] | KeyedMap, added: Value) -> dict[Value, Value] | KeyedMap:
    """Return `entries` with those of the map `added`, none of which may be there already."""
    if not is_map(added):
        raise NoSuchOverload
    charge(len(added))
    for key in added:
        if key in entries:
            raise Failure(f"insert failed: key {key} already exists")
    return map_from([*entries.items(), *added.items()])


def content(value: Value) -> Optional:
    """Return `value`, which is written with `?` and must be an optional."""
    if type(value) is not Optional:
        raise Failure("cannot initialize optional entry from non-optional value")
    return value

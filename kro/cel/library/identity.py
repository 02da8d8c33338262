"""Hashable stand-ins for values: equal exactly if the values are equal in CEL.

They make `distinct` and set operations linear. Values that follow rules of their own (objects with
a schema, lists that are sets) and NaN, which equals nothing, have none.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Final

from kro.cel.budget import charge
from kro.cel.values import (
    Duration,
    KeyedMap,
    Optional,
    Timestamp,
    TypeValue,
    Uint,
    Value,
)


class _NoKey:
    """The class of `NO_KEY`."""


NO_KEY: Final = _NoKey()
"""What values without a stand-in get."""

_NUMBERS: Final = frozenset({int, Uint, float})
_SELF_KEYED: Final = frozenset({str, bytes, Timestamp, Duration, TypeValue})
_MAX_DEPTH: Final = 200


def identity(value: Value, depth: int = 0) -> Hashable:
    """Return a hashable that equals another value's exactly if the values are equal, or `NO_KEY`.

    Python takes 1, 1.0 and True for equal. CEL wants the first two equal and not the third, hence
    the pair around booleans; strings and bytes never equal each other in Python either.
    """
    kind = type(value)
    if kind in _SELF_KEYED or value is None:
        return value  # type: ignore[no-any-return]
    if kind in _NUMBERS:
        return value if value == value else NO_KEY
    if kind is bool:
        return (bool, value)
    if depth >= _MAX_DEPTH:
        return NO_KEY
    if kind is list:
        return _keys(list, [identity(element, depth + 1) for element in value])
    if kind is dict or kind is KeyedMap:
        return _entries(value, depth + 1)
    if kind is Optional:
        inner = identity(value.content, depth + 1) if value.has_value else None
        return NO_KEY if inner is NO_KEY else (Optional, value.has_value, inner)
    return NO_KEY


def _keys(tag: Any, keys: list[Hashable]) -> Hashable:
    charge(len(keys))
    if any(key is NO_KEY for key in keys):
        return NO_KEY
    return (tag, tuple(keys))


def _entries(value: Any, depth: int) -> Hashable:
    charge(len(value))
    pairs = set()
    for key, item in value.items():
        held = identity(item, depth)
        if held is NO_KEY:
            return NO_KEY
        pairs.add((identity(key), held))
    return (dict, frozenset(pairs))

"""Merging maps: `a.merge(b)` and `a.deepMerge(b)`. The right side wins; neither side changes.

Source: kro's `maps` library; spec: cel.md §2.10.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from typing import Final

from kro.cel import celtypes
from kro.cel.budget import charge
from kro.cel.celtypes import DYN, map_of
from kro.cel.failures import Failure, NoSuchOverload
from kro.cel.functions import Library, function, member
from kro.cel.values import ObjectValue, Value, is_map, map_from

_MAP: Final = map_of(celtypes.param("K"), celtypes.param("V"))
_MAX_DEPTH: Final = 200


def _merge(left: Mapping[Value, Value], right: Mapping[Value, Value]) -> Value:
    """`map.merge(map)`: the entries of both, one level deep."""
    charge(len(left) + len(right))
    if type(left) is dict and type(right) is dict:
        return {**left, **right}
    return map_from(chain(left.items(), right.items()))


def _deep_merge(left: Value, right: Value) -> Value:
    """`dyn.deepMerge(dyn)`: maps within maps are merged too, anything else is replaced."""
    ours, theirs = _as_map(left), _as_map(right)
    if ours is None or theirs is None:
        raise NoSuchOverload
    return _merged(ours, theirs, 0)


def _merged(left: Mapping[Value, Value], right: Mapping[Value, Value], depth: int) -> Value:
    if depth > _MAX_DEPTH:
        raise Failure(f"deepMerge: more than {_MAX_DEPTH} levels of maps")
    charge(len(left) + len(right))
    pairs = []
    for key, value in left.items():
        if key in right:
            value = _merged_value(value, right[key], depth + 1)
        pairs.append((key, value))
    pairs.extend((key, value) for key, value in right.items() if key not in left)
    return map_from(pairs)


def _merged_value(left: Value, right: Value, depth: int) -> Value:
    ours, theirs = _as_map(left), _as_map(right)
    return right if ours is None or theirs is None else _merged(ours, theirs, depth)


def _as_map(value: Value) -> Mapping[Value, Value] | None:
    """Return the entries of a map or of an object with a schema, None for other values."""
    if is_map(value):
        return value  # type: ignore[no-any-return]
    if isinstance(value, ObjectValue):
        return {name: value.get(name) for name in value.names()}
    return None


LIBRARY: Final = Library(
    "kro.maps",
    functions=(
        function("merge", [member("kro_map_merge", _MAP, _MAP, result=_MAP, call=_merge)]),
        function("deepMerge", [member("kro_deep_merge", DYN, DYN, result=DYN, call=_deep_merge)]),
    ),
)

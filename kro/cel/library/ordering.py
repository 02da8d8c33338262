"""Sorting and smallest and largest elements, over the kinds that CEL can order.

Source: cel-go `ext/lists` (`sort`, `sortBy`) and `apiserver/pkg/cel/library/lists.go` of Kubernetes
1.36; spec: cel.md §2.3, §2.7, §2.9.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from operator import attrgetter, gt
from typing import Any, Final

from kro.cel.budget import charge
from kro.cel.celtypes import BOOL, BYTES, DOUBLE, DURATION, INT, STRING, TIMESTAMP, UINT, CelType
from kro.cel.failures import Failure, NoSuchOverload
from kro.cel.values import Duration, Timestamp, Uint, Value, compare

COMPARABLE: Final[tuple[CelType, ...]] = (
    INT,
    UINT,
    DOUBLE,
    BOOL,
    DURATION,
    TIMESTAMP,
    STRING,
    BYTES,
)
_PLAIN: Final = frozenset({int, Uint, float, bool, str, bytes})
_TIMES: Final = frozenset({Duration, Timestamp})
_ORDERED: Final = _PLAIN | _TIMES
_by_ns: Final = attrgetter("ns")


def stem(element: CelType) -> str:
    """Return how overload names spell a comparable type: `int`, `timestamp`."""
    return element.name.rpartition(".")[2].lower()


def sort_keys(values: Sequence[Value]) -> list[Any]:
    """Return keys that Python orders as CEL orders the values, which must be of one kind.

    Raises:
        Failure: the values are of several kinds, or of one without order.
    """
    if not len(values):
        return []
    keys = list(values)
    kind = type(keys[0])
    if len(set(map(type, keys))) > 1:
        raise Failure("list elements must have the same type")
    if kind in _PLAIN:
        return keys
    if kind in _TIMES:
        return list(map(_by_ns, keys))
    raise Failure("list elements must be comparable")


def sort(values: Sequence[Value]) -> list[Value]:
    """`list.sort()`: ascending, equal elements in their order."""
    charge(2 * len(values))
    keys = sort_keys(values)
    if keys and type(values[0]) in _PLAIN:
        keys.sort()
        return keys
    return _sorted_by(values, keys)


def sort_by(values: Sequence[Value], keys: Sequence[Value]) -> list[Value]:
    """`list.sortBy(v, key)` once the keys are known: ascending by them, equal ones in order."""
    charge(2 * len(values))
    return _sorted_by(values, sort_keys(keys))


def _sorted_by(values: Sequence[Value], keys: list[Any]) -> list[Value]:
    items = list(values)
    return [items[index] for index in sorted(range(len(items)), key=keys.__getitem__)]


def _extreme(name: str, sign: int, values: Sequence[Value]) -> Value:
    charge(len(values))
    elements = list(values)
    if not elements:
        raise Failure(f"{name} called on empty list")
    kinds = set(map(type, elements))
    if len(kinds) == 1 and kinds <= _PLAIN:
        return max(elements) if sign > 0 else min(elements)
    best = elements[0]
    for element in elements:
        if sign * _compared(element, best) > 0:
            best = element
    return best


def _compared(left: Value, right: Value) -> int:
    """Return how two elements compare, 0 if they are of different kinds, as the reference has it.

    Raises:
        NoSuchOverload: the left one is of a kind that has no order.
    """
    if type(left) not in _ORDERED:
        raise NoSuchOverload
    try:
        return compare(left, right)
    except NoSuchOverload:
        return 0


def smallest(values: Sequence[Value]) -> Value:
    """`list.min()`: the first of the smallest elements."""
    return _extreme("min", -1, values)


def largest(values: Sequence[Value]) -> Value:
    """`list.max()`: the first of the largest elements."""
    return _extreme("max", 1, values)


def is_sorted(values: Sequence[Value]) -> bool:
    """`list.isSorted()`: whether no element is greater than its successor."""
    charge(len(values))
    elements = list(values)
    kinds = set(map(type, elements))
    if len(kinds) == 1 and kinds <= _PLAIN:
        return not any(map(gt, elements, elements[1:]))
    for before, element in pairwise([elements[0], *elements] if elements else []):
        if _compared(element, before) < 0:
            return False
    return True

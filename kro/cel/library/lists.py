"""Lists: cel-go's library, the one of Kubernetes, and kro's own three functions.

Overloads over the comparable kinds are told apart by the static element type; at run time all lists
look alike, so each overload's implementation serves every kind.

Source: cel-go `ext/lists`; `apiserver/pkg/cel/library/lists.go` of Kubernetes 1.36; spec: cel.md
§2.7, §2.9, §2.10.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any, Final

from kro.cel import celtypes
from kro.cel.budget import charge
from kro.cel.celtypes import BOOL, DOUBLE, DURATION, INT, LIST_DYN, UINT, CelType, list_of
from kro.cel.failures import Failure, NoSuchOverload
from kro.cel.functions import (
    Function,
    Library,
    Macro,
    MacroContext,
    Overload,
    free,
    function,
    member,
)
from kro.cel.library.identity import NO_KEY, identity
from kro.cel.library.ordering import (
    COMPARABLE,
    is_sorted,
    largest,
    smallest,
    sort,
    sort_by,
    stem,
)
from kro.cel.syntax import Bind, Call, Fold, FoldKind, Ident, Node
from kro.cel.values import (
    Duration,
    Uint,
    Value,
    checked_int,
    checked_uint,
    equal,
    is_list,
)

_T: Final = celtypes.param("T")
_LIST: Final = list_of(_T)
_NEW_ELEMENT: Final = 4
"""Units for an element that is made, not copied: it takes some forty bytes of its own."""
_HASHED: Final = frozenset({str, int})
"""Classes whose values Python tells apart as CEL does, also when they are mixed."""


def _slice(values: Sequence[Value], start: int, end: int) -> list[Value]:
    size = len(values)
    if start < 0 or end < 0:
        raise Failure(f"cannot slice({start}, {end}), negative indexes not supported")
    if start > end:
        raise Failure(
            f"cannot slice({start}, {end}), start index must be less than or equal to end"
        )
    if end > size:
        raise Failure(f"cannot slice({start}, {end}), list is length {size}")
    charge(end - start)
    if type(values) is list:
        return values[start:end]
    return [values[index] for index in range(start, end)]


def _flatten(values: Sequence[Value], depth: int = 1) -> list[Value]:
    """`list.flatten([depth])`: lists within, `depth` levels deep, replaced by their elements."""
    if depth < 0:
        raise Failure("level must be non-negative")
    charge(len(values))
    out: list[Value] = []
    open_lists = [
        iter(values)
    ]  # a stack instead of recursion: data may nest deeper than Python can
    while open_lists:
        for value in open_lists[-1]:
            if len(open_lists) <= depth and is_list(value):
                charge(1 + len(value))
                open_lists.append(iter(value))
                break
            out.append(value)
        else:
            open_lists.pop()
    return out


def _distinct(values: Sequence[Value]) -> list[Value]:
    """Return the first of each set of equal elements, in order.

    Elements that have an `identity` are found in a set. The few others, objects with a schema, are
    compared one by one, and the budget pays for each comparison.
    """
    charge(len(values))
    if set(map(type, values)) <= _HASHED:
        return list(dict.fromkeys(values))
    seen: set[Any] = set()
    others: list[Value] = []
    out: list[Value] = []
    for value in values:
        key = identity(value)
        if key is NO_KEY:
            charge(len(out))
            if any(equal(one, value) for one in out):
                continue
            others.append(value)
        else:
            if key in seen:
                continue
            charge(len(others))
            if any(equal(one, value) for one in others):
                continue
            seen.add(key)
        out.append(value)
    return out


def _reverse(values: Sequence[Value]) -> list[Value]:
    charge(len(values))
    return list(values)[::-1]


def _range(count: int) -> list[Value]:
    charge(_NEW_ELEMENT * max(count, 0))
    return list(range(count))


def _sum_numbers(values: Sequence[Value]) -> Value:
    charge(len(values))
    elements = list(values)
    if not elements:
        return 0
    kind = type(elements[0])
    if len(set(map(type, elements))) > 1:
        raise NoSuchOverload
    if kind is float:
        total = 0.0
        for element in elements:
            total += element
        return total
    if kind is int:
        return _checked_sum(elements, checked_int)
    if kind is Uint:
        return _checked_sum(elements, checked_uint)
    if kind is Duration:
        return Duration(_checked_sum([duration.ns for duration in elements], checked_int))
    raise NoSuchOverload


def _checked_sum(numbers: list[int], checked: Callable[[int], int]) -> int:
    """Return the sum; like each partial sum on the way to it, it must be in range."""
    partial = list(accumulate(numbers))
    checked(min(partial))
    checked(max(partial))
    return checked(partial[-1])


def _sum_of(zero: Value) -> Callable[[Sequence[Value]], Value]:
    def total(values: Sequence[Value]) -> Value:
        return _sum_numbers(values) if len(values) else zero

    return total


def _index_of(values: Sequence[Value], wanted: Value) -> int:
    charge(len(values))
    for index, value in enumerate(values):
        if equal(value, wanted):
            return index
    return -1


def _last_index_of(values: Sequence[Value], wanted: Value) -> int:
    charge(len(values))
    elements = list(values)
    for index in range(len(elements) - 1, -1, -1):
        if equal(elements[index], wanted):
            return index
    return -1


def _copy_for(
    name: str, values: Sequence[Value], index: int, *, appending: bool = False
) -> list[Value]:
    """Return a copy to change at `index`, which must be within it or, for appending, at its end."""
    size = len(values)
    if not 0 <= index < size + appending:
        bounds = f"[0, {size}]" if appending else f"[0, {size})"
        raise Failure(f"lists.{name}: index {index} out of bounds {bounds}")
    charge(size)
    return list(values)


def _set_at(values: Sequence[Value], index: int, value: Value) -> list[Value]:
    out = _copy_for("setAtIndex", values, index)
    out[index] = value
    return out


def _insert_at(values: Sequence[Value], index: int, value: Value) -> list[Value]:
    out = _copy_for("insertAtIndex", values, index, appending=True)
    out.insert(index, value)
    return out


def _remove_at(values: Sequence[Value], index: int) -> list[Value]:
    out = _copy_for("removeAtIndex", values, index)
    del out[index]
    return out


def _over(
    elements: Sequence[CelType],
    name: str,
    call: Callable[..., Any],
    result: Callable[[CelType], CelType],
) -> list[Overload]:
    return [
        member(f"list_{stem(element)}_{name}", list_of(element), result=result(element), call=call)
        for element in elements
    ]


def _same(element: CelType) -> CelType:
    return element


def _expand_sort_by(context: MacroContext, call: Call) -> Node:
    """Rewrite `e.sortBy(v, key)`: `e` is evaluated once, then its keys, then it is sorted."""
    name, key = call.args
    assert call.target is not None
    if not isinstance(name, Ident) or name.absolute:
        context.fail(name, "argument is not an identifier")
    source = Ident(call.pos, "@sortBy")
    keys = Fold(
        call.pos,
        kind=FoldKind.LIST,
        range=Ident(call.pos, "@sortBy"),
        names=(name.name,),
        predicate=None,
        body=key,
        macro="sortBy",
    )
    return Bind(
        call.pos, "@sortBy", call.target, Call(call.pos, "@sortByAssociatedKeys", [keys], source)
    )


LISTS: Final = Library(
    "lists",
    macros=(Macro("sortBy", 2, _expand_sort_by),),
    functions=(
        function("slice", [member("list_slice", _LIST, INT, INT, result=_LIST, call=_slice)]),
        function(
            "flatten",
            [
                member("list_flatten", list_of(_LIST), result=_LIST, call=_flatten),
                member("list_flatten_int", LIST_DYN, INT, result=LIST_DYN, call=_flatten),
            ],
        ),
        function("sort", _over(COMPARABLE, "sort", sort, list_of)),
        function(
            "@sortByAssociatedKeys",
            [
                member(
                    f"list_{stem(key)}_sortByAssociatedKeys",
                    _LIST,
                    list_of(key),
                    result=_LIST,
                    call=sort_by,
                )
                for key in COMPARABLE
            ],
        ),
        function("distinct", [member("list_distinct", _LIST, result=_LIST, call=_distinct)]),
        function("reverse", [member("list_reverse", _LIST, result=_LIST, call=_reverse)]),
        function("lists.range", [free("lists_range", INT, result=list_of(INT), call=_range)]),
    ),
)

_SUMS: Final = (
    (INT, _sum_of(0)),
    (UINT, _sum_of(Uint(0))),
    (DOUBLE, _sum_of(0.0)),
    (DURATION, _sum_of(Duration(0))),
)

KUBERNETES: Final = Library(
    "kubernetes.lists",
    functions=(
        function("isSorted", _over(COMPARABLE, "is_sorted", is_sorted, lambda _: BOOL)),
        function("min", _over(COMPARABLE, "min", smallest, _same)),
        function("max", _over(COMPARABLE, "max", largest, _same)),
        function(
            "sum",
            [
                member(f"list_{stem(element)}_sum", list_of(element), result=element, call=call)
                for element, call in _SUMS
            ],
        ),
        function(
            "indexOf",
            [member("list_a_index_of_int", _LIST, _T, result=INT, call=_index_of)],
        ),
        function(
            "lastIndexOf",
            [member("list_a_last_index_of_int", _LIST, _T, result=INT, call=_last_index_of)],
        ),
    ),
)


def _kro(name: str, *params: CelType, call: Callable[..., Any]) -> Function:
    return function(
        f"lists.{name}",
        [free(f"kro_lists_{name}", _LIST, *params, result=_LIST, call=call)],
    )


KRO: Final = Library(
    "kro.lists",
    functions=(
        _kro("setAtIndex", INT, _T, call=_set_at),
        _kro("insertAtIndex", INT, _T, call=_insert_at),
        _kro("removeAtIndex", INT, call=_remove_at),
    ),
)

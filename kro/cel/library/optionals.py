"""Optionals: `optional.of(v)`, `o.orValue(v)`, `list.first()`, … without their syntax.

Source: cel-go's optional library, newest version; spec: cel.md §2.5.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from kro.cel import celtypes
from kro.cel.budget import charge
from kro.cel.celtypes import BOOL, list_of, optional_of
from kro.cel.failures import NoSuchOverload
from kro.cel.functions import Library, free, function, member
from kro.cel.library.timestamps import MIN_NS
from kro.cel.values import NONE, Duration, Optional, Timestamp, Value, is_list, is_map

_T: Final = celtypes.param("T")
_OPTIONAL: Final = optional_of(_T)
_LIST: Final = list_of(_T)
_EMPTY: Final = (0, "", b"")


def is_zero(value: Value) -> bool:
    """Return whether the value is its type's zero: null, false, 0, empty, the zero time."""
    kind = type(value)
    if value is None or value is False:
        return True
    if kind is Timestamp:
        return bool(value.ns == MIN_NS)
    if kind is Duration:
        return bool(value.ns == 0)
    if kind is Optional:
        return not value.has_value
    if is_list(value) or is_map(value):
        return len(value) == 0
    return kind is not bool and isinstance(value, int | float | str | bytes) and value in _EMPTY


def _of_non_zero(value: Value) -> Optional:
    return NONE if is_zero(value) else Optional(value)


def _or(left: Optional, right: Optional) -> Optional:
    return left if left.has_value else right


def _or_value(optional: Optional, default: Value) -> Value:
    return optional.content if optional.has_value else default


def _unwrap(optionals: Sequence[Value]) -> list[Value]:
    charge(len(optionals))
    out = []
    for optional in optionals:
        if type(optional) is not Optional:
            raise NoSuchOverload
        if optional.has_value:
            out.append(optional.content)
    return out


def _first(values: Sequence[Value]) -> Optional:
    return Optional(values[0]) if len(values) else NONE


def _last(values: Sequence[Value]) -> Optional:
    return Optional(values[len(values) - 1]) if len(values) else NONE


LIBRARY: Final = Library(
    "optional",
    functions=(
        function("optional.of", [free("optional_of", _T, result=_OPTIONAL, call=Optional)]),
        function("optional.none", [free("optional_none", result=_OPTIONAL, call=lambda: NONE)]),
        function(
            "optional.ofNonZeroValue",
            [free("optional_ofNonZeroValue", _T, result=_OPTIONAL, call=_of_non_zero)],
        ),
        function(
            "optional.unwrap",
            [free("optional_unwrap", list_of(_OPTIONAL), result=_LIST, call=_unwrap)],
        ),
        function(
            "unwrapOpt",
            [member("optional_unwrapOpt", list_of(_OPTIONAL), result=_LIST, call=_unwrap)],
        ),
        function(
            "hasValue",
            [
                member(
                    "optional_hasValue",
                    _OPTIONAL,
                    result=BOOL,
                    call=lambda optional: optional.has_value,
                )
            ],
        ),
        function(
            "value",
            [
                member(
                    "optional_value", _OPTIONAL, result=_T, call=lambda optional: optional.content
                )
            ],
        ),
        function("or", [member("optional_or", _OPTIONAL, _OPTIONAL, result=_OPTIONAL, call=_or)]),
        function("orValue", [member("optional_orValue", _OPTIONAL, _T, result=_T, call=_or_value)]),
        function("first", [member("list_first", _LIST, result=_OPTIONAL, call=_first)]),
        function("last", [member("list_last", _LIST, result=_OPTIONAL, call=_last)]),
    ),
)

"""The standard functions: `size`, `contains`, `startsWith`, `endsWith`, `matches`, `dyn`, `type`.

Operators are the evaluator's own; conversions and the members of times have their modules.

Source: cel-go's standard library; spec: cel.md §2.4.
"""

from __future__ import annotations

from typing import Final

from kro.cel import celtypes
from kro.cel.budget import charge
from kro.cel.celtypes import BOOL, BYTES, DYN, INT, STRING, list_of, map_of, type_of
from kro.cel.functions import Library, free, function, member
from kro.cel.library import conversions, times
from kro.cel.library.regex import MATCHES
from kro.cel.values import TypeValue, Value, type_name

_SHORT: Final = 64
"""Characters that are searched in about the time of one unit of the budget."""
_T: Final = celtypes.param("T")
_LIST: Final = list_of(_T)
_MAP: Final = map_of(celtypes.param("K"), celtypes.param("V"))


def _contains(text: str, wanted: str) -> bool:
    if len(text) > _SHORT:
        charge(len(text) // _SHORT)
    return wanted in text


def _type(value: Value) -> TypeValue:
    return TypeValue(type_name(value))


def _dyn(value: Value) -> Value:
    return value


LIBRARY: Final = Library(
    "standard",
    functions=(
        function(
            "size",
            [
                overload
                for name, measured in (
                    ("string", STRING),
                    ("bytes", BYTES),
                    ("list", _LIST),
                    ("map", _MAP),
                )
                for overload in (
                    free(f"size_{name}", measured, result=INT, call=len),
                    member(f"{name}_size", measured, result=INT, call=len),
                )
            ],
            by_value=True,
        ),
        function(
            "contains",
            [member("contains_string", STRING, STRING, result=BOOL, call=_contains)],
        ),
        function(
            "startsWith",
            [member("starts_with_string", STRING, STRING, result=BOOL, call=str.startswith)],
        ),
        function(
            "endsWith",
            [member("ends_with_string", STRING, STRING, result=BOOL, call=str.endswith)],
        ),
        MATCHES,
        function("dyn", [free("to_dyn", _T, result=DYN, call=_dyn)]),
        function("type", [free("type", _T, result=type_of(_T), call=_type)]),
        *conversions.FUNCTIONS,
        *times.FUNCTIONS,
    ),
)

"""Signatures of the operators. What they do stands in `kro.cel.arithmetic` and `kro.cel.access`."""

from __future__ import annotations

from typing import Final

from kro.cel.celtypes import (
    BOOL,
    BYTES,
    DOUBLE,
    DURATION,
    INT,
    STRING,
    TIMESTAMP,
    UINT,
    CelType,
    list_of,
    map_of,
    optional_of,
    param,
)
from kro.cel.functions import Function, Library, Overload

_A: Final = param("A")
_B: Final = param("B")
_NUMBERS: Final = (INT, UINT, DOUBLE)
_ORDERED: Final = (BOOL, INT, UINT, DOUBLE, STRING, BYTES, TIMESTAMP, DURATION)


def _called(*_: object) -> object:
    raise AssertionError("operators are compiled, not called through their signatures")


def _operator(name: str, *signatures: tuple[CelType, ...]) -> Function:
    """Return an operator; the last type of each signature is its result."""
    return Function(
        name, tuple([Overload(name, types[:-1], types[-1], _called) for types in signatures])
    )


def _same(types: tuple[CelType, ...], result: CelType | None = None) -> list[tuple[CelType, ...]]:
    return [(type_, type_, result or type_) for type_ in types]


OPERATORS: Final = Library(
    "operators",
    (
        # The order decides what a type that nothing else determines becomes; it is that of cel-go.
        _operator(
            "_+_",
            *_same((BYTES, DOUBLE, DURATION)),
            (DURATION, TIMESTAMP, TIMESTAMP),
            (TIMESTAMP, DURATION, TIMESTAMP),
            *_same((INT, list_of(_A), STRING, UINT)),
        ),
        _operator(
            "_-_",
            *_same((DOUBLE, DURATION, INT)),
            (TIMESTAMP, DURATION, TIMESTAMP),
            (TIMESTAMP, TIMESTAMP, DURATION),
            (UINT, UINT, UINT),
        ),
        _operator("_*_", *_same((DOUBLE, INT, UINT))),
        _operator("_/_", *_same((DOUBLE, INT, UINT))),
        _operator("_%_", *_same((INT, UINT))),
        _operator("-_", (DOUBLE, DOUBLE), (INT, INT)),
        *(_operator(name, *_same(_ORDERED, BOOL)) for name in ("_<_", "_<=_", "_>_", "_>=_")),
        _operator("_==_", (_A, _A, BOOL)),
        _operator("_!=_", (_A, _A, BOOL)),
        _operator("!_", (BOOL, BOOL)),
        _operator("_?_:_", (BOOL, _A, _A, _A)),
        _operator("@in", (_A, list_of(_A), BOOL), (_A, map_of(_A, _B), BOOL)),
        _operator(
            "_[_]",
            (list_of(_A), INT, _A),
            (map_of(_A, _B), _A, _B),
            (optional_of(list_of(_A)), INT, optional_of(_A)),
            (optional_of(map_of(_A, _B)), _A, optional_of(_B)),
        ),
        _operator(
            "_[?_]",
            (list_of(_A), INT, optional_of(_A)),
            (optional_of(list_of(_A)), INT, optional_of(_A)),
            (map_of(_A, _B), _A, optional_of(_B)),
            (optional_of(map_of(_A, _B)), _A, optional_of(_B)),
        ),
        _operator("@mapInsert", (map_of(_A, _B), map_of(_A, _B), map_of(_A, _B))),
    ),
)

CROSS_TYPE_COMPARISONS: Final = Library(
    "cross-type comparisons",
    tuple(
        _operator(
            name, *[(one, two, BOOL) for one in _NUMBERS for two in _NUMBERS if one is not two]
        )
        for name in ("_<_", "_<=_", "_>_", "_>=_")
    ),
)
"""`1 < 2.5` without dyn: for the conformance tests, and in kro's environment behind macros."""

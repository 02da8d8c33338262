"""Assignability with type variables: the part of the checker that knows nothing of expressions.

Follows the rules of cel-go's checker: a variable takes the first type it meets and widens to `dyn`
when a less specific one comes; null fits structs, times and opaque types; dyn fits everything both
ways.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import repeat
from typing import Final

from kro.cel.celtypes import DYN, CelType, Kind

_NULLABLE: Final = frozenset(
    {Kind.NULL, Kind.OPAQUE, Kind.OPTIONAL, Kind.STRUCT, Kind.TIMESTAMP, Kind.DURATION}
)
_GENERIC: Final = frozenset({Kind.LIST, Kind.MAP, Kind.OPTIONAL, Kind.OPAQUE})


class Substitution:
    """What is known about type variables. Failed attempts leave no trace."""

    __slots__ = ("_count", "_known", "_trail")

    def __init__(self) -> None:
        self._known: dict[CelType, CelType] = {}
        self._trail: list[tuple[CelType, CelType | None]] = []
        self._count = 0

    def fresh(self) -> CelType:
        """Return a new type variable."""
        self._count += 1
        return CelType(Kind.VARIABLE, f"_var{self._count}")

    def apply(self, type_: CelType, default: CelType | None = None) -> CelType:
        """Return `type_` with known variables replaced, and unknown ones by `default` if given."""
        kind = type_.kind
        if kind is Kind.VARIABLE:
            known = self._known.get(type_)
            if known is not None:
                return self.apply(known, default)
            return type_ if default is None else default
        params = type_.params
        if not params:
            return type_
        replaced = tuple(map(self.apply, params, repeat(default)))
        if replaced == params:
            return type_
        return CelType(kind, type_.name, replaced)

    def assignable(self, got: CelType, expected: CelType) -> bool:
        """Return whether a value of `got` may stand for `expected`, and learn from it if so."""
        return self.all_assignable((got,), (expected,))

    def all_assignable(self, got: Sequence[CelType], expected: Sequence[CelType]) -> bool:
        """Return whether all fit, pair by pair, and learn from them only if all do."""
        if len(got) != len(expected):
            return False
        self._trail.clear()
        for one, other in zip(got, expected, strict=True):
            if not self._fits(one, other):
                self._undo()
                return False
        return True

    def _learn(self, variable: CelType, type_: CelType) -> None:
        self._trail.append((variable, self._known.get(variable)))
        self._known[variable] = type_

    def _undo(self) -> None:
        while self._trail:
            variable, before = self._trail.pop()
            if before is None:
                del self._known[variable]
            else:
                self._known[variable] = before

    def _fits(self, got: CelType, expected: CelType) -> bool:
        if expected.kind is Kind.VARIABLE:
            valid, known = self._substitutes(got, expected)
            if valid or known:
                return valid
        if got.kind is Kind.VARIABLE:
            return self._substitutes(expected, got)[0]
        one, other = got.kind, expected.kind
        if one in _ANY or other in _ANY:
            return True
        if one is Kind.NULL:
            return other in _NULLABLE
        if other is Kind.NULL:
            return one in _NULLABLE
        if one is not other:
            return False
        if one is Kind.TYPE:
            return True
        if one in _GENERIC:
            return (
                got.name == expected.name
                and len(got.params) == len(expected.params)
                and all(map(self._fits, got.params, expected.params))
            )
        return got.name == expected.name

    def _substitutes(self, type_: CelType, variable: CelType) -> tuple[bool, bool]:
        """Return whether `type_` can stand for `variable`, and whether that had a type already."""
        if type_ == variable:
            return True, True
        known = self._known.get(variable)
        if known is not None:
            if type_ == known:
                return True, True
            if not self._fits(type_, known):
                return False, True
            wider = most_general(type_, known)
            if not self._mentions(wider, variable):
                self._learn(variable, wider)
            return True, True
        if self._mentions(type_, variable):
            return False, False
        self._learn(variable, type_)
        return True, False

    def _mentions(self, type_: CelType, variable: CelType) -> bool:
        if type_ == variable:
            return True
        if type_.kind is Kind.VARIABLE:
            known = self._known.get(type_)
            return known is not None and self._mentions(known, variable)
        return any(self._mentions(param, variable) for param in type_.params)


_ANY: Final = frozenset({Kind.DYN, Kind.ERROR})


def most_general(one: CelType, other: CelType) -> CelType:
    """Return the less specific of two compatible types; what null can stand for goes first."""
    if one.kind is Kind.NULL and other.kind in _NULLABLE:
        return other
    if other.kind is Kind.NULL and one.kind in _NULLABLE:
        return one
    return one if _less_specific(one, other) else other


def _less_specific(one: CelType, other: CelType) -> bool:
    if one.kind is Kind.DYN or one.kind is Kind.VARIABLE:
        return True
    if other.kind is Kind.DYN or other.kind is Kind.VARIABLE:
        return False
    if one.kind is not other.kind:
        return False
    if one.kind is Kind.TYPE:
        return True
    if one.kind in _GENERIC:
        return (
            one.name == other.name
            and len(one.params) == len(other.params)
            and all(map(_less_specific, one.params, other.params))
        )
    return one == other


def instantiate(type_: CelType, variables: Mapping[str, CelType]) -> CelType:
    """Return a signature's type with its parameters replaced by `variables`."""
    if type_.kind is Kind.PARAM:
        return variables[type_.name]
    if not type_.params:
        return type_
    return CelType(
        type_.kind, type_.name, tuple([instantiate(param, variables) for param in type_.params])
    )


def parameters(types: Sequence[CelType]) -> set[str]:
    """Return the names of all type parameters in `types`."""
    found: set[str] = set()
    for type_ in types:
        if type_.kind is Kind.PARAM:
            found.add(type_.name)
        elif type_.params:
            found |= parameters(type_.params)
    return found


def is_assignable(got: CelType, expected: CelType) -> bool:
    """Return cel-go's assignability of two types without variables."""
    return Substitution().assignable(got, expected)


def finished(type_: CelType, substitution: Substitution) -> CelType:
    """Return a type as it leaves the checker: what was never found is dyn."""
    return substitution.apply(type_, DYN)

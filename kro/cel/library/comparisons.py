"""The three functions with which ordered values of Kubernetes are compared (spec: cel.md §2.9)."""

from __future__ import annotations

from typing import Any

from kro.cel.celtypes import BOOL, INT, CelType
from kro.cel.functions import Function, function, member


def comparisons(prefix: str, type_: CelType) -> tuple[Function, ...]:
    """Return `compareTo`, `isLessThan` and `isGreaterThan` of values that have a `compare`.

    `prefix` begins the names of the overloads.
    """
    both = (type_, type_)

    def compare(left: Any, right: Any) -> int:
        order: int = left.compare(right)
        return order

    def is_less(left: Any, right: Any) -> bool:
        return compare(left, right) < 0

    def is_greater(left: Any, right: Any) -> bool:
        return compare(left, right) > 0

    return (
        function("compareTo", [member(f"{prefix}_compare_to", *both, result=INT, call=compare)]),
        function(
            "isLessThan", [member(f"{prefix}_is_less_than", *both, result=BOOL, call=is_less)]
        ),
        function(
            "isGreaterThan",
            [member(f"{prefix}_is_greater_than", *both, result=BOOL, call=is_greater)],
        ),
    )

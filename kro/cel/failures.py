"""Failures of an evaluation. Private to the package: callers see `Pending` or `EvaluationError`.

A failure that only means that data is not there yet is a `DataMissing`; the class decides, never
the text. `&&`, `||`, `all` and `exists` absorb every `Failure`, but not `BudgetExceeded`.
"""

from __future__ import annotations


class Failure(Exception):
    """A CEL run-time error. Functions raise it with the text that the author shall read."""

    step: int = 0
    """Which field of a path failed."""

    def __init__(self, problem: str) -> None:
        self.problem = problem
        super().__init__(problem)


class NoSuchOverload(Failure):
    """The operands' kinds fit no overload: what dyn lets through the checker."""

    def __init__(self, problem: str = "no such overload") -> None:
        super().__init__(problem)


class BudgetExceeded(Exception):
    """The expression works on more data than it may. No `Failure`: nothing absorbs it."""

    def __init__(self, problem: str) -> None:
        self.problem = problem
        super().__init__(problem)


class DataMissing(Failure):
    """Data is not there yet: the expression is pending, not broken (spec: cel.md §5.4)."""


class NoSuchKey(DataMissing):
    """A map without the key, an object without the field, or no object at all."""

    def __init__(self, key: object) -> None:
        super().__init__(f"no such key: {key}")


class NoSuchAttribute(DataMissing):
    """A variable that is not bound: nothing was observed under this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"no such attribute(s): {name}")


class IndexOutOfBounds(DataMissing):
    """A list that is shorter than the index asks."""

    def __init__(self, index: object) -> None:
        super().__init__(f"index out of bounds: {index}")

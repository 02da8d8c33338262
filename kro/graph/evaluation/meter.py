"""What counts and times the work of a frame. The core has no clock: it hands instants through.

Source: spec api-and-operations.md §8.5.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from kro.cel import Expression, NativeValue, Pending


class Meter(Protocol):
    """Told of every piece of work; must not raise. An instant means something to the meter only."""

    def now(self) -> float:
        """Return the instant, to be given back when the work is done."""
        ...

    def created(self, since: float) -> None:
        """A graph was set up for a pass."""
        ...

    def evaluated(self, since: float) -> None:
        """An expression was evaluated, however that ended."""
        ...

    def resolved(self, since: float, *, broken: bool) -> None:
        """A node's manifests were resolved, or a status projected; `broken`: it never can be."""
        ...

    def expanded(self, size: int) -> None:
        """A forEach made so many objects."""
        ...

    def included(self, *, ignored: bool) -> None:
        """It was decided whether a node is part of the instance."""
        ...

    def checked(self, *, ready: bool) -> None:
        """It was decided whether a node is ready."""
        ...


class Unmetered:
    """Counts nothing."""

    def now(self) -> float:
        """Return any instant."""
        return 0.0

    def created(self, since: float) -> None:
        """Count nothing."""

    def evaluated(self, since: float) -> None:
        """Count nothing."""

    def resolved(self, since: float, *, broken: bool) -> None:
        """Count nothing."""

    def expanded(self, size: int) -> None:
        """Count nothing."""

    def included(self, *, ignored: bool) -> None:
        """Count nothing."""

    def checked(self, *, ready: bool) -> None:
        """Count nothing."""


UNMETERED: Final[Meter] = Unmetered()


def metered(
    expression: Expression, bindings: Mapping[str, object], meter: Meter
) -> NativeValue | Pending:
    """Return what `Expression.evaluate` returns, and tell the meter.

    Raises:
        EvaluationError: as `Expression.evaluate`.
    """
    since = meter.now()
    try:
        return expression.evaluate(bindings)
    finally:
        meter.evaluated(since)

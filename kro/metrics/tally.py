"""Counts that cost next to nothing: one writer, no lock, no labels.

prometheus_client's own take a lock and some microseconds each; an evaluation of CEL takes less.

Concurrency: one thread adds. Another may read at the same time: each number is one Python object
that is replaced, so that what it sees is at worst a moment old.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.utils import floatToGoString

from kro.metrics.catalogue import FAMILIES


class Tally:
    """A counter."""

    __slots__ = ("_family", "value")

    def __init__(self, name: str) -> None:
        self._family = FAMILIES[name]
        self.value = 0

    def collect(self) -> Iterable[Metric]:
        """Yield what was counted."""
        yield CounterMetricFamily(self._family.name, self._family.meaning, value=self.value)


class Spread:
    """A histogram."""

    __slots__ = ("_bounds", "_counts", "_family", "_sum")

    def __init__(self, name: str) -> None:
        self._family = FAMILIES[name]
        self._bounds = self._family.buckets
        self._counts = [0] * (len(self._bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        """Count a value under the smallest bound that is not below it."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def collect(self) -> Iterable[Metric]:
        """Yield the buckets, each with all below it."""
        bounds = [*map(floatToGoString, self._bounds), "+Inf"]
        below = accumulate(list(self._counts))
        metric = HistogramMetricFamily(self._family.name, self._family.meaning)
        metric.add_metric([], buckets=list(zip(bounds, below, strict=True)), sum_value=self._sum)
        yield metric

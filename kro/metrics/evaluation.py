"""What evaluating graphs and expressions takes: counted once an evaluation, so it must be cheap.

Source: spec "API surface and operations" §8.5.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from prometheus_client.core import Metric

from kro.metrics.tally import Spread, Tally


class Evaluations:
    """Graphs set up, nodes resolved, expressions evaluated.

    Concurrency: one thread counts; `collect` may run in another.
    """

    def __init__(self) -> None:
        self._graphs = Tally("runtime_creation_total")
        self._graph_s = Spread("runtime_creation_duration_seconds")
        self._nodes = Tally("runtime_node_eval_total")
        self._node_s = Spread("runtime_node_eval_duration_seconds")
        self._broken = Tally("runtime_node_eval_errors_total")
        self._inclusions = Tally("runtime_node_ignored_check_total")
        self._ignored = Tally("runtime_node_ignored_total")
        self._checks = Tally("runtime_node_ready_check_total")
        self._unready = Tally("runtime_node_not_ready_total")
        self._sizes = Spread("runtime_collection_size")
        self._expressions = Tally("cel_expr_eval_total")
        self._expression_s = Spread("cel_expr_eval_duration_seconds")

    def now(self) -> float:
        """Return the instant, for what takes its time by itself."""
        return time.perf_counter()

    def created(self, since: float) -> None:
        """Count a graph that was set up since that instant."""
        self._graphs.value += 1
        self._graph_s.observe(time.perf_counter() - since)

    def evaluated(self, since: float) -> None:
        """Count an evaluation that began at that instant."""
        self._expressions.value += 1
        self._expression_s.observe(time.perf_counter() - since)

    def resolved(self, since: float, *, broken: bool) -> None:
        """Count a node, or a status, whose resolution began at that instant."""
        self._nodes.value += 1
        self._node_s.observe(time.perf_counter() - since)
        if broken:
            self._broken.value += 1

    def expanded(self, size: int) -> None:
        """Count a forEach."""
        self._sizes.observe(size)

    def included(self, *, ignored: bool) -> None:
        """Count a decision whether a node is part of the instance."""
        self._inclusions.value += 1
        if ignored:
            self._ignored.value += 1

    def checked(self, *, ready: bool) -> None:
        """Count a decision whether a node is ready."""
        self._checks.value += 1
        if not ready:
            self._unready.value += 1

    def collect(self) -> Iterable[Metric]:
        """Yield everything that was counted."""
        for each in (
            *(self._graphs, self._graph_s, self._nodes, self._node_s, self._broken),
            *(self._inclusions, self._ignored, self._checks, self._unready, self._sizes),
            *(self._expressions, self._expression_s),
        ):
            yield from each.collect()

"""How long instances' conditions have had their status: the one gauge with object names.

Behind the feature gate InstanceConditionMetrics. Computed when it is scraped, from what the passes
have told.

Source: spec "API surface and operations" §8.2; "Controller runtime" 1.13.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import NamedTuple

from prometheus_client.core import GaugeMetricFamily, Metric

from kro.metrics.catalogue import FAMILIES
from kro.refs import JsonObject, NamespacedName


class _Aged(NamedTuple):
    """One condition: its status, why, and since when in seconds of the epoch."""

    status: str
    reason: str
    since: float


class ConditionAges:
    """The persisted conditions of all instances.

    Concurrency: one thread tells; `collect` may run in another.
    """

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._kinds: dict[str, dict[NamespacedName, dict[str, _Aged]]] = {}

    def show(self, gvr: str, name: NamespacedName, conditions: Iterable[JsonObject]) -> None:
        """Let an instance have exactly these conditions; none: it is gone.

        A condition without a usable time of transition counts from when it was first told.
        """
        known = self._kinds.get(gvr, {}).get(name, {})
        aged: dict[str, _Aged] = {}
        for condition in conditions:
            type_, status = str(condition.get("type")), str(condition.get("status") or "")
            since = _instant(condition.get("lastTransitionTime"))
            if since is None:
                before = known.get(type_)
                since = before.since if before and before.status == status else self._now()
            aged[type_] = _Aged(status, str(condition.get("reason") or ""), since)
        if aged:
            self._kinds.setdefault(gvr, {})[name] = aged
        elif known:
            del self._kinds[gvr][name]

    def forget_kind(self, gvr: str) -> None:
        """Drop every instance of a kind."""
        self._kinds.pop(gvr, None)

    def collect(self) -> Iterable[Metric]:
        """Yield one series for each condition of each instance."""
        family = FAMILIES["instance_condition_current_status_seconds"]
        gauge = GaugeMetricFamily(family.name, family.meaning, labels=family.labels)
        now = self._now()
        for gvr, instances in list(self._kinds.items()):
            for (namespace, name), conditions in list(instances.items()):
                for type_, (status, reason, since) in conditions.items():
                    labels = (gvr, namespace, name, type_, status, reason)
                    gauge.add_metric(labels, max(0.0, now - since))
        yield gauge


def _instant(text: object) -> float | None:
    """Return an RFC 3339 time in seconds of the epoch; None for none, or the zero time of Go."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.year <= 1:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()

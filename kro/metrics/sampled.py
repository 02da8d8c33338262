"""Gauges of what only the event loop may look at: it looks once a second, a scrape shows that.

One snapshot replaces the other as a whole, so a kind that is gone has no series any more.

Source: spec "Controller runtime" P-095, P-154.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from prometheus_client.core import GaugeMetricFamily, Metric

from kro.metrics.catalogue import FAMILIES


class ControllerSample(Protocol):
    """One controller and its queue at one moment. Units: seconds, keys."""

    @property
    def name(self) -> str:
        """The label `controller`."""

    @property
    def queue(self) -> str:
        """The queue's name; queues of one name are shown as one."""

    @property
    def oldest_s(self) -> float:
        """How long the first key has been in line."""

    @property
    def unfinished_s(self) -> float:
        """The ages of all leases, summed up."""

    @property
    def longest_s(self) -> float:
        """The age of the oldest lease."""

    @property
    def delayed(self) -> int:
        """Keys that are planned for later."""

    @property
    def backing_off(self) -> int:
        """Keys whose last pass failed."""

    @property
    def stuck(self) -> int:
        """Keys that failed very often."""


class InformerSample(Protocol):
    """One resource's informers at one moment."""

    @property
    def resource(self) -> str:
        """The label `gvr`."""

    @property
    def staleness_s(self) -> float | None:
        """How long ago the server last sent anything; None before it first did."""

    @property
    def objects(self) -> int:
        """Objects in memory."""

    @property
    def holds(self) -> int:
        """Who keeps them."""


class Sampled:
    """The latest snapshot.

    Concurrency: `show` on the loop, `collect` in any thread.
    """

    def __init__(self) -> None:
        self._latest: tuple[Sequence[ControllerSample], Sequence[InformerSample]] = ((), ())

    def show(
        self, controllers: Sequence[ControllerSample], informers: Sequence[InformerSample]
    ) -> None:
        """Replace what is shown."""
        self._latest = (controllers, informers)

    def collect(self) -> Iterable[Metric]:
        """Yield what was shown last."""
        controllers, informers = self._latest
        yield from _queues(controllers)
        for name, field in (
            ("kro_runtime_queue_oldest_seconds", "oldest_s"),
            ("kro_runtime_queue_delayed", "delayed"),
            ("kro_runtime_backoff_keys", "backing_off"),
            ("kro_runtime_stuck_keys", "stuck"),
        ):
            yield _gauge(name, [((each.name,), getattr(each, field)) for each in controllers])
        for name, field in (
            ("kro_runtime_informer_staleness_seconds", "staleness_s"),
            ("kro_runtime_informer_objects", "objects"),
            ("kro_runtime_informer_holds", "holds"),
        ):
            yield _gauge(name, [((each.resource,), getattr(each, field)) for each in informers])


def _queues(controllers: Sequence[ControllerSample]) -> Iterable[Metric]:
    unfinished: dict[str, float] = {}
    longest: dict[str, float] = {}
    for each in controllers:
        unfinished[each.queue] = unfinished.get(each.queue, 0.0) + each.unfinished_s
        longest[each.queue] = max(longest.get(each.queue, 0.0), each.longest_s)
    for name, values in (
        ("workqueue_unfinished_work_seconds", unfinished),
        ("workqueue_longest_running_processor_seconds", longest),
    ):
        yield _gauge(name, [((queue, queue), value) for queue, value in values.items()])


def _gauge(name: str, rows: Iterable[tuple[tuple[str, ...], float | None]]) -> GaugeMetricFamily:
    family = FAMILIES[name]
    gauge = GaugeMetricFamily(family.name, family.meaning, labels=family.labels)
    for labels, value in rows:
        if value is not None:
            gauge.add_metric(labels, value)
    return gauge

"""Every metric of the process, by the names that dashboards know, on one registry.

`kro.metrics.catalogue` says what there is; here it becomes values that can be counted. The parts of
the process declare Protocols of their own, `kro.metrics.recorders` fulfils them.

Source: spec "API surface and operations" §8.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterable
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from kro.metrics.catalogue import FAMILIES, Family, Type
from kro.metrics.conditions import ConditionAges
from kro.metrics.evaluation import Evaluations
from kro.metrics.sampled import Sampled

_SERVED_AGAIN: Final = 10


class Metrics:
    """The process's metrics; one value a process, made by the composition root.

    Concurrency: safe from any thread, but for what `evaluations`, `condition_ages` and `sampled`
    are told: that comes from one thread. `exposition` may be asked for in another.
    """

    def __init__(self, *, version: str = "", now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._shown, self._shown_until = b"", now()
        disable_created_metrics()  # type: ignore[no-untyped-call]  # has no annotations
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self.evaluations = Evaluations()
        self.condition_ages = ConditionAges()
        self.sampled = Sampled()
        for collector in (self.evaluations, self.condition_ages, self.sampled):
            self.registry.register(collector)
        self._dynamic_controller()
        self._instances()
        self._definitions()
        self._revisions()
        self._schemas()
        self._client()
        self._controllers()
        self._own()
        self.build_info.labels(version, platform.python_version()).set(1)

    def exposition(self) -> bytes:
        """Return everything in Prometheus' text format.

        However many scrapers there are, they cost a tenth of a core at most: what was put together
        serves for ten times as long as that took.
        """
        started = self._now()
        if started < self._shown_until:
            return self._shown
        self._shown = generate_latest(_Shown(self.registry))
        ended = self._now()
        self._shown_until = ended + _SERVED_AGAIN * (ended - started)
        return self._shown

    def kept(self, name: str, read: Callable[[], float | None]) -> None:
        """Show a value that something else keeps; `read` is called in the scraper's thread.

        None: there is no such value at the moment.
        """
        self.registry.register(_Kept(FAMILIES[name], read))

    def forget_kind(self, *labels: str) -> None:
        """Drop every series of a generated kind, in whichever way `gvr` names it.

        Who has counted for it must not go on.
        """
        for metric in (
            *(self.passes, self.pass_duration, self.requeues, self.handler_errors, self.panics),
            *(self.instance_events, self.instance_transitions, self.instance_duration),
            *(self.instance_passes, self.instance_errors, self.resolutions),
            *(self.resolution_failures, self.resolutions_pending, self.loops_crashed),
        ):
            for label in labels:
                metric.remove_by_labels({"gvr": label})

    def forget_resource(self, label: str) -> None:
        """Drop every series of a resource that is watched no longer."""
        for metric in (
            *(self.sync_duration, self.informer_states, self.relists, self.streams_ended),
            *(self.handlers_failed, self.routed, self.routed_matches),
        ):
            metric.remove_by_labels({"gvr": label})

    def forget_definition(self, name: str) -> None:
        """Drop every series of a definition that is gone."""
        for metric in (
            *(self.builds, self.build_duration, self.build_errors, self.definition_transitions),
            *(self.definition_deletions, self.definition_deletion_duration),
        ):
            metric.remove_by_labels({"name": name})

    def _counter(self, name: str) -> Counter:
        family = _family(name, Type.COUNTER)
        return Counter(name, family.meaning, family.labels, registry=self.registry)

    def _gauge(self, name: str) -> Gauge:
        family = _family(name, Type.GAUGE)
        return Gauge(name, family.meaning, family.labels, registry=self.registry)

    def _histogram(self, name: str) -> Histogram:
        family = _family(name, Type.HISTOGRAM)
        return Histogram(
            name, family.meaning, family.labels, buckets=family.buckets, registry=self.registry
        )

    def _dynamic_controller(self) -> None:
        prefix = "dynamic_controller_"
        self.passes = self._counter(prefix + "reconcile_total")
        self.pass_duration = self._histogram(prefix + "reconcile_duration_seconds")
        self.requeues = self._counter(prefix + "requeue_total")
        self.handler_errors = self._counter(prefix + "handler_errors_total")
        self.panics = self._counter(prefix + "reconcile_panics_total")
        self.queue_length = self._gauge(prefix + "queue_length")
        self.kinds = self._gauge(prefix + "gvr_count")
        self.handlers = self._gauge(prefix + "handler_count_total")
        self.handlers_attached = self._counter(prefix + "handler_attach_total")
        self.handlers_detached = self._counter(prefix + "handler_detach_total")
        self.instance_events = self._counter(prefix + "informer_events_total")
        self.sync_duration = self._histogram(prefix + "informer_sync_duration_seconds")
        self.informers = self._gauge(prefix + "watch_count")
        self.watching_instances = self._gauge(prefix + "instance_watch_count")
        self.watch_requests = self._gauge(prefix + "watch_request_count")
        self.routed = self._counter(prefix + "route_total")
        self.routed_matches = self._counter(prefix + "route_match_total")

    def _instances(self) -> None:
        self.instance_transitions = self._counter("instance_state_transitions_total")
        self.instance_duration = self._histogram("instance_reconcile_duration_seconds")
        self.instance_passes = self._counter("instance_reconcile_total")
        self.instance_errors = self._counter("instance_reconcile_errors_total")
        self.resolutions = self._counter("instance_graph_resolution_success_total")
        self.resolution_failures = self._counter("instance_graph_resolution_failures_total")
        self.resolutions_pending = self._counter("instance_graph_resolution_pending_total")

    def _definitions(self) -> None:
        self.builds = self._counter("rgd_graph_build_total")
        self.build_duration = self._histogram("rgd_graph_build_duration_seconds")
        self.build_errors = self._counter("rgd_graph_build_errors_total")
        self.definition_transitions = self._counter("rgd_state_transitions_total")
        self.definition_deletions = self._counter("rgd_deletions_total")
        self.definition_deletion_duration = self._histogram("rgd_deletion_duration_seconds")

    def _revisions(self) -> None:
        prefix = "rgd_graph_revision_"
        self.revisions_issued = self._counter(prefix + "issue_total")
        self.revision_waits = self._counter(prefix + "wait_total")
        self.revision_resolutions = self._counter(prefix + "resolution_total")
        self.registry_misses = self._counter(prefix + "registry_miss_total")
        self.retention_deleted = self._counter(prefix + "gc_deleted_total")
        self.retention_errors = self._counter(prefix + "gc_errors_total")
        prefix = "graph_revision_"
        self.compilations = self._counter(prefix + "compile_total")
        self.compilation_duration = self._histogram(prefix + "compile_duration_seconds")
        self.revision_status_errors = self._counter(prefix + "status_update_errors_total")
        self.activations_deferred = self._counter(prefix + "activation_deferred_total")
        self.finalizer_evictions = self._counter(prefix + "finalizer_evictions_total")
        self.registry_entries = self._gauge(prefix + "registry_entries")
        self.registry_transitions = self._counter(prefix + "registry_transitions_total")
        self.registry_evictions = self._counter(prefix + "registry_evictions_total")
        for state in ("pending", "active", "failed"):
            self.registry_entries.labels(state)

    def _schemas(self) -> None:
        prefix = "schema_resolver_"
        self.schema_hits = self._counter(prefix + "cache_hits_total")
        self.schema_misses = self._counter(prefix + "cache_misses_total")
        self.schema_evictions = self._counter(prefix + "cache_evictions_total")
        self.schemas_kept = self._gauge(prefix + "cache_size")
        self.schema_fetch_duration = self._histogram(prefix + "api_call_duration_seconds")
        self.schema_fetches_shared = self._counter(prefix + "singleflight_deduplicated_total")
        self.schema_errors = self._counter(prefix + "errors_total")

    def _client(self) -> None:
        prefix = "rest_client_"
        self.request_duration = self._histogram(prefix + "request_duration_seconds")
        self.limiter_duration = self._histogram(prefix + "rate_limiter_duration_seconds")
        self.request_size = self._histogram(prefix + "request_size_bytes")
        self.response_size = self._histogram(prefix + "response_size_bytes")
        self.request_retries = self._counter(prefix + "request_retries_total")
        self.requests = self._counter(prefix + "requests_total")

    def _controllers(self) -> None:
        prefix = "controller_runtime_"
        self.controller_passes = self._counter(prefix + "reconcile_total")
        self.controller_errors = self._counter(prefix + "reconcile_errors_total")
        self.controller_terminal = self._counter(prefix + "terminal_reconcile_errors_total")
        self.controller_panics = self._counter(prefix + "reconcile_panics_total")
        self.controller_timeouts = self._counter(prefix + "reconcile_timeouts_total")
        self.controller_duration = self._histogram(prefix + "reconcile_time_seconds")
        self.controller_workers = self._gauge(prefix + "max_concurrent_reconciles")
        self.controller_active = self._gauge(prefix + "active_workers")
        self.queue_depth = self._gauge("workqueue_depth")
        self.queue_adds = self._counter("workqueue_adds_total")
        self.queue_retries = self._counter("workqueue_retries_total")
        self.queue_wait = self._histogram("workqueue_queue_duration_seconds")
        self.queue_work = self._histogram("workqueue_work_duration_seconds")
        self.leading = self._gauge("leader_election_master_status")

    def _own(self) -> None:
        prefix = "kro_runtime_"
        self.build_info = self._gauge("kro_build_info")
        self.loop_lag = self._histogram(prefix + "loop_lag_seconds")
        self.informer_states = self._gauge(prefix + "informers")
        self.relists = self._counter(prefix + "relists_total")
        self.streams_ended = self._counter(prefix + "watch_streams_ended_total")
        self.handlers_failed = self._counter(prefix + "handler_failures_total")
        self.loops_crashed = self._counter(prefix + "loop_crashes_total")
        self.gate_refusals = self._counter(prefix + "write_gate_refusals_total")
        self.api_warnings = self._counter("kro_api_warnings_total")
        self.log_lines_dropped = self._counter("kro_log_lines_dropped_total")


def _family(name: str, type_: Type) -> Family:
    family = FAMILIES[name]
    assert family.type is type_, f"{name} is a {family.type}"
    return family


class _Kept:
    """A counter or a gauge without labels that something else keeps."""

    def __init__(self, family: Family, read: Callable[[], float | None]) -> None:
        self._family, self._read = family, read

    def collect(self) -> Iterable[Metric]:
        """Yield its value now."""
        name, meaning, value = self._family.name, self._family.meaning, self._read()
        if self._family.type is Type.COUNTER:
            yield CounterMetricFamily(name, meaning, value=value)
        else:
            yield GaugeMetricFamily(name, meaning, value=value)


class _Shown(CollectorRegistry):
    """What a scraper sees of a registry: counters of kro (Go) begin with their first use there."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__()
        self._registry = registry

    def collect(self) -> Iterable[Metric]:
        """Yield every family, those without use without series."""
        for metric in self._registry.collect():
            family = FAMILIES.get(f"{metric.name}_total")
            if family is not None and family.from_first_use and not metric.samples[0].value:
                metric.samples = []
            yield metric

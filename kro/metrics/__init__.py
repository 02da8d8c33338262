"""Every metric of the process, by the names that dashboards know, on one registry.

The recorders of the parts are thin: a part takes a Protocol of its own, `kro.metrics` fulfils it.
Labels never hold object names, but for definitions (`name`), as in kro (Go).

Source: spec "API surface and operations" §8.
"""

from __future__ import annotations

from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
)
from prometheus_client.exposition import generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_PASS_S: Final = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 20, 25, 30, 45, 60, 120)
_CONTROLLER_S: Final = (
    *(0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8),
    *(0.9, 1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5, 6, 7, 8, 9, 10, 15, 20, 25, 30),
    *(40, 50, 60),
)
_REQUEST_S: Final = tuple(0.001 * 2**n for n in range(16))
_REQUEST_BYTES: Final = tuple(64.0 * 2**n for n in range(16))
_QUEUE_S: Final = tuple(1e-8 * 10**n for n in range(12))
_LAG_S: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)


class Metrics:
    """The process's metrics; one value a process, made by the composition root.

    Concurrency: prometheus_client's own locks; safe from any thread.
    """

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # has no annotations
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self._dynamic_controller()
        self._instances()
        self._definitions()
        self._revisions()
        self._client()
        self._runtime()

    def exposition(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self.registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)

    def _histogram(
        self, name: str, text: str, buckets: tuple[float, ...], *labels: str
    ) -> Histogram:
        return Histogram(name, text, labels, buckets=buckets, registry=self.registry)

    def _dynamic_controller(self) -> None:
        prefix = "dynamic_controller_"
        self.passes = self._counter(prefix + "reconcile_total", "Passes over instances.", "gvr")
        self.pass_duration = self._histogram(
            prefix + "reconcile_duration_seconds", "Duration of a pass.", _PASS_S, "gvr"
        )
        self.requeues = self._counter(
            prefix + "requeue_total", "Passes that asked for another one.", "gvr", "type"
        )
        self.handler_errors = self._counter(
            prefix + "handler_errors_total", "Passes that failed.", "gvr"
        )
        self.panics = self._counter(
            prefix + "reconcile_panics_total", "Passes that crashed: bugs.", "gvr"
        )
        self.queue_length = self._gauge(prefix + "queue_length", "Instances in line.")
        self.kinds = self._gauge(prefix + "gvr_count", "Generated kinds that are served.")
        self.handlers = self._gauge(prefix + "handler_count_total", "Attached handlers.", "type")
        self.handlers_attached = self._counter(
            prefix + "handler_attach_total", "Handlers attached.", "type"
        )
        self.handlers_detached = self._counter(
            prefix + "handler_detach_total", "Handlers detached.", "type"
        )
        self.instance_events = self._counter(
            prefix + "informer_events_total", "Events of instances.", "gvr", "event_type"
        )
        self.sync_duration = self._histogram(
            prefix + "informer_sync_duration_seconds", "Waits for a first sync.", _PASS_S, "gvr"
        )
        self.informers = self._gauge(prefix + "watch_count", "Running informers.")
        self.watching_instances = self._gauge(
            prefix + "instance_watch_count", "Instances with watches.", "parent_gvr"
        )
        self.watch_requests = self._gauge(
            prefix + "watch_request_count", "Declared watches.", "gvr", "type"
        )
        self.routed = self._counter(prefix + "route_total", "Events looked up.", "gvr")
        self.routed_matches = self._counter(
            prefix + "route_match_total", "Events that concern an instance.", "gvr"
        )

    def _instances(self) -> None:
        self.instance_transitions = self._counter(
            "instance_state_transitions_total",
            "Changes of an instance's state.",
            "gvr",
            "from_state",
            "to_state",
        )
        self.instance_duration = self._histogram(
            "instance_reconcile_duration_seconds", "Duration of a pass.", _PASS_S, "gvr"
        )
        self.instance_passes = self._counter("instance_reconcile_total", "Passes.", "gvr")
        self.instance_errors = self._counter(
            "instance_reconcile_errors_total", "Passes that ended with an error.", "gvr"
        )
        self.resolutions = self._counter(
            "instance_graph_resolution_success_total", "Passes with a graph.", "gvr"
        )
        self.resolution_failures = self._counter(
            "instance_graph_resolution_failures_total", "Passes without a graph.", "gvr", "reason"
        )
        self.resolutions_pending = self._counter(
            "instance_graph_resolution_pending_total", "Passes before a graph was ready.", "gvr"
        )
        self.collection_size = self._histogram(
            "runtime_collection_size",
            "Objects that a forEach made.",
            tuple(float(2**n) for n in range(10)),
        )

    def _definitions(self) -> None:
        self.builds = self._counter("rgd_graph_build_total", "Graph builds.", "name")
        self.build_duration = self._histogram(
            "rgd_graph_build_duration_seconds", "Duration of a graph build.", _PASS_S, "name"
        )
        self.build_errors = self._counter(
            "rgd_graph_build_errors_total", "Graph builds that found errors.", "name"
        )
        self.definition_transitions = self._counter(
            "rgd_state_transitions_total", "Changes of a definition's state.", "name", "from", "to"
        )
        self.definition_deletions = self._counter(
            "rgd_deletions_total", "Finished deletions.", "name"
        )
        self.definition_deletion_duration = self._histogram(
            "rgd_deletion_duration_seconds", "Duration of a deletion.", _PASS_S, "name"
        )

    def _revisions(self) -> None:
        prefix = "rgd_graph_revision_"
        self.revisions_issued = self._counter(prefix + "issue_total", "Revisions issued.", "reason")
        self.revision_waits = self._counter(
            prefix + "wait_total", "Passes that wait for a revision.", "reason"
        )
        self.revision_resolutions = self._counter(
            prefix + "resolution_total", "What passes found to do.", "result"
        )
        self.registry_misses = self._counter(
            prefix + "registry_miss_total", "Passes before a revision was compiled.", "reason"
        )
        self.retention_deleted = self._counter(
            prefix + "gc_deleted_total", "Revisions that retention deleted."
        )
        self.retention_errors = self._counter(
            prefix + "gc_errors_total", "Revisions that retention could not delete."
        )
        prefix = "graph_revision_"
        self.compilations = self._counter(prefix + "compile_total", "Compilations.", "result")
        self.compilation_duration = self._histogram(
            prefix + "compile_duration_seconds", "Duration of a compilation.", _PASS_S, "result"
        )
        self.revision_status_errors = self._counter(
            prefix + "status_update_errors_total", "Statuses that could not be written."
        )
        self.activations_deferred = self._counter(
            prefix + "activation_deferred_total", "Compiled, but the status was not written."
        )
        self.finalizer_evictions = self._counter(
            prefix + "finalizer_evictions_total", "Finalizers taken off."
        )
        self.registry_entries = self._gauge(
            prefix + "registry_entries", "Revisions that the process knows.", "state"
        )
        self.registry_transitions = self._counter(
            prefix + "registry_transitions_total", "Changes of a known revision.", "from", "to"
        )
        self.registry_evictions = self._counter(
            prefix + "registry_evictions_total", "Revisions forgotten."
        )

    def _client(self) -> None:
        self.request_duration = self._histogram(
            "rest_client_request_duration_seconds", "Duration of a request.", _REQUEST_S, "verb"
        )
        self.limiter_duration = self._histogram(
            "rest_client_rate_limiter_duration_seconds",
            "Waits for the client's own limit.",
            _REQUEST_S,
            "verb",
        )
        self.request_size = self._histogram(
            "rest_client_request_size_bytes", "Size of a request.", _REQUEST_BYTES, "verb"
        )
        self.response_size = self._histogram(
            "rest_client_response_size_bytes", "Size of an answer.", _REQUEST_BYTES, "verb"
        )
        self.request_retries = self._counter(
            "rest_client_request_retries_total", "Requests sent again.", "code", "method"
        )
        self.requests = self._counter(
            "rest_client_requests_total", "Requests.", "code", "method", "host"
        )

    def _runtime(self) -> None:
        controller = "controller_runtime_"
        self.controller_passes = self._counter(
            controller + "reconcile_total", "Passes.", "controller", "result"
        )
        self.controller_errors = self._counter(
            controller + "reconcile_errors_total", "Passes that failed.", "controller"
        )
        self.controller_panics = self._counter(
            controller + "reconcile_panics_total", "Passes that crashed: bugs.", "controller"
        )
        self.controller_timeouts = self._counter(
            controller + "reconcile_timeouts_total", "Passes cut at their deadline.", "controller"
        )
        self.controller_duration = self._histogram(
            controller + "reconcile_time_seconds",
            "Duration of a pass.",
            _CONTROLLER_S,
            "controller",
        )
        self.controller_workers = self._gauge(
            controller + "max_concurrent_reconciles", "Workers.", "controller"
        )
        self.controller_active = self._gauge(
            controller + "active_workers", "Busy workers.", "controller"
        )
        queue = ("name", "controller")
        self.queue_depth = self._gauge("workqueue_depth", "Keys in line.", *queue, "priority")
        self.queue_adds = self._counter("workqueue_adds_total", "Keys added.", *queue)
        self.queue_retries = self._counter(
            "workqueue_retries_total", "Keys added again after a failure.", *queue
        )
        self.queue_wait = self._histogram(
            "workqueue_queue_duration_seconds", "Time in line.", _QUEUE_S, *queue
        )
        self.queue_work = self._histogram(
            "workqueue_work_duration_seconds", "Time of a lease.", _QUEUE_S, *queue
        )
        self.queue_unfinished = self._gauge(
            "workqueue_unfinished_work_seconds", "Time of the running leases.", *queue
        )
        self.queue_longest = self._gauge(
            "workqueue_longest_running_processor_seconds", "Time of the oldest lease.", *queue
        )
        self.leading = self._gauge(
            "leader_election_master_status", "Whether this replica leads.", "name"
        )
        self.streams_ended = self._counter(
            "kro_runtime_watch_streams_ended_total", "Watch streams that ended.", "gvr", "cause"
        )
        self.informer_states = self._gauge(
            "kro_runtime_informers", "Informers by state.", "gvr", "state"
        )
        self.relists = self._counter(
            "kro_runtime_relists_total", "Loads of an informer.", "gvr", "reason"
        )
        self.loops_crashed = self._counter(
            "kro_runtime_loop_crashes_total", "Loops of a kind that were restarted: bugs.", "gvr"
        )
        self.handlers_failed = self._counter(
            "kro_runtime_handler_failures_total", "Event handlers that raised: bugs.", "gvr"
        )
        self.loop_lag = self._histogram(
            "kro_runtime_loop_lag_seconds", "How late the event loop runs a timer.", _LAG_S
        )

"""The catalogue: every metric of the process, with its labels, buckets and meaning.

The names, labels and buckets of kro (Go) stand here as that one has them, so that its dashboards go
on working; what it has not begins with `kro_`. Labels never hold object names, but for definitions
(`name`) and behind the gate `InstanceConditionMetrics`.

A resource stands in labels in three ways, which are kro (Go)'s: `apps/v1, Resource=deployments`,
`apps/v1/deployments`, and, for a kind, `apps/v1, Kind=Deployment`.

Source: spec "API surface and operations" §8; "Controller runtime" 1.13, P-152, P-154.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Type(StrEnum):
    """What a metric is to Prometheus."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Family:
    """One metric.

    Shape: `buckets` are upper bounds in ascending order, without the infinite one.
    """

    name: str
    type: Type
    meaning: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    from_first_use: bool = False
    """Whether there is no series before something was counted, as in kro (Go)."""


@dataclass(frozen=True, slots=True)
class Section:
    """The metrics of one part of the process."""

    title: str
    families: tuple[Family, ...]


def _counter(name: str, meaning: str, *labels: str, from_first_use: bool = False) -> Family:
    return Family(name, Type.COUNTER, meaning, labels, from_first_use=from_first_use)


def _gauge(name: str, meaning: str, *labels: str) -> Family:
    return Family(name, Type.GAUGE, meaning, labels)


def _histogram(name: str, meaning: str, buckets: tuple[float, ...], *labels: str) -> Family:
    return Family(name, Type.HISTOGRAM, meaning, labels, buckets)


PASS_S: Final = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 20, 25, 30, 45, 60, 120)
EVALUATION_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
CONTROLLER_S: Final = (
    *(0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8),
    *(0.9, 1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5, 6, 7, 8, 9, 10, 15, 20, 25, 30),
    *(40, 50, 60),
)
REQUEST_S: Final = tuple(0.001 * 2**n for n in range(16))
REQUEST_BYTES: Final = tuple(64.0 * 2**n for n in range(16))
FETCH_S: Final = tuple(0.01 * 2**n for n in range(10))
QUEUE_S: Final = tuple(float(f"1e{n}") for n in range(-8, 4))
SIZES: Final = tuple(float(2**n) for n in range(10))
LAG_S: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)

_DYNAMIC = Section(
    "Controller of generated kinds",
    (
        _counter("dynamic_controller_reconcile_total", "Passes over instances.", "gvr"),
        _histogram(
            "dynamic_controller_reconcile_duration_seconds",
            "Duration of a pass over an instance.",
            PASS_S,
            "gvr",
        ),
        _counter(
            "dynamic_controller_requeue_total",
            "Passes that asked for another one, by why: rate_limited after a failure, requeue_after"
            " and requeue as planned, no_requeue where only a change can help.",
            *("gvr", "type"),
        ),
        _counter(
            "dynamic_controller_handler_errors_total",
            "Passes that failed. A resource that cannot be applied is no failure of the pass.",
            "gvr",
        ),
        _counter(
            "dynamic_controller_reconcile_panics_total",
            "Passes that ended by an error nobody foresaw: a bug.",
            "gvr",
        ),
        _gauge("dynamic_controller_queue_length", "Instances in line, over all kinds."),
        _gauge("dynamic_controller_gvr_count", "Generated kinds that are served."),
        _gauge("dynamic_controller_handler_count_total", "Attached handlers.", "type"),
        _counter("dynamic_controller_handler_attach_total", "Handlers attached.", "type"),
        _counter("dynamic_controller_handler_detach_total", "Handlers detached.", "type"),
        _counter(
            "dynamic_controller_informer_events_total",
            "Events of instances that led to a pass: add, update or delete.",
            *("gvr", "event_type"),
        ),
        _histogram(
            "dynamic_controller_informer_sync_duration_seconds",
            "Waits for a resource to be loaded, in time or not.",
            PASS_S,
            "gvr",
        ),
        _gauge("dynamic_controller_watch_count", "Running informers."),
        _gauge(
            "dynamic_controller_instance_watch_count",
            "Instances that listen to objects.",
            "parent_gvr",
        ),
        _gauge(
            "dynamic_controller_watch_request_count",
            "What instances listen to: single objects (scalar) and selections (collection).",
            *("gvr", "type"),
        ),
        _counter(
            "dynamic_controller_route_total",
            "Events of objects that instances may listen to.",
            "gvr",
        ),
        _counter(
            "dynamic_controller_route_match_total",
            "Those of them that some instance listens to.",
            "gvr",
        ),
    ),
)

_INSTANCES = Section(
    "Instances",
    (
        _counter(
            "instance_state_transitions_total",
            "Changes of the state in an instance's status; from_state is empty at its first."
            " The label gvr holds a kind here, as in kro (Go).",
            *("gvr", "from_state", "to_state"),
        ),
        _histogram(
            "instance_reconcile_duration_seconds",
            "Duration of a pass over an instance.",
            PASS_S,
            "gvr",
        ),
        _counter("instance_reconcile_total", "Passes over instances.", "gvr"),
        _counter(
            "instance_reconcile_errors_total",
            "Passes that ended with an error. A resource that cannot be applied is no such error.",
            "gvr",
        ),
        _counter(
            "instance_graph_resolution_success_total",
            "Passes that had a graph to work with.",
            "gvr",
        ),
        _counter(
            "instance_graph_resolution_failures_total",
            "Passes without a graph: not_available, failed or unknown_state.",
            *("gvr", "reason"),
        ),
        _counter(
            "instance_graph_resolution_pending_total",
            "Passes that came before the newest revision was compiled.",
            "gvr",
        ),
        _gauge(
            "instance_condition_current_status_seconds",
            "How long a condition of an instance has had its status; behind the feature gate"
            " InstanceConditionMetrics, one series for each condition of each instance.",
            *("gvr", "namespace", "name", "condition_type", "condition_status", "reason"),
        ),
    ),
)

_DEFINITIONS = Section(
    "Definitions",
    (
        _counter("rgd_graph_build_total", "Checks of a definition's spec.", "name"),
        _histogram(
            "rgd_graph_build_duration_seconds",
            "Duration of a check of a definition's spec.",
            PASS_S,
            "name",
        ),
        _counter("rgd_graph_build_errors_total", "Checks that found the spec to be wrong.", "name"),
        _counter(
            "rgd_state_transitions_total",
            "Changes of a definition's state: Active or Inactive.",
            *("name", "from", "to"),
        ),
        _counter("rgd_deletions_total", "Deletions that were finished.", "name"),
        _histogram(
            "rgd_deletion_duration_seconds",
            "Duration of the pass that finished a deletion.",
            PASS_S,
            "name",
        ),
        _counter(
            "rgd_graph_revision_issue_total",
            "Revisions issued: for a new definition (no_revision) or a new spec (spec_changed).",
            "reason",
        ),
        _counter(
            "rgd_graph_revision_wait_total",
            "Passes over definitions that wait: for revisions that are being deleted (settling),"
            " for one to be known (warming_up) or compiled (compiling).",
            "reason",
        ),
        _counter(
            "rgd_graph_revision_resolution_total",
            "What passes over definitions found to do: serve, issue, wait, or nothing for the"
            " revision failed.",
            "result",
        ),
        _counter(
            "rgd_graph_revision_registry_miss_total",
            "Passes over definitions whose newest revision was not known yet"
            " (latest_not_warmed). kro (Go)'s second reason cannot occur here.",
            "reason",
        ),
        _counter(
            "rgd_graph_revision_gc_deleted_total",
            "Revisions that retention deleted.",
            from_first_use=True,
        ),
        _counter(
            "rgd_graph_revision_gc_errors_total",
            "Revisions that retention could not delete; it tries again.",
            from_first_use=True,
        ),
    ),
)

_REVISIONS = Section(
    "Graph revisions",
    (
        _counter("graph_revision_compile_total", "Compilations: success or failed.", "result"),
        _histogram(
            "graph_revision_compile_duration_seconds",
            "Duration of a compilation.",
            PASS_S,
            "result",
        ),
        _counter(
            "graph_revision_status_update_errors_total",
            "Statuses of revisions that could not be written.",
            from_first_use=True,
        ),
        _counter(
            "graph_revision_activation_deferred_total",
            "Revisions that were compiled and do not serve yet: their status was not written.",
            from_first_use=True,
        ),
        _counter(
            "graph_revision_finalizer_evictions_total",
            "Finalizers taken off revisions that are being deleted.",
            from_first_use=True,
        ),
        _gauge(
            "graph_revision_registry_entries",
            "Revisions that the process knows: pending, active or failed.",
            "state",
        ),
        _counter(
            "graph_revision_registry_transitions_total",
            "Changes of a known revision's state.",
            *("from", "to"),
        ),
        _counter(
            "graph_revision_registry_evictions_total",
            "Revisions that the process forgot.",
            from_first_use=True,
        ),
    ),
)

_EVALUATION = Section(
    "Evaluation",
    (
        _counter("runtime_creation_total", "Graphs set up for a pass over an instance."),
        _histogram(
            "runtime_creation_duration_seconds",
            "Duration of setting a graph up for a pass.",
            EVALUATION_S,
        ),
        _counter(
            "runtime_node_eval_total",
            "Nodes whose manifest was resolved, and statuses that were projected.",
        ),
        _histogram(
            "runtime_node_eval_duration_seconds",
            "Duration of resolving one node, or of projecting a status.",
            EVALUATION_S,
        ),
        _counter(
            "runtime_node_eval_errors_total",
            "Nodes, or statuses, with an expression that cannot work with the data.",
        ),
        _counter("runtime_node_ignored_check_total", "Decisions whether a node is included."),
        _counter(
            "runtime_node_ignored_total",
            "Those of them by which the node, or one that it depends on, is left out.",
        ),
        _counter("runtime_node_ready_check_total", "Decisions whether a node is ready."),
        _counter("runtime_node_not_ready_total", "Those of them by which it is not."),
        _histogram("runtime_collection_size", "Objects that one forEach made.", SIZES),
        _counter(
            "cel_expr_eval_total", "Evaluations of CEL expressions, but for author's conditions."
        ),
        _histogram(
            "cel_expr_eval_duration_seconds", "Duration of one CEL evaluation.", EVALUATION_S
        ),
    ),
)

_SCHEMAS = Section(
    "Schemas",
    (
        _counter("schema_resolver_cache_hits_total", "Schemas that were known."),
        _counter("schema_resolver_cache_misses_total", "Schemas that had to be fetched."),
        _counter(
            "schema_resolver_cache_evictions_total",
            "Schemas dropped: no definition uses their kind any more, or the CRD has changed.",
        ),
        _gauge("schema_resolver_cache_size", "Schemas that are kept."),
        _histogram(
            "schema_resolver_api_call_duration_seconds",
            "Duration of fetching one schema from the API server.",
            FETCH_S,
        ),
        _counter(
            "schema_resolver_singleflight_deduplicated_total",
            "Fetches that were spared because the same schema was being fetched.",
        ),
        _counter("schema_resolver_errors_total", "Fetches that failed."),
    ),
)

_CLIENT = Section(
    "API client",
    (
        _histogram(
            "rest_client_request_duration_seconds",
            "Duration of a request until its answer was read; of a watch until it was opened.",
            REQUEST_S,
            "verb",
        ),
        _histogram(
            "rest_client_rate_limiter_duration_seconds",
            "Waits for the client's own limit.",
            REQUEST_S,
            "verb",
        ),
        _histogram(
            "rest_client_request_size_bytes", "Size of a request's body.", REQUEST_BYTES, "verb"
        ),
        _histogram(
            "rest_client_response_size_bytes", "Size of an answer's body.", REQUEST_BYTES, "verb"
        ),
        _counter(
            "rest_client_request_retries_total",
            "Requests that were sent again, by what the attempt before was answered.",
            *("code", "method"),
        ),
        _counter(
            "rest_client_requests_total",
            "Requests, by the answer's code; `<error>` where there was none.",
            *("code", "method", "host"),
        ),
    ),
)

_CONTROLLERS = Section(
    "Controllers and queues",
    (
        _counter(
            "controller_runtime_reconcile_total",
            "Passes over definitions and revisions: success, error, requeue or requeue_after.",
            *("controller", "result"),
        ),
        _counter("controller_runtime_reconcile_errors_total", "Passes that failed.", "controller"),
        _counter(
            "controller_runtime_terminal_reconcile_errors_total",
            "Passes that failed in a way that trying again does not heal.",
            "controller",
        ),
        _counter(
            "controller_runtime_reconcile_panics_total",
            "Passes that ended by an error nobody foresaw: a bug.",
            "controller",
        ),
        _counter(
            "controller_runtime_reconcile_timeouts_total",
            "Passes that were cancelled at their deadline.",
            "controller",
        ),
        _histogram(
            "controller_runtime_reconcile_time_seconds",
            "Duration of a pass over a definition or a revision.",
            CONTROLLER_S,
            "controller",
        ),
        _gauge(
            "controller_runtime_max_concurrent_reconciles", "How many passes may run.", "controller"
        ),
        _gauge("controller_runtime_active_workers", "How many passes run.", "controller"),
        _gauge("workqueue_depth", "Keys in line.", *("name", "controller", "priority")),
        _counter("workqueue_adds_total", "Keys that joined the line.", *("name", "controller")),
        _counter(
            "workqueue_retries_total", "Keys planned for a later pass.", *("name", "controller")
        ),
        _histogram(
            "workqueue_queue_duration_seconds",
            "How long a key was in line.",
            QUEUE_S,
            *("name", "controller"),
        ),
        _histogram(
            "workqueue_work_duration_seconds",
            "How long a key was worked on.",
            QUEUE_S,
            *("name", "controller"),
        ),
        _gauge(
            "workqueue_unfinished_work_seconds",
            "How long the running passes have taken so far, together.",
            *("name", "controller"),
        ),
        _gauge(
            "workqueue_longest_running_processor_seconds",
            "How long the oldest running pass has taken so far.",
            *("name", "controller"),
        ),
        _gauge(
            "leader_election_master_status",
            "Whether this replica leads (1) or stands by (0); only with leader election.",
            "name",
        ),
    ),
)

_OWN = Section(
    "Beyond kro (Go)",
    (
        _gauge(
            "kro_build_info", "Always 1; which version runs, on which Python.", "version", "python"
        ),
        _histogram("kro_runtime_loop_lag_seconds", "How late the event loop runs a timer.", LAG_S),
        _gauge(
            "kro_runtime_loop_heartbeat_age_seconds",
            "How long ago the event loop last showed a sign of life; below 0.2 while all is well.",
        ),
        _gauge(
            "kro_runtime_draining_seconds",
            "How long the process has been ending; 0 while it serves.",
        ),
        _gauge(
            "kro_runtime_informers",
            "Informers by state: loading, synced, stale, absent or forbidden.",
            *("gvr", "state"),
        ),
        _gauge(
            "kro_runtime_informer_staleness_seconds",
            "How long ago the API server last sent anything about a resource, be it a bookmark.",
            "gvr",
        ),
        _gauge("kro_runtime_informer_objects", "Objects that are kept in memory.", "gvr"),
        _gauge("kro_runtime_informer_holds", "How often a resource's informers are held.", "gvr"),
        _counter("kro_runtime_relists_total", "Loads of a resource, by why.", *("gvr", "reason")),
        _counter(
            "kro_runtime_watch_streams_ended_total",
            "Watch streams that ended, by why: closed, cut, silent, overdue, expired, refused,"
            " garbage (undecodable) or too_large.",
            *("gvr", "cause"),
        ),
        _gauge("kro_runtime_watch_streams", "Open watch streams."),
        _gauge("kro_runtime_watch_streams_limit", "How many watch streams may be open."),
        _counter("kro_runtime_handler_failures_total", "Event handlers that raised: a bug.", "gvr"),
        _counter(
            "kro_runtime_loop_crashes_total",
            "Loops of a generated kind that crashed and were restarted: a bug.",
            "gvr",
        ),
        _gauge(
            "kro_runtime_queue_oldest_seconds",
            "How long the key that waits longest has been in line.",
            "controller",
        ),
        _gauge("kro_runtime_queue_delayed", "Keys that are planned for later.", "controller"),
        _gauge(
            "kro_runtime_backoff_keys",
            "Keys whose last pass failed and that wait for another.",
            "controller",
        ),
        _gauge(
            "kro_runtime_stuck_keys",
            "Keys that failed as often as --dynamic-controller-default-queue-max-retries or more;"
            " they are tried on.",
            "controller",
        ),
        _gauge("kro_runtime_pass_slots", "How many passes over instances may run at the moment."),
        _gauge("kro_runtime_pass_slots_used", "How many passes over instances run."),
        _counter(
            "kro_runtime_write_gate_refusals_total",
            "Writes that were not sent because this replica does not surely lead.",
        ),
        _gauge(
            "kro_runtime_lease_age_seconds",
            "How long ago the lease was last renewed; absent while this replica does not lead.",
        ),
        _counter(
            "kro_events_dropped_total",
            "Kubernetes Events that did not fit into the line or were not taken.",
        ),
        _counter(
            "kro_log_lines_dropped_total",
            "Log lines left out: the same one came too often within a second, or nobody read them.",
        ),
        _counter("kro_api_warnings_total", "Different warnings that the API server gave."),
    ),
)

SECTIONS: Final = (
    _DYNAMIC,
    _INSTANCES,
    _DEFINITIONS,
    _REVISIONS,
    _EVALUATION,
    _SCHEMAS,
    _CLIENT,
    _CONTROLLERS,
    _OWN,
)
"""The whole catalogue, in the order in which people read it."""

FAMILIES: Final[Mapping[str, Family]] = {
    family.name: family for section in SECTIONS for family in section.families
}

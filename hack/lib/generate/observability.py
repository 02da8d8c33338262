"""The Grafana dashboard, from a list of its panels, and the alerts in the operator's form."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

RULES: Final = Path("config/prometheus/rules.yaml")
PROMETHEUS_RULE: Final = Path("config/prometheus/prometheusrule.yaml")
DASHBOARD: Final = Path("config/grafana/kro.json")

_MARK: Final = f"# Generated from {RULES} by hack/generate; do not edit.\n"
_SCOPE: Final = 'job=~"$job"'
_QUEUES: Final = 'name=~"dynamic-controller-queue|ResourceGraphDefinition|graphrevision"'
_OF_KRO: Final = f"and on (job, instance) kro_build_info{{{_SCOPE}}}"


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture: queries by legend, in one unit of Grafana."""

    title: str
    says: str
    queries: tuple[tuple[str, str], ...]
    unit: str = "short"
    kind: str = "timeseries"
    width: int = 8


@dataclass(frozen=True, slots=True)
class Row:
    """Panels about one thing."""

    title: str
    panels: tuple[Panel, ...]
    open: bool = True


def _quantiles(name: str, *by: str, selector: str = _SCOPE) -> tuple[tuple[str, str], ...]:
    """Return the median and the 99th percentile of a histogram, by labels."""
    labels = ", ".join(("le", *by))
    legend = " ".join(f"{{{{{label}}}}}" for label in by)
    return tuple(
        (
            f"{legend} p{quantile * 100:g}".strip(),
            (
                f"histogram_quantile({quantile}, sum by ({labels})"
                f" (rate({name}_bucket{{{selector}}}[$__rate_interval])))"
            ),
        )
        for quantile in (0.5, 0.99)
    )


def _rate(name: str, *by: str, more: str = "", selector: str = _SCOPE) -> tuple[str, str]:
    """Return the rate of a counter, by labels."""
    legend = " ".join(f"{{{{{label}}}}}" for label in by)
    selected = f"{selector}, {more}" if more else selector
    return legend or name, (
        f"sum by ({', '.join(by)}) (rate({name}{{{selected}}}[$__rate_interval]))"
    )


def _most(name: str, *by: str, more: str = "") -> tuple[str, str]:
    """Return the highest of a gauge, by labels."""
    legend = " ".join(f"{{{{{label}}}}}" for label in by)
    selected = f"{_SCOPE}, {more}" if more else _SCOPE
    return legend or name, f"max by ({', '.join(by)}) ({name}{{{selected}}})"


def _sum(name: str, *by: str, legend: str = "") -> tuple[str, str]:
    """Return the sum of a gauge over replicas, by labels."""
    names = " ".join(f"{{{{{label}}}}}" for label in by)
    return legend or names or name, f"sum by ({', '.join(by)}) ({name}{{{_SCOPE}}})"


_OVERVIEW: Final = Row(
    "Overview",
    (
        Panel(
            "Version",
            "Which version runs in how many replicas.",
            (("{{version}}", f"count by (version) (kro_build_info{{{_SCOPE}}})"),),
            kind="stat",
            width=4,
        ),
        Panel(
            "Leader",
            "Replicas that lead; 1 is right, none is listed without leader election.",
            (
                (
                    "{{instance}}",
                    (
                        "max by (instance) (leader_election_master_status"
                        f'{{{_SCOPE}, name="controller.kro.run"}})'
                    ),
                ),
            ),
            kind="stat",
            width=4,
        ),
        Panel(
            "Served kinds",
            "Generated kinds that are served.",
            (_most("dynamic_controller_gvr_count"),),
            kind="stat",
            width=4,
        ),
        Panel(
            "Instances",
            "Instances that listen to objects, over all kinds.",
            (("instances", f"sum(dynamic_controller_instance_watch_count{{{_SCOPE}}})"),),
            kind="stat",
            width=4,
        ),
        Panel(
            "Failed revisions",
            "Revisions that do not compile against the kinds that the cluster has now.",
            (_most("graph_revision_registry_entries", more='state="failed"'),),
            kind="stat",
            width=4,
        ),
        Panel(
            "Stuck objects",
            "Objects whose passes have failed twenty times in a row or more.",
            (("stuck", f"sum(kro_runtime_stuck_keys{{{_SCOPE}}})"),),
            kind="stat",
            width=4,
        ),
    ),
)

_INSTANCES: Final = Row(
    "Instances",
    (
        Panel(
            "Passes",
            "Passes over instances a second, by kind.",
            (_rate("instance_reconcile_total", "gvr"),),
            unit="ops",
        ),
        Panel(
            "Failed passes",
            "Passes that ended with an error. What cannot be applied shows as a state instead.",
            (_rate("instance_reconcile_errors_total", "gvr"),),
            unit="ops",
        ),
        Panel(
            "Changes of state",
            "Instances that went from one state to another.",
            (_rate("instance_state_transitions_total", "gvr", "to_state"),),
            unit="ops",
        ),
        Panel(
            "Duration of a pass",
            "How long passes take, by kind.",
            _quantiles("instance_reconcile_duration_seconds", "gvr"),
            unit="s",
        ),
        Panel(
            "Waiting instances",
            "Instances in line, planned for later, and backing off after failures.",
            (
                ("in line", f"sum(dynamic_controller_queue_length{{{_SCOPE}}})"),
                ("later", f"sum(kro_runtime_queue_delayed{{{_SCOPE}}})"),
                ("backing off", f"sum(kro_runtime_backoff_keys{{{_SCOPE}}})"),
            ),
        ),
        Panel(
            "First in line",
            "How long the key that waits longest has been in line.",
            (_most("kro_runtime_queue_oldest_seconds", "controller"),),
            unit="s",
        ),
        Panel(
            "Requeues",
            "Passes that asked for another one, and why.",
            (_rate("dynamic_controller_requeue_total", "type"),),
            unit="ops",
        ),
        Panel(
            "Places for passes",
            "Passes that run, and how many may; fewer while the API server throttles.",
            (
                _sum("kro_runtime_pass_slots_used", legend="used"),
                _sum("kro_runtime_pass_slots", legend="places"),
            ),
        ),
        Panel(
            "Graphs that are missing",
            "Passes that had no graph to work with.",
            (
                _rate("instance_graph_resolution_failures_total", "gvr", "reason"),
                _rate("instance_graph_resolution_pending_total", "gvr"),
            ),
            unit="ops",
        ),
    ),
)

_DEFINITIONS: Final = Row(
    "Definitions and revisions",
    (
        Panel(
            "Checks of definitions",
            "Checks of a definition's spec, and those that found it wrong.",
            (
                _rate("rgd_graph_build_total", "name"),
                _rate("rgd_graph_build_errors_total", "name"),
            ),
            unit="ops",
        ),
        Panel(
            "Duration of a check",
            "How long a check takes.",
            _quantiles("rgd_graph_build_duration_seconds"),
            unit="s",
        ),
        Panel(
            "Changes of state",
            "Definitions that became Active or Inactive.",
            (_rate("rgd_state_transitions_total", "name", "to"),),
            unit="ops",
        ),
        Panel(
            "Revisions",
            "Revisions that the process knows, by state.",
            (_most("graph_revision_registry_entries", "state"),),
        ),
        Panel(
            "Issued and waited for",
            "Why revisions are issued, and what passes over definitions wait for.",
            (
                _rate("rgd_graph_revision_issue_total", "reason"),
                _rate("rgd_graph_revision_wait_total", "reason"),
            ),
            unit="ops",
        ),
        Panel(
            "Passes over definitions and revisions",
            "By how they ended.",
            (
                _rate(
                    "controller_runtime_reconcile_total",
                    "controller",
                    "result",
                    more='controller=~"ResourceGraphDefinition|graphrevision"',
                ),
            ),
            unit="ops",
        ),
    ),
)

_EVALUATION: Final = Row(
    "Evaluation",
    (
        Panel(
            "Expressions",
            "CEL evaluations a second.",
            (_rate("cel_expr_eval_total", "instance"),),
            unit="ops",
        ),
        Panel(
            "Duration of an expression",
            "How long one evaluation takes.",
            _quantiles("cel_expr_eval_duration_seconds"),
            unit="s",
        ),
        Panel(
            "Nodes",
            "Nodes resolved, left out, not ready, and broken.",
            (
                _rate("runtime_node_eval_total"),
                _rate("runtime_node_ignored_total"),
                _rate("runtime_node_not_ready_total"),
                _rate("runtime_node_eval_errors_total"),
            ),
            unit="ops",
        ),
        Panel(
            "Size of collections",
            "Objects that one forEach makes.",
            _quantiles("runtime_collection_size"),
        ),
        Panel(
            "Schema cache",
            "Schemas that were known, had to be fetched, and could not be.",
            (
                _rate("schema_resolver_cache_hits_total"),
                _rate("schema_resolver_cache_misses_total"),
                _rate("schema_resolver_errors_total"),
            ),
            unit="ops",
        ),
        Panel(
            "Schemas kept",
            "How many schemas are in memory.",
            (_most("schema_resolver_cache_size", "instance"),),
        ),
    ),
    open=False,
)

_WATCHES: Final = Row(
    "Watches",
    (
        Panel(
            "Informers",
            "By state; all should be synced.",
            (_sum("kro_runtime_informers", "state"),),
        ),
        Panel(
            "Not synced",
            "Which resources are not.",
            (
                (
                    "{{gvr}} {{state}}",
                    f'sum by (gvr, state) (kro_runtime_informers{{{_SCOPE}, state!="synced"}}) > 0',
                ),
            ),
            kind="table",
        ),
        Panel(
            "Silence",
            "How long ago the API server last sent anything; bookmarks come about once a minute.",
            (_most("kro_runtime_informer_staleness_seconds", "gvr"),),
            unit="s",
        ),
        Panel(
            "Objects in memory",
            "By resource.",
            (_most("kro_runtime_informer_objects", "gvr"),),
        ),
        Panel(
            "Loads",
            "Loads of a whole resource, by why.",
            (_rate("kro_runtime_relists_total", "reason"),),
            unit="ops",
        ),
        Panel(
            "Ends of streams",
            "By why; `closed` is the normal end after some minutes.",
            (_rate("kro_runtime_watch_streams_ended_total", "cause"),),
            unit="ops",
        ),
        Panel(
            "Events",
            "Events that came, and those that some instance listens to.",
            (
                ("all", f"sum(rate(dynamic_controller_route_total{{{_SCOPE}}}[$__rate_interval]))"),
                (
                    "heard",
                    f"sum(rate(dynamic_controller_route_match_total{{{_SCOPE}}}[$__rate_interval]))",
                ),
            ),
            unit="ops",
        ),
        Panel(
            "Watch streams",
            "Open ones, and how many there may be.",
            (
                _most("kro_runtime_watch_streams", "instance"),
                ("limit", f"min(kro_runtime_watch_streams_limit{{{_SCOPE}}})"),
            ),
        ),
    ),
    open=False,
)

_CLIENT: Final = Row(
    "API server",
    (
        Panel(
            "Requests",
            "By method and answer.",
            (
                (
                    "{{method}} {{code}}",
                    (
                        "sum by (method, code) (rate(rest_client_requests_total"
                        f"{{{_SCOPE}}}[$__rate_interval]) {_OF_KRO})"
                    ),
                ),
            ),
            unit="reqps",
        ),
        Panel(
            "Duration of a request",
            "Until the answer was read.",
            _quantiles("rest_client_request_duration_seconds", "verb"),
            unit="s",
        ),
        Panel(
            "Repeated requests",
            "By what the attempt before was answered.",
            (_rate("rest_client_request_retries_total", "method", "code"),),
            unit="reqps",
        ),
    ),
    open=False,
)

_PROCESS: Final = Row(
    "Process",
    (
        Panel(
            "Memory",
            "Resident memory of each replica.",
            (("{{instance}}", f"process_resident_memory_bytes{{{_SCOPE}}} {_OF_KRO}"),),
            unit="bytes",
        ),
        Panel(
            "CPU",
            "Cores that each replica uses.",
            (
                (
                    "{{instance}}",
                    f"rate(process_cpu_seconds_total{{{_SCOPE}}}[$__rate_interval]) {_OF_KRO}",
                ),
            ),
        ),
        Panel(
            "Lag of the event loop",
            "How late timers fire.",
            _quantiles("kro_runtime_loop_lag_seconds"),
            unit="s",
        ),
        Panel(
            "Age of the lease",
            "Since the last renewal; the leader stops at the renew deadline.",
            (_most("kro_runtime_lease_age_seconds", "instance"),),
            unit="s",
        ),
        Panel(
            "Running passes",
            "How long the oldest pass of each queue has run.",
            (
                (
                    "{{name}}",
                    (
                        "max by (name) (workqueue_longest_running_processor_seconds"
                        f"{{{_SCOPE}, {_QUEUES}}})"
                    ),
                ),
            ),
            unit="s",
        ),
        Panel(
            "Bugs and what was dropped",
            "All of these should be zero.",
            (
                _rate("dynamic_controller_reconcile_panics_total", "gvr"),
                _rate("kro_runtime_handler_failures_total", "gvr"),
                _rate("kro_runtime_loop_crashes_total", "gvr"),
                _rate("kro_events_dropped_total"),
                _rate("kro_log_lines_dropped_total"),
                _rate("kro_runtime_write_gate_refusals_total"),
            ),
            unit="ops",
        ),
    ),
    open=False,
)

ROWS: Final = (_OVERVIEW, _INSTANCES, _DEFINITIONS, _EVALUATION, _WATCHES, _CLIENT, _PROCESS)


def wanted(root: Path) -> dict[Path, str]:
    """Return path → text of what is made here."""
    return {
        root / PROMETHEUS_RULE: prometheus_rule((root / RULES).read_text()),
        root / DASHBOARD: json.dumps(dashboard(), indent=2) + "\n",
    }


def prometheus_rule(rules: str) -> str:
    """Return the alerts as an object of the Prometheus Operator."""
    document = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "kro", "labels": {"app.kubernetes.io/name": "kro"}},
        "spec": yaml.safe_load(rules),
    }
    return _MARK + yaml.safe_dump(document, sort_keys=False, width=1000, allow_unicode=True)


def dashboard() -> dict[str, Any]:
    """Return the dashboard as Grafana imports it; data source and job are chosen there."""
    return {
        "title": "kro",
        "uid": "kro-controller",
        "description": "The kro controller: instances, definitions, watches, process.",
        "tags": ["kro", "kubernetes"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "timezone": "",
        "graphTooltip": 1,
        "annotations": {"list": []},
        "links": [],
        "templating": {
            "list": [
                {
                    "name": "datasource",
                    "label": "Data source",
                    "type": "datasource",
                    "query": "prometheus",
                    "refresh": 1,
                },
                {
                    "name": "job",
                    "label": "Job",
                    "type": "query",
                    "datasource": _SOURCE,
                    "query": {"query": "label_values(kro_build_info, job)", "refId": "job"},
                    "refresh": 2,
                    "includeAll": True,
                    "multi": True,
                    "allValue": ".*",
                    "current": {"text": "All", "value": "$__all"},
                },
            ]
        },
        "panels": list(_laid_out()),
    }


_SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
_WIDTH: Final = 24


def _laid_out() -> Iterator[dict[str, Any]]:
    """Yield rows and panels with their places, left to right and downwards."""
    number, y = 0, 0
    for row in ROWS:
        number += 1
        top = y
        panels: list[dict[str, Any]] = []
        head = {
            "id": number,
            "type": "row",
            "title": row.title,
            "collapsed": not row.open,
            "gridPos": {"x": 0, "y": top, "w": _WIDTH, "h": 1},
        }
        x, y = 0, top + 1
        height = 4 if all(panel.kind == "stat" for panel in row.panels) else 8
        for panel in row.panels:
            number += 1
            if x + panel.width > _WIDTH:
                x, y = 0, y + height
            place = {"x": x, "y": y, "w": panel.width, "h": height}
            panels.append(_drawn(panel, number, place))
            x += panel.width
        yield {**head, "panels": [] if row.open else panels}
        if row.open:
            yield from panels
        y = y + height if row.open else top + 1


def _drawn(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    instant = panel.kind in ("stat", "table")
    drawn: dict[str, Any] = {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.says,
        "datasource": _SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": _SOURCE,
                "expr": query,
                "legendFormat": legend,
                "instant": instant,
                "range": not instant,
                **({"format": "table"} if panel.kind == "table" else {}),
            }
            for index, (legend, query) in enumerate(panel.queries)
        ],
    }
    if panel.kind == "stat":
        drawn["options"] = {
            "reduceOptions": {"calcs": ["lastNotNull"]},
            "textMode": "value_and_name" if "{{" in panel.queries[0][0] else "value",
        }
    if panel.kind == "timeseries":
        drawn["options"] = {"legend": {"displayMode": "list", "placement": "bottom"}}
    return drawn

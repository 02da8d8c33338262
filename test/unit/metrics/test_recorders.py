"""What the parts report becomes series, and series go with what they are about."""

from __future__ import annotations

import pytest

from kro.errors import KroError
from kro.metrics import Metrics
from kro.metrics.labels import kind_label, path_label, resource_label
from kro.metrics.passes import GONE_DEFINITIONS, DefinitionRecorder, SchemaRecorder
from kro.metrics.recorders import (
    ClientRecorder,
    ControllerRecorder,
    GateRecorder,
    InformerRecorder,
    RegistryRecorder,
)
from kro.refs import GVK, GVR, NamespacedName

WEBS = GVR("kro.run", "v1alpha1", "webs")
PODS = GVR("", "v1", "pods")
WEB = GVK("kro.run", "v1alpha1", "Web")


def value(metrics: Metrics, series: str, /, **labels: str) -> float | None:
    """Return the value of one series, None where there is none."""
    return metrics.registry.get_sample_value(series, labels)


def series(metrics: Metrics) -> int:
    """Return how many series there are."""
    return sum(len(family.samples) for family in metrics.registry.collect())


def serve(registry: RegistryRecorder, gvr: GVR, gvk: GVK, living: int) -> None:
    """Let a kind be served and do everything once."""
    kind = registry.controller(gvr)
    instances = registry.instances(gvk, gvr)
    registry.registered(gvr, living)
    registry.event(gvr, "add")
    registry.crashed(gvr)
    kind.ended(0.1, "error")
    kind.failed()
    kind.panicked()
    kind.requeued("rate_limited")
    instances.passed(gvr, 0.1, failed=True)
    instances.graph_resolved(gvr)
    instances.graph_unavailable(gvr, "failed")
    instances.graph_unavailable(gvr, "pending")
    instances.state_changed(gvk, "", "ACTIVE")
    instances.conditions_persisted(gvr, NamespacedName("a", "b"), [{"type": "Ready"}])


@pytest.mark.parametrize(
    ("gvr", "resource", "path"),
    [
        (WEBS, "kro.run/v1alpha1, Resource=webs", "kro.run/v1alpha1/webs"),
        (PODS, "/v1, Resource=pods", "/v1/pods"),
    ],
)
def test_resources_of_the_core_group_begin_with_a_slash(gvr: GVR, resource: str, path: str) -> None:
    """Spec §8: the renderings R and S."""
    assert (resource_label(gvr), path_label(gvr)) == (resource, path)
    assert kind_label(WEB) == "kro.run/v1alpha1, Kind=Web"


def test_a_thousand_kinds_that_come_and_go_leave_no_series() -> None:
    """P-149, P-151: what is exposed is bounded by what is served."""
    metrics = Metrics()
    registry, informers = RegistryRecorder(metrics), InformerRecorder(metrics)

    sizes = []
    for number in range(1000):
        gvr = GVR("kro.run", "v1alpha1", f"webs{number}")
        informers.changed(gvr, None, "loading")
        informers.changed(gvr, "loading", "synced")
        informers.relisted(gvr, "start")
        informers.waited(gvr, 0.1, synced=True)
        serve(registry, gvr, GVK("kro.run", "v1alpha1", f"Web{number}"), 1)
        registry.deregistered(gvr, 0)
        informers.changed(gvr, "synced", None)
        informers.waited(gvr, 0.1, synced=False)
        sizes.append(series(metrics))

    assert sizes[-1] == sizes[0]


def test_a_kind_that_is_served_again_while_the_old_one_drains_keeps_its_series() -> None:
    """The two registrations of one resource count into the same series."""
    metrics = Metrics()
    registry = RegistryRecorder(metrics)
    serve(registry, WEBS, WEB, 1)

    serve(registry, WEBS, WEB, 1)
    registry.deregistered(WEBS, 1)

    assert value(metrics, "dynamic_controller_reconcile_total", gvr=path_label(WEBS)) == 2
    assert value(metrics, "dynamic_controller_handler_count_total", type="parent") == 1


def test_a_deleted_definition_is_seen_for_a_while() -> None:
    """The end of a definition is counted under its name, so a scrape must find it."""
    metrics = Metrics()
    definitions = DefinitionRecorder(metrics)

    for number in range(GONE_DEFINITIONS + 1):
        definitions.built(f"d{number}", 0.1, failed=False)
        definitions.deleted(f"d{number}", duration_s=0.1)
        definitions.gone(f"d{number}")

    assert value(metrics, "rgd_deletions_total", name="d0") is None
    assert value(metrics, "rgd_graph_build_total", name="d0") is None
    assert value(metrics, "rgd_deletions_total", name="d1") == 1


def test_a_definition_that_comes_back_keeps_its_series() -> None:
    """Deleted and created anew, it is not among those that are forgotten."""
    metrics = Metrics()
    definitions = DefinitionRecorder(metrics)
    definitions.built("back", 0.1, failed=False)
    definitions.gone("back")

    definitions.built("back", 0.1, failed=False)
    for number in range(GONE_DEFINITIONS + 1):
        definitions.gone(f"d{number}")

    assert value(metrics, "rgd_graph_build_total", name="back") == 2


def test_keys_of_a_queue_that_was_closed_are_not_counted_on() -> None:
    """The queues of all kinds are one to the reader: each takes its part away again."""
    metrics = Metrics()
    registry = RegistryRecorder(metrics)
    one, other = registry.queue(WEBS), registry.queue(PODS)

    one.depth(5)
    other.depth(2)
    one.depth(0)

    assert value(metrics, "dynamic_controller_queue_length") == 2


def test_an_error_that_no_retry_heals_is_terminal() -> None:
    """As in controller-runtime it counts as an error, too; a cancelled pass is no result."""
    metrics = Metrics()
    controller = ControllerRecorder(metrics, "graphrevision", workers=8)

    controller.failed()
    controller.requeued("no_requeue")
    controller.ended(0.1, "error")
    controller.ended(0.1, "cancelled")

    name = {"controller": "graphrevision"}
    assert value(metrics, "controller_runtime_terminal_reconcile_errors_total", **name) == 1
    assert value(metrics, "controller_runtime_reconcile_errors_total", **name) == 1
    results = {
        sample.labels["result"]: sample.value
        for family in metrics.controller_passes.collect()
        for sample in family.samples
    }
    assert results == {"success": 0, "error": 1, "requeue": 0, "requeue_after": 0}


def test_a_stream_that_we_left_did_not_break() -> None:
    """It would be a series of a resource that is watched no longer."""
    metrics = Metrics()
    client = ClientRecorder(metrics, warned=lambda text: None)

    client.stream_ended(gvr=WEBS, cause="abandoned")
    client.stream_ended(gvr=WEBS, cause="cut")

    label = resource_label(WEBS)
    ended = "kro_runtime_watch_streams_ended_total"
    assert value(metrics, ended, gvr=label, cause="abandoned") is None
    assert value(metrics, ended, gvr=label, cause="cut") == 1


def test_throttling_is_told_to_whoever_can_slow_down() -> None:
    """P-094: the number of passes at once follows the API server's answers."""
    told: list[str] = []
    client = ClientRecorder(
        Metrics(), warned=told.append, throttled=lambda: told.append("throttled")
    )

    for code in ("200", "429"):
        client.attempt(
            method="GET", verb="get", gvr=WEBS, host="h", code=code, duration_s=0.1,
            sent_bytes=0, received_bytes=0,
        )  # fmt: skip
    client.warned("v1beta1 is deprecated")

    assert told == ["throttled", "v1beta1 is deprecated"]


def test_a_refused_write_is_counted_and_still_refused() -> None:
    """P-154: a replica that writes without the lead would otherwise be found in no metric."""

    class Gate:
        closed = False

        def permit(self) -> float:
            if self.closed:
                raise KroError("not leading")
            return 5.0

    metrics, inner = Metrics(), Gate()
    gate = GateRecorder(metrics, inner)

    assert gate.permit() == 5.0
    inner.closed = True
    with pytest.raises(KroError):
        gate.permit()

    assert value(metrics, "kro_runtime_write_gate_refusals_total") == 1


def test_schemas_are_counted_as_a_cache() -> None:
    """Spec §8.5: hits, misses, evictions, size, fetches and what they were spared."""
    metrics = Metrics()
    schemas = SchemaRecorder(metrics)

    schemas.looked_up(known=False)
    schemas.fetched(0.02, failed=False)
    schemas.kept(1)
    schemas.looked_up(known=True)
    schemas.shared()
    schemas.kept(0, evicted=1)

    prefix = "schema_resolver_"
    assert {
        name: value(metrics, prefix + name)
        for name in (
            *("cache_hits_total", "cache_misses_total", "cache_evictions_total", "cache_size"),
            *("errors_total", "singleflight_deduplicated_total"),
        )
    } == {
        "cache_hits_total": 1,
        "cache_misses_total": 1,
        "cache_evictions_total": 1,
        "cache_size": 0,
        "errors_total": 0,
        "singleflight_deduplicated_total": 1,
    }

"""Every metric has the name, type, labels and buckets that dashboards know."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from kro.errors import KroError
from kro.metrics import Metrics
from kro.metrics.catalogue import FAMILIES, SECTIONS, Type
from kro.metrics.passes import DefinitionRecorder, RevisionRecorder, SchemaRecorder
from kro.metrics.recorders import (
    INSTANCE_QUEUE,
    ClientRecorder,
    ControllerRecorder,
    CoordinatorRecorder,
    GateRecorder,
    InformerRecorder,
    QueueRecorder,
    RegistryRecorder,
)
from kro.refs import GVK, GVR, NamespacedName
from kro.runtime.sampling import ControllerSample, InformerSample
from support.exposition import golden, read

GVR_ = GVR("kro.run", "v1alpha1", "webs")
GVK_ = GVK("kro.run", "v1alpha1", "Web")
R, K, S = "kro.run/v1alpha1, Resource=webs", "kro.run/v1alpha1, Kind=Web", "kro.run/v1alpha1/webs"
KEPT = (
    "kro_events_dropped_total",
    "kro_runtime_draining_seconds",
    "kro_runtime_lease_age_seconds",
    "kro_runtime_loop_heartbeat_age_seconds",
    "kro_runtime_pass_slots",
    "kro_runtime_pass_slots_used",
    "kro_runtime_watch_streams",
    "kro_runtime_watch_streams_limit",
)
"""What the parts keep themselves and the composition root shows."""


class _ClosedGate:
    def permit(self) -> float:
        raise KroError("closed")


def told_everything() -> Metrics:
    """Return metrics to whose recorders everything was told that they can be told."""
    m = Metrics(version="v1")
    client = ClientRecorder(m, warned=lambda text: None)
    client.attempt(
        method="GET", verb="list", gvr=GVR_, host="h", code="200", duration_s=1, sent_bytes=0,
        received_bytes=9,
    )  # fmt: skip
    client.retried(method="GET", code="503")
    client.limited(method="GET", wait_s=0.1)
    client.stream_ended(gvr=GVR_, cause="cut")
    client.warned("old")
    gate = GateRecorder(m, _ClosedGate())
    with pytest.raises(KroError):
        gate.permit()
    for queue in (QueueRecorder(m, "graphrevision"), RegistryRecorder(m).queue(GVR_)):
        queue.added()
        queue.depth(1)
        queue.retried()
        queue.taken(0.1)
        queue.done(0.1)
    controller = ControllerRecorder(m, "graphrevision", workers=8)
    controller.running(1)
    controller.ended(0.1, "success")
    controller.failed()
    controller.requeued("no_requeue")
    controller.panicked()
    controller.timed_out()
    registry = RegistryRecorder(m)
    kind = registry.controller(GVR_)
    instances = registry.instances(GVK_, GVR_)
    registry.registered(GVR_, 1)
    registry.event(GVR_, "add")
    registry.crashed(GVR_)
    kind.ended(0.1, "success")
    kind.requeued("rate_limited")
    kind.failed()
    kind.panicked()
    instances.passed(GVR_, 0.1, failed=True)
    instances.graph_resolved(GVR_)
    instances.graph_unavailable(GVR_, "pending")
    instances.graph_unavailable(GVR_, "failed")
    instances.state_changed(GVK_, "", "ACTIVE")
    instances.conditions_persisted(
        GVR_, NamespacedName("a", "b"), [{"type": "Ready", "status": "True", "reason": "Ready"}]
    )
    other = GVR("", "v1", "configmaps")
    gone = registry.controller(other)
    registry.registered(other, 2)
    gone.ended(0.1, "success")
    registry.deregistered(other, 1)
    informers = InformerRecorder(m)
    informers.informers(1)
    informers.changed(GVR_, None, "synced")
    informers.waited(GVR_, 0.1, synced=True)
    informers.relisted(GVR_, "start")
    informers.handler_failed(GVR_)
    coordinator = CoordinatorRecorder(m)
    coordinator.listeners(GVR_, 1)
    coordinator.entries(GVR_, 1, 1)
    coordinator.routed(GVR_, matched=True)
    definitions = DefinitionRecorder(m)
    definitions.built("d", 0.1, failed=True)
    definitions.moved("d", before="Active", after="Inactive")
    definitions.deleted("d", duration_s=0.1)
    definitions.issued("no_revision")
    definitions.waited("warming_up")
    definitions.resolved("serve")
    definitions.collected(failed=False)
    definitions.collected(failed=True)
    revisions = RevisionRecorder(m)
    revisions.compiled(0.1, failed=False)
    revisions.status_failed(compiled=True)
    revisions.evicted()
    revisions.moved(None, "pending")
    revisions.moved("pending", "active")
    revisions.moved("active", None)
    schemas = SchemaRecorder(m)
    schemas.looked_up(known=True)
    schemas.looked_up(known=False)
    schemas.fetched(0.1, failed=True)
    schemas.shared()
    schemas.kept(1, evicted=1)
    m.leading.labels("controller.kro.run").set(1)
    m.sampled.show(
        [ControllerSample(R, INSTANCE_QUEUE, 1.0, 1.0, 1.0, 1, 1, 1)],
        [InformerSample(R, 1.0, 1, 1)],
    )
    for name in KEPT:
        m.kept(name, lambda: 1.0)
    return m


def test_the_exposition_has_the_names_types_labels_and_buckets_of_the_specification() -> None:
    """P-152: what is compared was written from the specification; values are not compared."""
    shown = read(told_everything().exposition().decode())

    assert shown == golden()


def test_every_metric_of_the_catalogue_is_shown_and_no_other() -> None:
    """The documents and the dashboards are held against the catalogue."""
    expected = golden("reference", "own")

    assert set(FAMILIES) == set(expected)
    assert {name: family.type.value for name, family in FAMILIES.items()} == {
        name: shown.type for name, shown in expected.items()
    }
    assert sum(len(section.families) for section in SECTIONS) == len(FAMILIES)


def test_names_follow_the_conventions_of_prometheus() -> None:
    """Counters end in `_total`, times in `_seconds`; what is kro's own begins with `kro_`."""
    own = golden("own")
    for name, family in FAMILIES.items():
        assert family.meaning.endswith("."), name
        if family.type is Type.COUNTER:
            assert name.endswith("_total"), name
        if name in own:
            assert name.startswith("kro_"), name
            assert family.type is Type.COUNTER or not name.endswith("_total"), name


@pytest.mark.parametrize(
    ("metric", "labels"),
    [
        pytest.param("dynamic_controller_reconcile", {"gvr": S}, id="path"),
        pytest.param("instance_reconcile", {"gvr": R}, id="resource"),
        pytest.param(
            "instance_state_transitions",
            {"gvr": K, "from_state": "", "to_state": "ACTIVE"},
            id="kind in a label named gvr",
        ),
        pytest.param(
            "workqueue_depth",
            {"name": INSTANCE_QUEUE, "controller": INSTANCE_QUEUE, "priority": ""},
            id="the queue of instances has no priority",
        ),
    ],
)
def test_a_resource_is_written_as_the_reference_writes_it(
    metric: str, labels: dict[str, str]
) -> None:
    """D-24: three formats, each where dashboards expect it."""
    text = told_everything().exposition().decode()
    families = {family.name: family for family in text_string_to_metric_families(text)}

    assert labels in [sample.labels for sample in families[metric].samples]


def test_counters_that_the_reference_starts_late_have_no_series_before() -> None:
    """Spec §8.6: vectors without labels have no series until their first use."""
    text = Metrics().exposition().decode()

    for name, family in FAMILIES.items():
        assert (f"\n{name} " in text) == (
            not family.from_first_use
            and not family.labels
            and family.type is not Type.HISTOGRAM
            and name not in KEPT
        ), name


def test_there_are_no_created_series() -> None:
    """P-152: they would double the number of series of every counter."""
    assert "_created" not in told_everything().exposition().decode()


def test_a_flood_of_scrapers_is_served_from_one_exposition() -> None:
    """F-72: they must not take the loop's time; what they see is as old as it is expensive."""
    at = [0.0]

    def now() -> float:
        at[0] += 0.1
        return at[0]

    metrics = Metrics(now=now)
    first = metrics.exposition()
    metrics.kinds.set(7)

    soon = metrics.exposition()
    at[0] += 1.0
    later = metrics.exposition()

    assert soon == first
    assert b"dynamic_controller_gvr_count 7.0" in later

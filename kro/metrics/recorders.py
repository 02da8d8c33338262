"""What the parts report, put under the names of the catalogue.

Each class fulfils a Protocol that a part declares; none knows the part.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import suppress

from prometheus_client import Gauge

from kro.metrics import Metrics
from kro.refs import GVK, GVR, JsonObject, NamespacedName

Warned = Callable[[str], None]


def resource_label(gvr: GVR) -> str:
    """Return `<group>/<version>, Resource=<plural>`."""
    return f"{gvr.group}/{gvr.version}, Resource={gvr.resource}"


def kind_label(gvk: GVK) -> str:
    """Return `<group>/<version>, Kind=<Kind>`."""
    return f"{gvk.group}/{gvk.version}, Kind={gvk.kind}"


def path_label(gvr: GVR) -> str:
    """Return `<group>/<version>/<plural>`."""
    return f"{gvr.group}/{gvr.version}/{gvr.resource}"


class ClientRecorder:
    """Requests, retries and the ends of streams."""

    def __init__(self, metrics: Metrics, *, warned: Warned, throttled: Callable[[], None]) -> None:
        self._metrics = metrics
        self._warned = warned
        self._throttled = throttled

    def attempt(
        self,
        *,
        method: str,
        verb: str,
        gvr: GVR | None,
        host: str,
        code: str,
        duration_s: float,
        sent_bytes: int,
        received_bytes: int,
    ) -> None:
        """Count one attempt."""
        if code == "429":
            self._throttled()
        m = self._metrics
        m.requests.labels(code, method, host).inc()
        m.request_duration.labels(method).observe(duration_s)
        m.request_size.labels(method).observe(sent_bytes)
        m.response_size.labels(method).observe(received_bytes)

    def retried(self, *, method: str, code: str) -> None:
        """Count a repeated attempt."""
        self._metrics.request_retries.labels(code, method).inc()

    def limited(self, *, method: str, wait_s: float) -> None:
        """Count a wait for the client's own limit."""
        self._metrics.limiter_duration.labels(method).observe(wait_s)

    def stream_ended(self, *, gvr: GVR, cause: str) -> None:
        """Count the end of a watch stream."""
        self._metrics.streams_ended.labels(resource_label(gvr), cause).inc()

    def warned(self, text: str) -> None:
        """Hand a warning on to the log."""
        self._warned(text)


class QueueRecorder:
    """One work queue."""

    def __init__(self, metrics: Metrics, name: str) -> None:
        labels = (name, name)
        self._depth = metrics.queue_depth.labels(*labels, "")
        self._adds = metrics.queue_adds.labels(*labels)
        self._retries = metrics.queue_retries.labels(*labels)
        self._wait = metrics.queue_wait.labels(*labels)
        self._work = metrics.queue_work.labels(*labels)

    def depth(self, waiting: int) -> None:
        """Show how many keys wait."""
        self._depth.set(waiting)

    def added(self) -> None:
        """Count an add."""
        self._adds.inc()

    def retried(self) -> None:
        """Count a retry."""
        self._retries.inc()

    def taken(self, waited_s: float) -> None:
        """Count a wait in line."""
        self._wait.observe(waited_s)

    def done(self, worked_s: float) -> None:
        """Count a lease's time."""
        self._work.observe(worked_s)


class ControllerRecorder:
    """A controller of fixed kinds: definitions, revisions."""

    def __init__(self, metrics: Metrics, name: str, *, workers: int) -> None:
        self._metrics = metrics
        self._name = name
        self._active = metrics.controller_active.labels(name)
        self._duration = metrics.controller_duration.labels(name)
        metrics.controller_workers.labels(name).set(workers)

    def running(self, passes: int) -> None:
        """Show how many passes run."""
        self._active.set(passes)

    def ended(self, duration_s: float, result: str) -> None:
        """Count a pass."""
        self._duration.observe(duration_s)
        self._metrics.controller_passes.labels(self._name, result).inc()

    def requeued(self, kind: str) -> None:
        """Count nothing: the result of the pass says it."""

    def failed(self) -> None:
        """Count a failure."""
        self._metrics.controller_errors.labels(self._name).inc()

    def panicked(self) -> None:
        """Count a bug."""
        self._metrics.controller_panics.labels(self._name).inc()

    def timed_out(self) -> None:
        """Count a pass that met its deadline."""
        self._metrics.controller_timeouts.labels(self._name).inc()


class KindRecorder:
    """The micro-controller of one generated kind."""

    def __init__(self, metrics: Metrics, gvr: GVR) -> None:
        self._metrics = metrics
        self._gvr = path_label(gvr)

    def running(self, passes: int) -> None:
        """Show nothing: the reference has no such gauge."""

    def ended(self, duration_s: float, result: str) -> None:
        """Count a pass."""
        self._metrics.passes.labels(self._gvr).inc()
        self._metrics.pass_duration.labels(self._gvr).observe(duration_s)

    def requeued(self, kind: str) -> None:
        """Count what was done with the key."""
        self._metrics.requeues.labels(self._gvr, kind).inc()

    def failed(self) -> None:
        """Count a failure."""
        self._metrics.handler_errors.labels(self._gvr).inc()

    def panicked(self) -> None:
        """Count a bug."""
        self._metrics.panics.labels(self._gvr).inc()

    def timed_out(self) -> None:
        """Count nothing more: a deadline is a failure."""


class InformerRecorder:
    """All informers of the process."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._states: Counter[tuple[str, str]] = Counter()

    def informers(self, running: int) -> None:
        """Show how many informers run."""
        self._metrics.informers.set(running)

    def changed(self, gvr: GVR, before: object | None, after: object | None) -> None:
        """Show how many informers of a kind are in which state."""
        for state, step in ((before, -1), (after, 1)):
            if state is not None:
                key = (resource_label(gvr), str(state))
                self._states[key] += step
                self._metrics.informer_states.labels(*key).set(self._states[key])

    def waited(self, gvr: GVR, duration_s: float, *, synced: bool) -> None:
        """Count a wait for a sync."""
        self._metrics.sync_duration.labels(resource_label(gvr)).observe(duration_s)

    def relisted(self, gvr: GVR, reason: str) -> None:
        """Count a load."""
        self._metrics.relists.labels(resource_label(gvr), reason).inc()

    def handler_failed(self, gvr: GVR) -> None:
        """Count a handler's bug."""
        self._metrics.handlers_failed.labels(resource_label(gvr)).inc()


class InstanceRecorder:
    """The passes over instances."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def graph_resolved(self, gvr: GVR) -> None:
        """Count a pass with a graph."""
        self._metrics.resolutions.labels(resource_label(gvr)).inc()

    def graph_unavailable(self, gvr: GVR, reason: str) -> None:
        """Count a pass without one."""
        if reason == "pending":
            self._metrics.resolutions_pending.labels(resource_label(gvr)).inc()
        else:
            self._metrics.resolution_failures.labels(resource_label(gvr), reason).inc()

    def passed(self, gvr: GVR, duration_s: float, *, failed: bool) -> None:
        """Count a pass."""
        label = resource_label(gvr)
        self._metrics.instance_passes.labels(label).inc()
        self._metrics.instance_duration.labels(label).observe(duration_s)
        if failed:
            self._metrics.instance_errors.labels(label).inc()

    def state_changed(self, gvk: GVK, before: str, after: str) -> None:
        """Count a change of state."""
        self._metrics.instance_transitions.labels(kind_label(gvk), before, after).inc()

    def conditions_persisted(
        self, gvr: GVR, name: NamespacedName, conditions: list[JsonObject]
    ) -> None:
        """Show nothing: the gauge of conditions is behind a gate of its own."""


class DefinitionRecorder:
    """The passes over definitions."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def built(self, definition: str, duration_s: float, *, failed: bool) -> None:
        """Count a build."""
        self._metrics.builds.labels(definition).inc()
        self._metrics.build_duration.labels(definition).observe(duration_s)
        if failed:
            self._metrics.build_errors.labels(definition).inc()

    def moved(self, definition: str, *, before: str, after: str) -> None:
        """Count a change of state."""
        self._metrics.definition_transitions.labels(definition, before, after).inc()

    def deleted(self, definition: str, *, duration_s: float) -> None:
        """Count a deletion."""
        self._metrics.definition_deletions.labels(definition).inc()
        self._metrics.definition_deletion_duration.labels(definition).observe(duration_s)

    def issued(self, reason: str) -> None:
        """Count an issued revision."""
        self._metrics.revisions_issued.labels(reason).inc()

    def waited(self, reason: str) -> None:
        """Count a wait for a revision."""
        self._metrics.revision_waits.labels(reason).inc()
        if reason == "warming_up":
            self._metrics.registry_misses.labels("latest_not_warmed").inc()

    def resolved(self, result: str) -> None:
        """Count what a pass found to do."""
        self._metrics.revision_resolutions.labels(result).inc()

    def collected(self, *, failed: bool) -> None:
        """Count what retention did."""
        (self._metrics.retention_errors if failed else self._metrics.retention_deleted).inc()


class RevisionRecorder:
    """The passes over revisions, and the compiled ones."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def compiled(self, duration_s: float, *, failed: bool) -> None:
        """Count a compilation."""
        result = "failed" if failed else "success"
        self._metrics.compilations.labels(result).inc()
        self._metrics.compilation_duration.labels(result).observe(duration_s)

    def status_failed(self, *, compiled: bool) -> None:
        """Count a status that could not be written."""
        self._metrics.revision_status_errors.inc()
        if compiled:
            self._metrics.activations_deferred.inc()

    def evicted(self) -> None:
        """Count a finalizer that was taken off."""
        self._metrics.finalizer_evictions.inc()

    def moved(self, before: str | None, after: str | None) -> None:
        """Count a change of an entry in the registry of compiled revisions."""
        m = self._metrics
        if before is not None:
            m.registry_entries.labels(before).dec()
        if after is not None:
            m.registry_entries.labels(after).inc()
        if before is not None and after is not None and before != after:
            m.registry_transitions.labels(before, after).inc()
        if after is None:
            m.registry_evictions.inc()


class RegistryRecorder:
    """The micro-controllers of all generated kinds."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def registered(self, gvr: GVR, count: int) -> None:
        """Count a kind that is served from now on."""
        self._metrics.kinds.set(count)
        self._metrics.handlers.labels("parent").set(count)
        self._metrics.handlers_attached.labels("parent").inc()

    def deregistered(self, gvr: GVR, count: int) -> None:
        """Count a kind that is served no longer."""
        self._metrics.kinds.set(count)
        self._metrics.handlers.labels("parent").set(count)
        self._metrics.handlers_detached.labels("parent").inc()

    def event(self, gvr: GVR, kind: str) -> None:
        """Count an event that led to a pass."""
        self._metrics.instance_events.labels(resource_label(gvr), kind).inc()

    def crashed(self, gvr: GVR) -> None:
        """Count a restart of a kind's loop."""
        self._metrics.loops_crashed.labels(resource_label(gvr)).inc()

    def controller(self, gvr: GVR) -> KindRecorder:
        """Return what the kind's controller reports to."""
        return KindRecorder(self._metrics, gvr)

    def queue(self, gvr: GVR) -> KindQueueRecorder:
        """Return what the kind's queue reports to."""
        return KindQueueRecorder(self._metrics)


class KindQueueRecorder(QueueRecorder):
    """One of the queues of generated kinds; together they are one queue to the reader."""

    def __init__(self, metrics: Metrics) -> None:
        super().__init__(metrics, "dynamic-controller-queue")
        self._length = metrics.queue_length
        self._waiting = 0

    def depth(self, waiting: int) -> None:
        """Show how many keys wait in all kinds' queues."""
        self._length.inc(waiting - self._waiting)
        self._depth.inc(waiting - self._waiting)
        self._waiting = waiting


class CoordinatorRecorder:
    """Declared watches and routed events."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def listeners(self, kind: GVR, count: int) -> None:
        """Show how many instances of a kind have watches; none: the series goes."""
        label = resource_label(kind)
        if count:
            self._metrics.watching_instances.labels(label).set(count)
        else:
            _drop(self._metrics.watching_instances, label)

    def entries(self, gvr: GVR, scalars: int, collections: int) -> None:
        """Show how many declarations concern a resource; none: the series goes."""
        label = resource_label(gvr)
        for kind, count in (("scalar", scalars), ("collection", collections)):
            if count:
                self._metrics.watch_requests.labels(label, kind).set(count)
            else:
                _drop(self._metrics.watch_requests, label, kind)

    def routed(self, gvr: GVR, *, matched: bool) -> None:
        """Count an event."""
        label = resource_label(gvr)
        self._metrics.routed.labels(label).inc()
        if matched:
            self._metrics.routed_matches.labels(label).inc()


def _drop(gauge: Gauge, *labels: str) -> None:
    with suppress(KeyError):
        gauge.remove(*labels)

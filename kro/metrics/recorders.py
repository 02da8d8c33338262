"""What the parts of the runtime report, put under the names of the catalogue.

Each class fulfils a Protocol that a part declares; none knows the part. What is counted in every
pass is looked up once, when its recorder is made.

Series are bounded by what exists: those of a kind, a resource or a definition go with it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Protocol

from prometheus_client import Gauge

from kro.errors import KroError
from kro.metrics import Metrics
from kro.metrics.labels import kind_label, path_label, resource_label
from kro.metrics.passes import InstanceRecorder
from kro.refs import GVK, GVR

Warned = Callable[[str], None]

_ABANDONED: Final = "abandoned"


class ClientRecorder:
    """Requests, retries and the ends of streams."""

    def __init__(
        self,
        metrics: Metrics,
        *,
        warned: Warned,
        throttled: Callable[[], None] = lambda: None,
    ) -> None:
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
        """Count the end of a watch stream, unless we left it ourselves."""
        if cause != _ABANDONED:
            self._metrics.streams_ended.labels(resource_label(gvr), cause).inc()

    def warned(self, text: str) -> None:
        """Count a warning and hand it on to the log."""
        self._metrics.api_warnings.inc()
        self._warned(text)


class Permits(Protocol):
    """What says whether this process may write just now."""

    def permit(self) -> float:
        """Return for how many seconds, or raise."""
        ...


class GateRecorder:
    """A write gate whose refusals are counted."""

    def __init__(self, metrics: Metrics, gate: Permits) -> None:
        self._metrics, self._gate = metrics, gate

    def permit(self) -> float:
        """Return what the gate returns; raise what it raises, and count it."""
        try:
            return self._gate.permit()
        except KroError:
            self._metrics.gate_refusals.inc()
            raise


class QueueRecorder:
    """One work queue."""

    def __init__(self, metrics: Metrics, name: str, *, priority: str = "0") -> None:
        labels = (name, name)
        self._depth = metrics.queue_depth.labels(*labels, priority)
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

    _RESULTS: Final = ("success", "error", "requeue", "requeue_after")

    def __init__(self, metrics: Metrics, name: str, *, workers: int) -> None:
        self._active = metrics.controller_active.labels(name)
        self._duration = metrics.controller_duration.labels(name)
        self._errors = metrics.controller_errors.labels(name)
        self._terminal = metrics.controller_terminal.labels(name)
        self._panics = metrics.controller_panics.labels(name)
        self._timeouts = metrics.controller_timeouts.labels(name)
        self._passes = {
            result: metrics.controller_passes.labels(name, result) for result in self._RESULTS
        }
        metrics.controller_workers.labels(name).set(workers)

    def running(self, passes: int) -> None:
        """Show how many passes run."""
        self._active.set(passes)

    def ended(self, duration_s: float, result: str) -> None:
        """Count a pass, unless it was cancelled with the process."""
        self._duration.observe(duration_s)
        if result in self._passes:
            self._passes[result].inc()

    def requeued(self, kind: str) -> None:
        """Count an error that no retry heals; the result of the pass says the rest."""
        if kind == "no_requeue":
            self._terminal.inc()

    def failed(self) -> None:
        """Count a failure."""
        self._errors.inc()

    def panicked(self) -> None:
        """Count a bug."""
        self._panics.inc()

    def timed_out(self) -> None:
        """Count a pass that met its deadline."""
        self._timeouts.inc()


class KindRecorder:
    """The micro-controller of one generated kind."""

    def __init__(self, metrics: Metrics, gvr: GVR) -> None:
        self._gvr = path_label(gvr)
        self._requeues = metrics.requeues
        self._passes = metrics.passes.labels(self._gvr)
        self._duration = metrics.pass_duration.labels(self._gvr)
        self._errors = metrics.handler_errors.labels(self._gvr)
        self._panics = metrics.panics.labels(self._gvr)

    def running(self, passes: int) -> None:
        """Show nothing: kro (Go) has no such gauge, and `kro_runtime_pass_slots_used` sums up."""

    def ended(self, duration_s: float, result: str) -> None:
        """Count a pass."""
        self._passes.inc()
        self._duration.observe(duration_s)

    def requeued(self, kind: str) -> None:
        """Count what was done with the key."""
        self._requeues.labels(self._gvr, kind).inc()

    def failed(self) -> None:
        """Count a failure."""
        self._errors.inc()

    def panicked(self) -> None:
        """Count a bug."""
        self._panics.inc()

    def timed_out(self) -> None:
        """Count nothing more: a deadline is a failure."""


class InformerRecorder:
    """All informers of the process."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._states: Counter[tuple[GVR, str]] = Counter()
        self._living: Counter[GVR] = Counter()

    def informers(self, running: int) -> None:
        """Show how many informers run."""
        self._metrics.informers.set(running)

    def changed(self, gvr: GVR, before: object | None, after: object | None) -> None:
        """Show how many informers of a resource are in which state; the last one takes all away."""
        for state, step in ((before, -1), (after, 1)):
            if state is None:
                continue
            key = (gvr, str(state))
            self._living[gvr] += step
            self._states[key] += step
            shown = self._metrics.informer_states.labels(resource_label(gvr), key[1])
            shown.set(self._states[key])
        if self._living[gvr] == 0:
            del self._living[gvr]
            for key in [key for key in self._states if key[0] == gvr]:
                del self._states[key]
            self._metrics.forget_resource(resource_label(gvr))

    def waited(self, gvr: GVR, duration_s: float, *, synced: bool) -> None:
        """Count a wait for a sync."""
        if gvr in self._living:
            self._metrics.sync_duration.labels(resource_label(gvr)).observe(duration_s)

    def relisted(self, gvr: GVR, reason: str) -> None:
        """Count a load."""
        self._metrics.relists.labels(resource_label(gvr), reason).inc()

    def handler_failed(self, gvr: GVR) -> None:
        """Count a handler's bug."""
        self._metrics.handlers_failed.labels(resource_label(gvr)).inc()


class RegistryRecorder:
    """The micro-controllers of all generated kinds."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._kinds: dict[GVR, GVK] = {}
        self._living: Counter[GVR] = Counter()

    def registered(self, gvr: GVR, count: int) -> None:
        """Count a kind that is served from now on."""
        self._living[gvr] += 1
        self._count(count)
        self._metrics.handlers_attached.labels("parent").inc()

    def deregistered(self, gvr: GVR, count: int) -> None:
        """Count a kind that is served no longer; unless it is again, its series go."""
        self._count(count)
        self._metrics.handlers_detached.labels("parent").inc()
        self._living[gvr] -= 1
        if self._living[gvr] > 0:
            return
        del self._living[gvr]
        resource, kind = resource_label(gvr), self._kinds.pop(gvr, None)
        kinds = () if kind is None else (kind_label(kind),)
        self._metrics.forget_kind(resource, path_label(gvr), *kinds)
        self._metrics.condition_ages.forget_kind(resource)

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

    def instances(self, gvk: GVK, gvr: GVR) -> InstanceRecorder:
        """Return what the passes over the kind's instances report to."""
        self._kinds[gvr] = gvk
        return InstanceRecorder(self._metrics, gvk, gvr)

    def _count(self, kinds: int) -> None:
        self._metrics.kinds.set(kinds)
        self._metrics.handlers.labels("parent").set(kinds)


INSTANCE_QUEUE: Final = "dynamic-controller-queue"


class KindQueueRecorder(QueueRecorder):
    """One of the queues of generated kinds; together they are one queue to the reader."""

    def __init__(self, metrics: Metrics) -> None:
        super().__init__(metrics, INSTANCE_QUEUE, priority="")
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

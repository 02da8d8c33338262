"""What the parts of the runtime report about themselves: one protocol a part, and its silent twin.

All are called synchronously on the loop and must not raise. Whoever wants metrics implements them;
the runtime itself knows no metric by name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from kro.refs import GVR

if TYPE_CHECKING:
    from kro.runtime.shared_informer import InformerState


class QueueMetrics(Protocol):
    """What a queue reports."""

    def depth(self, waiting: int) -> None:
        """So many keys wait now."""
        ...

    def added(self) -> None:
        """A key joined the line or became dirty."""
        ...

    def retried(self) -> None:
        """A key was told to wait for a retry."""
        ...

    def taken(self, waited_s: float) -> None:
        """A lease began after so long a wait."""
        ...

    def done(self, worked_s: float) -> None:
        """A lease ended after so long a time."""
        ...


class NullQueueMetrics:
    """Reports nothing."""

    def depth(self, waiting: int) -> None:
        """Ignore it."""

    def added(self) -> None:
        """Ignore it."""

    def retried(self) -> None:
        """Ignore it."""

    def taken(self, waited_s: float) -> None:
        """Ignore it."""

    def done(self, worked_s: float) -> None:
        """Ignore it."""


class ControllerMetrics(Protocol):
    """What a controller reports."""

    def running(self, passes: int) -> None:
        """So many passes run now."""
        ...

    def ended(self, duration_s: float, result: str) -> None:
        """A pass ended: `success`, `requeue`, `requeue_after`, `error` or `cancelled`."""
        ...

    def requeued(self, kind: str) -> None:
        """An outcome was acted upon: `no_requeue`, `requeue`, `requeue_after`, `rate_limited`."""
        ...

    def failed(self) -> None:
        """A pass raised."""
        ...

    def panicked(self) -> None:
        """A pass raised what nobody expects."""
        ...

    def timed_out(self) -> None:
        """A pass was ended by its deadline."""
        ...


class NullControllerMetrics:
    """Reports nothing."""

    def running(self, passes: int) -> None:
        """Ignore it."""

    def ended(self, duration_s: float, result: str) -> None:
        """Ignore it."""

    def requeued(self, kind: str) -> None:
        """Ignore it."""

    def failed(self) -> None:
        """Ignore it."""

    def panicked(self) -> None:
        """Ignore it."""

    def timed_out(self) -> None:
        """Ignore it."""


class InformerMetrics(Protocol):
    """What informers report."""

    def informers(self, running: int) -> None:
        """So many informers run now."""
        ...

    def changed(self, gvr: GVR, before: InformerState | None, after: InformerState | None) -> None:
        """An informer went from one state to another; None before its start and after its end."""
        ...

    def waited(self, gvr: GVR, duration_s: float, *, synced: bool) -> None:
        """An informer took so long to be synced, or somebody waited so long in vain."""
        ...

    def relisted(self, gvr: GVR, reason: str) -> None:
        """A load began."""
        ...

    def handler_failed(self, gvr: GVR) -> None:
        """A handler raised."""
        ...


class NullInformerMetrics:
    """Reports nothing."""

    def informers(self, running: int) -> None:
        """Ignore it."""

    def changed(self, gvr: GVR, before: InformerState | None, after: InformerState | None) -> None:
        """Ignore it."""

    def waited(self, gvr: GVR, duration_s: float, *, synced: bool) -> None:
        """Ignore it."""

    def relisted(self, gvr: GVR, reason: str) -> None:
        """Ignore it."""

    def handler_failed(self, gvr: GVR) -> None:
        """Ignore it."""


class CoordinatorMetrics(Protocol):
    """What a coordinator reports. Zero: none are left."""

    def listeners(self, kind: GVR, count: int) -> None:
        """So many instances of the kind have declared something."""
        ...

    def entries(self, gvr: GVR, scalars: int, collections: int) -> None:
        """So many declarations concern the resource."""
        ...

    def routed(self, gvr: GVR, *, matched: bool) -> None:
        """An event was routed, to somebody or to nobody."""
        ...


class NullCoordinatorMetrics:
    """Reports nothing."""

    def listeners(self, kind: GVR, count: int) -> None:
        """Ignore it."""

    def entries(self, gvr: GVR, scalars: int, collections: int) -> None:
        """Ignore it."""

    def routed(self, gvr: GVR, *, matched: bool) -> None:
        """Ignore it."""


class RegistryMetrics(Protocol):
    """What a registry reports."""

    def registered(self, gvr: GVR, count: int) -> None:
        """A micro-controller began; so many live now."""
        ...

    def deregistered(self, gvr: GVR, count: int) -> None:
        """A micro-controller is gone, its series can go too; so many live now."""
        ...

    def event(self, gvr: GVR, kind: str) -> None:
        """An event of an instance led to a pass: `add`, `update` or `delete`."""
        ...

    def crashed(self, gvr: GVR) -> None:
        """A micro-controller's loop raised and is restarted."""
        ...

    def controller(self, gvr: GVR) -> ControllerMetrics:
        """Return what the resource's controller reports to."""
        ...

    def queue(self, gvr: GVR) -> QueueMetrics:
        """Return what the resource's queue reports to."""
        ...


class NullRegistryMetrics:
    """Reports nothing."""

    def registered(self, gvr: GVR, count: int) -> None:
        """Ignore it."""

    def deregistered(self, gvr: GVR, count: int) -> None:
        """Ignore it."""

    def event(self, gvr: GVR, kind: str) -> None:
        """Ignore it."""

    def crashed(self, gvr: GVR) -> None:
        """Ignore it."""

    def controller(self, gvr: GVR) -> ControllerMetrics:
        """Report nothing."""
        return NullControllerMetrics()

    def queue(self, gvr: GVR) -> QueueMetrics:
        """Report nothing."""
        return NullQueueMetrics()

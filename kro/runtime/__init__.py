"""A controller runtime: everything between the API server and a reconcile function.

It knows nothing of what is reconciled. A controller of one's own is an informer, a handler and a
reconcile function:

    informers = Informers(client=client, clock=clock)
    widgets = informers.watch(WIDGETS)
    controller = Controller("widgets", reconcile, clock=clock)
    widgets.add_handler(enqueue_object(controller))
    async with asyncio.TaskGroup() as group:
        group.create_task(informers.run())
        group.create_task(controller.run())
"""

from kro.runtime.backoff import BackoffSettings, Bucket, retry_delay
from kro.runtime.clock import Clock, LoopClock, rfc3339, rfc3339_micro, sleep, timeout
from kro.runtime.controller import (
    CheckAgain,
    Controller,
    Outcome,
    Reconcile,
    Settled,
)
from kro.runtime.coordinator import (
    Coordinator,
    Cycle,
    Degraded,
    Route,
)
from kro.runtime.discovery import Discovery, KindNotServedError
from kro.runtime.finalizer import ensure_finalizer, has_finalizer, release_finalizer
from kro.runtime.informer import Informed, Informers
from kro.runtime.keys import ObjectKey
from kro.runtime.line_writer import LineWriter
from kro.runtime.loop_health import LoopHealth, freeze_collector
from kro.runtime.manager import Manager, Part, Stage
from kro.runtime.metric_hooks import (
    ControllerMetrics,
    CoordinatorMetrics,
    InformerMetrics,
    NullControllerMetrics,
    NullCoordinatorMetrics,
    NullInformerMetrics,
    NullQueueMetrics,
    NullRegistryMetrics,
    QueueMetrics,
    RegistryMetrics,
)
from kro.runtime.predicates import (
    Wants,
    any_change,
    enqueue_mapped,
    enqueue_object,
    spec_changed,
)
from kro.runtime.recorder import EventRecorder, Recorder
from kro.runtime.registry import (
    MicroController,
    Registry,
    RegistrySettings,
)
from kro.runtime.sampling import Sampling
from kro.runtime.scope import Scope
from kro.runtime.selector import LabelSelector, SelectorError
from kro.runtime.shared_informer import (
    Event,
    Handler,
    InformerState,
    InformerStatus,
    Registration,
)
from kro.runtime.slots import Slots
from kro.runtime.store import IndexFn, Lister, NotSyncedError, by_label
from kro.runtime.stored import Stored, Transform, keep_managed_fields, on_object, strip
from kro.runtime.workqueue import (
    Priority,
    QueueClosed,
    WorkQueue,
)

__all__ = [
    "BackoffSettings",
    "Bucket",
    "CheckAgain",
    "Clock",
    "Controller",
    "ControllerMetrics",
    "Coordinator",
    "CoordinatorMetrics",
    "Cycle",
    "Degraded",
    "Discovery",
    "Event",
    "EventRecorder",
    "Handler",
    "IndexFn",
    "Informed",
    "InformerMetrics",
    "InformerState",
    "InformerStatus",
    "Informers",
    "KindNotServedError",
    "LabelSelector",
    "LineWriter",
    "Lister",
    "LoopClock",
    "LoopHealth",
    "Manager",
    "MicroController",
    "NotSyncedError",
    "NullControllerMetrics",
    "NullCoordinatorMetrics",
    "NullInformerMetrics",
    "NullQueueMetrics",
    "NullRegistryMetrics",
    "ObjectKey",
    "Outcome",
    "Part",
    "Priority",
    "QueueClosed",
    "QueueMetrics",
    "Reconcile",
    "Recorder",
    "Registration",
    "Registry",
    "RegistryMetrics",
    "RegistrySettings",
    "Route",
    "Sampling",
    "Scope",
    "SelectorError",
    "Settled",
    "Slots",
    "Stage",
    "Stored",
    "Transform",
    "Wants",
    "WorkQueue",
    "any_change",
    "by_label",
    "enqueue_mapped",
    "enqueue_object",
    "ensure_finalizer",
    "freeze_collector",
    "has_finalizer",
    "keep_managed_fields",
    "on_object",
    "release_finalizer",
    "retry_delay",
    "rfc3339",
    "rfc3339_micro",
    "sleep",
    "spec_changed",
    "strip",
    "timeout",
]

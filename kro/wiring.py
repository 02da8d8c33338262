"""The composition root: the one place that picks concrete classes and ties them together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Final, TypeAlias

from kro import __version__, names
from kro.controllers.access import denial, own_needs
from kro.controllers.compiler import Compiler
from kro.controllers.crd import CRDS, claimed_crd, is_owned, owner_of
from kro.controllers.definition import (
    CLAIM_INDEX,
    DEFINITIONS,
    OWNER_INDEX,
    DefinitionController,
    GeneratedCrds,
    GeneratedKind,
    Issuer,
    ServedKinds,
)
from kro.controllers.events import crd_moved, enqueue_concerned
from kro.controllers.instance import Claims, InstanceController, InstanceSettings
from kro.controllers.kinds import CRD_SCOPE, KIND_INDEX, Kinds, kind_key, mappings
from kro.controllers.preflight import Preflight
from kro.controllers.revision import (
    REVISIONS,
    SNAPSHOT_INDEX,
    CompiledRevisions,
    RevisionController,
    definition_of,
    name_of,
    snapshot_name,
)
from kro.graph import Gates, Limits
from kro.logs import Logger, get_logger
from kro.metrics import Metrics
from kro.metrics.labels import resource_label
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
from kro.refs import GVK, GVR, Mapped, NamespacedName
from kro.runtime import (
    BackoffSettings,
    Controller,
    Coordinator,
    Discovery,
    Event,
    Informers,
    InformerState,
    LoopClock,
    Priority,
    Reconcile,
    Recorder,
    Registry,
    RegistrySettings,
    Sampling,
    Scope,
    Slots,
    Stored,
    enqueue_object,
    freeze_collector,
)
from kro.runtime.client import (
    Client,
    ClusterConfig,
    Transport,
    WriteGate,
)
from kro.runtime.client import Limits as ClientLimits
from kro.runtime.open_files import watch_budget
from kro.settings import Settings

DEFINITION_CONTROLLER: Final = "ResourceGraphDefinition"
REVISION_CONTROLLER: Final = "graphrevision"
FIRST_LOAD_S: Final = 60.0
WATCHES: Final = 600
TAGGED_LEVEL: Final = 2
"""From which verbosity on the API server's audit log tells passes apart."""
USER_AGENT: Final = f"kro/{__version__}"


Handles: TypeAlias = Callable[[Event], None]


class Parts:
    """The parts of one controller process, tied together; `run_controller` gives them life."""

    def __init__(
        self,
        settings: Settings,
        config: ClusterConfig,
        *,
        metrics: Metrics,
        clock: LoopClock,
        gate: WriteGate | None = None,
    ) -> None:
        self._settings = settings
        self._metrics = metrics
        self._clock = clock
        self._claims = Claims()
        self._leads = self._was_whole = False
        self._kind_metrics = RegistryRecorder(metrics)
        log = get_logger("client")
        self.slots = slots = Slots(settings.instance_workers, clock=clock)
        observer = ClientRecorder(
            metrics,
            warned=lambda text: log.warning("warned", text=text),
            throttled=slots.throttled,
        )
        self.transport = transport = Transport(
            config,
            user_agent=USER_AGENT,
            limits=ClientLimits(watches=watch_budget(WATCHES)),
            observer=observer,
            tagged=settings.log_level is not None and settings.log_level >= TAGGED_LEVEL,
        )
        counted = GateRecorder(metrics, gate) if gate else None
        self.client = Client(transport, gate=counted) if counted else Client(transport)
        self.discovery = Discovery(self.client)
        self.recorder = Recorder(self.client, clock=clock)
        self.informers = Informers(
            client=self.client,
            clock=clock,
            served=self.discovery.is_served,
            metrics=InformerRecorder(metrics),
            moved=self._informer_moved,
        )
        self.preflight = Preflight(client=self.client, clock=clock)
        self.registry = Registry(
            informers=self.informers,
            clock=clock,
            slots=slots,
            metrics=self._kind_metrics,
            settings=RegistrySettings(
                concurrency=settings.instance_workers,
                backoff=BackoffSettings(
                    base_s=settings.retry_min_delay_s,
                    cap_s=settings.retry_max_delay_s,
                    rate=settings.retry_rate,
                    burst=settings.retry_burst,
                ),
                resync_s=settings.resync_period_s,
                drain_s=settings.drain_s,
            ),
        )
        self.coordinator = Coordinator(
            informers=self.informers,
            enqueue=self.registry.enqueue,
            clock=clock,
            metrics=CoordinatorRecorder(metrics),
        )
        self.registry.coordinator = self.coordinator
        self._served = ServedKinds(registry=self.registry, make=self._instance_controller)
        crd_indexes = {KIND_INDEX: kind_key, OWNER_INDEX: _owner}
        watch = self.informers.watch
        self._crds = watch(CRDS, CRD_SCOPE, owner="definitions", indexes=crd_indexes)
        self._definitions = watch(
            DEFINITIONS, owner="definitions", indexes={CLAIM_INDEX: claimed_crd}
        )
        self._revisions = watch(
            REVISIONS, owner="definitions", indexes={SNAPSHOT_INDEX: snapshot_name}
        )
        self._compose()
        self.sampling = Sampling(
            controllers=self._watched_controllers,
            informers=self.informers,
            label=resource_label,
            clock=clock,
            shown=metrics.sampled,
        )

    def _compose(self) -> None:
        """Make the controllers of definitions and revisions, and feed them."""
        settings, metrics = self._settings, self._metrics
        of_definitions, of_revisions = DefinitionRecorder(metrics), RevisionRecorder(metrics)
        kinds = Kinds(
            client=self.client,
            crds=self._crds,
            discovery=self.discovery,
            metrics=SchemaRecorder(metrics),
        )
        compiled = CompiledRevisions(moved=of_revisions.moved)
        compiler = Compiler(
            kinds=kinds,
            limits=Limits(
                dimensions=settings.max_collection_dimensions,
                collection_size=settings.max_collection_size,
            ),
            gates=Gates(omit=settings.gates().CELOmitFunction),
        )
        self._passes = passes = DefinitionController(
            client=self.client,
            clock=self._clock,
            definitions=self._definitions,
            kind=GeneratedKind(
                crds=GeneratedCrds(client=self.client, crds=self._crds),
                served=self._served,
                preflight=self.preflight,
                retry=self.informers.retry,
                clock=self._clock,
                progress_s=settings.progress_requeue_delay_s,
            ),
            issuer=Issuer(
                client=self.client,
                revisions=self._revisions,
                metrics=of_definitions,
                kept=settings.max_graph_revisions,
            ),
            kinds=kinds,
            compiler=compiler,
            compiled=compiled,
            metrics=of_definitions,
            allow_crd_deletion=settings.allow_crd_deletion,
            progress_s=settings.progress_requeue_delay_s,
        )
        self.definitions = self._controller(
            DEFINITION_CONTROLLER,
            passes.reconcile,
            settings.definition_workers,
            log=_controller_log("rgd-controller", DEFINITION_CONTROLLER, names.DEFINITION_KIND),
        )
        revisions = RevisionController(
            client=self.client,
            clock=self._clock,
            revisions=self._revisions,
            compiler=compiler,
            compiled=compiled,
            metrics=of_revisions,
            published=lambda name: self.definitions.enqueue(NamespacedName("", name)),
        )
        self.revisions = self._controller(
            REVISION_CONTROLLER,
            revisions.reconcile,
            settings.revision_workers,
            log=_controller_log(
                "graphrevision-controller", REVISION_CONTROLLER, names.REVISION_KIND
            ),
        )
        self._feed(passes, revisions, kinds)

    def _watched_controllers(self) -> list[tuple[str, str, Controller]]:
        """Return label, name of the queue, and controller, for all that live."""
        fixed = [(each.name, each.name, each) for each in (self.definitions, self.revisions)]
        return fixed + [
            (resource_label(micro.gvr), INSTANCE_QUEUE, micro.controller)
            for micro in self.registry.live()
        ]

    def _controller(
        self, name: str, reconcile: Reconcile, workers: int, *, log: Logger
    ) -> Controller:
        return Controller(
            name,
            reconcile,
            clock=self._clock,
            concurrency=workers,
            backoff=BackoffSettings(base_s=0.005, rate=10.0, burst=100),
            metrics=ControllerRecorder(self._metrics, name, workers=workers),
            queue_metrics=QueueRecorder(self._metrics, name),
            log=log,
        )

    def _feed(
        self, passes: DefinitionController, revisions: RevisionController, kinds: Kinds
    ) -> None:
        """Bring events to the queues of definitions and revisions, once all stores are whole.

        A pass that saw the definitions and not the CRDs would take every kind for missing.
        """

        def once_whole(*handlers: Handles) -> Handles:
            def handle(event: Event) -> None:
                if self._acts():
                    for handler in handlers:
                        handler(event)

            return handle

        def concerned(stored: Stored) -> Iterable[NamespacedName]:
            return passes.concerned(stored.object())

        def compiled_with(stored: Stored) -> Iterable[NamespacedName]:
            for name in kinds.users_of(stored.object()):
                yield from self._revisions_of(name)

        def frozen(stored: Stored) -> Iterable[NamespacedName]:
            yield NamespacedName("", definition_of(stored.object()))

        own = enqueue_object(self.definitions, wants=passes.wants)
        self._definitions.add_handler(once_whole(own), on_synced=self._begin)
        self._revisions.add_handler(
            once_whole(
                enqueue_object(self.revisions),
                enqueue_concerned(self.revisions, revisions.heirs),
                enqueue_concerned(self.definitions, frozen),
            ),
            on_synced=self._begin,
        )
        self._crds.add_handler(
            once_whole(
                self._forget,
                enqueue_concerned(self.definitions, concerned, wants=crd_moved),
                enqueue_concerned(self.revisions, compiled_with, wants=crd_moved),
            ),
            on_synced=self._begin,
        )

    def _acts(self) -> bool:
        """Whether events count: this process leads, and all stores are whole."""
        stores = (self._definitions, self._revisions, self._crds)
        return self._leads and all(store.synced for store in stores)

    def _begin(self) -> None:
        """Look at everything once, if all is there: revisions first, definitions wait for them."""
        if not self._acts():
            return
        for name in self._revisions.keys():  # noqa: SIM118 - a lister is no mapping
            self.revisions.enqueue(name, Priority.SWEEP)
        for name in self._definitions.keys():  # noqa: SIM118 - a lister is no mapping
            self.definitions.enqueue(name, Priority.SWEEP)
        for crd in self._crds.list():
            for name in self._passes.concerned(crd):
                self.definitions.enqueue(name, Priority.SWEEP)

    def _revisions_of(self, definition: str) -> list[NamespacedName]:
        found = self._revisions.by_index(SNAPSHOT_INDEX, definition)
        return [NamespacedName("", name_of(revision)) for revision in found]

    def unloaded(self) -> str | None:
        """Say what was never loaded yet, for the readiness probe. From any thread."""
        own = (self._definitions, self._revisions, self._crds)
        waiting = [] if self._was_whole else [str(each.gvr) for each in own if not each.synced]
        self._was_whole = not waiting
        return f"not loaded yet: {', '.join(waiting)}" if waiting else None

    async def settle(self) -> None:
        """Begin to act; say what the process lacks; then keep the collector away from the rest."""
        self._leads = True
        self._begin()  # what a standby has loaded already
        needs = own_needs(allow_crd_deletion=self._settings.allow_crd_deletion)
        missing = await self.preflight.missing("", needs)
        if missing:
            get_logger("setup").error("rights are missing", error=denial(missing))
        for informed in (self._definitions, self._revisions, self._crds):
            if not await informed.wait_synced(FIRST_LOAD_S):
                get_logger("setup").error(
                    "cannot watch", gvr=str(informed.gvr), error=informed.problem or "not loaded"
                )
        freeze_collector()
        await asyncio.get_running_loop().create_future()

    def _forget(self, event: Event) -> None:
        """Ask again what is served: a CRD came, changed or went."""
        crd = event.new or event.old
        if event.initial or crd is None:
            return
        for mapped in mappings(crd.object()).values():
            self.discovery.forget(mapped.gvr.group, mapped.gvr.version)
            self.informers.retry(mapped.gvr)

    def _informer_moved(
        self, gvr: GVR, scope: Scope, before: InformerState, after: InformerState
    ) -> None:
        """Let definitions hear when a kind that they use begins to work, or stops."""
        if after is InformerState.FORBIDDEN:
            self.preflight.doubt()
        for name in self._served.moved(gvr, scope, before, after):
            self.definitions.enqueue(NamespacedName("", name))

    def _instance_controller(self, gvk: GVK, mapped: Mapped) -> InstanceController:
        gates = self._settings.gates()
        return InstanceController(
            gvk=gvk,
            mapped=mapped,
            client=self.client,
            informers=self.informers,
            coordinator=self.coordinator,
            discovery=self.discovery,
            clock=self._clock,
            claims=self._claims,
            settings=InstanceSettings(
                version=__version__,
                requeue_s=self._settings.instance_requeue_interval_s,
                collection_limit=self._settings.max_collection_size,
                condition_events=gates.InstanceConditionEvents,
                condition_metrics=gates.InstanceConditionMetrics,
            ),
            recorder=self.recorder.component(f"kro/{mapped.gvr.resource}.{gvk.group}-controller"),
            metrics=self._kind_metrics.instances(gvk, mapped.gvr),
            meter=self._metrics.evaluations,
            explain=self.preflight.explain,
        )


def _controller_log(name: str, controller: str, kind: str) -> Logger:
    return get_logger(
        name, controller=controller, controllerGroup=names.KRO_GROUP, controllerKind=kind
    )


def _owner(stored: Stored) -> str | None:
    crd = stored.object()
    return (owner_of(crd) or None) if is_owned(crd) else None

"""The composition root: the one place that picks concrete classes and ties them together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from kro import __version__
from kro.controllers.crd import CRDS, is_owned, owner_of
from kro.controllers.definition import (
    DEFINITIONS,
    OWNER_INDEX,
    DefinitionController,
    ServedKinds,
)
from kro.controllers.instance import Claims, InstanceController, InstanceSettings
from kro.controllers.kinds import CRD_SCOPE, KIND_INDEX, Kinds, kind_key, mappings
from kro.errors import KroError
from kro.graph import Gates, Limits
from kro.logs import get_logger
from kro.metrics import Metrics
from kro.metrics.recorders import (
    ClientRecorder,
    ControllerRecorder,
    CoordinatorRecorder,
    DefinitionRecorder,
    InformerRecorder,
    InstanceRecorder,
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
    Informed,
    Informers,
    LoopClock,
    LoopHealth,
    Manager,
    Part,
    Priority,
    Recorder,
    Registry,
    RegistrySettings,
    Slots,
    Stage,
    Stored,
    enqueue_mapped,
    enqueue_object,
    freeze_collector,
)
from kro.runtime.client import (
    Client,
    ClusterConfig,
    Transport,
    WriteGate,
    load_config,
    pod_namespace,
)
from kro.runtime.discovery import KindNotServedError
from kro.runtime.leader import LeaderElector
from kro.runtime.lease import LeaseSettings
from kro.runtime.server import Address, Handler, HttpServer, Probes, metrics_handler, parse_address
from kro.settings import Settings

LEASE: Final = "controller.kro.run"
DEFINITION_CONTROLLER: Final = "ResourceGraphDefinition"
FIRST_LOAD_S: Final = 60.0
USER_AGENT: Final = f"kro/{__version__}"


class NoLeaseNamespaceError(KroError):
    """Leader election was asked for, and nothing says where its lease is to be."""

    reason = "InvalidConfiguration"


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
        log = get_logger("client")
        observer = ClientRecorder(metrics, warned=lambda text: log.warning("warned", text=text))
        transport = Transport(config, user_agent=USER_AGENT, observer=observer)
        self.client = Client(transport, gate=gate) if gate else Client(transport)
        self.discovery = Discovery(self.client)
        self.recorder = Recorder(self.client, clock=clock)
        self.informers = Informers(
            client=self.client,
            clock=clock,
            served=self._is_served,
            metrics=InformerRecorder(metrics),
        )
        self.registry = Registry(
            informers=self.informers,
            clock=clock,
            slots=Slots(settings.instance_workers, clock=clock),
            metrics=RegistryRecorder(metrics),
            settings=RegistrySettings(
                concurrency=settings.instance_workers,
                backoff=BackoffSettings(
                    base_s=settings.retry_min_delay_s,
                    cap_s=settings.retry_max_delay_s,
                    rate=settings.retry_rate,
                    burst=settings.retry_burst,
                ),
                resync_s=settings.resync_period_s,
                drain_s=settings.graceful_shutdown_timeout_s,
            ),
        )
        self.coordinator = Coordinator(
            informers=self.informers,
            enqueue=self.registry.enqueue,
            clock=clock,
            metrics=CoordinatorRecorder(metrics),
        )
        self.registry.coordinator = self.coordinator
        self.served = ServedKinds(registry=self.registry, make=self._instance_controller)
        self.definitions = self._definitions()

    def _definitions(self) -> Controller:
        """Return the controller of definitions, fed by definitions and by CRDs."""
        settings = self._settings
        crds = self.informers.watch(
            CRDS,
            CRD_SCOPE,
            owner="definitions",
            indexes={KIND_INDEX: kind_key, OWNER_INDEX: _owner},
        )
        definitions = self.informers.watch(DEFINITIONS, owner="definitions")
        passes = DefinitionController(
            client=self.client,
            clock=self._clock,
            definitions=definitions,
            crds=crds,
            kinds=Kinds(client=self.client, crds=crds, discovery=self.discovery),
            served=self.served,
            limits=Limits(
                dimensions=settings.max_collection_dimensions,
                collection_size=settings.max_collection_size,
            ),
            gates=Gates(omit=settings.gates().CELOmitFunction),
            metrics=DefinitionRecorder(self._metrics),
            allow_crd_deletion=settings.allow_crd_deletion,
            progress_s=settings.progress_requeue_delay_s,
        )
        controller = Controller(
            DEFINITION_CONTROLLER,
            passes.reconcile,
            clock=self._clock,
            concurrency=settings.definition_workers,
            backoff=BackoffSettings(base_s=0.005, rate=10.0, burst=100),
            metrics=ControllerRecorder(
                self._metrics, DEFINITION_CONTROLLER, workers=settings.definition_workers
            ),
            queue_metrics=QueueRecorder(self._metrics, DEFINITION_CONTROLLER),
        )
        self._first = (definitions, crds)
        self._feed(controller, passes, definitions, crds)
        return controller

    def _feed(
        self,
        controller: Controller,
        passes: DefinitionController,
        definitions: Informed,
        crds: Informed,
    ) -> None:
        """Bring events to the definition queue, once both stores are whole.

        A pass that saw the definitions and no CRDs would take every kind for missing.
        """

        def both_whole() -> None:
            if definitions.synced and crds.synced:
                for name in definitions.keys():  # noqa: SIM118 - a lister is no mapping
                    controller.enqueue(name, Priority.SWEEP)
                for crd in crds.list():
                    for name in passes.concerned(crd):
                        controller.enqueue(name, Priority.SWEEP)

        def when_whole(event: Event, handle: Callable[[Event], None]) -> None:
            if definitions.synced and crds.synced:
                handle(event)

        own = enqueue_object(controller, wants=passes.wants)
        mapped = enqueue_mapped(controller, lambda stored: passes.concerned(stored.object()))

        def on_crd(event: Event) -> None:
            if not event.initial:
                self._forget(event.new or event.old)
            when_whole(event, mapped)

        definitions.add_handler(lambda event: when_whole(event, own), on_synced=both_whole)
        crds.add_handler(on_crd, on_synced=both_whole)

    async def settle(self) -> None:
        """Keep the collector away from what the process starts with, once that is loaded."""
        for informed in self._first:
            await informed.wait_synced(FIRST_LOAD_S)
        freeze_collector()
        await asyncio.get_running_loop().create_future()

    def _forget(self, crd: Stored | None) -> None:
        """Ask again what is served: a CRD came, changed or went."""
        if crd is None:
            return
        for mapped in mappings(crd.object()).values():
            self.discovery.forget(mapped.gvr.group, mapped.gvr.version)
            self.informers.retry(mapped.gvr)

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
            metrics=InstanceRecorder(self._metrics),
        )

    async def _is_served(self, gvr: GVR) -> bool:
        try:
            await self.discovery.kind(gvr)
        except KindNotServedError:
            return False
        return True


def _owner(stored: Stored) -> str | None:
    crd = stored.object()
    return (owner_of(crd) or None) if is_owned(crd) else None


async def run_controller(settings: Settings) -> int:
    """Run the controller until it is told to stop; return the exit code of the process."""
    log = get_logger("setup")
    metrics = Metrics()
    clock = LoopClock()
    try:
        config = load_config(settings.kubeconfig)
        elector = _elector(settings, config, metrics) if settings.leader_elect else None
        health = LoopHealth(observe=metrics.loop_lag.observe)
        parts = Parts(
            settings, config, metrics=metrics, clock=clock, gate=elector.gate if elector else None
        )
        manager = Manager(
            _stages(parts, health, elector),
            led=elector.led if elector else None,
            drain_s=settings.graceful_shutdown_timeout_s,
        )
        probes = Probes(
            live={"loop": health.check},
            ready={"manager": lambda: "the process is about to end" if manager.stopping else None},
        )
        async with HttpServer(_handlers(settings, probes, metrics)):
            log.info("starting", version=__version__, server=config.server)
            try:
                return await manager.run()
            finally:
                await parts.client.aclose()
    except KroError as error:
        log.error("cannot start", problem=str(error))
        return 1


def _stages(parts: Parts, health: LoopHealth, elector: LeaderElector | None) -> list[Part]:
    """Return what runs when: see Manager."""
    services = [Part(name="loop health", run=health.run, stage=Stage.SERVICE)]
    if elector is not None:
        services.append(Part(name="leader election", run=elector.run, stage=Stage.SERVICE))
    return [
        *services,
        Part(name="informers", run=parts.informers.run, stage=Stage.WORK),
        Part(name="coordinator", run=parts.coordinator.run, stage=Stage.SOURCE),
        Part(
            name="definitions",
            run=parts.definitions.run,
            stage=Stage.WORK,
            drain=parts.definitions.drain,
        ),
        Part(
            name="instances",
            run=parts.registry.run,
            stage=Stage.WORK,
            drain=parts.registry.drain,
        ),
        Part(name="events", run=parts.recorder.run, stage=Stage.WORK),
        Part(name="start-up", run=parts.settle, stage=Stage.SOURCE),
    ]


def _handlers(
    settings: Settings, probes: Probes, metrics: Metrics
) -> list[tuple[Address, Handler]]:
    wanted = (
        (settings.health_probe_bind_address, probes),
        (settings.metrics_bind_address, metrics_handler(metrics.exposition)),
    )
    return [(address, handler) for text, handler in wanted if (address := parse_address(text))]


def _elector(settings: Settings, config: ClusterConfig, metrics: Metrics) -> LeaderElector:
    """Return the elector.

    Raises:
        KroError: there is no namespace for the lease.
    """
    namespace = settings.leader_election_namespace or pod_namespace()
    if not namespace:
        raise NoLeaseNamespaceError(
            "--leader-elect outside a cluster needs --leader-election-namespace"
        )
    leading = metrics.leading.labels(LEASE)
    return LeaderElector(
        config,
        lease=NamespacedName(namespace, LEASE),
        user_agent=USER_AGENT,
        settings=LeaseSettings(
            lease_duration_s=settings.lease_duration_s,
            renew_deadline_s=settings.renew_deadline_s,
            retry_period_s=settings.retry_period_s,
        ),
        on_change=lambda leads: leading.set(1 if leads else 0),
    )

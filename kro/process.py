"""The process: what of the controller runs when, what it answers on HTTP, and how it ends."""

from __future__ import annotations

from typing import Final

from kro import __version__
from kro.errors import KroError
from kro.logs import get_logger
from kro.metrics import Metrics
from kro.metrics.recorders import ClientRecorder
from kro.refs import NamespacedName
from kro.runtime import LineWriter, LoopClock, LoopHealth, Manager, Part, Stage
from kro.runtime.client import ClusterConfig, load_config, pod_namespace
from kro.runtime.leader import LeaderElector
from kro.runtime.lease import LeaseSettings
from kro.runtime.server import Address, Handler, HttpServer, Probes, metrics_handler, parse_address
from kro.settings import Settings
from kro.wiring import USER_AGENT, Parts

LEASE: Final = "controller.kro.run"


class ElectionSettingsError(KroError):
    """Leader election was asked for in a way that cannot work."""

    reason = "InvalidConfiguration"


async def run_controller(settings: Settings, *, lines: LineWriter | None = None) -> int:
    """Run the controller until it is told to stop; return the exit code of the process.

    Args:
        lines: what the log is written through, to count what it drops.
    """
    log = get_logger("setup")
    metrics = Metrics(version=__version__)
    if lines is not None:
        lines.dropped = metrics.log_lines_dropped.inc
    clock = LoopClock()
    try:
        config = load_config(settings.kubeconfig)
        elector = _elector(settings, config, metrics) if settings.leader_elect else None
        health = LoopHealth(observe=metrics.loop_lag.observe)
        parts = Parts(
            settings, config, metrics=metrics, clock=clock, gate=elector.gate if elector else None
        )
        manager = Manager(
            _stages(parts, health, elector, warm=settings.enable_controller_warmup),
            led=elector.led if elector else None,
            drain_s=settings.drain_s,
        )
        _show_state(metrics, parts, health, manager, elector)

        def unloaded() -> str | None:
            # A standby is ready: else a rolling upgrade would wait for the leader that it replaces.
            return parts.unloaded() if elector is None or elector.is_leader else None

        probes = Probes(
            live={"loop": health.check, **({"lease": elector.problem} if elector else {})},
            ready={
                "manager": lambda: "the process is about to end" if manager.stopping else None,
                "load": unloaded,
                "kinds": lambda: "loops crash" if parts.registry.crash_looping else None,
            },
        )
        async with HttpServer(_handlers(settings, probes, metrics)):
            log.info("starting", version=__version__, server=config.server)
            try:
                return await manager.run()
            finally:
                await parts.client.aclose()
    except KroError as error:
        log.error("cannot start", error=str(error))
        return 1


def _stages(
    parts: Parts, health: LoopHealth, elector: LeaderElector | None, *, warm: bool
) -> list[Part]:
    """Return what runs when: see Manager.

    Args:
        warm: a standby fills its stores already.
    """
    services = [
        Part(name="loop health", run=health.run, stage=Stage.SERVICE),
        Part(name="sampling", run=parts.sampling.run, stage=Stage.SERVICE),
    ]
    if elector is not None:
        services.append(Part(name="leader election", run=elector.run, stage=Stage.SERVICE))
    return [
        *services,
        Part(
            name="informers",
            run=parts.informers.run,
            stage=Stage.SERVICE if warm else Stage.WORK,
        ),
        Part(name="coordinator", run=parts.coordinator.run, stage=Stage.SOURCE),
        Part(
            name="definitions",
            run=parts.definitions.run,
            stage=Stage.WORK,
            drain=parts.definitions.drain,
        ),
        Part(
            name="revisions",
            run=parts.revisions.run,
            stage=Stage.WORK,
            drain=parts.revisions.drain,
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


def _show_state(
    metrics: Metrics,
    parts: Parts,
    health: LoopHealth,
    manager: Manager,
    elector: LeaderElector | None,
) -> None:
    """Let scrapes see what the parts keep. All of it may be read from another thread."""
    for name, read in {
        "kro_runtime_loop_heartbeat_age_seconds": lambda: health.age_s,
        "kro_runtime_draining_seconds": lambda: manager.stopping_s,
        "kro_runtime_lease_age_seconds": lambda: elector.gate.age_s if elector else None,
        "kro_runtime_watch_streams": lambda: parts.transport.open_watches,
        "kro_runtime_watch_streams_limit": lambda: parts.transport.limits.watches,
        "kro_runtime_pass_slots": lambda: parts.slots.limit,
        "kro_runtime_pass_slots_used": lambda: parts.slots.held,
        "kro_events_dropped_total": lambda: parts.recorder.dropped,
    }.items():
        metrics.kept(name, read)


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
        ElectionSettingsError: there is no namespace for the lease, or two could lead.
    """
    namespace = settings.leader_election_namespace or pod_namespace()
    if not namespace:
        raise ElectionSettingsError(
            "--leader-elect outside a cluster needs --leader-election-namespace"
        )
    try:
        durations = LeaseSettings(
            lease_duration_s=settings.lease_duration_s,
            renew_deadline_s=settings.renew_deadline_s,
            retry_period_s=settings.retry_period_s,
        )
    except ValueError as error:
        raise ElectionSettingsError(f"--leader-election flags: {error}") from error
    leading = metrics.leading.labels(LEASE)
    return LeaderElector(
        config,
        lease=NamespacedName(namespace, LEASE),
        user_agent=f"{USER_AGENT} leader-election",
        settings=durations,
        observer=ClientRecorder(
            metrics, warned=lambda text: get_logger("leader").warning("warned", text=text)
        ),
        on_change=lambda leads: leading.set(1 if leads else 0),
    )

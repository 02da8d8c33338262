"""What all passes over the instances of one generated kind share.

Concurrency: one event loop. A pass holds the lease of its instance, so what is kept per instance is
touched by one pass at a time; `Claims` orders passes of different instances.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from kro.graph import Graph
from kro.graph.evaluation import UNMETERED, Meter
from kro.logs import Logger, get_logger
from kro.refs import GVK, GVR, JsonObject, Mapped, NamespacedName
from kro.runtime import Clock, Coordinator, Discovery, Informed, Informers, ObjectKey
from kro.runtime.client import Client


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceSettings:
    """What operators decide about instances."""

    version: str = "devel"
    """The controller's version, as labels and tooling annotation carry it."""
    requeue_s: float = 3.0
    """How soon a pass that cannot be woken by an event is repeated; 0: never."""
    collection_limit: int = 1000
    condition_events: bool = False
    condition_metrics: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """The graph that instances are reconciled with."""

    graph: Graph
    definition_name: str
    definition_uid: str


@dataclass(frozen=True, slots=True)
class Unavailable:
    """No graph can be used at the moment."""

    message: str
    """`latest issued graph revision 7 is pending`, as the condition shows it."""
    retry: bool = True
    """Whether to look again by ourselves; False: only a new revision can help."""
    reason: str = "not_available"
    """Metric label: `not_available`, `pending`, `failed`, `unknown_state`."""


class EventRecorder(Protocol):
    """Records Kubernetes Events; never blocks."""

    def event(self, regarding: JsonObject, *, type: str, reason: str, note: str) -> None:
        """Record one event about an object."""
        ...


class InstanceMetrics(Protocol):
    """Counts what passes do; object names never become labels, gated gauges apart."""

    def graph_resolved(self, gvr: GVR) -> None:
        """A pass found its graph."""
        ...

    def graph_unavailable(self, gvr: GVR, reason: str) -> None:
        """A pass found no graph; `reason` is that of `Unavailable`."""
        ...

    def passed(self, gvr: GVR, duration_s: float, *, failed: bool) -> None:
        """A pass ended; `failed`: by an error that is not a planned retry."""
        ...

    def state_changed(self, gvk: GVK, before: str, after: str) -> None:
        """A status write moved an instance from one state to another."""
        ...

    def conditions_persisted(
        self, gvr: GVR, name: NamespacedName, conditions: list[JsonObject]
    ) -> None:
        """The conditions that the API server holds for an instance; empty: it is gone."""
        ...


class NoMetrics:
    """Counts nothing."""

    def graph_resolved(self, gvr: GVR) -> None:
        """Count nothing."""

    def graph_unavailable(self, gvr: GVR, reason: str) -> None:
        """Count nothing."""

    def passed(self, gvr: GVR, duration_s: float, *, failed: bool) -> None:
        """Count nothing."""

    def state_changed(self, gvk: GVK, before: str, after: str) -> None:
        """Count nothing."""

    def conditions_persisted(
        self, gvr: GVR, name: NamespacedName, conditions: list[JsonObject]
    ) -> None:
        """Count nothing."""


Explain: TypeAlias = Callable[[BaseException], Awaitable[str]]
"""Returns the text of an error, and what to do about it where that is known."""


async def as_it_is(error: BaseException) -> str:
    """Return the text of an error."""
    return str(error)


class Claims:
    """Lets one pass at a time create an object that nobody has seen yet.

    Without it, two instances that want the same new object could both find it missing, and the
    later write would take it from the earlier one. One `Claims` serves the whole process.
    """

    def __init__(self) -> None:
        self._held: dict[tuple[GVR, NamespacedName], asyncio.Event] = {}

    @asynccontextmanager
    async def hold(self, gvr: GVR, name: NamespacedName) -> AsyncIterator[None]:
        """Hold the right to create the object for the length of the block."""
        key = (gvr, name)
        while (other := self._held.get(key)) is not None:
            await other.wait()
        released = self._held[key] = asyncio.Event()
        try:
            yield
        finally:
            del self._held[key]
            released.set()


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One generated kind and everything its passes work with."""

    gvk: GVK
    mapped: Mapped
    client: Client
    informers: Informers
    coordinator: Coordinator
    discovery: Discovery
    clock: Clock
    settings: InstanceSettings
    claims: Claims
    instances: Informed
    recorder: EventRecorder | None = None
    metrics: InstanceMetrics = field(default_factory=NoMetrics)
    meter: Meter = UNMETERED
    explain: Explain = as_it_is

    @property
    def log(self) -> Logger:
        """Where passes over the kind's instances write their lines."""
        return get_logger(f"{self.mapped.gvr.resource}-controller", gvr=str(self.mapped.gvr))

    def key(self, name: NamespacedName) -> ObjectKey:
        """Return what identifies an instance of the kind in the whole process."""
        return ObjectKey(self.mapped.gvr, name)

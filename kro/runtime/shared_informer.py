"""One informer: a reflector's store, and the handlers that hear of its changes.

Handlers are called on the loop, in the same stretch in which the store changes. One that is added
to a running informer first hears of everything that is there.

Source: spec "Controller runtime" P-029, P-041…P-046, P-055…P-058.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeAlias

import msgspec

from kro.logs import get_logger
from kro.refs import GVR, JsonObject, NamespacedName
from kro.runtime.client.errors import UnencodableError
from kro.runtime.client.watch import ChangeType
from kro.runtime.client.wire import encode
from kro.runtime.clock import Clock, Timer
from kro.runtime.metric_hooks import InformerMetrics
from kro.runtime.reflector import Reflector
from kro.runtime.reflector_states import Absent, Forbidden, State, Synced, Unsynced
from kro.runtime.scope import Scope
from kro.runtime.store import Deltas, Store
from kro.runtime.stored import Stored, decoder

if TYPE_CHECKING:
    from kro.runtime.informer import Informed

_log = get_logger("dynamic-controller.watch-manager")


class InformerState(StrEnum):
    """How an informer is."""

    LOADING = "loading"
    """It has never been whole."""
    SYNCED = "synced"
    """The store is whole and a stream keeps it so."""
    STALE = "stale"
    """The store was whole; the stream is being resumed or the load repeated."""
    ABSENT = "absent"
    """The API server does not serve the resource; the store is empty."""
    FORBIDDEN = "forbidden"
    """We may not read the resource; the store holds what it held."""
    STOPPED = "stopped"
    """Nobody keeps it."""


class Event(msgspec.Struct, frozen=True, gc=False):
    """One change of one object: added without `old`, deleted without `new`."""

    gvr: GVR
    old: Stored | None
    new: Stored | None
    initial: bool = False
    """Not a change: the object was there when the load ended, or when the handler came."""
    missed: bool = False
    """Found out afterwards, so that `old` may not be the very last state."""
    writer: object | None = None
    """Who in this process made the change, when it was an own write."""
    doubted: bool = False
    """Perhaps the effect of an own write whose answer was lost: whatever it changed, look."""

    @property
    def name(self) -> NamespacedName:
        """The object's name."""
        stored = self.new if self.new is not None else self.old
        assert stored is not None
        return stored.name

    @property
    def type(self) -> ChangeType:
        """Added, modified or deleted."""
        if self.new is None:
            return ChangeType.DELETED
        return ChangeType.ADDED if self.old is None else ChangeType.MODIFIED


Handler: TypeAlias = Callable[[Event], None]
Moved: TypeAlias = Callable[[GVR, Scope, InformerState, InformerState], None]
"""Told when an informer went from one state to another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InformerStatus:
    """What an operator may want to know of one informer.

    Units: ages in seconds, None for what has not happened yet.
    """

    gvr: GVR
    scope: Scope
    state: InformerState
    problem: str
    objects: int
    owners: tuple[str, ...]
    holds: int
    byte_age_s: float | None
    event_age_s: float | None
    load_age_s: float | None
    relists: Mapping[str, int]


class Registration:
    """A handler's place at an informer; ends with `remove` or with its `with` block."""

    __slots__ = ("_shared", "handler", "on_synced")

    def __init__(
        self, shared: SharedInformer, handler: Handler, on_synced: Callable[[], None] | None
    ) -> None:
        self._shared = shared
        self.handler = handler
        self.on_synced = on_synced

    def remove(self) -> None:
        """Call the handler no more; a second time does nothing."""
        self._shared.registrations.pop(self, None)

    def __enter__(self) -> Self:
        """Return the registration."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Call the handler no more."""
        self.remove()


class SharedInformer:
    """One informer: the sink of its reflector, and what its owners share."""

    def __init__(
        self,
        gvr: GVR,
        scope: Scope,
        *,
        clock: Clock,
        metrics: InformerMetrics,
        moved: Moved | None = None,
    ) -> None:
        self.gvr, self.scope = gvr, scope
        self.store = Store()
        self.registrations: dict[Registration, None] = {}
        self.owners: dict[Informed, str] = {}
        self.reflector: Reflector | None = None
        self.task: asyncio.Task[None] | None = None
        self.linger: Timer | None = None
        self.state = InformerState.LOADING
        self.problem = ""
        self.relists: dict[str, int] = {}
        self.byte_at: float | None = None
        self.event_at: float | None = None
        self.load_at: float | None = None
        self.moved = asyncio.Event()
        """Pulsed whenever anything changes: state, store or cursor."""
        self._clock, self._metrics, self._moved = clock, metrics, moved
        self._loading_since = clock.now()
        self._decode = decoder(scope.transform)
        self._gap = True
        self._doubts: set[NamespacedName] = set()
        metrics.changed(gvr, None, self.state)

    # the reflector's sink

    def replace(self, items: list[Stored], cursor: str) -> None:
        """Hold exactly these."""
        initial = not self.store.synced
        self.load_at = self._clock.now()
        self._tell(self.store.replace(items, cursor), initial=initial)

    def change(self, kind: ChangeType, stored: Stored) -> None:
        """Take one event."""
        self.event_at = self._clock.now()
        if kind is ChangeType.DELETED:
            self._tell(self.store.remove(stored))
        else:
            self._tell(self.store.put(stored))

    def advance(self, cursor: str) -> None:
        """Take a bookmark."""
        self.store.advance(cursor)
        self._pulse()

    def clear(self) -> None:
        """Hold nothing: the resource is not served."""
        self._tell(self.store.clear())

    def relisting(self, reason: str) -> None:
        """Count a load."""
        self.relists[reason] = self.relists.get(reason, 0) + 1
        self._metrics.relisted(self.gvr, reason)

    def alive(self) -> None:
        """Note a sign of life."""
        self.byte_at = self._clock.now()

    def entered(self, state: State, *, connected: bool, problem: str) -> None:
        """Show the reflector's state, and say so when a gap has ended."""
        if self.state is InformerState.STOPPED:
            return
        before, self.problem = self.state, problem
        match state:
            case Synced():
                self.state = InformerState.SYNCED if connected else InformerState.STALE
            case Absent():
                self.state = InformerState.ABSENT
            case Forbidden():
                self.state = InformerState.FORBIDDEN
            case Unsynced():
                loaded = self.load_at is not None and before is not InformerState.ABSENT
                self.state = InformerState.STALE if loaded else InformerState.LOADING
        if before is not self.state:
            self._metrics.changed(self.gvr, before, self.state)
            if self.state is InformerState.LOADING:
                self._loading_since = self._clock.now()
            elif before is InformerState.LOADING and isinstance(state, Synced):
                took_s = self._clock.now() - self._loading_since
                self._metrics.waited(self.gvr, took_s, synced=True)
        if isinstance(state, Absent | Forbidden):
            self._gap = True
        elif isinstance(state, Synced) and self._gap:
            self._gap = False
            for registration in tuple(self.registrations):
                if registration.on_synced is not None:
                    registration.on_synced()
        if before is not self.state and self._moved is not None:
            self._moved(self.gvr, self.scope, before, self.state)
        self._pulse()

    # what owners do

    def observe(self, obj: JsonObject, writer: object | None) -> bool:
        """Take the answer of an own write; one that is nested too deep comes by its event."""
        try:
            stored = self._decode(encode(obj))
        except UnencodableError:
            return False
        if not self.scope.holds(stored):
            return False
        deltas = self.store.observe(stored)
        if deltas is None:
            return False
        self._tell(deltas, writer=writer)
        return True

    def forget(self, name: NamespacedName, uid: str, writer: object | None) -> None:
        """Take out what the server says is gone."""
        self._tell(self.store.forget(name, uid), writer=writer)

    def doubt(self, name: NamespacedName) -> None:
        """Mark the next event of an object as doubted."""
        self._doubts.add(name)

    def add_handler(self, handler: Handler, on_synced: Callable[[], None] | None) -> Registration:
        """Replay what is there to the handler, and call it from now on."""
        registration = Registration(self, handler, on_synced)
        if self.store.synced:
            for stored in self.store.select():
                self._call(registration, Event(self.gvr, None, stored, initial=True))
        self.registrations[registration] = None
        return registration

    def stopped(self) -> None:
        """Be over."""
        self._metrics.changed(self.gvr, self.state, None)
        self.state = InformerState.STOPPED
        self.registrations.clear()
        self._pulse()

    def status(self) -> InformerStatus:
        """Return what an operator may want to know."""
        now = self._clock.now()

        def age(at: float | None) -> float | None:
            return None if at is None else now - at

        return InformerStatus(
            gvr=self.gvr,
            scope=self.scope,
            state=self.state,
            problem=self.problem,
            objects=len(self.store),
            owners=tuple(sorted(set(self.owners.values()))),
            holds=len(self.owners),
            byte_age_s=age(self.byte_at),
            event_age_s=age(self.event_at),
            load_age_s=age(self.load_at),
            relists=dict(self.relists),
        )

    def _tell(self, deltas: Deltas, *, initial: bool = False, writer: object | None = None) -> None:
        for old, new, missed in deltas:
            event = Event(self.gvr, old, new, initial and old is None, missed, writer)
            if writer is None and event.name in self._doubts:
                self._doubts.discard(event.name)
                event = msgspec.structs.replace(event, doubted=True)
            for registration in tuple(self.registrations):
                self._call(registration, event)
        self._pulse()

    def _call(self, registration: Registration, event: Event) -> None:
        try:
            registration.handler(event)
        except Exception:  # noqa: BLE001 - isolates handlers from each other
            # One handler's bug must not cost the others their events, nor the store its stream.
            self._metrics.handler_failed(self.gvr)
            _log.exception("handler failed", gvr=str(self.gvr), object=str(event.name))

    def _pulse(self) -> None:
        self.moved.set()
        self.moved = asyncio.Event()

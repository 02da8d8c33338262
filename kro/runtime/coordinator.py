"""Which instance hears of which object.

Two ways. *Routes* derive the instance from the object itself, by its labels: they need no
declaration and hold for objects that nobody has ever read. *Declarations* are made during a pass,
by name or selector, for everything else; they are effective at once, and at the end of the pass
they are committed or rolled back:

- commit: what was declared is what counts; what was not declared again is heard of no more;
- commit after `keep`: what was declared counts, and what was not stays as it was;
- abort: exactly the committed set stays. A listener that has never committed keeps what its failed
  passes declared, so that the repair of what broke them wakes it.

A hold on an informer exists exactly while an entry needs it, since both live in one `_Watch`.

Source: spec "Controller runtime" 1.9, P-055, P-069…P-080.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple, TypeAlias

from kro.refs import GVR, NamespacedName
from kro.runtime.clock import Clock, sleep
from kro.runtime.informer import Informed, Informers
from kro.runtime.keys import ObjectKey
from kro.runtime.metric_hooks import CoordinatorMetrics, NullCoordinatorMetrics
from kro.runtime.routing import ByName, BySelector, RoutingTable
from kro.runtime.scope import Scope
from kro.runtime.selector import LabelSelector
from kro.runtime.shared_informer import Event, InformerState, Registration
from kro.runtime.stored import Stored
from kro.runtime.workqueue import Priority

Enqueue: TypeAlias = Callable[[ObjectKey, Priority], None]

NARROW_LIMIT: Final = 16
"""So many single objects or selections of one resource get a watch of their own, then it is all."""
DEGRADED_AFTER_S: Final = 30.0
RECHECK_S: Final = 60.0
SLICE: Final = 1000


class Degraded(NamedTuple):
    """A watch that does not work, so that events of it do not come."""

    gvr: GVR
    state: InformerState
    problem: str
    since_s: float


class _Target(NamedTuple):
    """What one node wants to hear of."""

    gvr: GVR
    scope: Scope
    where: ByName | BySelector


_Targets: TypeAlias = dict[str, _Target]


class _Watch:
    """One resource and scope that somebody listens to."""

    __slots__ = ("informed", "recheck_at", "registration", "table", "unsynced_at")

    def __init__(self, informed: Informed, now: float) -> None:
        self.informed = informed
        self.table: RoutingTable[ObjectKey] = RoutingTable()
        self.registration: Registration | None = None
        self.unsynced_at: float | None = now
        self.recheck_at = 0.0


class _Listener:
    """What one instance listens to: committed, and declared in the pass that runs."""

    __slots__ = ("alive", "committed", "has_committed", "pending")

    def __init__(self) -> None:
        self.committed: _Targets = {}
        self.pending: _Targets = {}
        self.has_committed = False
        self.alive = True


class Cycle:
    """The declarations of one pass. Each is effective before the call returns.

    The holds that come back belong to the coordinator: read them, never release them.
    """

    def __init__(self, coordinator: Coordinator, key: ObjectKey) -> None:
        self._coordinator = coordinator
        self._key = key
        self._listener: _Listener | None = None
        self._keep = False
        self._loose: list[Informed] = []

    def watch_object(
        self, node: str, gvr: GVR, name: NamespacedName, *, scope: Scope | None = None
    ) -> Informed:
        """Hear of one object, through an informer of `scope` or through one of its own."""
        if scope is None:
            scope = self._coordinator._narrow(gvr, Scope.one(name))
        return self._declare(node, _Target(gvr, scope, ByName(name)))

    def watch_selector(
        self,
        node: str,
        gvr: GVR,
        selector: str,
        *,
        namespace: str = "",
        scope: Scope | None = None,
    ) -> Informed:
        """Hear of all objects that the selector matches, in one namespace or in all.

        Raises:
            SelectorError: the text is no label selector.
        """
        parsed = LabelSelector.parse(selector)
        if scope is None:
            wanted = Scope(namespace=namespace, selector=str(parsed))
            scope = self._coordinator._narrow(gvr, wanted)
        return self._declare(node, _Target(gvr, scope, BySelector(namespace, parsed)))

    def keep(self) -> None:
        """Let the commit leave what this pass does not declare as it was."""
        self._keep = True

    def _declare(self, node: str, target: _Target) -> Informed:
        if self._listener is None:
            self._listener = self._coordinator._listener(self._key)
        listener = self._listener
        if not listener.alive:
            hold = self._coordinator._informers.watch(target.gvr, target.scope)
            self._loose.append(hold)
            return hold
        before = listener.pending.get(node)
        if before != target:
            self._coordinator._add(target, self._key)
            listener.pending[node] = target
            if before is not None:
                self._coordinator._drop(before, self._key)
        return self._coordinator._watches[target.gvr, target.scope].informed

    def _end(self, *, commit: bool) -> None:
        for hold in self._loose:
            hold.release()
        if self._listener is None and commit:
            self._listener = self._coordinator._known(self._key)
        listener = self._listener
        if listener is None or not listener.alive:
            return
        pending, listener.pending = listener.pending, {}
        before = listener.committed
        if commit:
            listener.committed = before | pending if self._keep else pending
            listener.has_committed = True
        elif not listener.has_committed:
            listener.committed = before | pending
        # Every target is counted once for each set it stands in; now there is one set again.
        kept = listener.committed
        for node, target in before.items():
            if kept.get(node) is not target:
                self._coordinator._drop(target, self._key)
        for node, target in pending.items():
            if kept.get(node) is not target:
                self._coordinator._drop(target, self._key)
        if not kept:
            self._coordinator.forget(self._key)


class Route:
    """A label-derived route; ends with `remove`."""

    def __init__(self, registration: Registration) -> None:
        self._registration = registration

    def remove(self) -> None:
        """Wake nobody by it any more; a second time does nothing."""
        self._registration.remove()


class Coordinator:
    """Brings the events of objects to the queues of the instances that depend on them.

    Concurrency: one event loop; everything but `run` is atomic.
    """

    def __init__(
        self,
        *,
        informers: Informers,
        enqueue: Enqueue,
        clock: Clock,
        metrics: CoordinatorMetrics | None = None,
        seed: random.Random | None = None,
    ) -> None:
        self._informers, self._enqueue, self._clock = informers, enqueue, clock
        self._metrics: CoordinatorMetrics = metrics or NullCoordinatorMetrics()
        self._random = seed or random.Random()
        self._watches: dict[tuple[GVR, Scope], _Watch] = {}
        self._narrowed: dict[GVR, int] = {}
        self._entries: dict[GVR, tuple[int, int]] = {}
        self._listeners: dict[GVR, dict[NamespacedName, _Listener]] = {}

    @contextmanager
    def cycle(self, key: ObjectKey) -> Iterator[Cycle]:
        """Collect the declarations of one pass: a normal end commits them, an exception aborts."""
        cycle = Cycle(self, key)
        try:
            yield cycle
        except BaseException:
            cycle._end(commit=False)
            raise
        cycle._end(commit=True)

    def route(self, informed: Informed, keys: Callable[[Stored], Iterable[ObjectKey]]) -> Route:
        """Let every event of an informer wake the instances that the object names by its labels.

        Those that it named before the change are woken too. What is there at the start wakes at
        the lowest priority: a pass may have read an older state.
        """

        def handle(event: Event) -> None:
            found: dict[ObjectKey, None] = {}
            for stored in (event.old, event.new):
                if stored is not None:
                    found |= dict.fromkeys(keys(stored))
            self._wake(event, found, Priority.SWEEP if event.initial else Priority.EVENT)

        return Route(informed.add_handler(handle))

    def forget(self, key: ObjectKey) -> None:
        """Drop everything that an instance listens to; a cycle that runs can declare no more."""
        listeners = self._listeners.get(key.gvr, {})
        listener = listeners.pop(key.name, None)
        if listener is None:
            return
        listener.alive = False
        for targets in (listener.committed, listener.pending):
            for target in targets.values():
                self._drop(target, key)
        if not listeners:
            del self._listeners[key.gvr]
        self._metrics.listeners(key.gvr, len(listeners))

    def forget_kind(self, gvr: GVR) -> None:
        """Drop everything that the instances of a kind listen to."""
        for name in list(self._listeners.get(gvr, ())):
            self.forget(ObjectKey(gvr, name))

    def degraded(self, key: ObjectKey) -> list[Degraded]:
        """Return which of an instance's watches do not work, for however long."""
        listener = self._known(key)
        if listener is None:
            return []
        now = self._clock.now()
        found: dict[tuple[GVR, Scope], Degraded] = {}
        for target in (listener.committed | listener.pending).values():
            watch = self._watches[target.gvr, target.scope]
            if not _works(watch.informed):
                since = now if watch.unsynced_at is None else watch.unsynced_at
                found[target.gvr, target.scope] = Degraded(
                    target.gvr, watch.informed.state, watch.informed.problem, now - since
                )
        return list(found.values())

    async def run(self) -> None:
        """Look again and again at instances whose watches do not work, until cancelled."""
        while True:
            await sleep(self._clock, DEGRADED_AFTER_S / 3)
            now = self._clock.now()
            for watch in list(self._watches.values()):
                self._recheck(watch, now)

    # what cycles do

    def _narrow(self, gvr: GVR, wanted: Scope) -> Scope:
        """Return the wanted scope, or the whole resource where too many slices are watched."""
        if (gvr, wanted) in self._watches or self._narrowed.get(gvr, 0) < NARROW_LIMIT:
            return wanted
        return Scope(transform=wanted.transform)

    def _known(self, key: ObjectKey) -> _Listener | None:
        return self._listeners.get(key.gvr, {}).get(key.name)

    def _listener(self, key: ObjectKey) -> _Listener:
        known = self._known(key)
        if known is None:
            known = _Listener()
            listeners = self._listeners.setdefault(key.gvr, {})
            listeners[key.name] = known
            self._metrics.listeners(key.gvr, len(listeners))
        return known

    def _add(self, target: _Target, key: ObjectKey) -> None:
        place = (target.gvr, target.scope)
        watch = self._watches.get(place)
        if watch is None:
            informed = self._informers.watch(*place, owner="coordinator")
            watch = _Watch(informed, self._clock.now())
            self._watches[place] = watch
            if _is_narrow(target):
                self._narrowed[target.gvr] = self._narrowed.get(target.gvr, 0) + 1
            watch.registration = informed.add_handler(
                lambda event: self._event(watch, event), on_synced=lambda: self._gap_ended(watch)
            )
        watch.table.add(target.where, key)
        self._count(target, +1)

    def _drop(self, target: _Target, key: ObjectKey) -> None:
        place = (target.gvr, target.scope)
        watch = self._watches[place]
        watch.table.drop(target.where, key)
        if not watch.table:
            del self._watches[place]
            if watch.registration is not None:
                watch.registration.remove()
            watch.informed.release()
            if _is_narrow(target):
                self._narrowed[target.gvr] -= 1
                if not self._narrowed[target.gvr]:
                    del self._narrowed[target.gvr]
        self._count(target, -1)

    def _count(self, target: _Target, change: int) -> None:
        scalars, collections = self._entries.get(target.gvr, (0, 0))
        match target.where:
            case ByName():
                scalars += change
            case BySelector():
                collections += change
        self._entries[target.gvr] = (scalars, collections)
        if not scalars and not collections:
            del self._entries[target.gvr]
        self._metrics.entries(target.gvr, scalars, collections)

    # what events do

    def _event(self, watch: _Watch, event: Event) -> None:
        if not event.initial:
            self._wake(event, watch.table.route(event.old, event.new), Priority.EVENT)

    def _wake(self, event: Event, keys: dict[ObjectKey, None], priority: Priority) -> None:
        self._metrics.routed(event.gvr, matched=bool(keys))
        if event.writer is not None:
            keys = {key: None for key in keys if key != event.writer}
        self._enqueue_all(list(keys), priority)

    def _enqueue_all(self, keys: list[ObjectKey], priority: Priority) -> None:
        """Enqueue in slices: between them the loop gets its turn."""
        for key in keys[:SLICE]:
            self._enqueue(key, priority)
        if len(keys) > SLICE:
            asyncio.get_running_loop().call_soon(self._enqueue_all, keys[SLICE:], priority)

    def _gap_ended(self, watch: _Watch) -> None:
        watch.unsynced_at = None
        self._enqueue_all(list(watch.table.listeners()), Priority.RETRY)

    def _recheck(self, watch: _Watch, now: float) -> None:
        if _works(watch.informed):
            watch.unsynced_at = None
            return
        if watch.unsynced_at is None:
            watch.unsynced_at = now
        if now - watch.unsynced_at >= DEGRADED_AFTER_S and now >= watch.recheck_at:
            watch.recheck_at = now + RECHECK_S * self._random.uniform(0.8, 1.2)
            self._enqueue_all(list(watch.table.listeners()), Priority.RETRY)


def _works(informed: Informed) -> bool:
    return informed.state in (InformerState.SYNCED, InformerState.STALE)


def _is_narrow(target: _Target) -> bool:
    """Tell whether the scope was cut for this target, and is not one that many share."""
    match target.where:
        case ByName(name):
            return target.scope == Scope.one(name, transform=target.scope.transform)
        case BySelector(namespace, selector):
            return (target.scope.namespace, target.scope.selector) == (namespace, str(selector))

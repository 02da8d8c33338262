"""Kubernetes Events: what people read in `kubectl describe`.

Telling never waits and never fails a pass: events stand in a bounded line, one task writes them,
and what does not fit is dropped and counted. The same event again within ten minutes is not a new
object: its count goes up.

Source: spec "API surface and operations" §6: core/v1 Events, for which the chart grants `create`
and `patch`; events of cluster-scoped objects live in `default`.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from kro.errors import ClusterError
from kro.logs import get_logger
from kro.refs import GVR, JsonObject, NamespacedName
from kro.runtime.client import Client, NotFoundError, PatchKind
from kro.runtime.clock import Clock, rfc3339
from kro.runtime.workqueue import WorkQueue

EVENTS: Final = GVR("", "v1", "events")
LINE_LIMIT: Final = 1000
REMEMBERED: Final = 4096
SAME_WITHIN_S: Final = 600.0
NOTE_BYTES: Final = 1024
"""The API server refuses longer messages."""

_log = get_logger("events")


class EventRecorder(Protocol):
    """Where events are told."""

    def event(self, regarding: JsonObject, *, type: str, reason: str, note: str) -> None:
        """Tell an event about an object, of type `Normal` or `Warning`; returns at once."""
        ...


class _Key(NamedTuple):
    """What makes two events the same."""

    component: str
    uid: str
    name: str
    type: str
    reason: str
    note: str


@dataclass(slots=True)
class _Told:
    """An event that stands in line or has been written."""

    key: _Key
    regarding: JsonObject
    first: str
    last: str
    last_at: float
    count: int = 1
    written: NamespacedName | None = None


class Recorder:
    """Writes events about objects; `component` gives the voice in which they are told.

    Guarantees: telling never waits, raises or grows without bound. Events are best effort: one that
    the API server does not take is dropped.

    Concurrency: one event loop.
    """

    def __init__(self, client: Client, *, clock: Clock) -> None:
        self._client, self._clock = client, clock
        self._told: OrderedDict[_Key, _Told] = OrderedDict()
        self._line: WorkQueue[_Key] = WorkQueue(clock=clock)
        self.dropped = 0
        """How many events did not fit into the line or were not taken."""

    def component(self, name: str) -> EventRecorder:
        """Return the recorder of one component: `kro/widgets.example.com-controller`."""
        return _Component(self, name)

    def _tell(
        self, component: str, regarding: JsonObject, *, type: str, reason: str, note: str
    ) -> None:
        if self._line.depth >= LINE_LIMIT:
            self.dropped += 1
            return
        reference = reference_to(regarding)
        note = note.encode()[:NOTE_BYTES].decode(errors="ignore")
        uid, name = str(reference.get("uid", "")), str(reference.get("name", ""))
        key = _Key(component, uid, name, type, reason, note)
        now, stamp = self._clock.now(), rfc3339(self._clock.wall())
        told = self._told.get(key)
        if told is not None and now - told.last_at <= SAME_WITHIN_S:
            told.count += 1
            told.last, told.last_at = stamp, now
        else:
            self._told[key] = _Told(key, reference, stamp, stamp, now)
        self._told.move_to_end(key)
        self._line.add(key)
        while len(self._told) > REMEMBERED:
            self._told.popitem(last=False)

    async def run(self) -> None:
        """Write what is told until cancelled."""
        while True:
            async with self._line.lease() as key:
                told = self._told.get(key)
                if told is None:
                    continue
                try:
                    await self._write(told)
                except ClusterError as error:
                    self.dropped += 1
                    _log.debug("event not written", reason=key.reason, error=str(error))

    async def _write(self, told: _Told) -> None:
        if told.written is not None:
            again: JsonObject = {"count": told.count, "lastTimestamp": told.last}
            try:
                await self._client.patch(EVENTS, told.written, again, kind=PatchKind.MERGE)
            except NotFoundError:
                told.written = None  # the API server forgets events after an hour
            else:
                return
        name = event_name(told.regarding)
        body = event_manifest(
            name,
            told.regarding,
            component=told.key.component,
            type=told.key.type,
            reason=told.key.reason,
            note=told.key.note,
            first=told.first,
            last=told.last,
            count=told.count,
        )
        await self._client.create(EVENTS, body, namespace=name.namespace)
        told.written = name


class _Component:
    def __init__(self, recorder: Recorder, name: str) -> None:
        self._recorder, self._name = recorder, name

    def event(self, regarding: JsonObject, *, type: str, reason: str, note: str) -> None:
        self._recorder._tell(self._name, regarding, type=type, reason=reason, note=note)


def event_name(reference: JsonObject) -> NamespacedName:
    """Return a new name for an event about the object."""
    about = str(reference.get("name", ""))[:230]
    namespace = str(reference.get("namespace") or "default")
    return NamespacedName(namespace, f"{about}.{secrets.token_hex(8)}")


def event_manifest(
    name: NamespacedName,
    reference: JsonObject,
    *,
    component: str,
    type: str,
    reason: str,
    note: str,
    first: str,
    last: str,
    count: int = 1,
) -> JsonObject:
    """Return a core/v1 Event; `first` and `last` are instants in RFC 3339."""
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name.name, "namespace": name.namespace},
        "involvedObject": reference,
        "type": type,
        "reason": reason,
        "message": note,
        "source": {"component": component},
        "reportingComponent": component,
        "reportingInstance": "",
        "firstTimestamp": first,
        "lastTimestamp": last,
        "count": count,
    }


def reference_to(regarding: JsonObject) -> JsonObject:
    """Return how an event points to an object."""
    metadata = regarding.get("metadata")
    fields = metadata if isinstance(metadata, dict) else {}
    reference: JsonObject = {
        "apiVersion": regarding.get("apiVersion", ""),
        "kind": regarding.get("kind", ""),
    }
    for field in ("name", "namespace", "uid", "resourceVersion"):
        reference[field] = fields.get(field, "")
    return {field: value for field, value in reference.items() if value}

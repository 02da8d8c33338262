"""An API server for schedules that no real one can be brought to: held, cut, compacted, restored.

It speaks the side of `kro.runtime.reflector.Source`; `test/contract` holds it to what a real one
does.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Self, TypeAlias

import orjson

from kro.errors import ClusterError
from kro.refs import GVR, JsonObject, NamespacedName
from kro.runtime.client import (
    Bookmark,
    Change,
    ChangeType,
    ConnectionLostError,
    ExpiredError,
    NotServedError,
    Page,
    ResourceVersionTooLargeError,
    Status,
    StatusError,
)
from kro.runtime.selector import LabelSelector
from kro.runtime.stored import Stored

CONFIGMAPS = GVR("", "v1", "configmaps")
WIDGETS = GVR("example.com", "v1", "widgets")

Objects: TypeAlias = dict[GVR, dict[NamespacedName, tuple[bytes, dict[str, str]]]]

Fault: TypeAlias = Callable[[str, GVR], ClusterError | None]
"""Told the verb (`list`, `watch`) and the resource: the error to answer with, or None."""


def answer(kind: type[StatusError], code: int, message: str = "") -> StatusError:
    """Return an error as the client raises it for an answer of the server."""
    return kind(code, Status(code=code, message=message or kind.__name__))


def no_fault(verb: str, gvr: GVR) -> ClusterError | None:
    """Answer everything."""
    return None


class _Write:
    __slots__ = ("before", "gvr", "labels", "name", "text", "version")

    def __init__(
        self,
        gvr: GVR,
        name: NamespacedName,
        version: int,
        text: bytes | None,
        labels: dict[str, str],
        before: tuple[bytes, dict[str, str]] | None,
    ) -> None:
        self.gvr, self.name, self.version = gvr, name, version
        self.text, self.labels, self.before = text, labels, before


class FakeStream:
    """One open watch; `cut` breaks it, `close` ends it."""

    def __init__(
        self,
        gvr: GVR,
        selects: Callable[[NamespacedName, dict[str, str]], bool],
        decode: Callable[[bytes], Stored],
        *,
        after: int,
    ) -> None:
        self.gvr = gvr
        self._after = after
        self.silence_s: float | None = None
        self.bookmarks = 0
        self.events = 0
        self.held = False
        """While held, nothing that is written arrives."""
        self._selects, self._decode = selects, decode
        self._pending: list[Change[Stored] | Bookmark] = []
        self._arrived = asyncio.Event()
        self._end: ClusterError | None = None
        self._ended = False

    def send(self, event: Change[Stored] | Bookmark) -> None:
        if isinstance(event, Bookmark):
            self.bookmarks += 1
        else:
            self.events += 1
        self._pending.append(event)
        if not self.held:
            self._arrived.set()

    def write(self, write: _Write) -> None:
        """Send what a write means to this watch, if anything."""
        if write.version <= self._after:
            return
        was = write.before is not None and self._selects(write.name, write.before[1])
        is_now = write.text is not None and self._selects(write.name, write.labels)
        if is_now and write.text is not None:
            kind = ChangeType.MODIFIED if was else ChangeType.ADDED
            self.send(Change(kind, self._decode(write.text)))
        elif was and write.before is not None:
            # The object's last state, under the version of the write that took it away.
            last = orjson.loads(write.text or write.before[0])
            last["metadata"]["resourceVersion"] = str(write.version)
            self.send(Change(ChangeType.DELETED, self._decode(orjson.dumps(last))))

    def mark(self, version: int) -> None:
        """Send a bookmark."""
        if version > self._after:
            self.send(Bookmark(str(version), False))

    def release(self) -> None:
        """Let what is held arrive."""
        self.held = False
        self._arrived.set()

    def close(self) -> None:
        self._ended = True
        self._arrived.set()

    def cut(self, error: ClusterError | None = None) -> None:
        self._end = error or ConnectionLostError("cut by the test")
        self._ended = True
        self._arrived.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> list[Change[Stored] | Bookmark]:
        while True:
            if self._pending and not self.held:
                events, self._pending = self._pending, []
                return events
            if self._ended:
                if self._end is not None:
                    raise self._end
                raise StopAsyncIteration
            self._arrived.clear()
            await self._arrived.wait()


class FakeApiServer:
    """Objects, their history since the last compaction, and the watches that are open."""

    def __init__(self, *, streams_lists: bool = True) -> None:
        self.version = 100
        self.objects: Objects = {}
        self.streams: list[FakeStream] = []
        self.fault: Fault = no_fault
        self.unserved: set[GVR] = set()
        self.streams_lists = streams_lists
        self.calls: list[str] = []
        self.timeouts: list[int] = []
        self.hold_new_streams = False
        self._history: list[_Write] = []
        self._oldest = 100
        self._uids = 0

    # what the test does

    def put(
        self,
        name: str,
        *,
        gvr: GVR = CONFIGMAPS,
        labels: dict[str, str] | None = None,
        namespace: str = "default",
        **fields: object,
    ) -> JsonObject:
        """Create the object, or update it when it is there."""
        key = NamespacedName(namespace, name)
        objects = self.objects.setdefault(gvr, {})
        before = objects.get(key)
        self.version += 1
        if before is None:
            self._uids += 1
            uid = f"uid-{self._uids}"
        else:
            uid = orjson.loads(before[0])["metadata"]["uid"]
        obj: JsonObject = {
            "apiVersion": gvr.api_version,
            "kind": "Thing",
            "metadata": {
                "name": name,
                "namespace": namespace,
                "uid": uid,
                "resourceVersion": str(self.version),
                "labels": dict(labels or {}),
            },
            **fields,  # type: ignore[dict-item]  # JSON of the test's own
        }
        text = orjson.dumps(obj)
        objects[key] = (text, dict(labels or {}))
        self._write(_Write(gvr, key, self.version, text, dict(labels or {}), before))
        return obj

    def delete(self, name: str, *, gvr: GVR = CONFIGMAPS, namespace: str = "default") -> None:
        key = NamespacedName(namespace, name)
        before = self.objects[gvr].pop(key)
        self.version += 1
        self._write(_Write(gvr, key, self.version, None, {}, before))

    def bookmark(self) -> None:
        """Tell every watch how far it is."""
        for stream in self.streams:
            stream.mark(self.version)

    def compact(self) -> None:
        """Forget the history: cursors from before cannot be resumed."""
        self.version += 1
        self._history.clear()
        self._oldest = self.version

    def snapshot(self) -> tuple[int, Objects]:
        """Return what `restore` takes."""
        return self.version, {gvr: dict(things) for gvr, things in self.objects.items()}

    def restore(self, version: int, objects: Objects) -> None:
        """Be what the server was at an earlier version; every stream ends."""
        self.version = version
        self.objects = {gvr: dict(things) for gvr, things in objects.items()}
        self._history.clear()
        self._oldest = version
        for stream in list(self.streams):
            stream.cut()

    def names(self, gvr: GVR = CONFIGMAPS, selector: str = "") -> dict[NamespacedName, str]:
        """Return the names and versions of what is there."""
        parsed = LabelSelector.parse(selector)
        return {
            name: orjson.loads(text)["metadata"]["resourceVersion"]
            for name, (text, labels) in self.objects.get(gvr, {}).items()
            if parsed.matches(labels)
        }

    # what a reflector asks

    async def pages(
        self,
        gvr: GVR,
        *,
        limit: int,
        namespace: str,
        label_selector: str,
        field_selector: str,
        resource_version: str,
        resource_version_match: str,
        retry: bool,
        decode: Callable[[bytes], Stored],
    ) -> AsyncIterator[Page[Stored]]:
        self._ask("probe" if limit == 1 else "list", gvr)
        await asyncio.sleep(0)
        self._check_known(resource_version)
        selects = _selection(namespace, label_selector, field_selector)
        found = [
            text
            for name, (text, labels) in sorted(self.objects.get(gvr, {}).items())
            if selects(name, labels)
        ]
        version, oldest = str(self.version), self._oldest
        for start in range(0, max(len(found), 1), limit):
            if start and oldest != self._oldest:
                raise answer(ExpiredError, 410)
            yield Page([decode(text) for text in found[start : start + limit]], version)
            await asyncio.sleep(0)

    @asynccontextmanager
    async def watch(
        self,
        gvr: GVR,
        *,
        namespace: str,
        label_selector: str,
        field_selector: str,
        resource_version: str,
        timeout_s: int,
        send_initial_events: bool,
        silence_s: float | None,
        decode: Callable[[bytes], Stored],
    ) -> AsyncIterator[FakeStream]:
        self.timeouts.append(timeout_s)
        self._ask("stream" if send_initial_events else "watch", gvr)
        await asyncio.sleep(0)
        if send_initial_events:
            self._check_known(resource_version)
        selects = _selection(namespace, label_selector, field_selector)
        # A watch from the future is accepted; what is not newer does not concern it.
        stream = FakeStream(gvr, selects, decode, after=int(resource_version or "0"))
        stream.silence_s = silence_s
        stream.held = self.hold_new_streams
        if send_initial_events:
            for name, (text, labels) in sorted(self.objects.get(gvr, {}).items()):
                if selects(name, labels):
                    stream.send(Change(ChangeType.ADDED, decode(text)))
            if self.streams_lists:
                stream.send(Bookmark(str(self.version), True))
        else:
            if int(resource_version) < self._oldest:
                raise answer(ExpiredError, 410)
            for write in self._history:
                if write.gvr == gvr and write.version > int(resource_version):
                    stream.write(write)
        self.streams.append(stream)
        try:
            yield stream
        finally:
            self.streams.remove(stream)

    # how it works

    def _write(self, write: _Write) -> None:
        self._history.append(write)
        for stream in self.streams:
            if stream.gvr == write.gvr:
                stream.write(write)

    def _ask(self, verb: str, gvr: GVR) -> None:
        self.calls.append(verb)
        if gvr in self.unserved:
            raise answer(NotServedError, 404, "404 page not found")
        fault = self.fault(verb, gvr)
        if fault is not None:
            raise fault

    def _check_known(self, resource_version: str) -> None:
        if resource_version and int(resource_version) > self.version:
            raise answer(ResourceVersionTooLargeError, 504)


def _selection(
    namespace: str, label_selector: str, field_selector: str
) -> Callable[[NamespacedName, dict[str, str]], bool]:
    parsed = LabelSelector.parse(label_selector)
    single = field_selector.removeprefix("metadata.name=")

    def selects(name: NamespacedName, labels: dict[str, str]) -> bool:
        return (
            (not namespace or name.namespace == namespace)
            and (not single or name.name == single)
            and parsed.matches(labels)
        )

    return selects

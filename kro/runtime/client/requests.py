"""Requests on objects: what a controller asks of the API server.

Objects are addressed by GVR and namespaced name; they come back as dicts or as whatever the
caller's decoder makes of their JSON text.

Source: spec "Controller runtime" P-031 to P-040, P-103, P-107 to P-123; "API surface and
operations" §4.9 for the methods that kro writes with.
"""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from enum import StrEnum
from typing import Any, Generic, TypeVar, overload
from urllib.parse import quote, urlencode

import msgspec

from kro.refs import GVR, JsonObject, NamespacedName
from kro.runtime.client.errors import BadRequestError, GoneError, Status
from kro.runtime.client.retry import Replay
from kro.runtime.client.transport import OpenGate, Request, Transport, WriteGate
from kro.runtime.client.watch import WatchStream
from kro.runtime.client.wire import (
    LIST_DECODER,
    TYPE_META_DECODER,
    Decoder,
    RawList,
    decode,
    decode_object,
    encode,
)

T = TypeVar("T")

PAGE_SIZE = 500
_SLICE_BYTES = 128 * 1024
"""How much of a page is decoded before other tasks get a turn: about a millisecond."""
_OVERDUE_S = 30.0

_METADATA_ACCEPT = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
_METADATA_LIST_ACCEPT = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"


class PatchKind(StrEnum):
    """How a patch is written, by its content type."""

    MERGE = "application/merge-patch+json"
    JSON = "application/json-patch+json"
    STRATEGIC = "application/strategic-merge-patch+json"


class Propagation(StrEnum):
    """What becomes of the objects that the deleted one owns."""

    BACKGROUND = "Background"
    FOREGROUND = "Foreground"
    ORPHAN = "Orphan"


class Page(msgspec.Struct, Generic[T], frozen=True):
    """One answer to a list: its items and how to go on."""

    items: list[T]
    resource_version: str
    """The cursor of the collection, from which a watch continues."""
    continue_token: str = ""
    """Where the next page starts; empty on the last."""
    remaining: int | None = None
    """How many items follow, if the server says so."""


class Client:
    """Requests to one API server under one identity.

    Guarantees: every call ends within its limits; an error says by class what happened and by
    `ambiguous` whether a write may have taken effect; a name never leaves its place in the URL.
    Assumes: one event loop. Leaves to the caller: conflicts, and everything that needs a pass.

    Concurrency: any number of calls at once; each may be cancelled.
    """

    def __init__(self, transport: Transport, *, gate: WriteGate | None = None) -> None:
        self._transport = transport
        self._gate: WriteGate = gate if gate is not None else OpenGate()

    @overload
    async def get(
        self,
        gvr: GVR,
        name: NamespacedName,
        *,
        subresource: str = "",
        resource_version: str = "",
        metadata_only: bool = False,
        decode: None = None,
    ) -> JsonObject: ...

    @overload
    async def get(
        self,
        gvr: GVR,
        name: NamespacedName,
        *,
        subresource: str = "",
        resource_version: str = "",
        metadata_only: bool = False,
        decode: Decoder[T],
    ) -> T: ...

    async def get(
        self,
        gvr: GVR,
        name: NamespacedName,
        *,
        subresource: str = "",
        resource_version: str = "",
        metadata_only: bool = False,
        decode: Decoder[Any] | None = None,
    ) -> Any:
        """Return the object as it is now, or not older than `resource_version`.

        Raises:
            NotFoundError: there is none.
        """
        query = {"resourceVersion": resource_version} if resource_version else None
        body = await self._transport.call(
            Request(
                verb="get",
                method="GET",
                gvr=gvr,
                target=_target(gvr, name.namespace, name.name, subresource, query),
                accept=_METADATA_ACCEPT if metadata_only else "application/json",
            )
        )
        return _object(decode, body)

    @overload
    async def list(
        self,
        gvr: GVR,
        *,
        namespace: str = "",
        label_selector: str = "",
        field_selector: str = "",
        resource_version: str = "",
        resource_version_match: str = "",
        limit: int = 0,
        continue_token: str = "",
        metadata_only: bool = False,
        retry: bool = True,
        decode: None = None,
    ) -> Page[JsonObject]: ...

    @overload
    async def list(
        self,
        gvr: GVR,
        *,
        namespace: str = "",
        label_selector: str = "",
        field_selector: str = "",
        resource_version: str = "",
        resource_version_match: str = "",
        limit: int = 0,
        continue_token: str = "",
        metadata_only: bool = False,
        retry: bool = True,
        decode: Decoder[T],
    ) -> Page[T]: ...

    async def list(
        self,
        gvr: GVR,
        *,
        namespace: str = "",
        label_selector: str = "",
        field_selector: str = "",
        resource_version: str = "",
        resource_version_match: str = "",
        limit: int = 0,
        continue_token: str = "",
        metadata_only: bool = False,
        retry: bool = True,
        decode: Decoder[Any] | None = None,
    ) -> Page[Any]:
        """Return the objects of a kind, in one namespace or (empty) in all, or a page of them.

        Raises:
            GoneError: the continue token, or the resource version, is out of the history.
            ResourceVersionTooLargeError: the server has not seen the resource version.
        """
        query = {
            "labelSelector": label_selector,
            "fieldSelector": field_selector,
            "resourceVersion": resource_version,
            "resourceVersionMatch": resource_version_match,
            "limit": str(limit) if limit else "",
            "continue": continue_token,
        }
        body = await self._transport.call(
            Request(
                verb="list",
                method="GET",
                gvr=gvr,
                target=_target(gvr, namespace, None, "", query),
                accept=_METADATA_LIST_ACCEPT if metadata_only else "application/json",
                replay=Replay.SAFE if retry else Replay.ONCE,
                starts_kind=True,
            )
        )
        return await _page(body, decode if decode is not None else decode_object)

    @overload
    def pages(
        self,
        gvr: GVR,
        *,
        limit: int = PAGE_SIZE,
        namespace: str = "",
        label_selector: str = "",
        field_selector: str = "",
        resource_version: str = "",
        resource_version_match: str = "",
        metadata_only: bool = False,
        retry: bool = True,
        decode: None = None,
    ) -> AsyncIterator[Page[JsonObject]]: ...

    @overload
    def pages(
        self,
        gvr: GVR,
        *,
        limit: int = PAGE_SIZE,
        namespace: str = "",
        label_selector: str = "",
        field_selector: str = "",
        resource_version: str = "",
        resource_version_match: str = "",
        metadata_only: bool = False,
        retry: bool = True,
        decode: Decoder[T],
    ) -> AsyncIterator[Page[T]]: ...

    async def pages(
        self,
        gvr: GVR,
        *,
        limit: int = PAGE_SIZE,
        namespace: str = "",
        label_selector: str = "",
        field_selector: str = "",
        resource_version: str = "",
        resource_version_match: str = "",
        metadata_only: bool = False,
        retry: bool = True,
        decode: Decoder[Any] | None = None,
    ) -> AsyncIterator[Page[Any]]:
        """Yield the objects of a kind page by page, all of one snapshot.

        Raises:
            GoneError: the snapshot expired between two pages. What was yielded is void.
        """
        continue_token = ""
        while True:
            page: Page[Any] = await self.list(
                gvr,
                namespace=namespace,
                label_selector=label_selector,
                field_selector=field_selector,
                # A continue token carries the snapshot; the server refuses both together.
                resource_version="" if continue_token else resource_version,
                resource_version_match="" if continue_token else resource_version_match,
                limit=limit,
                continue_token=continue_token,
                metadata_only=metadata_only,
                retry=retry,
                decode=decode if decode is not None else decode_object,
            )
            yield page
            continue_token = page.continue_token
            if not continue_token:
                return

    @overload
    async def list_all(
        self,
        gvr: GVR,
        *,
        namespace: str = "",
        label_selector: str = "",
        field_selector: str = "",
        metadata_only: bool = False,
        decode: None = None,
    ) -> Page[JsonObject]: ...

    @overload
    async def list_all(
        self,
        gvr: GVR,
        *,
        namespace: str = "",
        label_selector: str = "",
        field_selector: str = "",
        metadata_only: bool = False,
        decode: Decoder[T],
    ) -> Page[T]: ...

    async def list_all(
        self,
        gvr: GVR,
        *,
        namespace: str = "",
        label_selector: str = "",
        field_selector: str = "",
        metadata_only: bool = False,
        decode: Decoder[Any] | None = None,
    ) -> Page[Any]:
        """Return all objects of a kind as one consistent page.

        A snapshot that expires between pages is dropped whole, and the list starts once more.

        Raises:
            GoneError: it expired again.
        """
        for last_try in (False, True):
            items: builtins.list[Any] = []
            cursor = ""
            try:
                async for page in self.pages(
                    gvr,
                    namespace=namespace,
                    label_selector=label_selector,
                    field_selector=field_selector,
                    metadata_only=metadata_only,
                    decode=decode if decode is not None else decode_object,
                ):
                    items += page.items
                    cursor = page.resource_version
                break
            except GoneError:
                if last_try:
                    raise
        return Page(items, cursor)

    async def create(
        self,
        gvr: GVR,
        body: Mapping[str, object],
        *,
        namespace: str = "",
        field_manager: str = "",
        dry_run: bool = False,
    ) -> JsonObject:
        """Create the object and return it as the server stored it.

        Raises:
            AlreadyExistsError: there is one of that name.
        """
        query = _write_query(field_manager, dry_run)
        return await self._write(
            "create", "POST", gvr, _target(gvr, namespace, None, "", query), encode(body)
        )

    async def apply(
        self,
        gvr: GVR,
        name: NamespacedName,
        body: Mapping[str, object],
        *,
        field_manager: str,
        force: bool = True,
        subresource: str = "",
        dry_run: bool = False,
    ) -> JsonObject:
        """Make the object hold the fields of `body`, and nothing else of ours; return it.

        Raises:
            ConflictError: without `force`, somebody else owns one of the fields (see `causes`).
        """
        query = _write_query(field_manager, dry_run)
        if force:
            query["force"] = "true"
        return await self._write(
            "apply",
            "PATCH",
            gvr,
            _target(gvr, name.namespace, name.name, subresource, query),
            encode(body),
            content_type="application/apply-patch+yaml",
            replay=Replay.IDEMPOTENT,
        )

    async def patch(
        self,
        gvr: GVR,
        name: NamespacedName,
        body: Mapping[str, object] | builtins.list[JsonObject],
        *,
        kind: PatchKind = PatchKind.MERGE,
        subresource: str = "",
        field_manager: str = "",
        dry_run: bool = False,
    ) -> JsonObject:
        """Change the object as `body` says and return it.

        Raises:
            ConflictError: `body` carries a resource version or a test that does not hold.
        """
        return await self._write(
            "patch",
            "PATCH",
            gvr,
            _target(
                gvr, name.namespace, name.name, subresource, _write_query(field_manager, dry_run)
            ),
            encode(body),
            content_type=kind.value,
        )

    async def update(
        self,
        gvr: GVR,
        name: NamespacedName,
        body: Mapping[str, object],
        *,
        subresource: str = "",
        field_manager: str = "",
        dry_run: bool = False,
    ) -> JsonObject:
        """Replace the object, or its subresource, and return it.

        Raises:
            ConflictError: the object changed since the resource version in `body`.
        """
        return await self._write(
            "update",
            "PUT",
            gvr,
            _target(
                gvr, name.namespace, name.name, subresource, _write_query(field_manager, dry_run)
            ),
            encode(body),
        )

    async def delete(
        self,
        gvr: GVR,
        name: NamespacedName,
        *,
        uid: str = "",
        resource_version: str = "",
        propagation: Propagation | None = None,
        grace_period_s: int | None = None,
        dry_run: bool = False,
    ) -> JsonObject:
        """Ask for the object's deletion, if it still is the one meant.

        Returns the object when it has to wait for finalizers, else a Status (or the object, as
        some endpoints do): a later read tells whether it is gone.

        Raises:
            NotFoundError: there is none.
            ConflictError: it has another UID or resource version.
        """
        preconditions = {
            key: value
            for key, value in (("uid", uid), ("resourceVersion", resource_version))
            if value
        }
        options: dict[str, object] = {"apiVersion": "v1", "kind": "DeleteOptions"}
        if preconditions:
            options["preconditions"] = preconditions
        if propagation is not None:
            options["propagationPolicy"] = propagation.value
        if grace_period_s is not None:
            options["gracePeriodSeconds"] = grace_period_s
        if dry_run:
            options["dryRun"] = ["All"]
        return await self._write(
            "delete",
            "DELETE",
            gvr,
            _target(gvr, name.namespace, name.name, "", None),
            encode(options),
            replay=Replay.IDEMPOTENT if uid else Replay.UNSAFE,
        )

    @overload
    def watch(
        self,
        gvr: GVR,
        *,
        namespace: str = "",
        label_selector: str = "",
        field_selector: str = "",
        resource_version: str = "",
        timeout_s: int | None = None,
        send_initial_events: bool = False,
        metadata_only: bool = False,
        silence_s: float | None = None,
        decode: None = None,
    ) -> AbstractAsyncContextManager[WatchStream[JsonObject]]: ...

    @overload
    def watch(
        self,
        gvr: GVR,
        *,
        namespace: str = "",
        label_selector: str = "",
        field_selector: str = "",
        resource_version: str = "",
        timeout_s: int | None = None,
        send_initial_events: bool = False,
        metadata_only: bool = False,
        silence_s: float | None = None,
        decode: Decoder[T],
    ) -> AbstractAsyncContextManager[WatchStream[T]]: ...

    @asynccontextmanager
    async def watch(
        self,
        gvr: GVR,
        *,
        namespace: str = "",
        label_selector: str = "",
        field_selector: str = "",
        resource_version: str = "",
        timeout_s: int | None = None,
        send_initial_events: bool = False,
        metadata_only: bool = False,
        silence_s: float | None = None,
        decode: Decoder[Any] | None = None,
    ) -> AsyncIterator[WatchStream[Any]]:
        """Open a watch from `resource_version`, with bookmarks, for the length of the block.

        Args:
            timeout_s: when the server is to end it; we end it ourselves half a minute later.
            send_initial_events: first the present state, up to a bookmark that says so (KEP-3157).
            silence_s: see `WatchStream.silence_s`.

        Raises:
            GoneError: the resource version is out of the history.
            WatchLimitError: too many watches are open.
        """
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "labelSelector": label_selector,
            "fieldSelector": field_selector,
            "resourceVersion": resource_version,
            "timeoutSeconds": str(timeout_s) if timeout_s is not None else "",
        }
        if send_initial_events:
            query |= {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
        request = Request(
            verb="watch",
            method="GET",
            gvr=gvr,
            target=_target(gvr, namespace, None, "", query),
            accept=_METADATA_ACCEPT if metadata_only else "application/json",
            replay=Replay.ONCE,
            starts_kind=True,
        )
        async with self._transport.stream(request) as response:
            stream = WatchStream(
                response,
                decode if decode is not None else decode_object,
                line_bytes=self._transport.limits.line_bytes,
                silence_s=silence_s,
                deadline_s=None if timeout_s is None else timeout_s + _OVERDUE_S,
            )
            try:
                yield stream
            finally:
                self._transport.observer.stream_ended(gvr=gvr, cause=stream.cause)

    async def read(
        self,
        path: str,
        *,
        accept: str = "application/json",
        query: Mapping[str, str] | None = None,
        retry: bool = True,
    ) -> bytes:
        """Return the body that a path of the API server answers with.

        Args:
            path: absolute and percent-encoded, perhaps with a query of its own.
            accept: what to ask for; anything but JSON is refused unless it is `*/*`.
        """
        if not path.startswith("/"):
            # Joined to the server's address it would name another host.
            message = f"{path[:80]!r} is no absolute path"
            raise BadRequestError(400, Status(reason="BadRequest", code=400, message=message))
        target = path
        if query:
            target += ("&" if "?" in path else "?") + urlencode(query)
        return await self._transport.call(
            Request(
                verb="read",
                method="GET",
                target=target,
                accept=accept,
                replay=Replay.SAFE if retry else Replay.ONCE,
            )
        )

    async def aclose(self) -> None:
        """Close every connection of the transport."""
        await self._transport.aclose()

    async def _write(
        self,
        verb: str,
        method: str,
        gvr: GVR,
        target: str,
        body: bytes,
        *,
        content_type: str = "application/json",
        replay: Replay = Replay.UNSAFE,
    ) -> JsonObject:
        answer = await self._transport.call(
            Request(
                verb=verb,
                method=method,
                gvr=gvr,
                target=target,
                body=body,
                content_type=content_type,
                replay=replay,
                gate=self._gate,
            )
        )
        return decode(decode_object, answer, what="the answer to a write")


def _object(decoder: Decoder[Any] | None, body: bytes) -> Any:
    return decode(decoder if decoder is not None else decode_object, body, what="the object")


async def _page(body: bytes, decoder: Decoder[T]) -> Page[T]:
    """Decode a list, letting other tasks run in between.

    Built-in kinds leave `apiVersion` and `kind` out of the items; they are put back.
    """
    raw: RawList = decode(LIST_DECODER.decode, body, what="the list")
    texts = raw.items or []
    prefix = _type_prefix(raw, bytes(texts[0])) if texts else b""
    items: list[T] = []
    size = 0
    for text in texts:
        view = memoryview(text)
        item = prefix + view[1:] if prefix else view
        items.append(decode(decoder, item, what="an item of the list"))
        size += len(view)
        if size >= _SLICE_BYTES:
            size = 0
            await asyncio.sleep(0)
    metadata = raw.metadata
    return Page(items, metadata.resource_version, metadata.continue_, metadata.remaining_item_count)


def _type_prefix(raw: RawList, first: bytes) -> bytes:
    """Return what stands in place of the opening brace of every item, or nothing."""
    known = decode(TYPE_META_DECODER.decode, first, what="an item of the list")
    if known.kind or first == b"{}" or not raw.kind.endswith("List"):
        return b""
    kind = encode(raw.kind.removesuffix("List"))
    return b'{"apiVersion":' + encode(raw.api_version) + b',"kind":' + kind + b","


def _write_query(field_manager: str, dry_run: bool) -> dict[str, str]:
    return {"fieldManager": field_manager, "dryRun": "All" if dry_run else ""}


def _target(
    gvr: GVR,
    namespace: str,
    name: str | None,
    subresource: str,
    query: Mapping[str, str] | None,
) -> str:
    """Return path and query; without a `name` those of the collection."""
    target = gvr.path
    if namespace:
        target += f"/namespaces/{_segment(namespace, 'namespace')}"
    target += f"/{gvr.resource}"
    if name is not None:
        target += f"/{_segment(name, 'name')}"
    if subresource:
        target += f"/{subresource}"
    if query:
        encoded = urlencode({key: value for key, value in query.items() if value})
        if encoded:
            target += f"?{encoded}"
    return target


def _segment(value: str, what: str) -> str:
    """Return a name as one segment of a path, so that it can never become another path.

    Raises:
        BadRequestError: no object can have that name.
    """
    if not value or value in (".", "..") or "/" in value or "%" in value:
        message = f"{what} {value[:80]!r} cannot be the name of an object"
        raise BadRequestError(400, Status(reason="BadRequest", code=400, message=message))
    return value if value.isalnum() and value.isascii() else quote(value, safe=":-._~")

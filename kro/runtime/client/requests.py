"""Requests on objects: what a controller asks of the API server.

Objects are addressed by GVR and namespaced name; they come back as dicts or as whatever the
caller's decoder makes of their JSON text.

Source: spec "Controller runtime" P-031 to P-040, P-103, P-107 to P-123; "API surface and
operations" §4.9 for the methods that kro writes with.
"""

from __future__ import annotations

import builtins
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from enum import StrEnum
from typing import Any, TypedDict, TypeVar, Unpack, overload
from urllib.parse import urlencode

from kro.refs import GVR, JsonObject, NamespacedName
from kro.runtime.client.errors import BadRequestError, GoneError, Status
from kro.runtime.client.lists import Page, decode_page
from kro.runtime.client.paths import target
from kro.runtime.client.retry import Replay
from kro.runtime.client.transport import OpenGate, Request, Transport, WriteGate
from kro.runtime.client.watch import WatchStream
from kro.runtime.client.wire import Decoder, decode_object, decode_text, encode

__all__ = ["Client", "Page", "PatchKind", "Propagation"]

T = TypeVar("T")

PAGE_SIZE = 500
_OVERDUE_S = 30.0

_JSON = "application/json"
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


class GetOptions(TypedDict, total=False):
    """How an object is read."""

    subresource: str
    resource_version: str
    """Not older than this; without it the newest."""
    metadata_only: bool


class SelectionOptions(TypedDict, total=False):
    """Which objects of a kind are meant: without a namespace those of all."""

    namespace: str
    label_selector: str
    field_selector: str
    metadata_only: bool


class ListOptions(SelectionOptions, total=False):
    """From which state a list comes."""

    resource_version: str
    resource_version_match: str
    retry: bool
    """False: one attempt, because the caller has a pace of its own. True by default."""


class PageOptions(ListOptions, total=False):
    """Which part of a list."""

    limit: int
    continue_token: str


class WatchOptions(SelectionOptions, total=False):
    """From where, and for how long, a watch goes."""

    resource_version: str
    timeout_s: int | None
    """When the server is to end it; we end it ourselves half a minute later."""
    send_initial_events: bool
    """First the present state, up to a bookmark that says so (KEP-3157)."""
    silence_s: float | None
    """See `WatchStream.silence_s`."""


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
        self, gvr: GVR, name: NamespacedName, **options: Unpack[GetOptions]
    ) -> JsonObject: ...

    @overload
    async def get(
        self, gvr: GVR, name: NamespacedName, *, decode: Decoder[T], **options: Unpack[GetOptions]
    ) -> T: ...

    async def get(
        self,
        gvr: GVR,
        name: NamespacedName,
        *,
        decode: Decoder[Any] = decode_object,
        **options: Unpack[GetOptions],
    ) -> Any:
        """Return the object as it is now, or not older than `resource_version`.

        Raises:
            NotFoundError: there is none.
        """
        body = await self._transport.call(
            Request(
                verb="get",
                method="GET",
                gvr=gvr,
                target=target(
                    gvr,
                    name.namespace,
                    name.name,
                    options.get("subresource", ""),
                    {"resourceVersion": options.get("resource_version", "")},
                ),
                accept=_METADATA_ACCEPT if options.get("metadata_only") else _JSON,
            )
        )
        return decode_text(decode, body, what="the object")

    @overload
    async def list(self, gvr: GVR, **options: Unpack[PageOptions]) -> Page[JsonObject]: ...

    @overload
    async def list(
        self, gvr: GVR, *, decode: Decoder[T], **options: Unpack[PageOptions]
    ) -> Page[T]: ...

    async def list(
        self,
        gvr: GVR,
        *,
        decode: Decoder[Any] = decode_object,
        **options: Unpack[PageOptions],
    ) -> Page[Any]:
        """Return the objects of a kind, in one namespace or (empty) in all, or a page of them.

        Raises:
            GoneError: the continue token, or the resource version, is out of the history.
            ResourceVersionTooLargeError: the server has not seen the resource version.
        """
        limit = options.get("limit", 0)
        query = _selection(options) | {
            "resourceVersion": options.get("resource_version", ""),
            "resourceVersionMatch": options.get("resource_version_match", ""),
            "limit": str(limit) if limit else "",
            "continue": options.get("continue_token", ""),
        }
        body = await self._transport.call(
            Request(
                verb="list",
                method="GET",
                gvr=gvr,
                target=target(gvr, options.get("namespace", ""), None, "", query),
                accept=_METADATA_LIST_ACCEPT if options.get("metadata_only") else _JSON,
                replay=Replay.SAFE if options.get("retry", True) else Replay.ONCE,
                starts_kind=True,
            )
        )
        return await decode_page(body, decode)

    @overload
    def pages(
        self, gvr: GVR, *, limit: int = PAGE_SIZE, **options: Unpack[ListOptions]
    ) -> AsyncIterator[Page[JsonObject]]: ...

    @overload
    def pages(
        self,
        gvr: GVR,
        *,
        limit: int = PAGE_SIZE,
        decode: Decoder[T],
        **options: Unpack[ListOptions],
    ) -> AsyncIterator[Page[T]]: ...

    async def pages(
        self,
        gvr: GVR,
        *,
        limit: int = PAGE_SIZE,
        decode: Decoder[Any] = decode_object,
        **options: Unpack[ListOptions],
    ) -> AsyncIterator[Page[Any]]:
        """Yield the objects of a kind page by page, all of one snapshot.

        Raises:
            GoneError: the snapshot expired between two pages. What was yielded is void.
        """
        following = options.copy()
        # A continue token carries the snapshot; the server refuses both together.
        following.pop("resource_version", None)
        following.pop("resource_version_match", None)
        page: Page[Any] = await self.list(gvr, limit=limit, decode=decode, **options)
        yield page
        while page.continue_token:
            page = await self.list(
                gvr,
                limit=limit,
                continue_token=page.continue_token,
                decode=decode,
                **following,
            )
            yield page

    @overload
    async def list_all(self, gvr: GVR, **options: Unpack[SelectionOptions]) -> Page[JsonObject]: ...

    @overload
    async def list_all(
        self, gvr: GVR, *, decode: Decoder[T], **options: Unpack[SelectionOptions]
    ) -> Page[T]: ...

    async def list_all(
        self,
        gvr: GVR,
        *,
        decode: Decoder[Any] = decode_object,
        **options: Unpack[SelectionOptions],
    ) -> Page[Any]:
        """Return all objects of a kind as one consistent page.

        A snapshot that expires between pages is dropped whole, and the list starts once more.

        Raises:
            GoneError: it expired again.
        """
        try:
            return await self._whole(gvr, decode, options)
        except GoneError:
            return await self._whole(gvr, decode, options)

    async def _whole(self, gvr: GVR, decode: Decoder[Any], options: SelectionOptions) -> Page[Any]:
        items: builtins.list[Any] = []
        cursor = ""
        async for page in self.pages(gvr, decode=decode, **options):
            items += page.items
            cursor = page.resource_version
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
            "create", "POST", gvr, target(gvr, namespace, None, "", query), encode(body)
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
            target(gvr, name.namespace, name.name, subresource, query),
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
            target(
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
            target(
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
            target(gvr, name.namespace, name.name, "", None),
            encode(options),
            replay=Replay.IDEMPOTENT if uid else Replay.UNSAFE,
        )

    @overload
    def watch(
        self, gvr: GVR, **options: Unpack[WatchOptions]
    ) -> AbstractAsyncContextManager[WatchStream[JsonObject]]: ...

    @overload
    def watch(
        self, gvr: GVR, *, decode: Decoder[T], **options: Unpack[WatchOptions]
    ) -> AbstractAsyncContextManager[WatchStream[T]]: ...

    @asynccontextmanager
    async def watch(
        self,
        gvr: GVR,
        *,
        decode: Decoder[Any] = decode_object,
        **options: Unpack[WatchOptions],
    ) -> AsyncIterator[WatchStream[Any]]:
        """Open a watch from `resource_version`, with bookmarks, for the length of the block.

        Raises:
            GoneError: the resource version is out of the history.
            WatchLimitError: too many watches are open.
        """
        timeout_s = options.get("timeout_s")
        query = _selection(options) | {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": options.get("resource_version", ""),
            "timeoutSeconds": str(timeout_s) if timeout_s is not None else "",
        }
        if options.get("send_initial_events"):
            query |= {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
        request = Request(
            verb="watch",
            method="GET",
            gvr=gvr,
            target=target(gvr, options.get("namespace", ""), None, "", query),
            accept=_METADATA_ACCEPT if options.get("metadata_only") else _JSON,
            replay=Replay.ONCE,
            starts_kind=True,
            loads=bool(options.get("send_initial_events")),
        )
        async with self._transport.stream(request) as response:
            stream = WatchStream(
                response,
                decode,
                line_bytes=self._transport.limits.line_bytes,
                silence_s=options.get("silence_s"),
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
        if query:
            path += ("&" if "?" in path else "?") + urlencode(query)
        return await self._transport.call(
            Request(
                verb="read",
                method="GET",
                target=path,
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
        path: str,
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
                target=path,
                body=body,
                content_type=content_type,
                replay=replay,
                gate=self._gate,
            )
        )
        return decode_text(decode_object, answer, what="the answer to a write")


def _selection(options: SelectionOptions) -> dict[str, str]:
    return {
        "labelSelector": options.get("label_selector", ""),
        "fieldSelector": options.get("field_selector", ""),
    }


def _write_query(field_manager: str, dry_run: bool) -> dict[str, str]:
    return {"fieldManager": field_manager, "dryRun": "All" if dry_run else ""}

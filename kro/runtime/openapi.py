"""OpenAPI v3 documents: one a group version, fetched by the hash in its URL, read in parts.

A document is a megabyte and more, of which a definition needs a few schemas. So it is kept as
compressed text, and only the schemas that a kind refers to are ever decoded, in a thread.

Source: KEP-2896.
"""

from __future__ import annotations

import asyncio
import time
import zlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec

from kro.refs import GVK, JsonObject
from kro.runtime.client import Client, ProtocolError, RedirectError, decode_object

T = TypeVar("T")

INDEX_AGE_S = 10.0
"""How long the index of documents is believed."""
_THREAD_BYTES = 256 * 1024
_DOCUMENTS = 64
_REF = "#/components/schemas/"


class TypeName(msgspec.Struct):
    """A type as the API server writes it in discovery and in OpenAPI documents."""

    group: str = ""
    version: str = ""
    kind: str = ""


class _Located(msgspec.Struct, rename="camel"):
    server_relative_url: str = msgspec.field(name="serverRelativeURL")


class _Index(msgspec.Struct):
    paths: dict[str, _Located]


class _Schemas(msgspec.Struct, frozen=True):
    schemas: dict[str, msgspec.Raw] = {}


class _Document(msgspec.Struct):
    components: _Schemas = _Schemas()


class _Described(msgspec.Struct):
    kinds: list[TypeName] = msgspec.field(name="x-kubernetes-group-version-kind", default=[])


class OpenAPIDocument:
    """The OpenAPI v3 document of one group version, kept compressed and read in parts."""

    def __init__(self, body: bytes) -> None:
        """Look through the document; takes some milliseconds a megabyte.

        Raises:
            ProtocolError: it is no OpenAPI document.
        """
        self._components: dict[GVK, str] = {}
        for name, text in read_as(_Document, body).components.schemas.items():
            for kind in read_as(_Described, text).kinds:
                self._components.setdefault(GVK(kind.group, kind.version, kind.kind), name)
        self._size = len(body)
        self._packed = zlib.compress(body, 1)

    @property
    def kinds(self) -> frozenset[GVK]:
        """The kinds that the document describes."""
        return frozenset(self._components)

    async def closure(self, gvk: GVK) -> JsonObject | None:
        """Return the kind's schema and everything that it refers to, or None.

        Shape: as `Discovery.schema_document`.
        """
        name = self._components.get(gvk)
        if name is None:
            return None
        return await _maybe_in_thread(self._size, self._closure, name)

    async def whole(self) -> JsonObject:
        """Return the whole document."""
        return await _maybe_in_thread(
            self._size, lambda packed: decode_object(zlib.decompress(packed)), self._packed
        )

    def _closure(self, name: str) -> JsonObject:
        texts = read_as(_Document, zlib.decompress(self._packed)).components.schemas
        schemas: JsonObject = {}
        waiting = [name]
        while waiting:
            name = waiting.pop()
            text = texts.get(name)
            if name in schemas or text is None:
                continue
            schema = decode_object(memoryview(text))
            schemas[name] = schema
            waiting.extend(_references(schema))
        return {"components": {"schemas": schemas}}


class OpenAPIDocuments:
    """The index of documents, and the documents that were asked for, by the hash in their URL."""

    def __init__(self, client: Client, *, now: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._now = now
        self._locks: dict[str, asyncio.Lock] = {}
        self._index: Mapping[str, _Located] = {}
        self._asked: float | None = None
        self._documents: OrderedDict[str, tuple[str, OpenAPIDocument]] = OrderedDict()

    def forget(self) -> None:
        """Ask for the index anew; a document whose hash has not changed then stays."""
        self._asked = None

    async def document(self, path: str, age_s: float) -> OpenAPIDocument | None:
        """Return the document of a group version's path, by an index of at most this age."""
        key = path.lstrip("/")
        async with self._lock(key):
            try:
                return await self._current(key, age_s)
            except RedirectError:
                # The document changed after the index was read: the hash in the URL is an old one.
                return await self._current(key, 0.0)

    async def _current(self, key: str, age_s: float) -> OpenAPIDocument | None:
        url = await self._url(key, age_s)
        if url is None:
            self._documents.pop(key, None)
            return None
        held = self._documents.get(key)
        if held is None or held[0] != url:
            body = await self._client.read(url)
            held = (url, await _maybe_in_thread(len(body), OpenAPIDocument, body))
            self._documents[key] = held
            if len(self._documents) > _DOCUMENTS:
                self._documents.popitem(last=False)
        self._documents.move_to_end(key)
        return held[1]

    async def _url(self, key: str, age_s: float) -> str | None:
        async with self._lock("/"):
            if self._asked is None or self._now() - self._asked >= age_s:
                asked = self._now()
                # The API server calls this JSON text/plain.
                body = await self._client.read("/openapi/v3", accept="*/*")
                self._index = read_as(_Index, body).paths
                self._asked = asked
        located = self._index.get(key)
        return located.server_relative_url if located is not None else None

    def _lock(self, key: str) -> asyncio.Lock:
        return self._locks.setdefault(key, asyncio.Lock())


def _references(schema: object) -> list[str]:
    """Return the names of the components that a schema refers to."""
    found: list[str] = []
    waiting = [schema]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            target = node.get("$ref")
            if isinstance(target, str) and target.startswith(_REF):
                found.append(target.removeprefix(_REF))
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)
    return found


async def _maybe_in_thread(size: int, work: Callable[..., T], *arguments: Any) -> T:
    """Run `work` off the loop if its text is so large that others would have to wait."""
    if size < _THREAD_BYTES:
        return work(*arguments)
    return await asyncio.to_thread(work, *arguments)


def read_as(shape: type[T], body: bytes | msgspec.Raw) -> T:
    """Return what an answer says, in the shape that it must have.

    Raises:
        ProtocolError: it has another one.
    """
    try:
        return msgspec.json.decode(body, type=shape)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ProtocolError("a discovery answer is not of the expected shape") from error
